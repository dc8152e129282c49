"""Many schemas, many models, many partitions, several databases: how the commands grow.

Each command runs in a process of its own, in a project that is made for it. Reported are its
seconds, its greatest memory, and that of its database connections; and the exponent with which the
seconds grow with the number of schemas or models: 1 is linear.
"""

import json
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lines import NONE, OURS, Line, exponent, grown
from measure import Scale
from subject import Chart, Finding, Subject, Table

JOBS = 2
MAKEMIGRATIONS_UP_TO = 1000
MANAGE = """
import json, os, resource, sys, threading, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
begin = time.monotonic()
import django
django.setup()
from django.core.management import call_command
started = time.monotonic() - begin
backends, done = [0], threading.Event()

def watch():
    import psycopg
    from django.conf import settings
    entry = settings.DATABASES["default"]
    with psycopg.connect(dbname=entry["NAME"], user=entry["USER"], host=entry["HOST"],
                         port=entry["PORT"], autocommit=True, **entry["OPTIONS"]) as connection:
        while not done.wait(0.2):
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'scale'").fetchall()
            kib = 0
            for (pid,) in rows:
                try:
                    text = open(f"/proc/{pid}/smaps_rollup").read()
                except OSError:
                    continue
                kib += int(text.split("Private_Dirty:")[1].split()[0])
            backends[0] = max(backends[0], kib)

watcher = threading.Thread(target=watch, daemon=True)
watcher.start()
begin = time.monotonic()
with open(os.devnull, "w") as nowhere:
    call_command(*sys.argv[1:], stdout=nowhere, stderr=nowhere)
seconds = time.monotonic() - begin
done.set()
watcher.join()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([started, seconds, peak / 1024, backends[0] / 1024]))
"""


class Run(NamedTuple):
    """What one command took: seconds to start and to run, MiB of it and of its backends."""

    started: float
    seconds: float
    memory: float
    backends: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.memory:.0f} + {self.backends:.0f} MiB"


