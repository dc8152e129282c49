"""A Django project in a temporary directory, driven as a user drives it."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from project.connections import connect

SETTINGS = """
    import os

    from pgtrigger.testing import database_settings

    INSTALLED_APPS = [
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "pgtrigger",
        "app",
    ]
    DATABASES = {"default": database_settings(os.environ["DATABASE_URL"])}
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    SECRET_KEY = "for tests only"
    USE_TZ = True
"""

MANAGE = """
    import os
    import sys

    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    execute_from_command_line(sys.argv)
"""


@dataclass(frozen=True)
class Project:
    """A Django project with one app, named ``app``, on a database of its own.

    Attributes:
        directory: Where manage.py and settings.py lie.
        url: The database.
    """

    directory: Path
    url: str

    def write(self, path: str, source: str) -> Path:
        """Write a file below the project's directory; the source may be indented."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source).lstrip("\n"))
        return file

    def add_app(self, name: str) -> None:
        """Add another app, with no models."""
        self.write(f"{name}/__init__.py", "")
        self.write(f"{name}/migrations/__init__.py", "")
        with (self.directory / "settings.py").open("a") as settings:
            settings.write(f"INSTALLED_APPS += [{name!r}]\n")

    def models(self, source: str, app: str = "app") -> None:
        """Replace the app's models.py. ``models`` and ``pgtrigger`` are imported for it."""
        imports = "from django.db import models\n\nimport pgtrigger\n\n\n"
        self.write(f"{app}/models.py", imports + textwrap.dedent(source).lstrip("\n"))

    def settings(self, source: str) -> None:
        """Add lines to settings.py."""
        with (self.directory / "settings.py").open("a") as settings:
            settings.write(textwrap.dedent(source).lstrip("\n"))

    def migrations(self, app: str = "app") -> list[str]:
        """The names of the app's migrations, in order."""
        files = (self.directory / app / "migrations").glob("[0-9]*.py")
        return sorted(file.stem for file in files)

    def python(
        self, *args: str, exits: int | None = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments in the project.

        Args:
            exits: The exit code that is expected; None for any.
            env: More environment variables.

        Raises:
            AssertionError: It ended otherwise. The message has all of its output.
        """
        ours = {
            "DATABASE_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "settings",
            # Two versions of a file that are written in one second look alike to Python's cache.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        result = subprocess.run(
            [sys.executable, "-W", "error", *args],
            cwd=self.directory,
            env={**os.environ, **ours, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        if exits is not None and result.returncode != exits:
            raise AssertionError(
                f"{' '.join(args)} ended with {result.returncode} instead of {exits}\n"
                f"--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}"
            )
        return result

    def manage(
        self, *args: str, exits: int | None = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` with these arguments; see `python`."""
        return self.python("manage.py", *args, exits=exits, **env)

    def sql(self, query: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement in a connection and transaction of its own, and give its rows."""
        connection = connect(self.url)
        try:
            with connection.cursor() as cursor:
                # Without parameters a % is a %.
                cursor.execute(query, params) if params else cursor.execute(query)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


@pytest.fixture
def project(tmp_path: Path, empty_database: str) -> Project:
    """A new Django project with an app ``app`` that has no models yet."""
    project = Project(tmp_path, empty_database)
    project.write("settings.py", SETTINGS)
    project.write("manage.py", MANAGE)
    project.write("app/__init__.py", "")
    project.write("app/models.py", "")
    project.write("app/migrations/__init__.py", "")
    return project
