"""Projects whose processes meet on one server, and other people's transactions in their way."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest

from project.connections import connect
from project.sites import MANAGE, PATIENCE, Project, Running
from reliability.durable import DurableServer

# The processes of a race connect, and start together when the test lets go of this lock.
STARTING_LINE = 20_260_101

# Knobs that a test turns for one process.
KNOBS = """
    if os.environ.get("LOCK_TIMEOUT"):
        PGTRIGGER_LOCK_TIMEOUT = os.environ["LOCK_TIMEOUT"]
    PGTRIGGER_INSTALL_ON_MIGRATE = "INSTALL_ON_MIGRATE" in os.environ
    if os.environ.get("ISOLATION_LEVEL"):
        DATABASES["default"]["OPTIONS"]["isolation_level"] = int(os.environ["ISOLATION_LEVEL"])
"""

RACER = f"""
    import sys

    import django
    from django.core.management import execute_from_command_line
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    django.setup()
    # What takes long is done before the start, so that nobody is ahead of the others.
    MigrationLoader(None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared({STARTING_LINE})")
        cursor.execute("SELECT pg_advisory_unlock_shared({STARTING_LINE})")
    execute_from_command_line(sys.argv)
"""

FINGERPRINT = """
    SELECT c.relname::text, t.tgname::text, t.oid::bigint, t.xmin::text, t.tgenabled::text,
           pg_get_triggerdef(t.oid), obj_description(t.oid, 'pg_trigger'),
           p.proname::text, p.oid::bigint, p.xmin::text, p.prosrc,
           obj_description(p.oid, 'pg_proc')
      FROM pg_proc p
      LEFT JOIN pg_trigger t ON t.tgfoid = p.oid AND NOT t.tgisinternal
      LEFT JOIN pg_class c ON c.oid = t.tgrelid
     WHERE t.oid IS NOT NULL OR p.proname LIKE 'pgtrigger%'
     ORDER BY 1, 2, 8
"""


def eventually(probe: Callable[[], Any], what: str) -> Any:
    """The first answer of ``probe`` that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.01)
    return answer


