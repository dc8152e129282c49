"""One installer at a time, that does not wait for long.

PostgreSQL manual: "Advisory Locks", "Explicit Locking", ``lock_timeout``.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

from pgtrigger import conf
from pgtrigger.errors import InstallationError, sqlstate

logger = logging.getLogger("pgtrigger")

# The key of the advisory lock that serialises installers: any constant that others do not use.
_ADVISORY_LOCK: Final = 0x7067747269676765
_LOCK_NOT_AVAILABLE: Final = "55P03"
_READ_ONLY: Final = "25006"
_OUT_OF_MEMORY: Final = "53200"
_NO_TIMEOUTS: Final = (
    "SELECT set_config(name, '0', true) FROM pg_catalog.pg_settings WHERE name IN "
    "('lock_timeout', 'statement_timeout', 'transaction_timeout', "
    "'idle_in_transaction_session_timeout')"
)
_PAUSE: Final = 0.05  # seconds between two attempts to get it
_IN_TRANSACTION: Final = 60_000  # milliseconds that somebody's transaction waits for it
# The aliases of the databases whose lock a run of migrations holds for the current task.
_migrating: Final[ContextVar[frozenset[str]]] = ContextVar(
    "pgtrigger_migrating", default=frozenset()
)


@contextmanager
def installer(connection: BaseDatabaseWrapper, lock_timeout: str | None = None) -> Generator[Any]:
    """A transaction in which this process is the only installer of the database.

    Args:
        connection: a PostgreSQL connection.
        lock_timeout: how long to wait for a lock; ``PGTRIGGER_LOCK_TIMEOUT`` by default.

    Raises:
        InstallationError: a lock was not to be had in that time, or nothing can be changed.
    """
    timeout = lock_timeout or conf.lock_timeout()
    outermost = not connection.in_atomic_block
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            if outermost:
                _read_what_is_committed(connection)
            before = None
            if timeout is not None:
                cursor.execute("SELECT current_setting('lock_timeout')")
                (before,) = cursor.fetchone()
                _limit(cursor, timeout)
            if connection.alias not in _migrating.get():
                _take_turn(cursor, timeout, outermost=outermost)
            yield cursor
            if before is not None:
                # The transaction may be somebody else's, and go on.
                _limit(cursor, before)
    except DatabaseError as error:
        if sqlstate(error) == _LOCK_NOT_AVAILABLE:
            why = (
                f"a lock was not to be had in time ({_limit_in_words(lock_timeout)}). Nothing was "
                f"changed. Try again when the long transactions on the table have ended."
            )
        elif sqlstate(error) == _READ_ONLY:
            why = (
                "it is a replica, or its transactions are read-only. Nothing was changed. Ask the "
                "primary server."
            )
        elif sqlstate(error) == _OUT_OF_MEMORY:
            why = (
                "there is no room for so much at once. Nothing was changed. Where Postgres asks "
                "for more max_locks_per_transaction: a trigger takes two locks until the "
                "transaction ends. Raise the setting, or install some apps or triggers at a time."
            )
        else:
            raise
        raise InstallationError(
            f'Database "{connection.alias}": {why} Postgres said: {error}'
        ) from error


def _limit_in_words(lock_timeout: str | None) -> str:
    if lock_timeout:
        return f"the given lock timeout is {lock_timeout}"
    if setting := conf.lock_timeout():
        return f"PGTRIGGER_LOCK_TIMEOUT is {setting}"
    return "by the server's lock_timeout, or a minute for another installer"


def _limit(cursor: Any, timeout: str) -> None:
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", [timeout])


def _take_turn(cursor: Any, timeout: str | None, *, outermost: bool) -> None:
    """Wait until no other installer is at work on the database."""
    if _try(cursor):
        return
    cursor.execute("SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'")
    (milliseconds,) = cursor.fetchone()
    if outermost:

        def prepare() -> None:
            if timeout is not None:
                _limit(cursor, timeout)

        _poll(cursor, milliseconds, prepare)
        return
    # Somebody's transaction may hold locks that the other one waits for, which the server notices
    # only among those that wait in it; and not where the other one is a run of migrations.
    _limit(cursor, str(milliseconds or _IN_TRANSACTION))
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
    _limit(cursor, str(milliseconds))


def _try(cursor: Any) -> bool:
    cursor.execute(f"SELECT pg_try_advisory_xact_lock({_ADVISORY_LOCK})")
    return bool(cursor.fetchone()[0])


def _poll(cursor: Any, milliseconds: int, prepare: Callable[[], object]) -> None:
    """Ask again and again, in a transaction for each attempt.

    ``CREATE INDEX CONCURRENTLY`` that finds a statement under way waits for the end of its
    transaction, and whoever creates it may be the one that is waited for here.
    """
    deadline = time.monotonic() + milliseconds / 1000 if milliseconds else math.inf
    prepare()
    while not _try(cursor):
        if time.monotonic() > deadline:
            raise InstallationError(
                "Another process is installing triggers or migrating this database, and has not "
                f"finished within the lock timeout of {milliseconds} ms. Nothing was changed. "
                "Try again later."
            )
        cursor.execute("ROLLBACK AND CHAIN")
        time.sleep(_PAUSE)
        prepare()


def _read_what_is_committed(connection: Any) -> None:
    # At a higher isolation level, what is read after the wait for the lock would be older than
    # the wait. On a cursor of the driver, because nothing may come before it in the transaction.
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")


@contextmanager
def migrating(connection: BaseDatabaseWrapper) -> Generator[None]:
    """Be the only installer of the database for a whole run of migrations.

    The lock is held by a transaction on a connection of its own: those of the migrations end
    one by one, and would take it when they have locked tables already. A lock of the session would
    go astray behind a pooler. Where there is no such connection to be had, the run goes on without;
    within somebody's transaction, each change of triggers takes the lock by itself.
    """
    held = _migrating.get()
    if connection.vendor != "postgresql" or connection.alias in held or connection.in_atomic_block:
        yield
        return
    # The connection of the run comes first, where there are not enough for both.
    connection.ensure_connection()
    holder: Any = connection.copy()
    options = {**holder.settings_dict.get("OPTIONS", {}), "pool": False}
    holder.settings_dict = {**holder.settings_dict, "OPTIONS": options}
    try:
        _hold(holder)
    except OperationalError as error:
        holder.close()
        logger.warning(
            "pgtrigger: migrating database %s without a lock against others who do: %s",
            connection.alias,
            error,
        )
        yield
        return
    token = _migrating.set(held | {connection.alias})
    try:
        yield
    finally:
        _migrating.reset(token)
        _release(holder)


def _hold(holder: Any) -> None:
    # Without Django's own commands about transactions, which the caller may have wrapped.
    holder.ensure_connection()
    with holder.wrap_database_errors, holder.connection.cursor() as cursor:
        cursor.execute("BEGIN")
        # It is idle for as long as the migrations run.
        _poll(cursor, 0, lambda: cursor.execute(_NO_TIMEOUTS))


def _release(holder: Any) -> None:
    # Closing alone gives the lock back only when the server has noticed.
    with suppress(Exception), holder.connection.cursor() as cursor:
        cursor.execute("ROLLBACK")
    holder.close()


def run(cursor: Any, statements: str, about: str) -> None:
    """Run statements without parameters, telling what an error is about."""
    try:
        cursor.execute(statements)
    except Exception as error:  # raised again
        error.add_note(f"pgtrigger was changing {about} with: {statements}")
        raise
