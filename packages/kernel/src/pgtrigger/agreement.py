"""What is known of the settings of a server connection, and the queries that write them.

PostgreSQL manual: "SET", ``set_config``, "Customized Options".
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import sql
from pgtrigger.wanted import Layer, Wanted, current

# What libpq says of a connection's transaction, and of its pipeline.
IDLE: Final = 0
ACTIVE: Final = 1
IN_TRANSACTION: Final = 2
_PIPELINE_ON: Final = 1


class Agreement:
    """What is known of the settings of one server connection in its current transaction."""

    def __init__(self) -> None:
        self.is_supervised = False  # while a statement runs that the wrapper looks after
        self.forget()

    def forget(self) -> None:
        """A transaction has ended: settings that were local to it are gone."""
        self.before: dict[str, str] = {}
        self.applied: dict[str, str] = {}
        self.written: dict[str, set[str]] = {}
        self.doubtful = False
        self._goal: Wanted | None = None
        self._changes = 0

    def doubt(self) -> None:
        """Something may have undone settings: write them anew before the next statement."""
        self.applied = {}
        self.doubtful = True
        self._goal = None

    def settle(self, goal: Wanted) -> None:
        """The server has what a task wants."""
        self._goal, self._changes = goal, Layer.changes

    def is_settled(self, goal: Wanted) -> bool:
        """Whether the server is known to have what a task wants, if its transaction goes on."""
        return self._goal is goal and self._changes == Layer.changes

    def changes(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The settings to write, so that the server has these and otherwise what it had before."""
        goal = {**self.before, **settings}
        return {name: value for name, value in goal.items() if self.applied.get(name) != value}

    def record(self, wanted: Mapping[str, str], changes: Mapping[str, str], before: Any) -> None:
        """Note what has been written, and what the server had before, in the same order."""
        for name, value in zip(changes, before, strict=True):
            if value not in self.written.setdefault(name, set()):
                self.before[name] = value
        for name in changes.keys() & wanted.keys():
            self.written[name].add(changes[name])
        self.applied |= changes
        self.doubtful = False


def agreement_of(connection: BaseDatabaseWrapper) -> Agreement:
    """What is known of the settings of a connection."""
    known = connection.__dict__
    if "_pgtrigger_agreement" not in known:
        known["_pgtrigger_agreement"] = Agreement()
    held: Agreement = known["_pgtrigger_agreement"]
    return held


def transaction_status(connection: Any) -> int:
    """What the driver knows of a connection's transaction: one of libpq's numbers."""
    driver = connection.connection
    if hasattr(driver, "pgconn"):
        return int(driver.pgconn.transaction_status)
    return int(driver.get_transaction_status())


def is_open(connection: Any) -> bool:
    """Whether there is a transaction that settings can be written in."""
    status = transaction_status(connection)
    return status == IN_TRANSACTION or (status == ACTIVE and _in_pipeline_mode(connection))


def can_be_written(connection: Any) -> bool:
    """Whether settings can be written, be it that this begins the transaction."""
    return transaction_status(connection) == IDLE or is_open(connection)


def _in_pipeline_mode(connection: Any) -> bool:
    driver = getattr(connection.connection, "pgconn", None)
    return getattr(driver, "pipeline_status", 0) == _PIPELINE_ON


def in_transaction(connection: Any) -> bool:
    """Whether a statement will run in a transaction that outlives it."""
    if transaction_status(connection) == ACTIVE and _in_pipeline_mode(connection):
        if connection.in_atomic_block:
            return True
        with connection.wrap_database_errors, connection.connection.pipeline():
            pass  # A synchronisation of the caller's own pipeline, which tells where it stands.
    if transaction_status(connection) != IDLE:
        return True
    # The first statement without autocommit begins a transaction; what we knew is of an older one.
    agreement_of(connection).forget()
    return not connection.connection.autocommit


def query_for_libpq(settings: Iterable[str], **options: Any) -> str:
    """`_query` with libpq's placeholders."""
    return _query(settings, "${}".format, **options)


def query_for_driver(settings: Iterable[str], **options: Any) -> str:
    """`_query` with the placeholders of the drivers."""
    query = _query(settings, lambda _number: "\0", **options)  # what no setting's name can hold
    return query.replace("%", "%%").replace("\0", "%s")


remembered_query = functools.lru_cache(maxsize=64)(query_for_libpq)


def _query(
    settings: Iterable[str],
    placeholder: Callable[[int], str],
    *,
    local: bool = True,
    returning: bool = True,
    only_if: Mapping[str, set[str]] = types.MappingProxyType({}),
) -> str:
    """The query that writes settings and returns what they had, each followed by a truth value.

    Args:
        settings: their names; the query takes the values in this order.
        placeholder: how the driver writes the place of a value, by its number from 1.
        local: for the transaction, and not for the session.
        returning: whether to tell the values that they had.
        only_if: the values that a setting must have to be written, by name.
    """

    def call(number: int, name: str) -> str:
        found = f"current_setting({sql.string(name)}, true)"
        write = f"set_config({sql.string(name)}, {placeholder(number)}, {sql.literal(local)})"
        write += " IS NULL"  # it would return the value, which may be long
        if name in only_if:
            ours = ", ".join(map(sql.string, sorted(only_if[name])))
            write = f"CASE WHEN {found} IN ({ours}) THEN {write} END"
        return f"{found}, {write}" if returning else write

    return "SELECT " + ", ".join(call(number, name) for number, name in enumerate(settings, 1))


def write(connection: Any, settings: Mapping[str, str], **options: Any) -> list[str]:
    """Write settings and return the values that they had, all in one statement.

    On a cursor of the driver: the statement is not the caller's to see, log or count. Options are
    those of `_query`.
    """
    with connection.wrap_database_errors, unwatched_cursor(connection) as cursor:
        cursor.execute(query_for_driver(settings, **options), [*settings.values()])
        return [value or "" for value in (cursor.fetchone() or ())[::2]]


def unwatched_cursor(connection: Any) -> Any:
    """A cursor of the driver whose statements are not looked at."""
    driver = connection.connection
    factory = getattr(driver.cursor_factory, "unwatched", None)
    if factory is None:
        return driver.cursor()
    return factory(driver) if hasattr(driver, "pgconn") else driver.cursor(cursor_factory=factory)


def due(connection: Any, goal: Wanted) -> tuple[dict[str, str], dict[str, set[str]]]:
    """The settings to write on an open transaction, and the values that some must have for it."""
    agreement = agreement_of(connection)
    wanted = goal.settings(connection.alias)
    changes = agreement.changes(wanted)
    # After a rollback it is not known whether a setting is ours to take back or the caller's own.
    restored = changes.keys() - wanted.keys() if agreement.doubtful else set()
    return changes, {name: agreement.written[name] for name in restored}


def synchronise(connection: Any) -> None:
    """Make the open transaction of a connection agree with what the task wants."""
    agreement, goal = agreement_of(connection), current.get()
    if agreement.is_settled(goal):
        return
    changes, only_if = due(connection, goal)
    if changes:
        before = write(connection, changes, only_if=only_if)
        agreement.record(goal.settings(connection.alias), changes, before)
    agreement.settle(goal)
