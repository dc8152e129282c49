"""The partitions of an event table in the database: what there is, making more, dropping old ones.

PostgreSQL manual: "Table Partitioning", partition maintenance; "ALTER TABLE", ATTACH PARTITION.
"""

from __future__ import annotations

import datetime
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from django.db import connections

from pgtrigger import sql
from pgtrigger.locks import installer
from pgtrigger_history.errors import PartitionError
from pgtrigger_history.maintenance import maintenance
from pgtrigger_history.partitions import bounds_sql, is_partitioned, partition_name
from pgtrigger_history.periods import Period, Unit, period_of
from pgtrigger_history.trackings import Tracking

_MOMENT: Final = 'YYYY-MM-DD"T"HH24:MI:SS.US'
# A bound is shown in the time zone of the session, which reads it as well.
_PARTITIONS: Final = r"""
    SELECT n.nspname, c.relname, b.bound = 'DEFAULT',
           pg_catalog.to_char(b.lower AT TIME ZONE 'UTC', %s),
           pg_catalog.to_char(b.upper AT TIME ZONE 'UTC', %s),
           pg_catalog.pg_total_relation_size(c.oid), c.reltuples::bigint
      FROM pg_catalog.pg_inherits i
      JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (
           SELECT e.bound,
                  substring(e.bound FROM $$FROM \('([^']+)'\)$$)::timestamptz AS lower,
                  substring(e.bound FROM $$TO \('([^']+)'\)$$)::timestamptz AS upper
             FROM (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound) AS e
           ) AS b
     WHERE i.inhparent = pg_catalog.to_regclass(%s) AND NOT i.inhdetachpending
     ORDER BY b.lower NULLS LAST, c.relname
"""
_TABLE: Final = """
    SELECT c.relkind::text, n.nspname, c.relname
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = pg_catalog.to_regclass(%s)
"""
_COLUMNS: Final = """
    SELECT attname FROM pg_catalog.pg_attribute
     WHERE attrelid = pg_catalog.to_regclass(%s)
       AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
     ORDER BY attnum
"""


class Partition(NamedTuple):
    """A partition of an event table.

    Args:
        schema, name: where it is.
        default: whether it takes what no other one is for.
        start, end: what it is for, from and before; None without a limit.
        size: bytes, with its indexes.
        rows: how many the server reckons it has; -1 if it has not counted yet.
    """

    schema: str
    name: str
    default: bool
    start: datetime.datetime | None
    end: datetime.datetime | None
    size: int
    rows: int

    @property
    def relation(self) -> str:
        """Its name, quoted."""
        return sql.quote_relation(self.name, self.schema)

    def overlaps(self, period: Period) -> bool:
        """Whether some rows of a period are for it."""
        return (
            not self.default
            and (self.start is None or self.start < period.end)
            and (self.end is None or self.end > period.start)
        )


