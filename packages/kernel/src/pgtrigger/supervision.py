"""Runs each statement with the settings that the task wants, and as it came.

One wrapper for each PostgreSQL connection. In a transaction, settings that are local to it are
written once for each change; in autocommit they are sent together with what may fire triggers.

PostgreSQL manual: "SET", ``set_config``, "Customized Options", "Pipeline Mode".
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.db import DatabaseError

from pgtrigger import together
from pgtrigger.agreement import (
    IN_TRANSACTION,
    agreement_of,
    can_be_written,
    due,
    in_transaction,
    is_open,
    query_for_driver,
    query_for_libpq,
    remembered_query,
    synchronise,
    transaction_status,
    unwatched_cursor,
    write,
)
from pgtrigger.errors import sqlstate
from pgtrigger.statements import (
    Kind,
    is_plain_read,
    kind_of,
    may_undo_settings,
    must_come_first,
)
from pgtrigger.wanted import Wanted, current

_INVALID_TRANSACTION_TERMINATION: Final = "2D000"


def wrapper(execute: Any, statement: Any, params: Any, many: bool, context: Any) -> Any:
    """Run a statement when the server agrees; one of Django's ``execute_wrappers``."""
    connection = context["connection"]
    goal, agreement = current.get(), agreement_of(connection)
    if not goal.layers and not agreement.before:
        return execute(statement, params, many, context)
    before, agreement.is_supervised = agreement.is_supervised, True
    try:
        if (
            agreement.is_settled(goal)
            and connection.connection is not None
            and transaction_status(connection) == IN_TRANSACTION
            and not may_undo_settings(statement, connection)
        ):
            return execute(statement, params, many, context)
        run = functools.partial(execute, statement, params, many, context)
        cursor = None if many else getattr(context["cursor"], "cursor", context["cursor"])
        return supervise(connection, statement, run, cursor)
    finally:
        agreement.is_supervised = before


def supervise(connection: Any, statement: Any, run: Callable[[], Any], cursor: Any) -> Any:
    """Run a statement when the server agrees.

    Args:
        connection: Django's.
        statement: what the caller executes; it is only looked at.
        run: executes it.
        cursor: the driver's cursor for a single execution; None for many.
    """
    goal, agreement = current.get(), agreement_of(connection)
    if connection.connection is None or not (
        goal.has_settings(connection.alias) or agreement.before
    ):
        return run()
    status = transaction_status(connection)
    if status != IN_TRANSACTION and not in_transaction(connection):
        if not goal.has_settings(connection.alias):
            return run()
        return _in_autocommit(connection, goal, kind_of(statement, connection), run, cursor)
    if may_undo_settings(statement, connection):
        if can_be_written(connection):
            synchronise(connection)
        try:
            return run()
        finally:
            agreement.doubt()
    if agreement.is_settled(goal) or not can_be_written(connection):
        return run()
    if _is_for_writes_only(connection, goal) and is_plain_read(statement, connection):
        return run()
    if must_come_first(statement, connection):
        return run()
    if _can_go_together(connection, statement, cursor):
        changes, only_if = due(connection, goal)
        if changes:
            wanted = goal.settings(connection.alias)

            def received(row: list[str]) -> None:
                agreement.record(wanted, changes, row[::2])
                agreement.settle(goal)

            query = query_for_libpq(changes, only_if=only_if)
            return together.send(cursor, query, [*changes.values()], run, received)
    synchronise(connection)
    return run()


def _is_for_writes_only(connection: Any, goal: Wanted) -> bool:
    """Whether all that a task wants is for what writes, and nothing of it has been sent."""
    agreement = agreement_of(connection)
    return not (agreement.written or agreement.doubtful or goal.for_calls(connection.alias))


def _can_go_together(connection: Any, statement: Any, cursor: Any) -> bool:
    return (
        cursor is not None
        and together.can_send(connection.connection, cursor)
        and kind_of(statement, connection) is Kind.SINGLE
    )


def _in_autocommit(
    connection: Any, goal: Wanted, kind: Kind, run: Callable[[], Any], cursor: Any
) -> Any:
    match kind:
        case Kind.TRANSACTION_CONTROL:
            return run()
        case Kind.OTHER if not goal.for_reads(connection.alias):
            return run()
        case Kind.OUTSIDE_TRANSACTION if not goal.for_reads(connection.alias):
            return run()
    settings = goal.settings(connection.alias)
    match kind:
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
    if kind is not Kind.SINGLE or getattr(cursor, "name", None):
        return _in_short_transaction(connection, run)
    if cursor is not None and together.can_send(connection.connection, cursor):
        query = remembered_query(tuple(settings), returning=False)
        return together.send(cursor, query, [*settings.values()], run)
    if hasattr(connection.connection, "pipeline"):
        return _in_pipeline(connection, settings, run)
    return _in_short_transaction(connection, run)


def _in_pipeline(connection: Any, settings: Mapping[str, str], run: Callable[[], Any]) -> Any:
    # The statements of a pipeline up to its sync are one transaction, sent in one round trip.
    with connection.wrap_database_errors, connection.connection.pipeline():
        query = query_for_driver(settings, returning=False)
        unwatched_cursor(connection).execute(query, [*settings.values()])
        return run()


def _in_session(connection: Any, settings: Mapping[str, str], run: Callable[[], Any]) -> Any:
    # Refuses a transaction, so the settings are the session's for as long as it runs.
    names = [*settings]
    before = write(connection, settings, local=False)
    try:
        result = run()
    except BaseException:
        with contextlib.suppress(DatabaseError):
            write(connection, dict(zip(names, before, strict=True)), local=False)
        raise
    write(connection, dict(zip(names, before, strict=True)), local=False)
    return result


def _in_short_transaction(connection: Any, run: Callable[[], Any]) -> Any:
    with (
        connection.wrap_database_errors,
        unwatched_cursor(connection) as cursor,
        _short_transaction(connection, cursor),
    ):
        return run()


@contextmanager
def _short_transaction(connection: Any, cursor: Any) -> Generator[None]:
    cursor.execute("BEGIN")
    try:
        write(connection, current.get().settings(connection.alias))
        yield
    except BaseException:
        # A server that is gone has told so already.
        with contextlib.suppress(connection.Database.Error):
            cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")


def before_commit(connection: Any) -> None:
    """Deferred triggers fire at the commit, and must find what holds then.

    Where that takes a statement, the commit is done with it, and leaves nothing for the driver's.
    """
    if (
        (current.get().layers or agreement_of(connection).before)
        and connection.connection is not None
        and is_open(connection)
        and not _is_for_writes_only(connection, current.get())
    ):
        changes, only_if = due(connection, current.get())
        if changes and together.can_commit(connection.connection):
            query = query_for_driver(changes, only_if=only_if, returning=False)
            with connection.wrap_database_errors:
                together.commit(connection.connection, query, [*changes.values()])
        else:
            synchronise(connection)


@contextmanager
def around(connection: Any) -> Generator[None]:
    """Let what bypasses the wrapper, such as COPY, run with the settings that the task wants."""
    if not current.get().has_settings(connection.alias) and not agreement_of(connection).before:
        yield
    elif in_transaction(connection):
        if can_be_written(connection):
            synchronise(connection)
        yield
    else:
        with unwatched_cursor(connection) as cursor, _short_transaction(connection, cursor):
            yield
