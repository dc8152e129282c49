"""What goes over the wire to the server, as libpq itself writes it down."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

# A message to the server that holds a statement: a simple query, or the parsing of an extended one.
_STATEMENT = re.compile(
    r'^F\s+\d+\s+(?:Query|Parse\s+"[^"\n]*")\s+"(.*?)"(?:\s+\d+)*$', re.MULTILINE | re.DOTALL
)
_ANSWERED = re.compile(r"^B\s+\d+\s+ReadyForQuery", re.MULTILINE)


class Wire:
    """The statements that were sent, and how often the server said that it was ready again."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.ready = 0

    @property
    def settings(self) -> list[str]:
        """The statements that write settings."""
        return [text for text in self.statements if "set_config" in text]


@contextmanager
def wire(alias: str = "default") -> Iterator[Wire]:
    """Listen to the connection of an alias, which is opened if it was not."""
    from psycopg.pq import Trace

    connection: Any = connections[alias]
    connection.ensure_connection()
    pgconn = connection.connection.pgconn
    heard = Wire()
    with tempfile.TemporaryFile() as file:
        pgconn.trace(file.fileno())
        pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        try:
            yield heard
        finally:
            pgconn.untrace()
            file.seek(0)
            text = file.read().decode()
            heard.statements = _STATEMENT.findall(text)
            heard.ready = len(_ANSWERED.findall(text))
