"""Removing old events, and the contexts that nothing refers to any more: batch by batch.

PostgreSQL manual: "DELETE"; "Read Committed Isolation Level".
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from django.db import connections, transaction

from pgtrigger import sql
from pgtrigger.columns import column_name
from pgtrigger.registry import registered
from pgtrigger.relations import places
from pgtrigger_history.body import CONTEXT_TABLE
from pgtrigger_history.fields import GONE_SQL, context_field, refers_to_contexts
from pgtrigger_history.maintenance import maintenance
from pgtrigger_history.partitioning import Partition, Partitioning
from pgtrigger_history.partitions import is_partitioned
from pgtrigger_history.trackings import Tracking, trackings
from pgtrigger_history.triggers import History

# PostgreSQL has no key that is less.
_FIRST: Final = -(2**63)


class Batch(NamedTuple):
    """What was done in a transaction.

    Args:
        seen: how many rows were looked at.
        removed: how many of them were removed, or would be.
    """

    seen: int
    removed: int


class Pruning:
    """Removes the events of a tracking from before a moment, in the order of their keys.

    Args:
        tracking: whose events.
        before: the moment.
        keep_last: keep the last event of each object from before the moment, unless it tells that
            the object is gone; so `as_of` and `diff` are right for all time since the moment.
        database: the alias.
        batch_size: the number of rows in a transaction.
        dry_run: only count.
    """

    def __init__(
        self,
        tracking: Tracking,
        *,
        before: datetime.datetime,
        keep_last: bool = True,
        database: str,
        batch_size: int = 1000,
        dry_run: bool = False,
    ) -> None:
        self.tracking, self.before, self.keep_last = tracking, before, keep_last
        self.database, self.batch_size, self.dry_run = database, batch_size, dry_run
        self._table = sql.quote_relation(tracking.event_model._meta.db_table)

    def partitions(self) -> list[Partition]:
        """The partitions that go as a whole: none where last events are kept."""
        if self.keep_last or not is_partitioned(self.tracking.event_model):
            return []
        return self._partitioning().before(self.before)

    def drop(self, partition: Partition) -> None:
        """Drop a partition."""
        self._partitioning().remove(partition)

    def drop_empty(self) -> list[Partition]:
        """Drop the partitions of the time before the moment that have no event left."""
        if not is_partitioned(self.tracking.event_model):
            return []
        work = self._partitioning()
        return [each for each in work.before(self.before) if work.remove_empty(each)]

    def _partitioning(self) -> Partitioning:
        return Partitioning(self.tracking, database=self.database)

    def total(self) -> int:
        """The number of events."""
        return _value(self.database, f"SELECT pg_catalog.count(*) FROM {self._table}")

    def batches(self) -> Iterator[Batch]:
        """Do the work, and tell about it after each transaction."""
        last = _FIRST
        while True:
            window = (
                f"SELECT pg_catalog.max(pgh_id), pg_catalog.count(*) FROM (SELECT pgh_id FROM "
                f"{self._table} WHERE pgh_id > %s ORDER BY pgh_id LIMIT %s) AS batch"
            )
            with (
                maintenance([self.database]),
                transaction.atomic(using=self.database),
                connections[self.database].cursor() as cursor,
            ):
                cursor.execute(window, [last, self.batch_size])
                upto, seen = cursor.fetchone()
                if upto is None:
                    return
                cursor.execute(*self._removal(last, upto))
                removed = cursor.fetchone()[0] if self.dry_run else cursor.rowcount
            yield Batch(seen, removed)
            last = upto

    def _removal(self, last: int, upto: int) -> tuple[str, list[Any]]:
        where = "event.pgh_id > %s AND event.pgh_id <= %s AND event.pgh_created_at < %s"
        parameters = [last, upto, self.before]
        if self.keep_last:
            columns = [sql.quote(self.tracking.column(name)) for name in self.tracking.key]
            same = " AND ".join(f"other.{column} = event.{column}" for column in columns)
            other = f"EXISTS (SELECT FROM {self._table} AS other WHERE {same} AND other.pgh_id"
            where += (
                f" AND ({other} > event.pgh_id AND other.pgh_created_at < %s)"
                # What tells that an object is gone is not needed when nothing tells that it was.
                f" OR event.pgh_operation IN {GONE_SQL} AND NOT {other} < event.pgh_id "
                "AND other.pgh_created_at >= %s))"
            )
            parameters += [self.before, self.before]
        what = "SELECT pg_catalog.count(*)" if self.dry_run else "DELETE"
        return f"{what} FROM {self._table} AS event WHERE {where}", parameters


class ContextPruning:
    """Removes the contexts from before a moment that no event refers to.

    A context is written by the transaction that writes its events, so one that can be seen without
    any has none to come. All tables of events count, in whatever schema.

    Args:
        before: the moment.
        database: the alias.
        batch_size: the number of rows in a transaction.
        dry_run: only count.
    """

    def __init__(
        self,
        *,
        before: datetime.datetime,
        database: str,
        batch_size: int = 1000,
        dry_run: bool = False,
    ) -> None:
        self.before, self.database = before, database
        self.batch_size, self.dry_run = batch_size, dry_run
        self._table = sql.quote_relation(CONTEXT_TABLE)
        there = places(connections[database], (tables := referring_tables()))
        self._used = " AND ".join(
            f"NOT EXISTS (SELECT FROM {sql.quote_relation(table, schema)} AS event "
            f"WHERE event.{sql.quote(column)} = context.id)"
            for table, column in tables.items()
            for schema in there[table]
        )

    def there(self) -> bool:
        """Whether the database has a table of contexts, and somebody who may refer to it."""
        found = f"SELECT (pg_catalog.to_regclass({sql.string(self._table)}) IS NOT NULL)::int"
        return bool(self._used and _value(self.database, found))

    def total(self) -> int:
        """The number of contexts."""
        return _value(self.database, f"SELECT pg_catalog.count(*) FROM {self._table}")

    def batches(self) -> Iterator[Batch]:
        """Do the work, and tell about it after each transaction."""
        last = _FIRST
        what = "SELECT pg_catalog.count(*)" if self.dry_run else "DELETE"
        while True:
            with (
                maintenance([self.database]),
                transaction.atomic(using=self.database),
                connections[self.database].cursor() as cursor,
            ):
                cursor.execute(
                    f"SELECT pg_catalog.max(id), pg_catalog.count(*) FROM (SELECT id FROM "
                    f"{self._table} WHERE id > %s AND created_at < %s ORDER BY id LIMIT %s) "
                    "AS batch",
                    [last, self.before, self.batch_size],
                )
                upto, seen = cursor.fetchone()
                if upto is None:
                    return
                # One statement has one snapshot: of a context and of all that refers to it.
                cursor.execute(
                    f"{what} FROM {self._table} AS context WHERE context.id > %s "
                    f"AND context.id <= %s AND context.created_at < %s AND {self._used}",
                    [last, upto, self.before],
                )
                removed = cursor.fetchone()[0] if self.dry_run else cursor.rowcount
            yield Batch(seen, removed)
            last = upto


def referring_tables() -> dict[str, str]:
    """The tables whose rows refer to contexts, and the column by which they do."""
    kinds = [tracking.event_model for tracking in trackings()]
    kinds += [
        trigger.event_model(model)
        for model, trigger in registered()
        if isinstance(trigger, History)
    ]
    return {
        kind._meta.db_table: column_name(context_field(kind))
        for kind in kinds
        if refers_to_contexts(kind)
    }


def _value(database: str, query: str) -> int:
    with connections[database].cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])
