"""Sends settings and the statement that needs them to the server together, in one round trip.

In libpq's pipeline mode, what is sent up to a synchronisation is one transaction, unless there is
one already. psycopg's own pipelines wait for the server several times, so its cursor is lent the
generator below, which takes the place of the step that sends a statement and waits for its results.
That step is psycopg's own matter, and another psycopg than those named here goes the longer way.

PostgreSQL manual: "libpq", "Pipeline Mode". psycopg manual: "Pipeline mode support".
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

psycopg: Any = None  # psycopg2 has no pipelines
with contextlib.suppress(ImportError):
    psycopg = importlib.import_module("psycopg")
    importlib.import_module("psycopg.generators")

_KNOWN = psycopg is not None and psycopg.__version__.split(".")[:2] in (
    ["3", "1"],
    ["3", "2"],
    ["3", "3"],
)

Values = Sequence[str]
Received = Callable[[list[str]], None]

_STEP: Final = "_maybe_prepare_gen"


def can_send(driver: Any, cursor: Any) -> bool:
    """Whether a cursor's next statement can be sent together with settings.

    Args:
        driver: the driver's connection.
        cursor: the driver's cursor.
    """
    return (
        _KNOWN
        and isinstance(cursor, psycopg.Cursor)
        and not isinstance(cursor, psycopg.ServerCursor)  # which declares what it is given
        and hasattr(cursor, "__dict__")
        and driver.pgconn.pipeline_status == psycopg.pq.PipelineStatus.OFF
        # What psycopg prepares on the server takes another way.
        and (driver.prepare_threshold is None or isinstance(cursor, psycopg.ClientCursor))
    )


def send(
    cursor: Any,
    query: str,
    values: Values,
    run: Callable[[], Any],
    received: Received | None = None,
) -> Any:
    """Run a statement on a cursor, after a query of ours and in the same round trip.

    Args:
        cursor: one that `can_send` accepts.
        query: ours, with libpq's placeholders ``$1`` …
        values: for the placeholders.
        run: executes a single statement on the cursor.
        received: takes the row that the query returns, even if the statement fails.
    """
    driver = cursor.connection
    command, parameters = _encoded(driver, query), [_encoded(driver, value) for value in values]

    def step(statement: Any, *, prepare: Any = None, binary: Any = None) -> Generator[Any, Any]:
        connection = driver.pgconn
        connection.enter_pipeline_mode()
        results: list[Any] = []
        try:
            connection.send_query_params(command, parameters)
            cursor._execute_send(statement, force_extended=True, binary=binary)
            connection.pipeline_sync()
            yield from psycopg.generators.send(connection)
            results.append((yield from psycopg.generators.fetch_many(connection)))  # ours
            results.append((yield from psycopg.generators.fetch_many(connection)))  # theirs
            yield from psycopg.generators.fetch_many(connection)  # the synchronisation
        except psycopg.OperationalError:
            # A server that ends the connection tells why by the last result that is an error.
            if fatal := [result for each in results for result in each if _has_failed(result)]:
                raise _error(driver, fatal[-1]) from None
            raise
        finally:
            if connection.status == psycopg.pq.ConnStatus.OK:
                # Interrupted with results under way; psycopg closes such a connection.
                with contextlib.suppress(psycopg.OperationalError):
                    connection.exit_pipeline_mode()
        (ours,), theirs = results
        if ours.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise _error(driver, ours)
        if received is not None:
            row = (ours.get_value(0, column) for column in range(ours.nfields))
            received([_decoded(driver, value or b"") for value in row])
        cursor._check_results(theirs)
        cursor._set_results(theirs)

    setattr(cursor, _STEP, step)
    try:
        return run()
    finally:
        delattr(cursor, _STEP)


def _has_failed(result: Any) -> bool:
    return bool(result.status == psycopg.pq.ExecStatus.FATAL_ERROR)


def _error(driver: Any, result: Any) -> Exception:
    error: Exception = psycopg.errors.error_from_result(result, encoding=driver.info.encoding)
    return error


def can_commit(driver: Any) -> bool:
    """Whether `commit` can be used on a driver's connection."""
    return _KNOWN and bool(driver.pgconn.pipeline_status == psycopg.pq.PipelineStatus.OFF)


def commit(driver: Any, query: str, values: Values) -> None:
    """Commit after a query of ours, with the driver's placeholders, and in the same round trip."""
    with psycopg.ClientCursor(driver) as cursor:
        cursor.execute(f"{query}; COMMIT", [*values])


# To ask for the encoding takes longer than the rest, and settings hardly ever need it.


def _encoded(driver: Any, text: str) -> bytes:
    return text.encode("ascii" if text.isascii() else driver.info.encoding)


def _decoded(driver: Any, value: bytes) -> str:
    return value.decode("ascii" if value.isascii() else driver.info.encoding)
