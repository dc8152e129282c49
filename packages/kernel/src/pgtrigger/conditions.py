"""Conditions on the old and the new row: what stands in a trigger's ``WHEN`` clause.

PostgreSQL manual: "CREATE TRIGGER", the ``WHEN`` condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

from django.db import models

from pgtrigger import sql
from pgtrigger.columns import (
    columns_of,
    comparable,
    concrete_field,
    differs,
    is_generated,
    same,
)
from pgtrigger.errors import DeclarationError


class Rows(NamedTuple):
    """The names under which a condition finds the row before and the row after."""

    old: str = "OLD"
    new: str = "NEW"


VARIABLES = Rows()


class Condition:
    """A condition in plain SQL on the row variables ``OLD`` and ``NEW``.

    Conditions combine with ``&`` and ``|`` and are negated with ``~``, whatever their class.

    Args:
        sql: a boolean SQL expression.

    Raises:
        DeclarationError: when there is no SQL.

    >>> Condition("OLD.status = 'published'").resolve(None)
    "OLD.status = 'published'"
    """

    sql: str | None = None

    def __init__(self, sql: str | None = None) -> None:
        self.sql = sql or self.sql
        if not self.sql:
            raise DeclarationError("Must provide SQL to pgtrigger.Condition.")

    def resolve(self, model: type[models.Model] | None) -> str:
        """Return the condition as an SQL expression on ``OLD`` and ``NEW``."""
        assert self.sql is not None  # __init__ refuses this
        return self.sql

    def resolve_rows(self, model: type[models.Model], rows: Rows) -> str:
        """Return the condition on other relations than the row variables.

        Statement-level triggers see their rows in transition tables.
        """
        return sql.rename_rows(self.resolve(model), rows.old, rows.new)

    def __and__(self, other: Condition) -> Condition:
        if not isinstance(other, Condition):
            return NotImplemented
        return Combined("AND", self, other)

    def __or__(self, other: Condition) -> Condition:
        if not isinstance(other, Condition):
            return NotImplemented
        return Combined("OR", self, other)

    def __invert__(self) -> Condition:
        return Negated(self)

    def __repr__(self) -> str:
        return f"pgtrigger.{type(self).__name__}({self.sql!r})"


class Combined(Condition):
    """Two conditions joined by ``AND`` or ``OR``; made by ``&`` and ``|``."""

    def __init__(self, connector: str, left: Condition, right: Condition) -> None:
        self.connector, self.left, self.right = connector, left, right

    def resolve(self, model: type[models.Model] | None) -> str:
        return f"({self.left.resolve(model)}) {self.connector} ({self.right.resolve(model)})"

    def resolve_rows(self, model: type[models.Model], rows: Rows) -> str:
        left, right = (side.resolve_rows(model, rows) for side in (self.left, self.right))
        return f"({left}) {self.connector} ({right})"

    def __repr__(self) -> str:
        return f"({self.left!r} {'&' if self.connector == 'AND' else '|'} {self.right!r})"


class Negated(Condition):
    """The opposite of a condition; made by ``~``."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition

    def resolve(self, model: type[models.Model] | None) -> str:
        return f"NOT ({self.condition.resolve(model)})"

    def resolve_rows(self, model: type[models.Model], rows: Rows) -> str:
        return f"NOT ({self.condition.resolve_rows(model, rows)})"

    def __repr__(self) -> str:
        return f"~{self.condition!r}"


class Change(Condition):
    """Base of the conditions that compare the columns of the old and the new row.

    Args:
        *fields: field names; all columns of the table, without generated ones, when none is named.
        exclude: field names to leave out.
        exclude_auto: leave out ``auto_now`` and ``auto_now_add`` fields.

    Raises (when the trigger is compiled or checked):
        FieldLookupError: a name, also in ``exclude``, that the model does not have.
        DeclarationError: a many-to-many field, or no column left to compare.
    """

    comparison: ClassVar[str] = ""
    connector: ClassVar[str] = ""

    def __init__(
        self,
        *fields: str,
        exclude: Iterable[str] | None = None,
        exclude_auto: bool | None = None,
    ) -> None:
        self.fields: Sequence[str] = fields
        self.exclude: Sequence[str] = [exclude] if isinstance(exclude, str) else [*(exclude or ())]
        self.exclude_auto = bool(exclude_auto)

    def compared_fields(self, model: type[models.Model]) -> list[models.Field[Any, Any]]:
        """The model fields that are compared, in the order of the table."""
        excluded = {concrete_field(model, name) for name in self.exclude}
        if self.fields:
            included = {concrete_field(model, name) for name in self.fields}
        else:
            included = {field for field in columns_of(model) if not is_generated(field)}
        if self.exclude_auto:
            excluded |= {
                field
                for field in included
                if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
            }
        compared = [field for field in columns_of(model) if field in included - excluded]
        if not compared:
            raise DeclarationError(
                f'{self!r} leaves no column of "{model._meta.label}" to compare.'
            )
        return compared

    def resolve(self, model: type[models.Model] | None) -> str:
        assert model is not None
        return self.resolve_rows(model, VARIABLES)

    def resolve_rows(self, model: type[models.Model], rows: Rows) -> str:
        return f" {self.connector} ".join(
            self._compared(field, comparable(field, rows.old), comparable(field, rows.new), rows)
            for field in self.compared_fields(model)
        )

    def _compared(self, field: models.Field[Any, Any], old: str, new: str, rows: Rows) -> str:
        if rows == VARIABLES:  # of a WHEN clause, whose operators are found when it is made
            return f"{old} {self.comparison} {new}"
        return (differs if self.comparison == "IS DISTINCT FROM" else same)(field, old, new)

    def __repr__(self) -> str:
        arguments = [repr(name) for name in self.fields]
        if self.exclude:
            arguments.append(f"exclude={[*self.exclude]!r}")
        if self.exclude_auto:
            arguments.append("exclude_auto=True")
        return f"pgtrigger.{type(self).__name__}({', '.join(arguments)})"


class AnyChange(Change):
    """True when at least one of the fields changes. Arguments as in `Change`."""

    comparison, connector = "IS DISTINCT FROM", "OR"


class AnyDontChange(Change):
    """True when at least one of the fields stays as it is. Arguments as in `Change`."""

    comparison, connector = "IS NOT DISTINCT FROM", "OR"


class AllChange(Change):
    """True when every one of the fields changes. Arguments as in `Change`."""

    comparison, connector = "IS DISTINCT FROM", "AND"


class AllDontChange(Change):
    """True when none of the fields changes. Arguments as in `Change`."""

    comparison, connector = "IS NOT DISTINCT FROM", "AND"
