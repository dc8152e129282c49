"""What the writers say that they have committed, beside what the database has."""

import functools
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


class Audit:
    """What the writers have logged, ready to be compared.

    Args:
        log: the entries of all `Writer.log`.
    """

    def __init__(self, log: Iterable[list[Any]]) -> None:
        entries = [*log]
        self._entries = {kind: [entry for entry in entries if entry[0] == kind] for kind in KINDS}
        # As many events of each key, operation, values and context as changes were committed.
        self._expected = {
            kind: Counter(
                (key, operation, *(values[name] for name in columns), _canonical(context))
                for _, key, operation, values, context in self._entries[kind]
                if context is not None
            )
            for kind, (_, _, columns) in KINDS.items()
        }

    def complaints(self, sql: Run) -> list[str]:
        """What is wrong; nothing, if each committed change has its one event and none is more."""
        found = [
            text for kind in KINDS for text in (*self._events(kind, sql), *self._rows(kind, sql))
        ]
        for what, query in ORPHANS.items():
            [(number,)] = sql(query)
            if number:
                found.append(f"{number} {what}")
        return found

    def _events(self, kind: str, sql: Run) -> list[str]:
        _, events, columns = KINDS[kind]
        rows = sql(
            f"SELECT pgh_obj_id, pgh_operation, {', '.join(columns)}, {CONTEXTS[kind]}"
            f" FROM {events} AS event"
        )
        actual = Counter((*row[:-1], _canonical_text(row[-1] or "{}")) for row in rows)
        expected = self._expected[kind]
        return [f"{kind}: an event is missing: {entry}" for entry in expected - actual] + [
            f"{kind}: an event too many: {entry}" for entry in actual - expected
        ]

    def _rows(self, kind: str, sql: Run) -> list[str]:
        """The rows that are there are those that were not deleted, as their last events say."""
        (table, events, columns), entries = KINDS[kind], self._entries[kind]
        deleted = {key for _, key, operation, *_ in entries if operation == "DELETE"}
        kept = {key for _, key, *_ in entries} - deleted
        there = {
            key: values for key, *values in sql(f"SELECT id, {', '.join(columns)} FROM {table}")
        }
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


@functools.cache
def _canonical_text(context: str) -> str:
    return _canonical(json.loads(context))


def _canonical(context: Any) -> str:
    return json.dumps(context, sort_keys=True)
