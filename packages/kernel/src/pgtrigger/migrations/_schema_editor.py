"""Schema changes carry a table's triggers along.

Django's PostgreSQL schema editor is extended by a subclass, so backends that bring their own keep
it. PostgreSQL manual: "ALTER TABLE", on columns that a trigger definition uses; ``pg_depend``.
"""

from __future__ import annotations

import functools
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

from django.db import DatabaseError, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from pgtrigger import catalog, conf, ddl, sql
from pgtrigger.catalog import InstalledTrigger
from pgtrigger.compiler import CompiledTrigger
from pgtrigger.errors import InstallationError
from pgtrigger.installation import allowed, installer
from pgtrigger.migrations._dependents import Dependent, altered_columns, dependents_of
from pgtrigger.trigger import Trigger

Stored = CompiledTrigger | Trigger


def compiled(trigger: Stored, model: Any) -> CompiledTrigger:
    """The compiled form of a trigger that a migration holds."""
    return trigger.compile(model) if isinstance(trigger, Trigger) else trigger


# What Postgres says when a trigger does not fit the columns as they are at the moment.
_DOES_NOT_FIT: Final = frozenset(["42703", "42883", "42804", "42P01", "22P02", "22007", "22008"])


def change_trigger(
    schema_editor: Any,
    model: Any,
    *,
    old: Stored | None,
    new: Stored | None,
    backwards: bool = False,
) -> None:
    """Bring a model's table from one form of a trigger to another, None being no trigger.

    Does nothing on databases that are not PostgreSQL or where the routers refuse the model.

    A trigger that is altered may be of use only with columns that a later operation of the same
    migration brings: when a migration is reversed, the trigger's turn comes before that of the
    field. It is then altered at the end of the migration; or, where a migration further back
    brings the column, when that one is reversed.
    """
    connection = schema_editor.connection
    if connection.vendor != "postgresql" or not allowed(model, connection.alias):
        return
    db_table = model._meta.db_table
    before = compiled(old, model) if old else None
    after = compiled(new, model) if new else None
    try:
        _change(schema_editor, db_table, before, after)
    except DatabaseError as error:
        postponed = getattr(schema_editor, "postponed", None)
        if postponed is None or not (before and after) or not _fits_not(error):
            raise
        relation = catalog.identify(connection, db_table)
        if relation is None:
            raise
        postponed[relation, after.name] = Postponed(relation, before, after, backwards)


class Postponed(NamedTuple):
    """A trigger to alter when the other operations of a migration are done."""

    relation: int
    before: CompiledTrigger
    after: CompiledTrigger
    backwards: bool


def _fits_not(error: DatabaseError) -> bool:
    return _sqlstate(error) in _DOES_NOT_FIT


def _sqlstate(error: DatabaseError) -> str | None:
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def _change(
    schema_editor: Any,
    db_table: str,
    before: CompiledTrigger | None,
    after: CompiledTrigger | None,
) -> None:
    connection = schema_editor.connection
    pgids = [pgid for form in (before, after) if form for pgid in form.pgids]
    with ExitStack() as stack:
        schema = None
        if schema_editor.collect_sql:
            found = ddl.as_installed(before, db_table) if before else {}
        else:
            stack.enter_context(installer(connection))
            schemas = {schema for schema in [sql.relation(db_table)[0]] if schema}
            read = catalog.read(connection, tables=[db_table], schemas=schemas, pgids=pgids)
            found = dict(read.of_table(db_table))
            schema = catalog.schemas_of(connection, [db_table]).get(db_table)
        lost = getattr(schema_editor, "lost_triggers", {})
        if after:
            replaces = before.pgids if before else ()
            statements = ddl.install_sql(after, db_table, found, schema=schema, replaces=replaces)
            state = next((lost[p].state for p in pgids if p in lost), "O")
            if state != "O":
                statements += ddl.state_sql(after.pgids, db_table, state, schema)
        else:
            assert before is not None
            statements = ddl.uninstall_sql([found[p] for p in before.pgids if p in found])
        for statement in statements:
            schema_editor.execute(statement, params=None)
        for pgid in pgids:
            lost.pop(pgid, None)


