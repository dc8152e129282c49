"""The states of a field, as a declaration, a column and a person know them."""

from __future__ import annotations

import contextlib
import enum
import functools
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.fields import NOT_PROVIDED

from pgtrigger import sql
from pgtrigger.columns import column_name, comparable, concrete_field, offline_connection
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError

NULL = "NULL"


class StateField:
    """The field of a model that holds the state of a machine.

    Args:
        model: the model whose table has the column.
        name: the field's name.

    Raises:
        FieldLookupError: the model has no such field.
        DeclarationError: its values cannot be compared, or are in another table.
    """

    def __init__(self, model: Model, name: str) -> None:
        self.model = model
        self.field = concrete_field(model, name)
        if comparable(self.field, "OLD").endswith("::pg_catalog.text"):
            kind = self.field.db_type(offline_connection())
            raise DeclarationError(
                f'"{model._meta.label}.{name}" cannot hold the state of a machine: Postgres has '
                f"no equality for its type {kind}."
            )
        # A foreign key compares like the column that it holds.
        target: Any = self.field
        while target.remote_field is not None and hasattr(target, "target_field"):
            target = target.target_field
        self.target = target

    def column(self, row: str) -> str:
        """The quoted column of a row."""
        return f"{row}.{sql.quote(column_name(self.field))}"

    def value(self, state: Any) -> Any:
        """A declared state as the Python value that is in the column.

        Raises `DeclarationError` for what the field cannot hold.
        """
        if isinstance(state, enum.Enum):
            state = state.value
        if isinstance(state, models.Model):
            state = self._key(state)
        if state is None:
            return None
        try:
            return self.target.to_python(state)
        except (TypeError, ValueError, ValidationError) as error:
            reason = " ".join(getattr(error, "messages", [str(error)]))
            raise self._no_state(state, reason) from error

    def _key(self, state: models.Model) -> Any:
        related = self.field.related_model
        if not (isinstance(related, type) and isinstance(state, related)):
            raise self._no_state(state, "an object is a state only of a foreign key to its model")
        key = getattr(state, self.target.attname)
        if key is None:
            raise self._no_state(state, "it has no key yet, so save it first or name its key")
        return key

    def _no_state(self, state: Any, reason: str) -> DeclarationError:
        return DeclarationError(
            f'{state!r} is no state that "{self.model._meta.label}.{self.field.name}" can hold: '
            f"{reason}."
        )

    def literal(self, state: Any) -> str:
        """A declared state as SQL."""
        value = self.value(state)
        if value is None:
            return NULL
        prepared = self.target.get_db_prep_value(value, offline_connection(), prepared=False)
        return sql.literal(prepared)

    def among(self, row: str, literals: Iterable[str]) -> str:
        """The SQL condition that the state of a row is one of these, NULL included."""
        column, values = self.column(row), [text for text in literals if text != NULL]
        parts = []
        if len(values) == 1:
            parts = [f"{column} = {values[0]}"]
        elif values:
            parts = [f"{column} IN ({', '.join(values)})"]
        if NULL in literals:
            parts.append(f"{column} IS NULL")
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"

    def shown(self, row: str) -> str:
        """SQL for the state of a row as messages show it: in quotes, or NULL."""
        text = f"pg_catalog.concat('\"', {self.column(row)}::pg_catalog.text, '\"')"
        return f"CASE WHEN {self.column(row)} IS NULL THEN '{NULL}' ELSE {text} END"

    def text(self, state: Any) -> str:
        """A state as people read it in graphs and errors."""
        value = self.value(state)
        return NULL if value is None else str(value)

    def choices(self) -> list[Any] | None:
        """The values of the field's choices; None where it has none."""
        choices = [value for value, _ in self.field.flatchoices]
        return self._possible(choices) if choices else None

    def defaults(self) -> list[Any]:
        """The values of a new row that says nothing, as far as they are plain values."""
        given = [self.field.default, getattr(self.field, "db_default", NOT_PROVIDED)]
        return self._possible(
            default
            for default in given
            if default is not NOT_PROVIDED
            and not callable(default)
            and not hasattr(default, "resolve_expression")
        )

    def _possible(self, given: Iterable[Any]) -> list[Any]:
        # A form may offer what is no value of the column, such as "" beside numbers.
        values: list[Any] = []
        for state in given:
            with contextlib.suppress(DeclarationError):
                values.append(self.value(state))
        return values


@functools.lru_cache(maxsize=1024)
def state_field(model: Model, name: str) -> StateField:
    """The field of a model with this name, looked up once. Raises as `StateField` does."""
    return StateField(model, name)
