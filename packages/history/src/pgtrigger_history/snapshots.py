"""Events of rows as they are, written by a statement and not by a trigger.

PostgreSQL manual: "WITH Queries", data-modifying statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import connections

from pgtrigger import sql
from pgtrigger.composer import TABLES
from pgtrigger_history.body import CONTEXT_ID, CONTEXT_TABLE, STORED, Names
from pgtrigger_history.context import SETTING
from pgtrigger_history.filling import Filling
from pgtrigger_history.trackings import Tracking

ROW: Final = TABLES.new

_GIVEN = (
    f"SELECT nullif(pg_catalog.current_setting('{SETTING}', true), '')::pg_catalog.jsonb AS data"
)
# The triggers look for it when they know that there is one.
_ADDED = f"""\
known AS (
    SELECT context.id FROM {sql.quote(CONTEXT_TABLE)} AS context JOIN given USING (data)
    WHERE context.transaction = pg_catalog.pg_current_xact_id() ORDER BY id LIMIT 1
), added AS (
    INSERT INTO {sql.quote(CONTEXT_TABLE)} (transaction, created_at, data)
    SELECT pg_catalog.pg_current_xact_id(), pg_catalog.clock_timestamp(), data FROM given
    WHERE data IS NOT NULL AND NOT EXISTS (SELECT FROM known)
    RETURNING id, pg_catalog.set_config('{STORED}', 'by a statement', true)
)"""


def context_queries(*, stores: bool) -> str:
    """Queries for a ``WITH``, which find the context of the session; `context_value` uses them.

    Args:
        stores: whether it goes into the table of contexts.
    """
    return f"given AS ({_GIVEN})" + (f", {_ADDED}" if stores else "")


def context_value(*, stores: bool) -> str:
    """The context: the key of the row, or the data."""
    if stores:
        return "(SELECT id FROM known UNION ALL SELECT id FROM added)"
    return "(SELECT data FROM given)"


def record_rows(
    tracking: Tracking,
    database: str,
    *,
    label: str,
    where: str,
    parameters: Sequence[Any] = (),
    operation: str = "",
    order: Sequence[str] = (),
) -> list[int]:
    """Write an event for each row that meets a condition, in one statement.

    Args:
        tracking: the tracking of the table.
        database: the alias.
        label: that of the events.
        where: an SQL expression, in which the rows are called `ROW`.
        parameters: for its placeholders.
        operation: what the events say of themselves; by default that nothing has happened.
        order: SQL expressions for the order in which the rows get their events.

    Returns:
        The keys of the events.
    """
    filling = Filling(tracking.model, tracking.event_model, label)
    table = sql.quote_relation(tracking.model._meta.db_table)
    recording = filling.recording("NEW", sql.string(operation), "")
    stores = filling.context == CONTEXT_ID
    values = recording.values(Names(TABLES.old, TABLES.new, context_value(stores=stores)))
    query = (
        f"WITH {context_queries(stores=stores)}\n"
        f"INSERT INTO {sql.quote_relation(tracking.event_model._meta.db_table)} "
        f"({', '.join(recording.columns)})\nSELECT "
    )
    # Ours is text of the project's own; the condition has the placeholders.
    text = (query + ", ".join(values)).replace("%", "%%") + f" FROM {table} AS {ROW} WHERE {where}"
    if order:
        text += f" ORDER BY {', '.join(order)}".replace("%", "%%")
    with connections[database].cursor() as cursor:
        cursor.execute(f"{text} RETURNING pgh_id", [*parameters])
        return [key for (key,) in cursor.fetchall()]
