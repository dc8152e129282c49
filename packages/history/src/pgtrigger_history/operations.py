"""The migration operation that keeps the values of fields that are removed.

PostgreSQL manual: "JSON Functions and Operators"; Django manual: "Migration Operations".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models, transaction
from django.db.migrations.operations.base import Operation, OperationCategory

from pgtrigger import sql
from pgtrigger.columns import column_name
from pgtrigger_history.errors import ArchiveError
from pgtrigger_history.fields import ARCHIVE, OLD_PREFIX, has_archive
from pgtrigger_history.maintenance import maintenance
from pgtrigger_history.protection import MAINTENANCE


class ArchiveFields(Operation):
    """Keep the values of fields of events in ``pgh_archive``, before the fields are removed.

    It stands in a migration before the ``RemoveField`` operations of the model of events, which
    must be tracked with ``archive=True``. Reversed, it puts the values back.

    Args:
        model_name: the model of the events.
        fields: the names of the fields.

    Raises:
        ArchiveError: when the migration is applied: the model has no ``pgh_archive`` or no such
            field then.

    Example::

        operations = [
            pgtrigger_history.operations.ArchiveFields("orderevent", ["note"]),
            migrations.RemoveField("orderevent", "note"),
        ]
    """

    reversible = True
    category = OperationCategory.SQL

    def __init__(self, model_name: str, fields: Sequence[str]) -> None:
        self.model_name, self.fields = model_name, [*fields]

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The models stay as they are."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        columns = {f.name: _column(f) for f in self._archived(model)}
        kept = [
            f"CASE WHEN {column} IS NULL THEN '{{}}' ELSE pg_catalog.jsonb_build_object("
            f"{sql.string(field.name)}, pg_catalog.to_jsonb({_plain(field, schema_editor)})) END"
            for field in self._archived(model)
            for column in [columns[field.name]]
        ]
        told = " OR ".join(f"{column} IS NOT NULL" for column in columns.values())
        _run(
            schema_editor,
            f"UPDATE {sql.quote_relation(model._meta.db_table)} SET {ARCHIVE} = "
            f"coalesce({ARCHIVE}, '{{}}') || {' || '.join(kept)} WHERE {told}",
        )

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table = sql.quote_relation(model._meta.db_table)
        fields = [*self._archived(model)]
        names = sql.string(sql.array(field.name for field in fields))
        sets = ", ".join(f"{_column(f)} = {_restored(f, table, schema_editor)}" for f in fields)
        _run(
            schema_editor,
            f"UPDATE {table} SET {sets}, {ARCHIVE} = nullif({ARCHIVE} - {names}::text[], '{{}}') "
            f"WHERE {ARCHIVE} ?| {names}::text[]",
        )

    def _archived(self, model: Any) -> Iterator[models.Field[Any, Any]]:
        """The fields, and those of the old row. Raises `ArchiveError` for one that is not there."""
        label = model._meta.label
        if not has_archive(model):
            raise ArchiveError(
                f'"{label}" has no "{ARCHIVE}" to keep values in. Track its model with '
                f"archive=True, and put what makemigrations writes then before ArchiveFields."
            )
        for name in self.fields:
            try:
                yield model._meta.get_field(name)
            except FieldDoesNotExist:
                raise ArchiveError(
                    f'"{label}" has no "{name}" at this place of the migration. Put ArchiveFields '
                    f"before the RemoveField."
                ) from None
            yield from (f for f in model._meta.fields if f.name == f"{OLD_PREFIX}{name}")

    def describe(self) -> str:
        return f"Keep the values of {', '.join(self.fields)} of {self.model_name} in {ARCHIVE}"

    @property
    def migration_name_fragment(self) -> str:
        return f"archive_{self.model_name.lower()}_{'_'.join(self.fields)}"


def _column(field: models.Field[Any, Any]) -> str:
    return sql.quote(column_name(field))


def _type(field: Any, schema_editor: Any) -> str:
    return str(field.db_type(schema_editor.connection))


def _plain(field: Any, schema_editor: Any) -> str:
    # As JSON it would be an object, which Postgres does not take back.
    return f"{_column(field)}::text" if _type(field, schema_editor) == "hstore" else _column(field)


def _restored(field: Any, table: str, schema_editor: Any) -> str:
    """The value of a column out of the archive."""
    value = f"{ARCHIVE} -> {sql.string(field.name)}"
    if _type(field, schema_editor) == "jsonb":
        return value  # also the null of JSON, which is not that of SQL
    name = sql.string(column_name(field))
    row = f"pg_catalog.jsonb_build_object({name}, {value})"
    return f"(pg_catalog.jsonb_populate_record(NULL::{table}, {row})).{_column(field)}"


def _run(schema_editor: Any, statement: str) -> None:
    if schema_editor.collect_sql:
        schema_editor.execute(f"SET LOCAL {MAINTENANCE} = 'on'", params=None)
        schema_editor.execute(statement, params=None)
        return
    alias = schema_editor.connection.alias
    with maintenance([alias]), transaction.atomic(using=alias):
        schema_editor.execute(statement, params=None)
