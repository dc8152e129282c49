"""A temporary Django project that lives through several versions of its models.

Two apps get the same models: "strict" keeps Django's `atomic = True` in its migrations, "loose"
sets it to False.
All that happens to one version of the models happens in one process, forked from one that has
imported Django but knows no settings: importing it anew took most of the time.
"""

import contextlib
import os
import pty
import subprocess
import sys
import textwrap

from django.db.backends.postgresql.base import Database

from contract import driver
from project.connections import connect
from project.sites import FORKS

APPS = ("strict", "loose")

INSTALLED = """
    SELECT relname, tgname, pg_get_triggerdef(t.oid)
    FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal
"""


def named(rows):
    return {(table, "_".join(name.split("_")[1:-1])): sql for table, name, sql in rows}


SETTINGS = """
import os
from pgtrigger.testing import database_settings

INSTALLED_APPS = ["pgtrigger", {apps}]
DATABASES = {{"default": database_settings(os.environ["DATABASE_URL"]{engine})}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""


class Evolution:
    """Drives the project by files and commands, and looks into its database."""

    def __init__(self, directory, url):
        self.directory = directory
        self.url = url
        self.add_apps(*APPS)

    def write(self, path, text):
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    def add_apps(self, *names, engine=None, migrated=True):
        for name in names:
            self.write(f"{name}/__init__.py", "")
            self.write(f"{name}/models.py", "")
            if migrated:
                self.write(f"{name}/migrations/__init__.py", "")
        found = sorted(path.parent.name for path in self.directory.glob("*/models.py"))
        engine = f", ENGINE={engine!r}" if engine else ""
        self.write("settings.py", SETTINGS.format(apps=", ".join(map(repr, found)), engine=engine))

    def models(self, source, *names):
        """Replaces models.py of these apps, or of both; APP stands for the app's label."""
        for name in names or APPS:
            imports = "import pgtrigger\nfrom django.db import models\n\n"
            self.write(f"{name}/models.py", imports + textwrap.dedent(source).replace("APP", name))

    def environment(self, **more):
        return {
            **os.environ,
            "DATABASE_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }

    def manage(self, *args):
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "django", *args],
            cwd=self.directory,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def on_a_terminal(self, *args):
        """What a Django command shows on a terminal."""
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "rb", buffering=0) as screen:
            process = subprocess.Popen(
                [sys.executable, "-m", "django", *args],
                cwd=self.directory,
                env=self.environment(TERM="xterm-256color", NO_COLOR="", DJANGO_COLORS="dark"),
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
            )
            os.close(theirs)
            shown = b""
            with contextlib.suppress(OSError):  # Linux says so at the end of a terminal
                while chunk := screen.read(4096):
                    shown += chunk
            process.wait()
        return shown.decode()

    def run(self, *actions):
        """Does these things in one process, in this order, and reports the state afterwards."""
        ours, theirs = FORKS.Pipe()
        process = FORKS.Process(
            target=driver.run, args=(self.directory, self.environment(), actions, theirs)
        )
        process.start()
        theirs.close()
        try:
            report = ours.recv()
        except EOFError:
            report = f"the process ended with {process.exitcode}"
        process.join()
        assert isinstance(report, dict), f"{actions}\n{report}"
        return report

    def evolve(self, source, *, files=1, apps=APPS):
        """The next version of the models: what every change of triggers must come to.

        Exactly `files` new migrations in each app and nowhere else, none the second time, and after
        `migrate` every registered trigger is installed and nothing is left over.
        """
        if source is not None:
            self.models(source, *apps)
        report = self.run(["makemigrations"], ["migrate"])
        assert sorted(path.split("/")[0] for path in report["new"]) == sorted(apps * files)
        assert report["again"] == []
        assert {tuple(status) for status in report["status"].values()} <= {("INSTALLED", True)}
        assert report["prunable"] == []
        return report

    def sql(self, query):
        connection = connect(self.url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def triggers(self):
        """All that is installed: `{(table, name without prefix and hash): definition}`."""
        return named(self.sql(INSTALLED))

    def migrate_to(self, *targets, apps=APPS):
        """Migrates the apps to one migration after the other; what is installed each time."""
        actions = []
        for target in targets:
            actions += [["migrate", app, target] for app in apps] + [["snapshot", INSTALLED]]
        return [named(rows) for rows in self.run(*actions)["snapshots"]]

    def functions(self):
        rows = self.sql("SELECT proname FROM pg_proc WHERE prorettype = 'trigger'::regtype")
        return [name for (name,) in rows if name.startswith("pgtrigger")]

    def refuses(self, sql, match):
        """The database refuses a statement with this text."""
        try:
            self.sql(sql)
        except Database.Error as error:
            return match in str(error)
        return False