class TriggerSchemaEditor(BaseDatabaseSchemaEditor):
    """The part of the schema editor that knows about triggers."""

    def __enter__(self) -> Any:
        # Triggers that a change of a column took away, until an operation deals with them.
        self.lost_triggers: dict[str, Dependent] = {}
        self.postponed: dict[Any, Postponed] = {}
        return super().__enter__()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if exc_type is None:
            try:
                self._finish_triggers()
            except BaseException as error:
                super().__exit__(type(error), error, error.__traceback__)
                raise
        super().__exit__(exc_type, exc_value, traceback)

    def _finish_triggers(self) -> None:
        for relation, before, after, backwards in self.postponed.values():
            # By now the table may have another name, or be gone.
            db_table = catalog.name_of(self.connection, relation)
            try:
                if db_table is not None:
                    _change(self, db_table, before, after)
            except DatabaseError as error:
                # Until then, the trigger as it is does the same.
                if not (backwards and _fits_not(error)):
                    raise
        if self.lost_triggers:
            raise self._lost_error()

    def _lost_error(self) -> InstallationError:
        names = ", ".join(
            f'"{trigger.pgid}" of table "{trigger.db_table}"'
            for trigger in self.lost_triggers.values()
        )
        return InstallationError(
            f"This migration changes or removes a column that trigger {names} uses, and the "
            f"trigger cannot be as it was afterwards. Change the declaration of the trigger "
            f"together with the field, so that makemigrations writes both into one migration."
        )

    def create_model(self, model: Any) -> None:
        super().create_model(model)
        for trigger in getattr(model._meta, "triggers", None) or ():
            if isinstance(trigger, Trigger) and not conf.model_meta():
                continue
            change_trigger(self, model, old=None, new=trigger)

    def delete_model(self, model: Any) -> None:
        functions = self._functions_of(model)
        super().delete_model(model)
        for statement in functions:
            self.execute(statement, params=None)

    def _functions_of(self, model: Any) -> list[str]:
        db_table = model._meta.db_table
        found: dict[str, InstalledTrigger] = {}
        if self.collect_sql:
            for trigger in getattr(model._meta, "triggers", None) or ():
                found |= ddl.as_installed(compiled(trigger, model), db_table)
        else:
            found |= catalog.read(self.connection, tables=[db_table]).of_table(db_table)
        return ddl.drop_functions_sql([*found.values()])

    def alter_field(self, model: Any, old_field: Any, new_field: Any, strict: bool = False) -> None:
        dependents = []
        if not self.collect_sql and self._type(old_field) != self._type(new_field):
            for db_table, column in altered_columns(old_field):
                dependents += dependents_of(self.connection, db_table, column)
        for dependent in dependents:
            for statement in dependent.drop_sql():
                self.execute(statement, params=None)
        super().alter_field(model, old_field, new_field, strict)
        for dependent in dependents:
            self._restore(dependent)
        if not self.collect_sql and old_field.column != new_field.column:
            self._bring_back(model)

    def _bring_back(self, model: Any) -> None:
        """Give a renamed column's triggers the form that did not fit while it had another name."""
        for trigger in getattr(model._meta, "triggers", None) or ():
            try:
                _change(self, model._meta.db_table, None, compiled(trigger, model))
            except DatabaseError as error:
                if not _fits_not(error):
                    raise

    def _type(self, field: Any) -> Any:
        return field.db_parameters(connection=self.connection)["type"]

    def _restore(self, dependent: Dependent) -> None:
        try:
            with transaction.atomic(using=self.connection.alias):
                for statement in dependent.create_sql():
                    self.execute(statement, params=None)
        except DatabaseError:
            # It does not fit the new type; the operation that alters it comes later.
            self.lost_triggers[dependent.pgid] = dependent

    def remove_field(self, model: Any, field: Any) -> None:
        dependents = []
        if not self.collect_sql and field.column:
            dependents = dependents_of(self.connection, model._meta.db_table, field.column)
        super().remove_field(model, field)
        self.lost_triggers |= {dependent.pgid: dependent for dependent in dependents}


@functools.cache
def with_triggers(editor: type[Any]) -> type[Any]:
    """The class of a schema editor, extended by what knows about triggers."""
    if issubclass(editor, TriggerSchemaEditor):
        return editor
    return type(editor.__name__, (TriggerSchemaEditor, editor), {"__module__": editor.__module__})


def extend_schema_editor(wrapper: type[Any]) -> None:
    """Make a PostgreSQL backend hand out schema editors that know about triggers."""
    original = wrapper.schema_editor

    @functools.wraps(original)
    def schema_editor(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not conf.schema_editor():
            return original(self, *args, **kwargs)
        return with_triggers(self.SchemaEditorClass)(self, *args, **kwargs)

    if not getattr(original, "extended_by_pgtrigger", False):
        schema_editor.extended_by_pgtrigger = True  # type: ignore[attr-defined]
        wrapper.schema_editor = schema_editor
