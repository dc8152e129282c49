"""The mark of a deleted row: which field says it, and what it says on a live row."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models

from pgtrigger import sql
from pgtrigger.columns import column_name, concrete_field, differs, offline_connection, same
from pgtrigger.conditions import Rows
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError
from pgtrigger.lookups import expression_sql


class Unset(enum.Enum):
    """Stands for an argument that was not given, where None is a value."""

    UNSET = "not given"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True)
class Mark:
    """How a deleted row is told from a live one.

    Args:
        field: the name of the field.
        value: what it holds on a deleted row: a plain value, None, or a Django expression.
        live: what it holds on a live row, and gets when a row is restored.

    With a plain value, a row is deleted where the field holds it. With an expression such as
    ``Now()``, which has a new value each time, a row is deleted where the field does *not* hold
    ``live``, which is NULL by default.
    """

    field: str
    value: Any = False
    live: Any = UNSET

    def __post_init__(self) -> None:
        if hasattr(self.live, "resolve_expression"):
            raise DeclarationError(f'"live" is a plain value or None; got {self.live!r}.')
        if not self.is_expression and self.live is not UNSET and self.live == self.value:
            raise DeclarationError(
                f'"live" and "value" are both {self.value!r}: no row could be told to be deleted.'
            )

    @property
    def is_expression(self) -> bool:
        """Whether each deletion has a value of its own."""
        return hasattr(self.value, "resolve_expression")

    def deleted_q(self) -> models.Q:
        """The condition of a queryset or constraint on deleted rows."""
        if self.is_expression:
            return ~self.live_q()
        return _equals(self.field, self.value)

    def live_q(self) -> models.Q:
        """The condition of a queryset or constraint on live rows."""
        if self.is_expression:
            return _equals(self.field, None if self.live is UNSET else self.live)
        return ~_equals(self.field, self.value)

    def column(self, model: Model) -> str:
        """The quoted column of the field. Raises `FieldLookupError` or `DeclarationError`."""
        return sql.quote(column_name(concrete_field(model, self.field)))

    def value_sql(self, model: Model, rows: Rows) -> str:
        """What the column of a deleted row is set to."""
        if self.is_expression:
            return expression_sql(self.value, model, rows)
        return self._literal(model, self.value)

    def live_sql(self, model: Model) -> str:
        """What the column of a restored row is set to."""
        return self._literal(model, self.live_value(model))

    def live_value(self, model: Model) -> Any:
        """What the field of a restored row holds.

        Raises:
            DeclarationError: the declaration does not say it, and it does not follow.
        """
        if self.live is not UNSET:
            return self.live
        if self.is_expression:
            return None
        if isinstance(self.value, bool):
            return not self.value
        if self.value is not None and concrete_field(model, self.field).null:
            return None
        raise DeclarationError(
            f'A deleted row of "{model._meta.label}" cannot be restored: nothing says what '
            f'"{self.field}" holds on a live row. Declare the SoftDelete with "live".'
        )

    def deleted_sql(self, model: Model, row: str) -> str:
        """An SQL expression, never NULL, that tells whether a row is deleted."""
        return self._compared(model, row, is_other=self.is_expression)

    def live_row_sql(self, model: Model, row: str) -> str:
        """An SQL expression, never NULL, that tells whether a row is live."""
        return self._compared(model, row, is_other=not self.is_expression)

    def _compared(self, model: Model, row: str, *, is_other: bool) -> str:
        told_by = self.value
        if self.is_expression:
            told_by = None if self.live is UNSET else self.live
        column, negation = f"{row}.{self.column(model)}", "NOT "
        if told_by is None:
            return f"{column} IS {negation if is_other else ''}NULL"
        literal = self._literal(model, told_by)
        field = concrete_field(model, self.field)
        return (differs if is_other else same)(field, column, literal)

    def refuse_null(self, model: Model) -> None:
        """Refuse NULL, deleted or live, in a column that cannot hold it."""
        field = concrete_field(model, self.field)
        live = None if self.is_expression and self.live is UNSET else self.live
        if not field.null and (self.value is None or live is None):
            which = "deleted" if self.value is None else "live"
            raise DeclarationError(
                f'"{model._meta.label}.{self.field}" is to be NULL on a {which} row, but cannot '
                f'be: give the field null=True, or the SoftDelete another "value" and "live".'
            )

    def _literal(self, model: Model, value: Any) -> str:
        field = concrete_field(model, self.field)
        try:
            prepared = field.get_db_prep_save(value, connection=offline_connection())
        except (TypeError, ValueError, ValidationError) as error:
            raise DeclarationError(
                f'{value!r} is no value of "{model._meta.label}.{self.field}": {error}'
            ) from error
        return sql.literal(prepared)


def _equals(field: str, value: Any) -> models.Q:
    return models.Q((f"{field}__isnull", True)) if value is None else models.Q((field, value))
