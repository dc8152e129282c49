"""The conditions of transitions, as Postgres evaluates them for a Python object."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from django.db import connections, models

from pgtrigger import sql
from pgtrigger.columns import column_name, columns_of, is_generated
from pgtrigger.composer import TABLES
from pgtrigger.conditions import Rows
from pgtrigger_fsm.machine import Machine
from pgtrigger_fsm.transitions import Transition

Field: TypeAlias = "models.Field[Any, Any]"


class Guards:
    """Writes conditions on the row that is stored and on the row that an object would make of it.

    Args:
        machine: whose transitions they are.
        obj: a model instance.
        fields: those whose values are the object's; of others they are the stored row's.
        database: the alias of the database.
    """

    def __init__(
        self, machine: Machine, obj: models.Model, fields: Collection[Field], database: str
    ) -> None:
        self.machine, self.obj, self.fields = machine, obj, fields
        self.database = database
        self.connection = connections[database]

    def condition(self, transition: Transition, row: str) -> tuple[str, list[Any]]:
        """An SQL expression that tells whether a transition is open, and its parameters.

        ``row`` is the name that the stored row has in the query around it.
        """
        model = self.machine.model
        assert transition.condition is not None
        text = transition.condition.resolve_rows(model, Rows(old=row, new=TABLES.new))
        new, params = self._row({self.machine.state.field: transition.target}, row)
        return f"(SELECT {_escaped(text)} FROM (SELECT {new}) AS {TABLES.new})", params

    def holding(self, transitions: Sequence[Transition]) -> list[Transition]:
        """Those transitions that are open, by one query."""
        texts: list[str] = []
        params: list[Any] = []
        for transition in transitions:
            text, given = self.condition(transition, TABLES.old)
            texts.append(text)
            params += given
        source, where, given = self._source()
        query = f"SELECT {', '.join(texts)} FROM {source} AS {TABLES.old} WHERE {where}"
        with self.connection.cursor() as cursor:
            cursor.execute(query, [*params, *given])
            answers = cursor.fetchone() or [None] * len(transitions)
        return [t for t, holds in zip(transitions, answers, strict=True) if holds]

    def _source(self) -> tuple[str, str, list[Any]]:
        if self.obj._state.adding:
            row, params = self._row({}, None)
            return f"(SELECT {row})", "TRUE", params
        options = self.machine.model._meta
        keys = options.pk_fields
        where = " AND ".join(f"{_column(TABLES.old, key)} = %s" for key in keys)
        params = [
            key.get_db_prep_save(getattr(self.obj, key.attname), self.connection) for key in keys
        ]
        return _escaped(sql.quote_relation(options.db_table)), where, params

    def _row(self, given: Mapping[Field, Any], row: str | None) -> tuple[str, list[Any]]:
        columns: list[str] = []
        params: list[Any] = []
        for field in columns_of(self.machine.model):
            value = given[field] if field in given else self.obj.__dict__.get(field.attname)
            kind = field.cast_db_type(self.connection)
            if self._is_known(field, value):
                text = f"CAST(%s AS {kind})"
                params.append(field.get_db_prep_save(value, self.connection))
            else:
                text = _column(row, field) if row else f"CAST(NULL AS {kind})"
            columns.append(f"{text} AS {_escaped(sql.quote(column_name(field)))}")
        return ", ".join(columns), params

    def _is_known(self, field: Field, value: Any) -> bool:
        # What the database is going to compute is not known before.
        return (
            field in self.fields
            and not is_generated(field)
            and not hasattr(value, "resolve_expression")
        )


def _column(row: str, field: Field) -> str:
    return _escaped(f"{row}.{sql.quote(column_name(field))}")


def _escaped(text: str) -> str:
    """SQL text for a statement with parameters."""
    return text.replace("%", "%%")
