"""What the writers say that they have committed, beside what the database has."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

# Of each kind: its table, that of its events, and its tracked columns but for the key.
KINDS = {
    "Parcel": ("depot_parcel", "depot_parcelevent", ["status", "note", "weight", "is_active"]),
    "Account": ("depot_account", "depot_accountevent", ["note", "balance", "frozen"]),
}
# The context of an event as text; nothing for none.
CONTEXTS = {
    "Parcel": "(SELECT data::text FROM pgtrigger_history_context WHERE id = event.pgh_context_id)",
    "Account": "event.pgh_context::text",
}
ORPHANS = {
    "events without their context": """
        SELECT count(*) FROM depot_parcelevent AS event WHERE pgh_context_id IS NOT NULL
           AND NOT EXISTS (SELECT FROM pgtrigger_history_context AS context
                            WHERE context.id = event.pgh_context_id
                              AND context.transaction = event.pgh_transaction)
    """,
    "contexts without an event": """
        SELECT count(*) FROM pgtrigger_history_context AS context
         WHERE NOT EXISTS (SELECT FROM depot_parcelevent WHERE pgh_context_id = context.id)
    """,
    "contexts that a transaction has stored twice": """
        SELECT count(*) FROM (
            SELECT FROM pgtrigger_history_context GROUP BY transaction, data HAVING count(*) > 1
        ) AS twice
    """,
    "locks of writers that have ended": """
        SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND mode <> 'AccessShareLock'
           AND relation IS NOT NULL AND backend_type = 'client backend'
    """,
}

Run = Callable[[str], list[tuple[Any, ...]]]


def complaints(log: Iterable[list[Any]], sql: Run) -> list[str]:
    """What is wrong; nothing, if each committed change has its one event and no other is there."""
    found: list[str] = []
    entries = [*log]
    for kind in KINDS:
        mine = [entry for entry in entries if entry[0] == kind]
        found += _events(kind, mine, sql)
        found += _rows(kind, mine, sql)
    for what, query in ORPHANS.items():
        [(number,)] = sql(query)
        if number:
            found.append(f"{number} {what}")
    return found


def _events(kind: str, entries: list[list[Any]], sql: Run) -> list[str]:
    """As many events of each key, operation, values and context as changes were committed."""
    _, events, columns = KINDS[kind]
    expected = Counter(
        (key, operation, *(values[name] for name in columns), _canonical(context))
        for _, key, operation, values, context in entries
        if context is not None
    )
    rows = sql(
        f"SELECT pgh_obj_id, pgh_operation, {', '.join(columns)}, {CONTEXTS[kind]}"
        f" FROM {events} AS event"
    )
    actual = Counter((*row[:-1], _canonical(json.loads(row[-1] or "{}"))) for row in rows)
    return [f"{kind}: an event is missing: {entry}" for entry in expected - actual] + [
        f"{kind}: an event too many: {entry}" for entry in actual - expected
    ]


def _rows(kind: str, entries: list[list[Any]], sql: Run) -> list[str]:
    """The rows that are there are those whose last event is no deletion, and look like it."""
    table, events, columns = KINDS[kind]
    deleted = {key for _, key, operation, *_ in entries if operation == "DELETE"}
    kept = {key for _, key, *_ in entries} - deleted
    there = {key: values for key, *values in sql(f"SELECT id, {', '.join(columns)} FROM {table}")}
    found = [f"{kind} {key} is gone" for key in kept - there.keys()]
    found += [f"{kind} {key} should not be there" for key in there.keys() - kept]
    unrecorded = {key for _, key, _, _, context in entries if context is None}
    last = sql(
        f"SELECT DISTINCT ON (pgh_obj_id) pgh_obj_id, {', '.join(columns)} FROM {events}"
        " ORDER BY pgh_obj_id, pgh_id DESC"
    )
    for key, *values in last:
        if key in there and key not in unrecorded and there[key] != values:
            found.append(f"{kind} {key} is {there[key]}, and its last event says {values}")
    return found


def _canonical(context: Any) -> str:
    return json.dumps(context, sort_keys=True)
