"""Bringing the events of other packages along: batch by batch, each of them once.

An event gets the key that it had, less a constant. So imported events keep their order, come before
all that are recorded here, and are known when they are met again.

PostgreSQL manual: "WITH Queries", data-modifying statements; "Sequence Manipulation Functions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from django.db import connections, transaction

from pgtrigger import sql
from pgtrigger.columns import column_name
from pgtrigger_history.body import CONTEXT_ID, CONTEXT_TABLE
from pgtrigger_history.errors import SourceError
from pgtrigger_history.fields import CONTEXT, OBJECT, OLD_PREFIX, PREFIX
from pgtrigger_history.filling import Filling, event_columns
from pgtrigger_history.sources import LIMIT, Source
from pgtrigger_history.trackings import Tracking

_COLUMNS: Final = """
    SELECT attname::text, pg_catalog.format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
     WHERE attrelid = pg_catalog.to_regclass(%s) AND attnum > 0 AND NOT attisdropped
     ORDER BY attnum
"""
_USUAL: Final = {
    "insert": "INSERT", "create": "INSERT", "update": "UPDATE", "delete": "DELETE"
}  # fmt: skip


class Importing:
    """Copies the events of a table.

    Args:
        tracking: whose events they become.
        source: which package has made the table.
        table: the table.
        context_table: that of the contexts of django-pghistory, if there is one.
        operations: those of labels that are not called after one.
        database: the alias.
        batch_size: the number of events in a transaction.

    Raises:
        SourceError: a table that is none of that package, or from which nothing can be copied.
    """

    def __init__(
        self,
        tracking: Tracking,
        source: Source,
        *,
        table: str,
        context_table: str | None = None,
        operations: Mapping[str, str] | None = None,
        database: str,
        batch_size: int = 1000,
    ) -> None:
        self.tracking, self.source, self.database = tracking, source, database
        self.table, self.batch_size = sql.quote_relation(table), batch_size
        self.context_table = context_table
        self._theirs = self._columns(table)
        if missing := [name for name in source.required if name not in self._theirs]:
            raise SourceError(
                f'Table "{table}" in database "{database}" is no table of {source.value}: it has '
                f"no column {', '.join(missing)}."
            )
        if context_table is not None and "metadata" not in self._columns(context_table):
            raise SourceError(
                f'Table "{context_table}" in database "{database}" is no table of contexts: it has '
                "no column metadata."
            )
        self._events = sql.quote_relation(tracking.event_model._meta.db_table)
        self._given = {**(operations or {})}
        if not self._pairs():
            raise SourceError(f"{self.table} has no column of {self._events}.")

    def unmatched(self) -> tuple[list[str], list[str]]:
        """The columns that only the other table has, and those that only the events have."""
        own = {*self._pairs()}
        theirs = [c for c in self._theirs if c not in own and not c.startswith(_THEIR_OWN)]
        known = [column_name(f) for f in event_columns(self.tracking.event_model)]
        ours = [c for c in known if c not in own and not c.startswith(PREFIX)]
        return theirs, ours

    def total(self) -> int:
        """The number of events that are still to be imported."""
        key = sql.quote(self.source.key)
        ((count, least, greatest),) = self._rows(
            f"SELECT pg_catalog.count(*), pg_catalog.min({key}), pg_catalog.max({key}) "
            f"FROM {self.table} WHERE {key} > %s",
            [self._last()],
        )
        if count and not (isinstance(least, int) and 0 < least <= greatest < LIMIT):
            raise SourceError(
                f"The keys of {self.table} are not numbers between 1 and {LIMIT:,}: they go from "
                f"{least} to {greatest}."
            )
        return int(count)

    def batches(self) -> Iterator[int]:
        """Do the work; gives how many events each transaction has copied."""
        key = sql.quote(self.source.key)
        last = self._last()
        while True:
            with transaction.atomic(using=self.database):
                ((upto,),) = self._rows(
                    f"SELECT pg_catalog.max({key}) FROM (SELECT {key} FROM {self.table} "
                    f"WHERE {key} > %s ORDER BY {key} LIMIT %s) AS batch",
                    [last, self.batch_size],
                )
                if upto is None:
                    return
                with connections[self.database].cursor() as cursor:
                    cursor.execute(self._insert_sql(last, upto))
                    copied = cursor.rowcount
            yield int(copied)
            last = upto

    def _last(self) -> int:
        """The key, in the other table, of the last event that was imported."""
        offset, moment = self.source.offset, sql.quote(self.source.moment)
        found = self._rows(
            f"SELECT pgh_id - %s, pgh_created_at FROM {self._events} "
            "WHERE pgh_id > %s AND pgh_id < %s ORDER BY pgh_id DESC LIMIT 1",
            [offset, offset, offset + LIMIT],
        )
        if not found:
            return 0
        ((last, then),) = found
        key = sql.quote(self.source.key)
        if self._rows(f"SELECT {moment} FROM {self.table} WHERE {key} = %s", [last]) != [(then,)]:
            raise SourceError(
                f'"{self.tracking.event_model._meta.label}" has events that were imported from '
                f"another table than {self.table}; a model of events can take those of one."
            )
        return int(last)

    def _pairs(self) -> dict[str, str]:
        """The columns of the events that are copied, and which of the other table they are from."""
        found: dict[str, str] = {}
        (key, *others) = [column_name(f) for f in self.tracking.model._meta.pk_fields]
        for field in event_columns(self.tracking.event_model):
            column = column_name(field)
            theirs = column
            if field.name == OBJECT and not others:
                theirs = self.source.object_key([*self._theirs], key)
            elif field.name.startswith(PREFIX) and not field.name.startswith(OLD_PREFIX):
                continue
            if theirs in self._theirs:
                found[column] = theirs
        return found

    def _insert_sql(self, last: int, upto: int) -> str:
        filling = Filling(self.tracking.model, self.tracking.event_model, "")
        stores = filling.context == CONTEXT_ID
        data, other, join = self.source.context([*self._theirs], self.context_table)
        said = {
            "pgh_id": f"source.{sql.quote(self.source.key)} + {self.source.offset}",
            "pgh_created_at": f"source.{sql.quote(self.source.moment)}",
            "pgh_label": self.source.label(self._labels()),
            "pgh_operation": self.source.operation(self._operations()),
            "pgh_transaction": "'0'::xid8",
        }
        if filling.context:
            field: Any = self.tracking.event_model._meta.get_field(CONTEXT)
            said[column_name(field)] = "kept.id" if stores else "source._pgh_context"
        types = self._columns(self.tracking.event_model._meta.db_table)
        values = [*said.values()] + [
            _converted(f"source.{sql.quote(theirs)}", self._theirs[theirs], types[ours])
            for ours, theirs in self._pairs().items()
        ]
        key = sql.quote(self.source.key)
        query = (
            f"WITH source AS MATERIALIZED (SELECT source.*, {data} AS _pgh_context, "
            f"{other} AS _pgh_other FROM {self.table} AS source{join} "
            f"WHERE source.{key} > {sql.literal(last)} AND source.{key} <= {sql.literal(upto)})"
        )
        if stores:
            query += self._contexts_sql()
        names = [*said, *self._pairs()]
        query += (
            f" INSERT INTO {self._events} ({', '.join(map(sql.quote, names))}) OVERRIDING SYSTEM "
            f"VALUE SELECT {', '.join(values)} FROM source"
        )
        if stores:
            query += " LEFT JOIN kept USING (_pgh_other)"
        return query

    def _contexts_sql(self) -> str:
        table = sql.quote_relation(CONTEXT_TABLE)
        sequence = f"pg_catalog.pg_get_serial_sequence({sql.string(table)}, 'id')"
        moment = sql.quote(self.source.moment)
        return (
            f", kept AS MATERIALIZED (SELECT each.*, pg_catalog.nextval({sequence}) AS id FROM "
            f"(SELECT DISTINCT ON (_pgh_other) _pgh_other, _pgh_context, {moment} AS moment "
            f"FROM source WHERE _pgh_context IS NOT NULL ORDER BY _pgh_other, {moment}) "
            f"AS each), added AS (INSERT INTO {table} (id, transaction, created_at, data) "
            "OVERRIDING SYSTEM VALUE SELECT id, '0'::xid8, moment, _pgh_context FROM kept)"
        )

    def _labels(self) -> dict[str, str]:
        """What events of each operation are called here."""
        found = {name: name.lower() for name in ("INSERT", "UPDATE", "DELETE")}
        for event in reversed(self.tracking.events):
            if event.operation is not None:
                found |= dict.fromkeys(event.operation.names, event.label)
        return found

    def _operations(self) -> dict[str, str]:
        """The operations of labels: those of events here, and what others call them."""
        own = {label: name for name, label in self._labels().items() if name != "TRUNCATE"}
        return {**_USUAL, **own, **self._given}

    def _columns(self, table: str) -> dict[str, str]:
        return dict(self._rows(sql.catalog_query(_COLUMNS), [sql.quote_relation(table)]))

    def _rows(self, query: str, parameters: Sequence[Any]) -> list[Any]:
        with connections[self.database].cursor() as cursor:
            cursor.execute(query, parameters)
            return list(cursor.fetchall())


_THEIR_OWN: Final = (PREFIX, "history_")


def _converted(value: str, theirs: str, ours: str) -> str:
    """A value as one of another type, if it has to be."""
    return value if theirs == ours else f"{value}::text::{ours}"
