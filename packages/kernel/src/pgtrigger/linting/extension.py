"""Lets the server check a function: by plpgsql_check, and as ``CREATE FUNCTION`` does.

Everything here runs in a transaction that is rolled back. Manual of plpgsql_check: "Functions",
"Arguments"; PostgreSQL manual: "PL/pgSQL Under the Hood" and ``check_function_bodies``.
"""

from __future__ import annotations

from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import sql
from pgtrigger.errors import sqlstate
from pgtrigger.linting.finding import ERROR, WARNING, Finding

EXTENSION: Final = "plpgsql_check"
CREATED: Final = "created"
AVAILABLE: Final = "available"
ABSENT: Final = "absent"

_STATE: Final = """
    SELECT n.nspname, a.name
      FROM (VALUES (%s)) AS wanted(name)
      LEFT JOIN pg_catalog.pg_extension e ON e.extname = wanted.name
      LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
      LEFT JOIN pg_catalog.pg_available_extensions a ON a.name = wanted.name
"""
# What keeps a role, or a server that only reads, from making a function for a moment.
_NOT_ALLOWED: Final = ("42501", "25006")
_PROBE: Final = "pgtrigger_lint"


class Inspector:
    """What checks functions on a connection, and in which way."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        with connection.cursor() as cursor:
            cursor.execute(sql.catalog_query(_STATE), [EXTENSION])
            self.schema, available = cursor.fetchone()
        self.state = CREATED if self.schema else AVAILABLE if available else ABSENT

    def create_extension(self) -> None:
        """Make the extension, for as long as the transaction lasts. Raises what Postgres says."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {sql.quote(EXTENSION)}")
            cursor.execute(sql.catalog_query(_STATE), [EXTENSION])
            self.schema, _ = cursor.fetchone()
        self.state = CREATED

    @property
    def checks(self) -> bool:
        """Whether the extension is there."""
        return self.schema is not None

    def check(
        self,
        function: int,
        relation: int,
        old_table: str | None = None,
        new_table: str | None = None,
    ) -> list[Finding]:
        """What plpgsql_check says of a function when triggers of a table call it.

        Args:
            function: the object identifier of the function.
            relation: that of the table.
            old_table: the name of the transition table of old rows.
            new_table: that of new rows.
        """
        assert self.schema is not None
        name = sql.quote_relation("plpgsql_check_function_tb", self.schema)
        query = (
            f"SELECT lineno, statement, sqlstate, message, hint, level, query FROM {name}("
            "%s::oid::regprocedure, %s::oid::regclass, fatal_errors => false, "
            "oldtable => %s::name, newtable => %s::name)"
        )
        try:
            with (
                transaction.atomic(using=self.connection.alias),
                self.connection.cursor() as cursor,
            ):
                cursor.execute(query, [function, relation, old_table, new_table])
                return [_finding(row) for row in cursor.fetchall()]
        except DatabaseError as error:
            return [_refused(error)]

    def make(self, source: str) -> int | Finding | None:
        """Make a function of this text in the session's own schema.

        Returns:
            Its object identifier; what the server has against the text; or None where nobody may
            make functions.
        """
        name = f"pg_temp.{sql.quote(_PROBE)}()"
        head = f"CREATE OR REPLACE FUNCTION {name} RETURNS trigger LANGUAGE plpgsql AS "
        body = sql.dollar_quote(source)
        try:
            with (
                transaction.atomic(using=self.connection.alias),
                self.connection.cursor() as cursor,
            ):
                cursor.execute(head + body)
                cursor.execute("SELECT %s::pg_catalog.regprocedure::oid", [name])
                return int(cursor.fetchone()[0])
        except DatabaseError as error:
            if sqlstate(error) in _NOT_ALLOWED:
                return None
            # Where the body begins in the statement, which the error counts positions of.
            return _refused(error, head + body, len(head) + body.index(source))


def _finding(row: Any) -> Finding:
    line, _, code, message, hint, level, query = row
    return Finding(
        level=ERROR if level == "error" else WARNING,
        message=message if not query else f"{message} (in: {' '.join(query.split())})",
        line=line,
        sqlstate=code if code != "00000" else "",
        hint=hint or "",
    )


def _refused(error: DatabaseError, statement: str = "", start: int = 0) -> Finding:
    diagnostics = getattr(error.__cause__, "diag", None)
    position = getattr(diagnostics, "statement_position", None)
    line = None
    if position and int(position) > start:
        line = statement[start : int(position) - 1].count("\n") + 1
    return Finding(
        level=ERROR,
        message=getattr(diagnostics, "message_primary", None) or str(error).strip(),
        line=line,
        sqlstate=sqlstate(error) or "",
        hint=getattr(diagnostics, "message_hint", None) or "",
    )
