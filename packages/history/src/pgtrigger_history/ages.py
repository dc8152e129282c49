"""How old something is to be, as people say it: ``90d``, ``6 months``, ``2024-12-31``."""

from __future__ import annotations

import datetime
import re
from typing import Final

_AGE: Final = re.compile(r"(\d+)\s*(d|days?|w|weeks?|m|months?|y|years?)")
_MONTHS: Final = {"m": 1, "y": 12}
_DAYS: Final = {"d": 1, "w": 7}


def moment_of_age(text: str, now: datetime.datetime) -> datetime.datetime:
    """The moment that is so long ago, or that is named.

    Args:
        text: a number of days (``90d``), weeks (``12w``), months (``6m``) or years (``2y``), their
            words as well; or a date or time in ISO format, of UTC unless it says its time zone.
        now: what the age is counted from, of UTC.

    Raises:
        ValueError: something else, or a time that is not yet.
    """
    found = _AGE.fullmatch(text.strip().lower())
    if found is None:
        moment = datetime.datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        if moment > now:
            raise ValueError(f"{text!r} is in the future")
        return moment
    count, unit = int(found[1]), found[2][0]
    if unit in _DAYS:
        return now - datetime.timedelta(days=count * _DAYS[unit])
    months = now.year * 12 + now.month - 1 - count * _MONTHS[unit]
    year, month = divmod(months, 12)
    first = now.replace(year=year, month=month + 1, day=1)
    # The last day of a shorter month stands for those that it does not have.
    last = (first + datetime.timedelta(days=31)).replace(day=1) - datetime.timedelta(days=1)
    return first.replace(day=min(now.day, last.day))