class Project:
    """A Django project in a directory of its own.

    Args:
        directory: where.
        databases: the entries of its settings.
        models: the text of its models.
    """

    def __init__(self, directory: Path, databases: dict[str, Any], models: str) -> None:
        self.directory = directory
        (directory / "tenants").mkdir(exist_ok=True)
        (directory / "tenants/__init__.py").touch()
        (directory / "tenants/models.py").write_text(textwrap.dedent(models))
        (directory / "manage.py").write_text(MANAGE)
        (directory / "settings.py").write_text(
            f"DATABASES = {databases!r}\n"
            "for entry in DATABASES.values():\n"
            "    entry['OPTIONS']['application_name'] = 'scale'\n"
            "INSTALLED_APPS = ['pgtrigger', 'tenants']\n"
            "DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\nUSE_TZ = True\n"
        )

    def manage(self, *arguments: str) -> Run:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return Run(*json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def new_databases(number: int) -> Iterator[dict[str, Any]]:
    """Entries of settings for databases that exist as long as the block."""
    from django.db import connection  # noqa: PLC0415  # it wants the settings

    names = [f"scale_{uuid.uuid4().hex[:12]}" for _ in range(number)]
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE DATABASE {name}")
    keys = ("ENGINE", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    entry = {key: connection.settings_dict[key] for key in keys}
    try:
        yield {
            alias: {**entry, "OPTIONS": {**entry["OPTIONS"]}, "NAME": name}
            for alias, name in zip(["default", *map(str, range(1, number))], names, strict=True)
        }
    finally:
        with connection.cursor() as cursor:
            for name in names:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def execute(entry: dict[str, Any], *statements: str) -> None:
    """Run statements in a database, each in a transaction of its own."""
    import psycopg  # noqa: PLC0415  # not needed to list the subjects

    with psycopg.connect(
        dbname=entry["NAME"], user=entry["USER"], host=entry["HOST"], autocommit=True,
        port=entry["PORT"], **entry["OPTIONS"],
    ) as connection:  # fmt: skip
        for statement in statements:
            connection.execute(statement)


def tenant_models(triggers: int) -> str:
    return f"""
        import pgtrigger
        from django.db import models

        class Order(models.Model):
            state = models.CharField(max_length=20, default="")

            class Meta:
                triggers = [
                    pgtrigger.Protect(
                        name=f"keep_{{number}}",
                        operation=pgtrigger.Delete,
                        condition=pgtrigger.Q(old__state=str(number)),
                    )
                    for number in range({triggers})
                ]
    """


def many_schemas(scale: Scale, directory: Path) -> Iterator[Finding]:
    """ls, check and install over all schemas of a server."""
    triggers = scale.pick(50, 3)
    sizes = scale.pick([10, 30, 100], [2, 6], [10, 100, 300, 1000])
    commands = {
        "install": ("pgtrigger", "install", "--all-schemas", "--jobs", str(JOBS)),
        "install, nothing to do": ("pgtrigger", "install", "--all-schemas", "--jobs", str(JOBS)),
        "ls": ("pgtrigger", "ls", "--all-schemas"),
        "check": ("pgtrigger", "check", "--all-schemas"),
    }
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for size in sizes:
        with new_databases(1) as databases:
            execute(
                databases["default"],
                "DO $$BEGIN FOR n IN 1.." + str(size) + " LOOP"
                " EXECUTE format('CREATE SCHEMA tenant_%s', n);"
                " EXECUTE format('CREATE TABLE tenant_%s.tenants_order"
                " (id bigserial PRIMARY KEY, state varchar(20))', n);"
                " COMMIT; END LOOP; END$$",
            )
            project = Project(directory, databases, tenant_models(triggers))
            for name, command in commands.items():
                runs[name].append(project.manage(*command))
    headings = ["command", *(f"{size:,} schemas" for size in sizes)]
    rows = [[name, *map(str, found)] for name, found in runs.items()]
    yield Table(f"Schemas with {triggers} triggers each", headings, rows)
    points = {
        name: [(size, run.seconds) for size, run in zip(sizes, found, strict=True)]
        for name, found in runs.items()
    }
    for name, found in points.items():
        yield grown(f"{name}, growth with the schemas", sizes, exponent(found), bar=None)
    yield Chart("Commands on many schemas", "schemas", "seconds", points)


def many_models(scale: Scale, directory: Path) -> Iterator[Finding]:
    """Start-up, check and makemigrations with many models of one trigger each."""
    models = """
        import pgtrigger
        from django.db import models

        for number in range({number}):
            class Meta:
                triggers = [pgtrigger.Protect(name="keep", operation=pgtrigger.Delete)]

            if not {triggers}:
                Meta.triggers = []
            values = {{"__module__": __name__, "Meta": Meta, "n": models.IntegerField()}}
            type(f"Model{{number}}", (models.Model,), values)
    """
    sizes = scale.pick([1000, 3000], [20, 60], [1000, 3000, 10_000])
    with new_databases(1) as databases:
        for size in sizes:
            runs = []
            for triggers in (False, True):
                text = models.format(number=size, triggers=triggers)
                project = Project(directory, databases, text)
                checked = project.manage("check")
                # Django's own autodetector takes seconds that grow with the square of the models.
                made = None
                if size <= MAKEMIGRATIONS_UP_TO:
                    made = project.manage("makemigrations", "tenants", "--dry-run", "-v", "0")
                runs.append((checked, made))
            (plain, plainly_made), (ours, made) = runs
            yield Line(
                f"start-up, {size:,} models",
                NONE,
                f"{plain.started:.1f} s, {plain.memory:.0f} MiB",
                value=f"{ours.started:.1f} s, {ours.memory:.0f} MiB",
                ratio=ours.started / plain.started,
            )
            yield beside(f"check, {size:,} models", plain, ours)
            if made and plainly_made:
                yield beside(f"makemigrations, {size:,} models", plainly_made, made)


def beside(case: str, plain: Run, ours: Run) -> Line:
    """A command with triggers beside the same without."""
    ratio = ours.seconds / plain.seconds
    return Line(case, NONE, str(plain), value=str(ours), ratio=ratio)


def many_partitions(scale: Scale, directory: Path) -> Iterator[Finding]:
    """Installing on a partitioned table, and what a row then costs."""
    rows = scale.pick(100_000, 1000)
    installed = []
    for parts in scale.pick([1, 10, 100], [1, 5]):
        with new_databases(1) as databases:
            entry = databases["default"]
            step = rows // parts + 1
            execute(
                entry,
                "CREATE TABLE tenants_order (id bigint PRIMARY KEY, state varchar(20))"
                " PARTITION BY RANGE (id)",
                *(
                    f"CREATE TABLE part_{n} PARTITION OF tenants_order"
                    f" FOR VALUES FROM ({n * step}) TO ({(n + 1) * step})"
                    for n in range(parts)
                ),
            )
            project = Project(directory, databases, tenant_models(scale.pick(5, 2)))
            insert = (
                f"INSERT INTO tenants_order SELECT n, '' FROM generate_series(0, {rows - 1}) AS n"
            )
            begin = time.perf_counter()
            execute(entry, insert, "DELETE FROM tenants_order")
            without = time.perf_counter() - begin
            run = project.manage("pgtrigger", "install")
            begin = time.perf_counter()
            execute(entry, insert.replace("''", "'none'"), "DELETE FROM tenants_order")
            with_triggers = time.perf_counter() - begin
            installed.append([str(parts), str(run)])
            yield Line(
                f"insert and delete a row, {parts} partitions",
                NONE,
                f"{without / rows * 1e6:.1f} µs",
                value=f"{with_triggers / rows * 1e6:.1f} µs",
                ratio=with_triggers / without,
            )
    yield Table("Installing on a partitioned table", ["partitions", "install"], installed)


def several_databases(scale: Scale, directory: Path) -> Iterator[Finding]:
    """Installing in four databases, one after the other and at the same time."""
    schemas = scale.pick(20, 2, 50)
    runs = []
    for jobs in ("1", "4"):
        with new_databases(4) as databases:
            for entry in databases.values():
                execute(
                    entry,
                    *(
                        f"CREATE SCHEMA t{n} CREATE TABLE tenants_order"
                        " (id bigserial PRIMARY KEY, state varchar(20))"
                        for n in range(schemas)
                    ),
                )
            project = Project(directory, databases, tenant_models(scale.pick(10, 2)))
            command = ["pgtrigger", "install", "--database", "all", "--all-schemas"]
            runs.append((jobs, project.manage(*command, "--jobs", jobs)))
    (_, one), (_, four) = runs
    yield Line(
        f"install in 4 databases of {schemas} schemas, --jobs 4",
        "--jobs 1",
        str(one),
        value=str(four),
        ratio=four.seconds / one.seconds,
    )


def run(scale: Scale) -> Iterator[Finding]:
    """All of it, in folders and databases of its own."""
    for part in (many_schemas, many_models, many_partitions, several_databases):
        with tempfile.TemporaryDirectory() as directory:
            yield from part(scale, Path(directory))


SUBJECT = Subject(
    title="Scale",
    about="""
Each command runs in a process of its own, in a project that is made for it. Told are its seconds,
the greatest memory that it had, and what its connections had of the server's.

- **Schemas**: each has one table with 50 triggers; the commands work on all of them. They are
  compared with linear growth, for which the exponent is 1.
- **Models** of one trigger each, beside the same models without.
- **Partitions**: 5 row-level triggers on one table; the rows beside the same rows without.
- **Databases**: four, one after the other and at the same time.

`--full` goes to 1,000 schemas and 10,000 models.
""",
    unit="seconds of wall time, MiB of the command + MiB of its connections on the server",
    contenders=(NONE, OURS),
    bar="none",
    run=run,
)