class Partitioning:
    """The partitions of one event table.

    Args:
        tracking: one whose events are `Partitioned`.
        database: the alias.
        lock_timeout: how long to wait for a lock; ``PGTRIGGER_LOCK_TIMEOUT`` by default.

    Raises:
        PartitionError: the table is not partitioned.
    """

    def __init__(
        self, tracking: Tracking, *, database: str, lock_timeout: str | None = None
    ) -> None:
        self.tracking, self.database, self.lock_timeout = tracking, database, lock_timeout
        model: Any = tracking.event_model
        label, db_table = model._meta.label, model._meta.db_table
        rows = self._rows(sql.catalog_query(_TABLE), [sql.quote_relation(db_table)])
        kind, schema, name = rows[0] if rows else ("", "", db_table)
        if kind != "p" or not is_partitioned(model):
            why = "declare track(partition=…)"
            if is_partitioned(model):
                why = (
                    "migrate it. A table that was there before track() had partition=… stays as it "
                    "is; give the events another model by track(model_name=…)"
                )
            raise PartitionError(
                f'Table "{name}" of "{label}" in database "{database}" is not partitioned: {why}.'
            )
        self.unit: Unit = model.pgh_partition
        self.table, self.schema = name, schema
        self.relation = sql.quote_relation(name, schema)

    def partitions(self) -> list[Partition]:
        """All partitions, the oldest first, and the default one last."""
        return [
            Partition(schema, name, default, _moment(start), _moment(end), size, rows)
            for schema, name, default, start, end, size, rows in self._rows(
                sql.catalog_query(_PARTITIONS), [_MOMENT, _MOMENT, self.relation]
            )
        ]

    def present(self) -> Period:
        """The period that the server's clock is in."""
        ((now,),) = self._rows(
            "SELECT pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', %s)",
            [_MOMENT],
        )
        moment = _moment(now)
        assert moment is not None  # a clock has a time
        return period_of(self.unit, moment)

    def missing(self, ahead: int) -> list[Period]:
        """The periods that want a partition, and which no partition has a part of.

        Those of the present and of the next ones, and those of what is in the default partition.

        Args:
            ahead: how many to come.
        """
        there = self.partitions()
        now = self.present()
        wanted = {now.moved(count) for count in range(ahead + 1)}
        for default in (each for each in there if each.default):
            started = self._rows(
                "SELECT DISTINCT pg_catalog.to_char(pg_catalog.date_trunc(%s, "
                f"pgh_created_at AT TIME ZONE 'UTC'), %s) FROM {default.relation}",
                [self.unit, _MOMENT],
            )
            moments = [_moment(start) for (start,) in started]
            wanted |= {period_of(self.unit, moment) for moment in moments if moment}
        return sorted(p for p in wanted if not any(each.overlaps(p) for each in there))

    def make(self, period: Period) -> int:
        """Make a partition, and move what the default one has of it there, in one transaction.

        Writers of other events go on meanwhile.

        Returns:
            How many rows were moved.
        """
        name = partition_name(self.table, period.suffix)
        partition = sql.quote_relation(name, self.schema)
        columns = ", ".join(
            sql.quote(column)
            for (column,) in self._rows(sql.catalog_query(_COLUMNS), [self.relation])
        )
        start, end = (sql.string(moment.isoformat()) for moment in period[1:])
        moved = 0
        with self._alone() as cursor:
            there = self.partitions()
            if any(each.overlaps(period) for each in there):
                return 0  # somebody else was faster
            cursor.execute(
                f"CREATE TABLE {partition} (LIKE {self.relation} INCLUDING ALL EXCLUDING IDENTITY)"
            )
            for default in (each for each in there if each.default):
                # Nothing of the period may come in before the new partition takes it.
                cursor.execute(f"LOCK TABLE {default.relation} IN ACCESS EXCLUSIVE MODE")
                cursor.execute(
                    f"WITH moved AS (DELETE FROM {default.relation} WHERE pgh_created_at >= {start}"
                    f" AND pgh_created_at < {end} RETURNING {columns}) "
                    f"INSERT INTO {partition} ({columns}) SELECT {columns} FROM moved"
                )
                moved = cursor.rowcount
            cursor.execute(
                f"ALTER TABLE {self.relation} ATTACH PARTITION {partition} {bounds_sql(period)}"
            )
        return moved

    def beyond(self, retain: int) -> list[Partition]:
        """The partitions of what ended more than so many periods before the present one."""
        oldest = self.present().moved(-retain).start
        return [p for p in self.partitions() if p.end is not None and p.end <= oldest]

    def before(self, moment: datetime.datetime) -> list[Partition]:
        """The partitions of what ended before a moment."""
        return [p for p in self.partitions() if p.end is not None and p.end <= moment]

    def remove(self, partition: Partition, *, detach: bool = False) -> None:
        """Drop a partition with its events, or make it a table of its own."""
        with self._alone() as cursor:
            if detach:
                cursor.execute(f"ALTER TABLE {self.relation} DETACH PARTITION {partition.relation}")
            else:
                cursor.execute(f"DROP TABLE {partition.relation}")

    def remove_empty(self, partition: Partition) -> bool:
        """Drop a partition if it has no events. Tells whether it had none."""
        with self._alone() as cursor:
            cursor.execute(f"LOCK TABLE {partition.relation} IN ACCESS EXCLUSIVE MODE")
            cursor.execute(f"SELECT EXISTS (SELECT FROM {partition.relation})")
            (used,) = cursor.fetchone()
            if not used:
                cursor.execute(f"DROP TABLE {partition.relation}")
        return not used

    @contextmanager
    def _alone(self) -> Generator[Any]:
        """A transaction in which nobody else changes partitions or triggers."""
        connection = connections[self.database]
        with (
            maintenance([self.database]),
            installer(connection, self.lock_timeout) as cursor,
        ):
            yield cursor

    def _rows(self, query: str, parameters: Sequence[Any]) -> list[Any]:
        with connections[self.database].cursor() as cursor:
            cursor.execute(query, parameters)
            return list(cursor.fetchall())


def _moment(text: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(f"{text}+00:00") if text else None
