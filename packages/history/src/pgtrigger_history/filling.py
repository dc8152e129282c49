"""How the columns of an event are filled from the rows of the tracked table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db import models

from pgtrigger import sql
from pgtrigger.columns import column_name, columns_of, is_generated
from pgtrigger.composer import TABLES, primary_key_columns
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError
from pgtrigger_history import body
from pgtrigger_history.body import Names, Recording
from pgtrigger_history.fields import (
    CONTEXT,
    KEY,
    OBJECT,
    OLD_PREFIX,
    PREFIX,
    context_field,
    refers_to_contexts,
)

_SAID: Final = ("pgh_created_at", "pgh_label", "pgh_operation", "pgh_transaction", CONTEXT)


class _Source(NamedTuple):
    """Where the value of a column comes from.

    Args:
        kind: ``"row"``, ``"old row"``, or ``"said"`` of the event as such.
        name: a column of the row, or the field of the event.
    """

    kind: str
    name: str


@dataclass(frozen=True)
class Filling:
    """Fills the events of one label.

    Args:
        model: the tracked model.
        event_model: the model of the events.
        label: what the events are called.
        both: whether an update is recorded with the row before it.
    """

    model: Model
    event_model: Model
    label: str
    both: bool = False

    @property
    def context(self) -> str:
        """The variable of the function with what the events store of the context, if they do."""
        if context_field(self.event_model) is None:
            return ""
        return body.CONTEXT_ID if refers_to_contexts(self.event_model) else body.CONTEXT

    def recording(
        self, about: str, operation: str, source: str, rows: Sequence[str] = ()
    ) -> Recording:
        """The statement that writes events about rows.

        Args:
            about: ``OLD`` or ``NEW``.
            operation: an SQL expression.
            source: what the rows are selected from, in which they are called ``old_values`` and
                ``new_values``; nothing for the row of a row-level trigger.
            rows: which of ``OLD`` and ``NEW`` a row-level trigger has.

        Raises:
            DeclarationError: a field of the events that cannot be filled.
        """
        # Only an update has a row before it.
        has_old = about == "OLD" or operation != "'INSERT'"
        filled = {
            column: value
            for column, value in self._sources().items()
            if value.kind != "old row" or has_old
        }

        def values(names: Names) -> list[str]:
            if not rows:
                names = Names(TABLES.old, TABLES.new, names.context)
            said = self.said(operation, names.context)
            row = names.new if about == "NEW" else names.old
            return [
                said[name]
                if kind == "said"
                else f"{row if kind == 'row' else names.old}.{sql.quote(name)}"
                for kind, name in filled.values()
            ]

        return Recording([*map(sql.quote, filled)], values, source, rows)

    def said(self, operation: str, context: str) -> dict[str, str]:
        """The expressions that are not about a row.

        Args:
            operation: an SQL expression.
            context: that of the context: its key, or its text.
        """
        inline = self.context == body.CONTEXT
        return {
            "pgh_created_at": "pg_catalog.clock_timestamp()",
            "pgh_label": sql.string(self.label),
            "pgh_operation": operation,
            "pgh_transaction": "pg_catalog.pg_current_xact_id()",
            CONTEXT: f"{context}::pg_catalog.jsonb" if inline else context,
        }

    def _sources(self) -> dict[str, _Source]:
        tracked = {field.name: column_name(field) for field in columns_of(self.model)}
        found: dict[str, _Source] = {}
        for field in event_columns(self.event_model):
            column, name = column_name(field), field.name
            before = tracked.get(name.removeprefix(OLD_PREFIX))
            if name in _SAID:
                found[column] = _Source("said", name)
            elif name == OBJECT:
                (key,) = primary_key_columns(self.model)
                found[column] = _Source("row", key)
            elif name.startswith(OLD_PREFIX) and before is not None:
                if self.both:
                    found[column] = _Source("old row", before)
            elif name in tracked and not name.startswith(PREFIX):
                found[column] = _Source("row", tracked[name])
            elif not (field.null or field.has_default() or field.has_db_default()):
                raise DeclarationError(
                    f'"{field}" of the events of "{self.model._meta.label}" is neither a field of '
                    f"that model nor one that events have, and cannot be NULL."
                )
        return found


def event_columns(model: Model) -> list[models.Field[Any, Any]]:
    """The fields of an event model that can be filled: all but its key."""
    return [
        field
        for field in columns_of(model)
        if field.name != KEY and not field.primary_key and not is_generated(field)
    ]
