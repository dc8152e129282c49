"""The bookshop's database: made anew for each step, and all the reader's to break."""

from __future__ import annotations

import importlib
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import django
import psycopg
from answers import Answer, ask, evaluate
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.models import F, Q
from problems import Problem, Step
from psycopg.conninfo import make_conninfo

import pgtrigger
from pgtrigger import sql
from pgtrigger.session import local_settings
from pgtrigger.testing import Server, database_settings

BOUNDS = "-c statement_timeout=5s -c lock_timeout=2s -c client_min_messages=notice"


class Shop:
    """A database on a server, owned by a role that can do nothing else.

    On a server where we may not make roles, the role is that of the server's URL. Leaving the
    block drops the databases and the role.
    """

    def __init__(self, server: Server) -> None:
        self._url = server.url
        self.name = f"tutorial_{secrets.token_hex(4)}"
        self._fresh = f"{self.name}_fresh"
        with psycopg.connect(self._url, autocommit=True) as connection:
            found = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            self._own_role = found.fetchone() == (True,)
        self._login = (
            {"user": self.name, "password": secrets.token_hex(16)} if self._own_role else {}
        )
        self._names: dict[str, Any] = {}

    @property
    def conninfo(self) -> str:
        """How the reader's SQL connects."""
        return make_conninfo(
            self._url, dbname=self.name, options=BOUNDS, client_encoding="utf8", **self._login
        )

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._drop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._drop()

    def begin(self, problem: Problem, step: Step) -> None:
        """Make the shop as a step begins, whatever has become of it."""
        name, fresh = sql.identifier(self.name), sql.identifier(self._fresh)
        self._administer(
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            *self._role(),
            f"CREATE DATABASE {name} TEMPLATE {fresh} OWNER {self._owner}",
        )
        models = importlib.import_module("store.models")
        fsm = importlib.import_module("pgtrigger_fsm")
        self._names = {
            **{name: value for name, value in vars(models).items() if not name.startswith("_")},
            "F": F,
            "Q": Q,
            # Those of the interactive interpreter close our standard input.
            "exit": sys.exit,
            "quit": sys.exit,
            "available_transitions": fsm.available_transitions,
            "local_settings": local_settings,
            "make_transition": fsm.make_transition,
            "pgtrigger": pgtrigger,
        }
        with self._django() as connection, connection.cursor() as cursor:
            if not step.triggers:
                pgtrigger.uninstall()
            with pgtrigger.ignore():
                cursor.execute(problem.rows)
            if step.prepare:
                cursor.execute(step.prepare)

    def answer(self, line: str) -> Answer:
        """Run what the reader typed: Python after ``>>>``, else SQL."""
        if not line.startswith(">>>"):
            return ask(self.conninfo, line)
        with self._django():
            return evaluate(line.removeprefix(">>>").strip(), self._names)

    def holds(self, query: str) -> bool:
        """Whether a query gives true; not if the reader has removed what it asks for."""
        answer = ask(self.conninfo, query)
        return bool(answer.results) and answer.results[0].rows == [["t"]]

    # How it is made

    @property
    def _owner(self) -> str:
        return sql.identifier(self.name) if self._own_role else "DEFAULT"

    def _role(self) -> Iterator[str]:
        """Statements that undo what the reader may have done to the role."""
        if self._own_role:
            password = sql.string(self._login["password"])
            yield f"ALTER ROLE {self._owner} LOGIN PASSWORD {password}"
            yield f"ALTER ROLE {self._owner} RESET ALL"

    def _build(self) -> None:
        if self._own_role:
            self._administer(f"CREATE ROLE {self._owner}", *self._role())
        name, fresh = sql.identifier(self.name), sql.identifier(self._fresh)
        self._administer(f"CREATE DATABASE {name} OWNER {self._owner}")
        entry = database_settings(self._url, NAME=self.name)
        entry |= {key.upper(): value for key, value in self._login.items()}
        entry["OPTIONS"] |= {"options": BOUNDS}
        settings.configure(
            DATABASES={"default": entry},
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            INSTALLED_APPS=["store", "pgtrigger"],
            USE_TZ=True,
        )
        django.setup()
        with self._django():
            call_command("migrate", run_syncdb=True, verbosity=0)
        self._administer(
            f"ALTER DATABASE {name} RENAME TO {fresh}",
            f"ALTER DATABASE {fresh} OWNER TO CURRENT_USER",
        )

    def _drop(self) -> None:
        for name in (self.name, self._fresh):
            self._administer(f"DROP DATABASE IF EXISTS {sql.identifier(name)} WITH (FORCE)")
        if self._own_role:
            self._administer(f"DROP ROLE IF EXISTS {self._owner}")

    def _administer(self, *statements: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    @contextmanager
    def _django(self) -> Iterator[Any]:
        """Django's connection, which is gone afterwards, with all that somebody left open on it."""
        try:
            yield connections["default"]
        finally:
            connections["default"].close()
            del connections["default"]
