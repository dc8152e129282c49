"""Days, months and years: what the partitions of an event table hold. All are of UTC."""

from __future__ import annotations

import datetime
from typing import Final, Literal, NamedTuple

Unit = Literal["day", "month", "year"]

_SUFFIXES: Final = {"day": "_%Y_%m_%d", "month": "_%Y_%m", "year": "_%Y"}


class Period(NamedTuple):
    """From one moment on, and before another one."""

    unit: Unit
    start: datetime.datetime
    end: datetime.datetime

    @property
    def suffix(self) -> str:
        """What the name of its partition ends with."""
        return self.start.strftime(_SUFFIXES[self.unit])

    def moved(self, count: int) -> Period:
        """The one so many later, or earlier with a negative number."""
        start = _moved(self.unit, self.start, count)
        return Period(self.unit, start, _moved(self.unit, start, 1))


def period_of(unit: Unit, moment: datetime.datetime) -> Period:
    """The day, month or year of a moment that knows its time zone."""
    local = moment.astimezone(datetime.UTC)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit != "day":
        start = start.replace(day=1)
    if unit == "year":
        start = start.replace(month=1)
    return Period(unit, start, _moved(unit, start, 1))


def _moved(unit: Unit, start: datetime.datetime, count: int) -> datetime.datetime:
    if unit == "day":
        return start + datetime.timedelta(days=count)
    months = start.year * 12 + start.month - 1 + count * (12 if unit == "year" else 1)
    return start.replace(year=months // 12, month=months % 12 + 1)
