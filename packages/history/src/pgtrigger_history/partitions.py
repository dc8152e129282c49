"""Event tables that are partitioned by time: how they are made.

A table of a model that is `Partitioned` gets a partition for the present period and some of those
to come, and a default one: what is inserted for a time that has no partition goes there, so no
write fails for want of one. The key of the table is ``(pgh_id, pgh_created_at)``, because Postgres
wants a key to hold the column that decides on the partition; Django goes on with ``pgh_id``.

PostgreSQL manual: "Table Partitioning".
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from django.db import models
from django.db.backends.postgresql.schema import DatabaseSchemaEditor

from pgtrigger import sql
from pgtrigger.columns import column_name
from pgtrigger.errors import DeclarationError
from pgtrigger.migrations import extend
from pgtrigger_history.periods import Period, Unit, period_of

AHEAD: Final = 3
_LONGEST_NAME: Final = 63


class Partitioned:
    """A model whose table is partitioned by ``pgh_created_at``."""

    pgh_partition: ClassVar[Unit]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A model in a migration comes by here, too, whether the app is installed or not.
        if issubclass(cls, models.Model):
            extend(DatabaseSchemaEditor, "table_sql", _partitioning)
            extend(DatabaseSchemaEditor, "_iter_column_sql", _leaving_out_key)
            extend(DatabaseSchemaEditor, "create_model", _adding_partitions)


class PartitionedByDay(Partitioned):
    """One partition for each day."""

    pgh_partition = "day"


class PartitionedByMonth(Partitioned):
    """One partition for each month."""

    pgh_partition = "month"


class PartitionedByYear(Partitioned):
    """One partition for each year."""

    pgh_partition = "year"


def is_partitioned(model: Any) -> bool:
    """Whether a model is of a table that is partitioned by time."""
    return issubclass(model, Partitioned)


_KINDS: Final[dict[str, type[Partitioned]]] = {
    "day": PartitionedByDay,
    "month": PartitionedByMonth,
    "year": PartitionedByYear,
}


def partitioned_by(unit: str) -> type[Partitioned]:
    """The class to mix into a model of events. Raises `DeclarationError` for another unit."""
    if unit not in _KINDS:
        raise DeclarationError(
            f'track(): "partition" can be {", ".join(_KINDS)} or None; got {unit!r}.'
        )
    return _KINDS[unit]


def partition_name(table: str, suffix: str) -> str:
    """What a partition is called: the table and a suffix, in as many bytes as Postgres takes.

    Args:
        table: the name without the schema.
        suffix: such as ``_2026_11``.
    """
    room = _LONGEST_NAME - len(suffix)
    if len(table.encode()) > room:
        digest = hashlib.sha1(table.encode(), usedforsecurity=False).hexdigest()[:8]
        table = f"{table.encode()[: room - 9].decode(errors='ignore')}_{digest}"
    return f"{table}{suffix}"


def bounds_sql(period: Period) -> str:
    """The rows that a partition is for."""
    start, end = (sql.string(moment.isoformat()) for moment in period[1:])
    return f"FOR VALUES FROM ({start}) TO ({end})"


def _partitioning(original: Any) -> Any:
    def table_sql(self: Any, model: Any) -> Any:
        if not is_partitioned(model):
            return original(self, model)
        moment = sql.quote(column_name(model._meta.get_field("pgh_created_at")))
        key = f"{sql.quote(column_name(model._meta.pk))}, {moment}"
        before = self.sql_create_table
        self.sql_create_table = (
            f"CREATE TABLE %(table)s (%(definition)s, PRIMARY KEY ({key})) "
            f"PARTITION BY RANGE ({moment})"
        )
        try:
            return original(self, model)
        finally:
            self.sql_create_table = before

    return table_sql


def _leaving_out_key(original: Any) -> Any:
    def _iter_column_sql(
        self: Any, column_db_type: Any, params: Any, model: Any, field: Any, *args: Any
    ) -> Iterator[str]:
        keyed = field.primary_key and is_partitioned(model)
        for part in original(self, column_db_type, params, model, field, *args):
            if not (keyed and part == "PRIMARY KEY"):
                yield part

    return _iter_column_sql


def _adding_partitions(original: Any) -> Any:
    def create_model(self: Any, model: Any) -> None:
        original(self, model)
        if not is_partitioned(model):
            return
        schema, name = sql.relation(model._meta.db_table)
        now = period_of(model.pgh_partition, datetime.datetime.now(datetime.UTC))
        periods = [now.moved(count) for count in range(AHEAD + 1)]
        wanted = [(period.suffix, bounds_sql(period)) for period in periods]
        for suffix, rows in [("_default", "DEFAULT"), *wanted]:
            partition = sql.quote_relation(partition_name(name, suffix), schema)
            whole = sql.quote_relation(model._meta.db_table)
            self.execute(f"CREATE TABLE {partition} PARTITION OF {whole} {rows}", params=None)

    return create_model
