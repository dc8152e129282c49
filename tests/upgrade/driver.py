"""The project in ``site``, with the old package's interpreter or with ours, on a database."""

import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pgtrigger.testing import Server, database_settings
from project.connections import connect
from project.environments import run
from project.sites import Running

SITE = Path(__file__).parent / "site"
# Renamed? Yes.
ANSWERS = "y\n" * 9
APPS = ("store", "people", "reports")
OLD = ("django-pgtrigger>=4.17,<5", "Django>=5.2,<5.3", "psycopg[binary]>=3.2")
# Triggers that somebody has disabled by hand, and their tables: one that can be replaced, and a
# constraint trigger, which can only be dropped and made anew.
DISABLED = {"store.Letter:stamp": "store_letter", "store.Account:in_the_end": "store_account"}


class Databases:
    """Makes databases, some as copies of others, and drops them in the end."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.names: list[str] = []

    def create(self, template: str | None = None) -> str:
        """The URL of a new database: an empty one, or a copy of the one at a URL."""
        name = f"upgrade_{uuid.uuid4().hex}"
        of = f" TEMPLATE {urlsplit(template).path[1:]}" if template else ""
        self._run(f"CREATE DATABASE {name}{of}")
        self.names.append(name)
        return urlsplit(self.server.url)._replace(path=f"/{name}").geturl()

    def drop(self) -> None:
        for name in self.names:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        connection = connect(self.server.url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()


@dataclass(frozen=True)
class Site:
    """A project directory and its database.

    Attributes:
        directory: where manage.py lies.
        url: the database.
        interpreter: the Python that has one of the two packages.
        release: which models it has; see the project's settings.
    """

    directory: Path
    url: str
    interpreter: str = sys.executable
    release: int = 3

    def copy(self, directory: Path, url: str, interpreter: str = sys.executable) -> "Site":
        """The same files elsewhere, by default to be run with our package."""
        shutil.copytree(self.directory, directory)
        return replace(self, directory=directory, url=url, interpreter=interpreter)

    def python(self, *args: str, exits: int = 0, **env: str) -> str:
        """Run Python in the project and give what it wrote to stdout.

        Raises:
            AssertionError: it ended with another exit code.
        """
        site = {
            "SITE_DATABASE": json.dumps(database_settings(self.url)),
            "SITE_RELEASE": str(self.release),
            "DJANGO_SETTINGS_MODULE": "settings",
            # Files that are written within one second look alike to Python's cache.
            "PYTHONDONTWRITEBYTECODE": "1",
            **env,
        }
        if self.interpreter == sys.executable:
            running = Running(self.directory, {**os.environ, **site}, args, ANSWERS)
            with closing(running):
                return running.result(exits).stdout
        return run(
            self.interpreter, *args, exits=exits, cwd=self.directory, answers=ANSWERS, **site
        )

    def call(self, module: str, function: str) -> str:
        """Call a function of one of the project's modules; see `python`."""
        code = f"import django; django.setup(); import {module}; {module}.{function}()"
        return self.python("-c", code)

    def manage(self, *args: str, exits: int = 0, **env: str) -> str:
        """Run ``manage.py``; see `python`."""
        return self.python("manage.py", *args, exits=exits, **env)

    def migrations(self) -> dict[str, list[str]]:
        """The names of the migrations of each app."""
        return {
            app: sorted(file.stem for file in (self.directory / app).glob("migrations/0*.py"))
            for app in APPS
        }

    def listed(self) -> dict[str, tuple[str, str]]:
        """What ``pgtrigger ls`` says: status and enablement of each trigger."""
        lines = [line.split() for line in self.manage("pgtrigger", "ls").splitlines()]
        # Functions that the old package left behind are listed, too.
        return {uri: (status, on) for status, on, uri in lines if not uri.endswith("()")}

    def broken(self, disabled: Iterable[str] = ()) -> list[tuple[Any, Any]]:
        """What is not as it should be: what `behaviour.py` expects, and what it got instead."""
        found = json.loads(self.call("behaviour", "show"))
        assert found["without a case"] == []
        expected = [
            [uri, ignored if uri in disabled else fires, ignored]
            for uri, fires, ignored in found["expected"]
        ]
        pairs = zip(expected, found["got"], strict=True)
        return [(wanted, got) for wanted, got in pairs if wanted != got]

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Run a statement in a connection of its own, and give its rows."""
        connection = connect(self.url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def triggers(self) -> dict[str, tuple[Any, ...]]:
        """Of each Postgres trigger: its object identifier, its definition and its state."""
        rows = self.sql(
            "SELECT tgrelid::regclass || ':' || tgname, oid::int, pg_get_triggerdef(oid),"
            " tgenabled::text, tgconstraint <> 0 FROM pg_trigger WHERE NOT tgisinternal"
        )
        return {name: tuple(rest) for name, *rest in rows}

    def functions(self) -> dict[str, bool]:
        """The functions named as those of triggers, and whether a trigger calls them."""
        return dict(
            self.sql(
                "SELECT proname, EXISTS (SELECT FROM pg_trigger WHERE tgfoid = p.oid)"
                r" FROM pg_proc p WHERE proname LIKE 'pgtrigger\_%'"
            )
        )

    def uncalled(self) -> set[str]:
        """The functions that no trigger calls."""
        return {name for name, called in self.functions().items() if not called}

    def rows(self) -> dict[str, list[str]]:
        """All rows of all tables but Django's of migrations."""
        tables = self.sql(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace AND relname <> 'django_migrations'"
        )
        return {
            table: [row for (row,) in self.sql(f"SELECT t::text FROM {table} t ORDER BY 1")]
            for (table,) in tables
        }
