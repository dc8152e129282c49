"""Event tables that are partitioned by time.

PostgreSQL manual: "Table Partitioning". What is inserted for a time that has no partition goes to
the default partition, so no write fails for want of one.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Unit = Literal["day", "month", "year"]


class Partitioned:
    """A model whose table is partitioned by ``pgh_created_at``."""

    pgh_partition: ClassVar[Unit]


class PartitionedByDay(Partitioned):
    """One partition for each day."""

    pgh_partition = "day"


class PartitionedByMonth(Partitioned):
    """One partition for each month."""

    pgh_partition = "month"


class PartitionedByYear(Partitioned):
    """One partition for each year."""

    pgh_partition = "year"


def partitioned_by(unit: str) -> type[Partitioned]:
    """The class to mix into a model of events. Raises `KeyError` for another unit."""
    kinds: dict[str, Any] = {
        "day": PartitionedByDay,
        "month": PartitionedByMonth,
        "year": PartitionedByYear,
    }
    kind: type[Partitioned] = kinds[unit]
    return kind
