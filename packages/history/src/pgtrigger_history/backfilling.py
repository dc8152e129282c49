"""Events for rows that were there before they were tracked: batch by batch.

A row is locked before it is looked at again, so nobody changes it between that look and its event,
and no row has two first events, whoever else writes or backfills.

PostgreSQL manual: "Explicit Locking", ``FOR NO KEY UPDATE``; "Read Committed Isolation Level".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from django.db import connections, transaction

from pgtrigger import sql
from pgtrigger.columns import column_name
from pgtrigger_history.snapshots import ROW, record_rows
from pgtrigger_history.trackings import Tracking

LABEL: Final = "backfill"


class Batch(NamedTuple):
    """What was done in a transaction.

    Args:
        found: how many rows had no event.
        recorded: how many have got one.
    """

    found: int
    recorded: int


class Backfilling:
    """Records the rows of a table that have no event, in the order of the primary key.

    Args:
        tracking: whose rows.
        database: the alias.
        batch_size: the number of rows in a transaction.
    """

    def __init__(self, tracking: Tracking, *, database: str, batch_size: int = 1000) -> None:
        self.tracking, self.database, self.batch_size = tracking, database, batch_size
        model = tracking.model
        self._table = f"{sql.quote_relation(model._meta.db_table)} AS {ROW}"
        self._keys = [f"{ROW}.{sql.quote(column_name(f))}" for f in model._meta.pk_fields]
        same = " AND ".join(
            f"event.{sql.quote(theirs)} = {ROW}.{sql.quote(ours)}"
            for ours, theirs in tracking.key_columns.items()
        )
        events = sql.quote_relation(tracking.event_model._meta.db_table)
        self._unknown = f"NOT EXISTS (SELECT FROM {events} AS event WHERE {same})"

    def total(self) -> int:
        """The number of rows without an event."""
        ((number,),) = self._rows(
            f"SELECT pg_catalog.count(*) FROM {self._table} WHERE {self._unknown}"
        )
        return int(number)

    def batches(self) -> Iterator[Batch]:
        """Do the work, and tell about it after each transaction."""
        last: Sequence[str] = ()
        while True:
            with transaction.atomic(using=self.database):
                keys = self._lock(last)
                if not keys:
                    return
                listed = ", ".join(f"({_values(key)})" for key in keys)
                where = f"({', '.join(self._keys)}) IN ({listed}) AND {self._unknown}"
                # A statement of its own sees what was committed before the rows were locked.
                recorded = record_rows(
                    self.tracking,
                    self.database,
                    label=LABEL,
                    where=where.replace("%", "%%"),
                    order=self._keys,
                )
            yield Batch(len(keys), len(recorded))
            last = keys[-1]

    def _lock(self, after: Sequence[str]) -> list[Any]:
        keys = ", ".join(self._keys)
        texts = ", ".join(f"{key}::text" for key in self._keys)
        behind = f"({keys}) > ({_values(after)}) AND " if after else ""
        return self._rows(
            f"SELECT {texts} FROM {self._table} WHERE {behind}{self._unknown} "
            f"ORDER BY {keys} LIMIT {self.batch_size} FOR NO KEY UPDATE OF {ROW}"
        )

    def _rows(self, query: str) -> list[Any]:
        with connections[self.database].cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


def _values(key: Sequence[str]) -> str:
    """The values of a key as literals without a type, which take that of their column."""
    return ", ".join(sql.string(value) for value in key)
