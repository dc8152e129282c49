"""The project in ``site``, with the old package's interpreter or with ours, on a database."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pgtrigger.testing import Server, database_settings
from project.connections import connect

SITE = Path(__file__).parent / "site"
APPS = ("store", "people", "reports")
OLD = ("django-pgtrigger>=4.17,<5", "Django>=5.2,<5.3", "psycopg[binary]>=3.2")
# Triggers that somebody has disabled by hand, and their tables: one that can be replaced, and a
# constraint trigger, which can only be dropped and made anew.
DISABLED = {"store.Letter:stamp": "store_letter", "store.Account:in_the_end": "store_account"}
NO_INDEX = ("from versions: none", "error sending request", "Failed to fetch", "dns error")


def build_old_environment() -> Path:
    """The interpreter of an environment with the old package, built once for all runs.

    Skips the test where no package index can be reached.
    """
    key = hashlib.sha256(repr((OLD, sys.version, sys.executable)).encode()).hexdigest()[:16]
    home = Path(tempfile.gettempdir()) / f"pgtrigger-upgrade-{os.getuid()}-{key}"
    python = home / "bin" / "python"
    # Two workers of pytest-xdist come here at the same time.
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            _build(home, python)
            (home / "complete").touch()
    return python


def _build(home: Path, python: Path) -> None:
    if uv := shutil.which("uv"):
        commands = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(home)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *OLD],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", str(home)],
            [str(python), "-m", "pip", "install", "--quiet", *OLD],
        ]
    for command in commands:
        result = subprocess.run(
            command, env=clean_environment(), capture_output=True, text=True, check=False
        )
        if result.returncode:
            if any(text in result.stderr for text in NO_INDEX):
                pytest.skip(f"no package index to get django-pgtrigger from: {result.stderr}")
            raise AssertionError(f"{' '.join(command)}\n{result.stdout}\n{result.stderr}")


def clean_environment() -> dict[str, str]:
    """The environment without what would bring our packages into another interpreter."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {
        key: value
        for key, value in os.environ.items()
        if key not in ours and not key.startswith(("COVERAGE_", "PYTEST_"))
    }


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
        ours = self.interpreter == sys.executable
        site = {
            "SITE_DATABASE": json.dumps(database_settings(self.url)),
            "SITE_RELEASE": str(self.release),
            "DJANGO_SETTINGS_MODULE": "settings",
            # Files that are written within one second look alike to Python's cache.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        result = subprocess.run(
            [self.interpreter, *(["-W", "error"] if ours else []), *args],
            cwd=self.directory,
            env={**(os.environ if ours else clean_environment()), **site, **env},
            # Renamed? Yes.
            input="y\n" * 9,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != exits:
            raise AssertionError(
                f"{' '.join(args)} ended with {result.returncode} instead of {exits}\n"
                f"--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}"
            )
        return result.stdout

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
