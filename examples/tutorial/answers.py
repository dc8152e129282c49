"""What comes of a line that the reader typed, be it SQL or Python."""

from __future__ import annotations

import contextvars
import io
import select
import time
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import ExecStatus, PGresult

import pgtrigger

ROWS = 20  # as many are shown
SECONDS = 10  # the server stops a statement after 5, unless that is what the statement changed


@dataclass
class Result:
    """What one SQL statement gave; values are text, as Postgres writes them, or None."""

    columns: list[str] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    count: int = 0
    status: str = ""


@dataclass(kw_only=True)
class Answer:
    """Results, or a refusal, or another error."""

    results: list[Result] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    printed: str = ""
    refused_by: str = ""
    error: str = ""
    hint: str = ""

    def fails(self, error: BaseException) -> None:
        """Take the words from an error."""
        if found := pgtrigger.violation(error):
            message = found.message.removeprefix("pgtrigger: ")
            self.refused_by, self.error, self.hint = found.uri, message, found.hint
            return
        diagnostics = getattr(error, "diag", None) or getattr(error.__cause__, "diag", None)
        said = diagnostics and diagnostics.message_primary
        self.error = said or f"{type(error).__name__}: {error}".strip(": \n")
        self.hint = (diagnostics and diagnostics.message_hint) or ""


def ask(conninfo: str, statement: str) -> Answer:
    """Run SQL on a connection of its own, so that nothing of it stays but what it has committed."""
    answer = Answer()
    try:
        with closing(psycopg.connect(conninfo, autocommit=True)) as connection:
            connection.add_notice_handler(
                lambda notice: answer.notices.append(notice.message_primary or "")
            )
            for part in _parts(connection, statement):
                _take(answer, part)
    except (psycopg.Error, ValueError) as error:  # ValueError: the text cannot even be sent
        answer.fails(error)
    return answer


def _parts(connection: psycopg.Connection[Any], statement: str) -> Iterator[PGresult]:
    """The rows and ends of all statements, one by one: a big result needs no memory here."""
    pgconn = connection.pgconn
    pgconn.send_query(statement.encode())
    pgconn.set_single_row_mode()
    deadline = time.monotonic() + SECONDS
    try:
        while True:
            while pgconn.is_busy():
                ready, _, _ = select.select([pgconn.socket], [], [], 1)
                if ready:
                    pgconn.consume_input()
                if time.monotonic() > deadline:
                    connection.cancel()
            part = pgconn.get_result()
            if part is None:
                return
            yield part
    except KeyboardInterrupt:
        connection.cancel()
        raise


def _take(answer: Answer, part: PGresult) -> None:
    if part.status == ExecStatus.FATAL_ERROR:
        raise errors.error_from_result(part)
    if part.status in {ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH}:
        raise psycopg.NotSupportedError("COPY from and to the client is not for this prompt")
    if not answer.results or answer.results[-1].status:
        answer.results.append(Result())
    result = answer.results[-1]
    if part.status in {ExecStatus.SINGLE_TUPLE, ExecStatus.TUPLES_OK}:
        result.columns = [
            (part.fname(n) or b"").decode(errors="replace") for n in range(part.nfields)
        ]
    for row in range(part.ntuples):
        result.count += 1
        if result.count <= ROWS:
            result.rows.append([_text(part.get_value(row, n)) for n in range(part.nfields)])
    if part.status != ExecStatus.SINGLE_TUPLE:
        result.status = (part.command_status or b"").decode() or "nothing to do"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def evaluate(line: str, names: dict[str, Any]) -> Answer:
    """Run a line of Python, as the interactive interpreter does.

    In a context of its own: an ``ignore`` that the line enters and does not leave ends with it.
    """
    answer, printed = Answer(), io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            code = compile(f"{line}\n", "<your line>", "single")
            contextvars.copy_context().run(exec, code, names)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # exit() as well: `quit` is the way to leave
        answer.fails(error)
    answer.printed = printed.getvalue().rstrip()
    return answer