class Session:
    """A connection of its own, as some other user of the database has it."""

    def __init__(self, url: str) -> None:
        self.connection = connect(url)
        [(self.pid,)] = self.sql("SELECT pg_backend_pid()")

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Run a statement, in the transaction that a BEGIN before it has opened."""
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def sessions(self, condition: str) -> list[tuple[Any, ...]]:
        """``(pid, query)`` of the others in this database that meet a condition."""
        # A transaction sees the sessions that were there when it first looked, until told to forget.
        self.sql("SELECT pg_stat_clear_snapshot()")
        return self.sql(f"""
            SELECT pid, query FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> {self.pid} AND ({condition})
        """)

    def waiting(self) -> list[tuple[Any, ...]]:
        """``(pid, locktype, relation, mode)`` of all in this database who wait for a lock."""
        self.sql("SELECT pg_stat_clear_snapshot()")
        return self.sql("""
            SELECT a.pid, l.locktype, l.relation::regclass::text, l.mode
              FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND NOT l.granted
             WHERE a.datname = current_database() AND a.wait_event_type = 'Lock'
        """)

    def blocked(self) -> list[tuple[Any, ...]]:
        """Of `waiting`, those who wait for this session."""
        return [
            row
            for row in self.waiting()
            if self.sql(f"SELECT {self.pid} = ANY(pg_blocking_pids({row[0]}))") == [(True,)]
        ]

    def someone_blocked(self) -> tuple[Any, ...]:
        """Wait until somebody waits for this session, and give that row of `waiting`."""
        [row] = eventually(self.blocked, f"somebody to wait for session {self.pid}")
        return row

    def close(self) -> None:
        self.connection.close()


class Site(Project):
    """A `Project` on a database that many sessions use at once."""

    @contextmanager
    def session(self, *statements: str) -> Iterator[Session]:
        """A session that has run these statements."""
        with closing(Session(self.url)) as session:
            for statement in statements:
                session.sql(statement)
            yield session

    @contextmanager
    def background(self) -> Iterator[Callable[..., Running]]:
        """What starts ``manage.py`` in the background until the end of the block."""
        with ExitStack() as undo:
            yield lambda *args, **env: undo.enter_context(
                closing(self.start("manage.py", *args, **env))
            )

    def race(
        self, *commands: tuple[str, ...], exits: int | None = 0, **env: str
    ) -> list[CompletedProcess[str]]:
        """Run ``manage.py`` with each of these at the same moment, in a process for each."""
        self.write("race.py", RACER)
        with (
            ExitStack() as undo,
            self.session(f"SELECT pg_advisory_lock({STARTING_LINE})") as starter,
        ):
            racers = [
                undo.enter_context(closing(self.start("race.py", *command, **env)))
                for command in commands
            ]

            def lined_up() -> bool:
                # One that fell before the start ends the race, and says why.
                assert not any(racer.done() and racer.result() for racer in racers)
                return len(starter.blocked()) == len(commands)

            eventually(lined_up, "everybody at the starting line")
            starter.sql(f"SELECT pg_advisory_unlock({STARTING_LINE})")
            return [racer.result(exits) for racer in racers]

    def status(self) -> set[str]:
        """The distinct states that ``pgtrigger ls`` tells, without the URIs."""
        lines = self.manage("pgtrigger", "ls").stdout.splitlines()
        return {" ".join(line.split()[:2]) for line in lines}

    def fingerprint(self) -> list[tuple[Any, ...]]:
        """All triggers and functions with the transactions that last wrote them."""
        return self.sql(FINGERPRINT)

    def report(self, source: str, **env: str) -> Any:
        """Run Python in the project, and give what it writes to standard output as JSON."""
        self.write("report.py", source)
        return json.loads(self.python("report.py", **env).stdout)


def make_site(directory: Path, url: str) -> Site:
    """A new project on a database."""
    site = Site(directory, url)
    site.furnish()
    site.settings(KNOBS)
    return site


@contextmanager
def new_database(server_url: str, template: str | None = None) -> Iterator[str]:
    """A database of its own, empty or a copy of another."""
    name = f"reliability_{uuid.uuid4().hex}"
    copied = f" TEMPLATE {urlsplit(template).path[1:]}" if template else ""
    with closing(connect(server_url)) as administration, administration.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}{copied}")
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def site(tmp_path: Path, empty_database: str) -> Site:
    """A new project with an app ``app`` that has no models yet."""
    return make_site(tmp_path, empty_database)


@pytest.fixture(scope="session")
def durable() -> Iterator[DurableServer]:
    """A server that may be killed."""
    # Not below pytest's own directory: every pytest that starts makes that one private again, and
    # for root the server runs as another user.
    with TemporaryDirectory(prefix="durable-") as directory:
        durable = DurableServer(Path(directory))
        with closing(Session(durable.url)) as session:
            assert session.sql("SHOW fsync") == [("on",)]
            assert session.sql("SHOW synchronous_commit") == [("on",)]
        yield durable
        durable.server.stop()


@pytest.fixture(scope="session")
def furnished(durable: DurableServer, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The project `reliability.depot` on a database of that server, which others are copied from."""
    with closing(Session(durable.url)) as administration:
        administration.sql("CREATE DATABASE depot")
    url = urlsplit(durable.url)._replace(path="/depot").geturl()
    site = Site(tmp_path_factory.mktemp("depot"), url)
    site.write("settings.py", "from reliability.depot.settings import *")
    site.write("manage.py", MANAGE)
    site.manage("migrate", "--run-syncdb", "-v0")
    return site


@pytest.fixture
def depot(furnished: Site, durable: DurableServer) -> Site:
    """That project on a copy of its database, which nobody needs to drop."""
    name = f"depot_{uuid.uuid4().hex}"
    with closing(Session(durable.url)) as administration:
        administration.sql(f"CREATE DATABASE {name} TEMPLATE depot")
    url = urlsplit(durable.url)._replace(path=f"/{name}").geturl()
    return Site(furnished.directory, url)
