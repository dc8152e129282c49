"""Who waits while a trigger is changed: tried, and read from pg_locks."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection
from environments import clean_environment
from lines import HAND, OURS, Line
from lock_changes import CHANGED, CHANGES, OTHER, OTHER_BY_HAND, SWITCH, Change, declaration
from measure import Scale
from peers import database_variables, peer_environment
from session import execute
from subject import Finding, Subject
from subject import Table as Findings
from tables import Table

PEER = "django-pgtrigger"
WORKER = Path(__file__).with_name("lock_worker.py")
# A reader needs this one; so does whoever looks at the table's definition.
OF_READERS = "AccessShareLock"
PROBES = {
    "a reader": f"SELECT count(*) FROM {CHANGED}",
    "a writer": f"UPDATE {CHANGED} SET amount = 1 WHERE id = 1",
    "CREATE INDEX CONCURRENTLY": f"CREATE INDEX CONCURRENTLY lock_index ON {CHANGED} (amount)",
}
INSTALLER = "an install on another table"


class Worker:
    """A session that changes triggers with one of the packages."""

    def __init__(self, contender: str, timeout: str) -> None:
        ours = contender == OURS
        python = sys.executable if ours else str(peer_environment(contender))
        self._process = subprocess.Popen(
            [python, str(WORKER), timeout],
            env={**clean_environment(), **database_variables()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()

    def ask(self, do: str, **order: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps({'do': do, **order})}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Seen(NamedTuple):
    """What a change locks on its table, and who has to wait for it."""

    locks: list[str]
    waiting: list[str]

    @property
    def of_the_table(self) -> list[str]:
        """Who waits, without other installers."""
        return [who for who in self.waiting if who != INSTALLER]


def run(scale: Scale) -> Iterator[Finding]:
    timeout = scale.pick("200ms", "50ms")
    packages = (OURS,) if peer_environment(PEER) is None else (OURS, PEER)
    seen: dict[tuple[str, str], Seen] = {}
    with ExitStack() as stack:
        # All are started before the first is asked, and start meanwhile.
        workers = {
            contender: [stack.enter_context(Worker(contender, timeout)) for _ in range(2)]
            for contender in packages
        }
        for name, change in CHANGES.items():
            prepare(change.hand_before)
            seen[name, HAND] = by_hand(change, timeout)
        for contender in packages:
            for name, change in CHANGES.items():
                seen[name, contender] = by_package(change, *workers[contender], timeout)
    execute(*(f"DROP TABLE {table} CASCADE" for table in (CHANGED, OTHER)))
    for (name, contender), found in seen.items():
        if contender == OURS:
            yield judged(name, HAND, seen[name, HAND], found, bar=0)
            if (name, PEER) in seen:
                yield judged(name, PEER, seen[name, PEER], found, bar=None)
    yield who_waits(seen)


def judged(name: str, baseline: str, base: Seen, ours: Seen, bar: float | None) -> Line:
    """How many more have to wait: of those who use the table, or of all beside the peer."""
    sides = [each.of_the_table if baseline == HAND else each.waiting for each in (base, ours)]
    return Line(
        name,
        baseline,
        f"{len(sides[0])} have to wait",
        OURS,
        f"{len(sides[1])} have to wait",
        ratio=len(sides[1]) - len(sides[0]),
        bar=bar,
        kind="more",
    )


def who_waits(seen: dict[tuple[str, str], Seen]) -> Findings:
    names = [*PROBES, INSTALLER]
    return Findings(
        "Who waits",
        ["change", "by", "locks on the table", *names],
        [
            [
                name,
                contender,
                ", ".join(found.locks) or "none",
                *("waits" if who in found.waiting else "goes on" for who in names),
            ]
            for name in CHANGES
            for (changed, contender), found in seen.items()
            if changed == name
        ],
    )


def prepare(statements: list[str]) -> None:
    """Fresh tables, the first with these triggers."""
    for table in (CHANGED, OTHER):
        execute(f"DROP TABLE IF EXISTS {table}")
        Table(table, 10).create()
    execute("DROP FUNCTION IF EXISTS by_hand_lock", *statements)


def by_hand(change: Change, timeout: str) -> Seen:
    if change.disabled:
        execute(SWITCH.format("DISABLE"))
    with session() as changing, session(lock_timeout=timeout) as another:
        changing.execute("BEGIN")
        for statement in change.hand:
            changing.execute(statement)
        seen = look(changing.info.backend_pid, timeout)
        another.execute("BEGIN")
        if waits(another, *OTHER_BY_HAND):
            seen.waiting.append(INSTALLER)
        another.execute("ROLLBACK")
        changing.execute("ROLLBACK")
    return seen


def by_package(change: Change, changing: Worker, another: Worker, timeout: str) -> Seen:
    prepare([])
    if change.before is not None:
        done = ["install", "disable"] if change.disabled else ["install"]
        for action in done:
            changing.ask("commit", action=action, table=CHANGED, declaration=change.before)
    order = {"action": change.action, "table": CHANGED, "declaration": change.after}
    seen = look(changing.ask("change", **order)["pid"], timeout)
    tried = another.ask("try", action="install", table=OTHER, declaration=declaration())
    if tried["waits"]:
        seen.waiting.append(INSTALLER)
    changing.ask("rollback")
    return seen


def look(pid: int, timeout: str) -> Seen:
    """What the session with this pid has locked, and who of PROBES waits for it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT mode FROM pg_catalog.pg_locks WHERE pid = %s AND granted"
            " AND relation = pg_catalog.to_regclass(%s) AND mode <> %s ORDER BY mode",
            [pid, CHANGED, OF_READERS],
        )
        locks = [mode for (mode,) in cursor.fetchall()]
    with session(lock_timeout=timeout) as trying:
        waiting = [name for name, statement in PROBES.items() if waits(trying, statement)]
    return Seen(locks, waiting)


def waits(session: Any, *statements: str) -> bool:
    """Whether one of the statements has to wait for a lock."""
    from psycopg.errors import LockNotAvailable  # noqa: PLC0415  # the driver may be another

    try:
        for statement in statements:
            session.execute(statement)
    except LockNotAvailable:
        return True
    return False


@contextmanager
def session(**options: str) -> Iterator[Any]:
    """Another session on the database, in autocommit."""
    with ExitStack() as stack:
        other = connection.copy()
        stack.callback(other.close)
        other.ensure_connection()
        other.set_autocommit(True)
        for name, value in options.items():
            other.connection.execute(f"SET {name} = '{value}'")
        yield other.connection


SUBJECT = Subject(
    title="Who waits for a change",
    about="""
Each change of a trigger is really made, in a transaction that stays open, and its locks on the
table are read from `pg_locks`. Then others try what they do every day, and give up when they have
waited 200 ms for a lock: a reader, a writer, a `CREATE INDEX CONCURRENTLY`, and another install
of the same contender on another table. By hand, the change is the statement that PostgreSQL has
for it and that locks least. A change takes milliseconds by itself; what is measured is who waits
for it to be committed.

pgtrigger lets one installer of a database work at a time, so another install waits whenever
something is changed.
""",
    unit="who has to wait: of three that use the table, and of the installer too beside the peer",
    contenders=(HAND, OURS, PEER),
    bar="nobody who uses the table waits who would not wait for the change by hand",
    run=run,
)
