"""Django projects in temporary directories, driven as a user drives them.

Their processes are forked from one that has imported Django, which would take most of their time.
"""

import multiprocessing
import os
import tempfile
import textwrap
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from project import forked
from project.connections import connect

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(forked.PRELOAD)

# Long enough for a machine that is busy with something else; nothing ever waits this long.
PATIENCE = 60

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


class Running:
    """A process of a project that may still run."""

    def __init__(
        self, directory: Path, env: dict[str, str], argv: tuple[str, ...], answers: str = ""
    ) -> None:
        self.argv = argv
        self.output = tempfile.mkdtemp(prefix="output-", dir=directory)
        paths = [f"{self.output}/{name}" for name in ("stdin", "stdout", "stderr")]
        Path(paths[0]).write_text(answers)
        self.process = FORKS.Process(target=forked.run, args=(directory, env, argv, paths))
        self.process.start()

    def done(self) -> bool:
        """Whether it has ended."""
        return self.process.exitcode is not None

    def result(self, exits: int | None = 0) -> CompletedProcess[str]:
        """Wait for its end. Raises `AssertionError` with its output if it ended otherwise."""
        self.process.join(PATIENCE)
        code = self.process.exitcode
        stdout, stderr = (Path(self.output, name).read_text() for name in ("stdout", "stderr"))
        if code is None or exits not in (None, code):
            raise AssertionError(
                f"{' '.join(self.argv)} ended with {code} instead of {exits}\n"
                f"--- stdout\n{stdout}\n--- stderr\n{stderr}"
            )
        return CompletedProcess([*self.argv], code, stdout, stderr)

    def close(self) -> None:
        """End it, if a test that failed has left it behind."""
        self.process.kill()
        self.process.join()


@dataclass(frozen=True)
class Project:
    """A Django project with one app, named ``app``, on a database of its own.

    Attributes:
        directory: Where manage.py and settings.py lie.
        url: The database.
    """

    directory: Path
    url: str

    def furnish(self) -> None:
        """Write what a new project consists of."""
        self.write("settings.py", SETTINGS)
        self.write("manage.py", MANAGE)
        self.write("app/__init__.py", "")
        self.write("app/models.py", "")
        self.write("app/migrations/__init__.py", "")

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

    def start(self, *args: str, **env: str) -> Running:
        """Start Python with these arguments in the project, in a process of its own."""
        ours = {"DATABASE_URL": self.url, "DJANGO_SETTINGS_MODULE": "settings"}
        return Running(self.directory, {**os.environ, **ours, **env}, args)

    def python(self, *args: str, exits: int | None = 0, **env: str) -> CompletedProcess[str]:
        """Run Python with these arguments in the project.

        Args:
            exits: The exit code that is expected; None for any.
            env: More environment variables.

        Raises:
            AssertionError: It ended otherwise. The message has all of its output.
        """
        with closing(self.start(*args, **env)) as running:
            return running.result(exits)

    def manage(self, *args: str, exits: int | None = 0, **env: str) -> CompletedProcess[str]:
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
