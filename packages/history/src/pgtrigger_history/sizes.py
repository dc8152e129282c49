"""How many events there are, and how much room they take.

PostgreSQL manual: "Database Object Size Functions"; ``pg_class.reltuples``.
"""

from __future__ import annotations

import datetime
from typing import Any, Final, NamedTuple

from django.db import connections

from pgtrigger import sql
from pgtrigger_history.body import CONTEXT_TABLE
from pgtrigger_history.trackings import Tracking

# A table and, if it is partitioned, all below it.
_SIZES: Final = """
    SELECT pg_catalog.sum(c.reltuples) FILTER (WHERE c.relkind = 'r' AND c.reltuples >= 0)::bigint,
           pg_catalog.sum(pg_catalog.pg_table_size(c.oid))::bigint,
           pg_catalog.sum(pg_catalog.pg_indexes_size(c.oid))::bigint,
           pg_catalog.count(*) FILTER (WHERE c.oid <> whole.oid)
      FROM (SELECT pg_catalog.to_regclass(%s)::oid AS oid) AS whole
      JOIN pg_catalog.pg_class c ON c.oid = whole.oid OR c.oid = ANY (ARRAY(
           SELECT part.relid FROM pg_catalog.pg_partition_tree(whole.oid) AS part))
"""


class Size(NamedTuple):
    """What is known of a table.

    Args:
        name: the label of its model.
        rows: how many it has; None if the server has not counted yet.
        exact: whether they were counted, and not only estimated.
        table: bytes of the table.
        indexes: bytes of its indexes.
        oldest, newest: when the first and the last one by key was recorded.
        partitions: how many it has.
    """

    name: str
    rows: int | None
    exact: bool
    table: int
    indexes: int
    oldest: datetime.datetime | None
    newest: datetime.datetime | None
    partitions: int


def size_of_events(tracking: Tracking, database: str, *, exact: bool = False) -> Size | None:
    """The size of a table of events; None where the database does not have it."""
    options = tracking.event_model._meta
    return _size(options.label, options.db_table, ("pgh_id", "pgh_created_at"), database, exact)


def size_of_contexts(database: str, *, exact: bool = False) -> Size | None:
    """The size of the table of contexts; None where the database does not have it."""
    return _size("pgtrigger_history.Context", CONTEXT_TABLE, ("id", "created_at"), database, exact)


def _size(
    name: str, db_table: str, columns: tuple[str, str], database: str, exact: bool
) -> Size | None:
    table = sql.quote_relation(db_table)
    rows, size, indexes, partitions = _row(database, sql.catalog_query(_SIZES), [table])
    if size is None:
        return None
    if exact:
        (rows,) = _row(database, f"SELECT pg_catalog.count(*) FROM {table}")
    key, moment = map(sql.quote, columns)
    ends = [
        f"(SELECT {moment} FROM {table} ORDER BY {key} {direction} LIMIT 1)"
        for direction in ("ASC", "DESC")
    ]
    oldest, newest = _row(database, f"SELECT {', '.join(ends)}")
    return Size(name, rows, exact, size, indexes, oldest, newest, partitions)


def _row(database: str, query: str, parameters: list[Any] | None = None) -> Any:
    with connections[database].cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone()
