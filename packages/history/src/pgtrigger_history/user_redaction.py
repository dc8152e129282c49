"""Taking one user out of the contexts: those of the table, and those in events.

PostgreSQL manual: "JSON Functions and Operators".
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.db import connections, models, transaction

from pgtrigger import sql
from pgtrigger.columns import column_name
from pgtrigger_history.body import CONTEXT_TABLE
from pgtrigger_history.errors import RedactionError
from pgtrigger_history.fields import context_field, refers_to_contexts
from pgtrigger_history.maintenance import maintenance
from pgtrigger_history.selection import chosen_trackings

# What a context says of itself from then on: when.
MARK: Final = "redacted"
_FIRST: Final = -(2**63)


def redact_user(
    user: Any, *, replacement: Any = None, remove: Sequence[str] = (), using: str = "default"
) -> int:
    """Replace a user in all contexts. The events stay as they are.

    A context that is changed tells so: it gets a value ``redacted``, with the time.

    Args:
        user: the user, or the primary key.
        replacement: what ``user`` is from then on; any plain value.
        remove: more values to remove from these contexts, such as ``["ip", "url"]``.
        using: the database.

    Returns:
        How many contexts were changed.

    Raises:
        RedactionError: a replacement that is the user.

    Example::

        pgtrigger_history.redact_user(user, remove=["ip"])
    """
    work = UserRedaction(user, replacement=replacement, remove=remove, database=using)
    return sum(work.batches())


class UserRedaction:
    """Replaces a user, batch by batch.

    Args:
        user, replacement, remove: as of `redact_user`.
        database: the alias.
        batch_size: the number of rows in a transaction.
    """

    def __init__(
        self,
        user: Any,
        *,
        replacement: Any = None,
        remove: Sequence[str] = (),
        database: str,
        batch_size: int = 1000,
    ) -> None:
        self.user = str(user.pk if isinstance(user, models.Model) else user)
        if replacement is not None and str(replacement) == self.user:
            raise RedactionError(f"User {self.user} cannot be replaced by {replacement!r}.")
        self.database, self.batch_size = database, batch_size
        self.remove = [*remove]
        moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.added = json.dumps({"user": replacement, MARK: moment})
        self._places = [*_places(database)]

    def total(self) -> int:
        """The number of contexts to change."""
        with connections[self.database].cursor() as cursor:
            found = 0
            for table, _, _, user in self._places:
                cursor.execute(f"SELECT pg_catalog.count(*) FROM {table} WHERE {user}", [self.user])
                found += int(cursor.fetchone()[0])
            return found

    def batches(self) -> Iterator[int]:
        """Do the work; gives how many contexts each transaction has changed."""
        for table, key, data, user in self._places:
            last = _FIRST
            while True:
                with (
                    maintenance([self.database]),
                    transaction.atomic(using=self.database),
                    connections[self.database].cursor() as cursor,
                ):
                    # In the order of the key, by which the next batch begins behind this one.
                    cursor.execute(
                        f"SELECT {key} FROM {table} WHERE {user} AND {key} > %s ORDER BY {key} "
                        "LIMIT %s",
                        [self.user, last, self.batch_size],
                    )
                    keys = [found for (found,) in cursor.fetchall()]
                    if not keys:
                        break
                    cursor.execute(
                        f"UPDATE {table} SET {data} = ({data} - %s::text[]) || %s::jsonb "
                        f"WHERE {key} = ANY(%s) AND {user}",
                        [self.remove, self.added, keys, self.user],
                    )
                    changed = int(cursor.rowcount)
                yield changed
                last = keys[-1]


def _places(database: str) -> Iterator[tuple[str, str, str, str]]:
    """Where contexts are: table, key, column of the data, and the condition on the user."""
    table = sql.quote_relation(CONTEXT_TABLE)
    with connections[database].cursor() as cursor:
        cursor.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [table])
        if cursor.fetchone()[0]:
            yield table, "id", "data", '"user" = %s'
    for tracking in chosen_trackings(database=database):
        model = tracking.event_model
        field = context_field(model)
        if field is None or refers_to_contexts(model):
            continue
        column = sql.quote(column_name(field)).replace("%", "%%")
        table = sql.quote_relation(model._meta.db_table).replace("%", "%%")
        named = f"{column} OPERATOR(pg_catalog.->>) 'user' OPERATOR(pg_catalog.=) %s"
        yield table, "pgh_id", column, named
