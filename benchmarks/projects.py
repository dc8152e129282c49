"""Generated Django projects of a size that nobody writes for a benchmark."""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from django.db import connection
from environments import clean_environment
from lines import OURS
from peers import peer_environment
from session import execute

SETTINGS = """
    DATABASES = {{"default": {database!r}}}
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    INSTALLED_APPS = ["pgtrigger", "shop"]
    SECRET_KEY = "for a benchmark only"
    USE_TZ = True
"""
MODEL = """
    class Model{number}(models.Model):
        status = models.CharField(max_length=20)
        owner = models.IntegerField(null=True)
        amount = models.IntegerField(default=0)
        version = models.IntegerField(default=0)
        created_at = models.DateTimeField(auto_now_add=True)

        class Meta:
            triggers = [{triggers}]

"""
KINDS = (
    'pgtrigger.Protect(name="{name}", operation=pgtrigger.Delete)',
    'pgtrigger.ReadOnly(name="{name}", fields=["owner", "created_at"])',
    (
        'pgtrigger.Trigger(name="{name}", when=pgtrigger.Before, operation=pgtrigger.Update, '
        'condition=pgtrigger.AnyChange("amount"), '
        'func="NEW.version = NEW.version + 1; RETURN NEW;")'
    ),
    (
        'pgtrigger.Protect(name="{name}", operation=pgtrigger.Update, '
        'condition=pgtrigger.Q(old__status="sent", new__amount__lt=0))'
    ),
)


# Both packages read the same models.
PEER = "django-pgtrigger"


def contenders() -> tuple[str, ...]:
    """Ours, and the peer where an index can be reached."""
    return (OURS,) if peer_environment(PEER) is None else (OURS, PEER)


@dataclass(frozen=True)
class Project:
    """A Django project in a directory, with a database of its own.

    Args:
        directory: where it is.
        database: the name of its database.
        contender: whose pgtrigger it runs with.
    """

    directory: Path
    database: str
    contender: str = OURS

    def of(self, contender: str) -> "Project":
        """The same, run with this contender's package."""
        return replace(self, contender=contender)

    def write(self, *, models: int, triggers: int, name: str = "model{number}_{index}") -> None:
        """Write its models, with so many triggers of the usual kinds in all."""
        shop = self.directory / "shop"
        shutil.rmtree(shop, ignore_errors=True)
        shop.mkdir()
        (shop / "__init__.py").touch()
        text = ["from django.db import models\n\nimport pgtrigger\n\n"]
        for number in range(models):
            declared = ", ".join(
                KINDS[index % len(KINDS)].format(name=name.format(number=number, index=index))
                for index in range(triggers // models + (number < triggers % models))
            )
            text.append(textwrap.dedent(MODEL).format(number=number, triggers=declared))
        (shop / "models.py").write_text("".join(text))

    def forget_migrations(self) -> None:
        """Back to an app that is about to have its first migration, and to an empty database."""
        migrations = self.directory / "shop" / "migrations"
        shutil.rmtree(migrations, ignore_errors=True)
        migrations.mkdir()
        (migrations / "__init__.py").touch()
        self.empty_database()

    def empty_database(self) -> None:
        execute(
            f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)",
            f"CREATE DATABASE {self.database}",
        )

    def interpreter(self) -> tuple[str, dict[str, str]]:
        """The Python that the project runs with, and its environment variables."""
        settings = {"DJANGO_SETTINGS_MODULE": "settings"}
        if self.contender == OURS:
            return sys.executable, {**os.environ, **settings}
        return str(peer_environment(self.contender)), {**clean_environment(), **settings}

    def python(self, *args: str) -> str:
        """Run Python in the project and give what it prints."""
        python, environment = self.interpreter()
        result = subprocess.run(
            [python, *args],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise RuntimeError(f"{args} failed:\n{result.stdout}{result.stderr}")
        return result.stdout


def server_url(database: str | None = None) -> str:
    """The URL of a database of the server, by default of the one that benchmarks are run in."""
    known = connection.settings_dict
    return "postgresql://{user}:{password}@/{database}?host={host}&port={port}".format(
        **{key: connection.get_connection_params().get(key, "") for key in ("user", "password")},
        database=known["NAME"] if database is None else database,
        host=known["HOST"],
        port=known["PORT"],
    )


@contextmanager
def projects(*names: str, contender: str = OURS) -> Iterator[dict[str, Project]]:
    """Projects in a temporary directory."""
    given = connection.settings_dict
    names_of = ("ENGINE", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    server = {name: given[name] for name in names_of}
    made = {}
    with tempfile.TemporaryDirectory(prefix="pgtrigger-benchmark-") as directory:
        for name in names:
            database = f"benchmark_{name}"
            made[name] = Project(Path(directory, name), database, contender)
            made[name].directory.mkdir()
            settings = textwrap.dedent(SETTINGS).format(database={**server, "NAME": database})
            (made[name].directory / "settings.py").write_text(settings)
        try:
            yield made
        finally:
            for project in made.values():
                execute(f"DROP DATABASE IF EXISTS {project.database} WITH (FORCE)")
