"""What the tables of events of other packages look like."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Final

from pgtrigger import sql

# Keys of other packages are below this, and the keys that their events get here are above its
# negative, or the negative of its double.
LIMIT: Final = 10**12

OPERATIONS: Final = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")


class Source(enum.Enum):
    """A package whose events can be imported, by its name on the command line."""

    PGHISTORY = "pghistory"
    SIMPLE_HISTORY = "simple-history"

    @property
    def key(self) -> str:
        """The column of the key, by which its events are ordered."""
        return "pgh_id" if self is Source.PGHISTORY else "history_id"

    @property
    def moment(self) -> str:
        """The column of the time."""
        return "pgh_created_at" if self is Source.PGHISTORY else "history_date"

    @property
    def required(self) -> tuple[str, ...]:
        """The columns by which its tables are recognised."""
        kind = "pgh_label" if self is Source.PGHISTORY else "history_type"
        return (self.key, self.moment, kind)

    @property
    def offset(self) -> int:
        """What is added to a key, so that it is less than those of events recorded here."""
        return -LIMIT if self is Source.PGHISTORY else -2 * LIMIT

    def label(self, labels: Mapping[str, str]) -> str:
        """An expression for the label of an event. Rows are called ``source``.

        Args:
            labels: what events of each operation are called here.
        """
        if self is Source.PGHISTORY:
            return "source.pgh_label"
        return _case("source.history_type", {_TYPES[op]: labels[op] for op in _TYPES}, "''")

    def operation(self, operations: Mapping[str, str]) -> str:
        """An expression for the operation of an event.

        Args:
            operations: those of labels.
        """
        if self is Source.PGHISTORY:
            return _case("source.pgh_label", operations, "''")
        return _case("source.history_type", {kind: op for op, kind in _TYPES.items()}, "''")

    def object_key(self, columns: Sequence[str], key: str) -> str:
        """The column that refers to the object.

        Args:
            columns: those that the table has.
            key: the column of the primary key of the tracked model.
        """
        return "pgh_obj_id" if "pgh_obj_id" in columns else key

    def context(self, columns: Sequence[str], context_table: str | None) -> tuple[str, str, str]:
        """Expressions for the context of an event and for what tells it from others, and a join.

        Args:
            columns: those that the table has.
            context_table: that of the contexts.
        """
        if self is Source.PGHISTORY:
            if "pgh_context" in columns:
                return "source.pgh_context", "source.pgh_context_id::text", ""
            if context_table is None or "pgh_context_id" not in columns:
                return "NULL::jsonb", "NULL::text", ""
            join = f" LEFT JOIN {sql.quote_relation(context_table)} AS theirs"
            on = " ON theirs.id = source.pgh_context_id"
            return "theirs.metadata", "theirs.id::text", join + on
        said = {
            name: column
            for name, column in (("user", "history_user_id"), ("reason", "history_change_reason"))
            if column in columns
        }
        if not said:
            return "NULL::jsonb", "NULL::text", ""
        parts = " || ".join(
            f"CASE WHEN source.{column} IS NULL THEN '{{}}' ELSE "
            f"pg_catalog.jsonb_build_object({sql.string(name)}, source.{column}) END"
            for name, column in said.items()
        )
        data = f"nullif({parts}, '{{}}')"
        return data, f"({data})::text", ""


_TYPES: Final = {"INSERT": "+", "UPDATE": "~", "DELETE": "-"}


def _case(value: str, results: Mapping[str, str], otherwise: str) -> str:
    whens = " ".join(f"WHEN {sql.string(a)} THEN {sql.string(b)}" for a, b in results.items())
    return f"CASE {value} {whens} ELSE {otherwise} END" if whens else otherwise
