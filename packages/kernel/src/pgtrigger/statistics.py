"""How often the functions of triggers are called, and how long they take.

PostgreSQL manual: "The Cumulative Statistics System", ``pg_stat_user_functions``, and
``track_functions``.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import sql
from pgtrigger.comparison import allowed
from pgtrigger.registry import Registration

# One row for each trigger that is asked for, and the settings with each of them and without any.
_QUERY: Final = """
    SELECT s.tracking, s.reset, s.name, wanted.uri, p.oid IS NOT NULL,
           f.calls, f.total_time, f.self_time
      FROM (SELECT pg_catalog.current_setting('track_functions') AS tracking,
                   pg_catalog.current_database()::text AS name,
                   (SELECT stats_reset FROM pg_catalog.pg_stat_database
                     WHERE datname = pg_catalog.current_database()) AS reset) AS s
      LEFT JOIN ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[]),
                           pg_catalog.unnest(%s::name[]))
             AS wanted(uri, relation, trigger) ON true
      LEFT JOIN pg_catalog.pg_trigger t
             ON t.tgrelid = pg_catalog.to_regclass(wanted.relation)
            AND t.tgname = wanted.trigger AND NOT t.tgisinternal
      LEFT JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
      LEFT JOIN pg_catalog.pg_stat_user_functions f ON f.funcid = p.oid
"""


@dataclass(frozen=True, kw_only=True)
class Calls:
    """What the server has counted for the function of a trigger.

    Args:
        uri: the trigger.
        installed: whether it is there.
        calls: how often its function was called; a row that ``WHEN`` leaves out is no call.
        total_ms: milliseconds in it, with what it called and ran.
        self_ms: milliseconds in itself.
    """

    uri: str
    installed: bool
    calls: int
    total_ms: float
    self_ms: float

    @property
    def average_ms(self) -> float:
        """Milliseconds for a call, with what it called and ran."""
        return self.total_ms / self.calls if self.calls else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**vars(self), "average_ms": self.average_ms}


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a server has counted.

    Args:
        database: the name of the database on the server.
        tracking: the setting ``track_functions``: ``none``, ``pl`` or ``all``.
        since: when the counters of the database were last set to zero, if ever.
        triggers: the counted triggers.
    """

    database: str
    tracking: str
    since: datetime.datetime | None
    triggers: tuple[Calls, ...]

    @property
    def counts(self) -> bool:
        """Whether the server counts the calls of this session."""
        return self.tracking != "none"

    def sorted_by(self, order: str) -> list[Calls]:
        """The triggers, the largest first; one of `ORDERS`."""
        return sorted(self.triggers, key=ORDERS[order])


ORDERS: Final[dict[str, Callable[[Calls], tuple[float, str]]]] = {
    "total": lambda found: (-found.total_ms, found.uri),
    "self": lambda found: (-found.self_ms, found.uri),
    "average": lambda found: (-found.average_ms, found.uri),
    "calls": lambda found: (-found.calls, found.uri),
    "uri": lambda found: (0.0, found.uri),
}


def read(connection: BaseDatabaseWrapper, pairs: Iterable[Registration]) -> Statistics:
    """Read what a server has counted, in one query.

    Args:
        connection: a PostgreSQL connection.
        pairs: models and their triggers.
    """
    wanted = [
        (
            trigger.get_uri(model),
            sql.quote_relation(model._meta.db_table),
            trigger.get_pgid(model),
        )
        for model, trigger in pairs
        if allowed(model, connection.alias)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            sql.catalog_query(_QUERY),
            [[*column] for column in zip(*wanted, strict=True)] or [[]] * 3,
        )
        rows = cursor.fetchall()
    tracking, since, name = rows[0][:3]
    counted = [
        Calls(
            uri=uri,
            installed=installed,
            calls=calls or 0,
            total_ms=total or 0.0,
            self_ms=own or 0.0,
        )
        for _, _, _, uri, installed, calls, total, own in rows
        if uri is not None
    ]
    return Statistics(database=name, tracking=tracking, since=since, triggers=tuple(counted))
