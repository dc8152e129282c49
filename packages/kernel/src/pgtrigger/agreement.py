"""Makes the server agree with what the task wants, before each statement that could tell.

One wrapper for each PostgreSQL connection writes settings that are local to the transaction; the
statement itself is passed on as it came. PostgreSQL manual: "SET", ``set_config``, "Customized
Options", "Pipeline Mode".
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import types
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import sql
from pgtrigger.errors import sqlstate
from pgtrigger.statements import Kind, kind_of, may_undo_settings
from pgtrigger.wanted import Wanted, current

# What libpq says of a connection's transaction, and of its pipeline.
_IDLE: Final = 0
_ACTIVE: Final = 1
_IN_TRANSACTION: Final = 2
_PIPELINE_ON: Final = 1

_INVALID_TRANSACTION_TERMINATION: Final = "2D000"


class Agreement:
    """What is known of the settings of one server connection in its current transaction."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A transaction has ended: settings that were local to it are gone."""
        self.before: dict[str, str] = {}
        self.applied: dict[str, str] = {}
        self.written: dict[str, set[str]] = {}
        self.doubtful = False

    def doubt(self) -> None:
        """Something may have undone settings: write them anew before the next statement."""
        self.applied = {}
        self.doubtful = True

    def changes(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The settings to write, so that the server has these and otherwise what it had before."""
        goal = {**self.before, **settings}
        return {name: value for name, value in goal.items() if self.applied.get(name) != value}


def agreement_of(connection: BaseDatabaseWrapper) -> Agreement:
    """What is known of the settings of a connection."""
    held: Agreement = connection.__dict__.setdefault("_pgtrigger_agreement", Agreement())
    return held


def _transaction_status(connection: Any) -> int:
    driver = connection.connection
    if hasattr(driver, "pgconn"):
        return int(driver.pgconn.transaction_status)
    return int(driver.get_transaction_status())


def _is_open(connection: Any) -> bool:
    """Whether there is a transaction that settings can be written in."""
    status = _transaction_status(connection)
    return status == _IN_TRANSACTION or (status == _ACTIVE and _in_pipeline_mode(connection))


def _in_pipeline_mode(connection: Any) -> bool:
    driver = getattr(connection.connection, "pgconn", None)
    return getattr(driver, "pipeline_status", 0) == _PIPELINE_ON


def _in_transaction(connection: Any) -> bool:
    """Whether a statement will run in a transaction that outlives it."""
    if _transaction_status(connection) == _ACTIVE and _in_pipeline_mode(connection):
        if connection.in_atomic_block:
            return True
        with connection.wrap_database_errors, connection.connection.pipeline():
            pass  # A synchronisation of the caller's own pipeline, which tells where it stands.
    if _transaction_status(connection) != _IDLE:
        return True
    # The first statement without autocommit begins a transaction; what we knew is of an older one.
    agreement_of(connection).forget()
    return not connection.connection.autocommit


def _set(
    connection: Any,
    settings: Mapping[str, str],
    *,
    local: bool = True,
    only_if: Mapping[str, set[str]] = types.MappingProxyType({}),
) -> list[str]:
    """Write settings and return the values that they had, all in one statement.

    On a cursor of the driver: the statement is not the caller's to see, log or count.

    Args:
        connection: what to write them on.
        settings: their values by name.
        local: for the transaction, and not for the session.
        only_if: the values that a setting must have to be written, by name.
    """

    def call(name: str, value: str) -> str:
        found = f"current_setting({sql.string(name)}, true)"
        write = f"set_config({sql.string(name)}, {sql.string(value)}, {sql.literal(local)})"
        if name in only_if:
            ours = ", ".join(map(sql.string, sorted(only_if[name])))
            write = f"CASE WHEN {found} IN ({ours}) THEN {write} END"
        return f"{found}, {write}"

    calls = ", ".join(call(name, value) for name, value in settings.items())
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute(f"SELECT {calls}".replace("%", "%%"), ())
        row = cursor.fetchone() or ()
    return [value or "" for value in row[::2]]


def synchronise(connection: Any) -> None:
    """Make the open transaction of a connection agree with what the task wants."""
    agreement = agreement_of(connection)
    wanted = current.get().settings(connection.alias)
    changes = agreement.changes(wanted)
    if not changes:
        return
    # After a rollback it is not known whether a setting is ours to take back or the caller's own.
    restored = changes.keys() - wanted.keys() if agreement.doubtful else set()
    only_if = {name: agreement.written[name] for name in restored}
    for name, before in zip(changes, _set(connection, changes, only_if=only_if), strict=True):
        if before not in agreement.written.setdefault(name, set()):
            agreement.before[name] = before
    for name in changes.keys() & wanted.keys():
        agreement.written[name].add(changes[name])
    agreement.applied |= changes
    agreement.doubtful = False


def wrapper(execute: Any, statement: Any, params: Any, many: bool, context: Any) -> Any:
    """Run a statement when the server agrees; one of Django's ``execute_wrappers``."""
    connection = context["connection"]
    goal = current.get()
    if not goal.layers and not agreement_of(connection).before:
        return execute(statement, params, many, context)
    settings = goal.settings(connection.alias)
    if connection.connection is None or not (settings or agreement_of(connection).before):
        return execute(statement, params, many, context)
    if not _in_transaction(connection):
        if not settings:
            return execute(statement, params, many, context)
        run = functools.partial(execute, statement, params, many, context)
        return _in_autocommit(connection, goal, kind_of(statement, connection), run, context)
    if _transaction_status(connection) == _IDLE or _is_open(connection):
        synchronise(connection)
    try:
        return execute(statement, params, many, context)
    finally:
        if may_undo_settings(statement, connection):
            agreement_of(connection).doubt()


def _in_autocommit(
    connection: Any, goal: Wanted, kind: Kind, run: Callable[[], Any], context: Any
) -> Any:
    settings = goal.settings(connection.alias)
    match kind:
        case Kind.TRANSACTION_CONTROL:
            return run()
        case Kind.OTHER if not goal.for_reads(connection.alias):
            return run()
        case Kind.OUTSIDE_TRANSACTION if not goal.for_reads(connection.alias):
            return run()
        case Kind.OUTSIDE_TRANSACTION:
            return _in_session(connection, settings, run)
        case Kind.PROCEDURE:
            try:
                return _in_short_transaction(connection, run)
            except DatabaseError as error:
                # It ends transactions by itself, and nothing of it has happened yet.
                if sqlstate(error) != _INVALID_TRANSACTION_TERMINATION:
                    raise
            return _in_session(connection, settings, run)
    named = getattr(context["cursor"], "name", None)
    if kind is Kind.SINGLE and not named and hasattr(connection.connection, "pipeline"):
        return _in_pipeline(connection, settings, run)
    return _in_short_transaction(connection, run)


def _in_pipeline(connection: Any, settings: Mapping[str, str], run: Callable[[], Any]) -> Any:
    # The statements of a pipeline up to its sync are one transaction, sent in one round trip.
    calls = ", ".join(
        f"set_config({sql.string(name)}, {sql.string(value)}, true)"
        for name, value in settings.items()
    )
    with connection.wrap_database_errors, connection.connection.pipeline():
        connection.connection.execute(f"SELECT {calls}".replace("%", "%%"), ())
        return run()


def _in_session(connection: Any, settings: Mapping[str, str], run: Callable[[], Any]) -> Any:
    # Refuses a transaction, so the settings are the session's for as long as it runs.
    names = [*settings]
    before = _set(connection, settings, local=False)
    try:
        result = run()
    except BaseException:
        with contextlib.suppress(DatabaseError):
            _set(connection, dict(zip(names, before, strict=True)), local=False)
        raise
    _set(connection, dict(zip(names, before, strict=True)), local=False)
    return result


def _in_short_transaction(connection: Any, run: Callable[[], Any]) -> Any:
    with (
        connection.wrap_database_errors,
        connection.connection.cursor() as cursor,
        _short_transaction(connection, cursor),
    ):
        return run()


@contextmanager
def _short_transaction(connection: Any, cursor: Any) -> Generator[None]:
    cursor.execute("BEGIN")
    try:
        _set(connection, current.get().settings(connection.alias))
        yield
    except BaseException:
        # A server that is gone has told so already.
        with contextlib.suppress(connection.Database.Error):
            cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")


def before_commit(connection: Any) -> None:
    """Deferred triggers fire at the commit, and must find what holds then."""
    if (
        (current.get().layers or agreement_of(connection).before)
        and connection.connection is not None
        and _is_open(connection)
    ):
        synchronise(connection)


@contextmanager
def around(connection: Any) -> Generator[None]:
    """Let what bypasses the wrapper, such as COPY, run with the settings that the task wants."""
    settings = current.get().settings(connection.alias)
    if not settings and not agreement_of(connection).before:
        yield
    elif _in_transaction(connection):
        if _transaction_status(connection) == _IDLE or _is_open(connection):
            synchronise(connection)
        yield
    else:
        with connection.connection.cursor() as cursor, _short_transaction(connection, cursor):
            yield


def synchronise_open_transactions() -> None:
    """Let what bypasses the wrapper (COPY, procedure calls) find the new state too."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        return  # An event loop must not wait for a database.
    for connection in connections.all(initialized_only=True):
        if connection.vendor != "postgresql" or connection.connection is None:
            continue
        if connection.in_atomic_block and _is_open(connection):
            synchronise(connection)
