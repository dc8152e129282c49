"""Sixty-four writers with everything on, and then an audit.

For two minutes: ``PGTRIGGER_LOAD_SECONDS=120 hatch run pytest tests/reliability/test_load.py``.
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from reliability.conftest import Session, new_database
from reliability.depot.audit import Audit

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("PGTRIGGER_LOAD_SECONDS", "20"))
WRITERS = 16  # of each process
SEED = int(os.environ.get("PGTRIGGER_LOAD_SEED", "0"))

PYTHONPATH = [each for each in [os.environ.get("PYTHONPATH")] if each]

# As psycopg numbers them.
REPEATABLE_READ, SERIALIZABLE = 3, 4
# How each process connects. The threads of the third share the connections of a pool.
PROCESSES = {
    "plain": ("threads", {}),
    "prepared": (
        "threads",
        {"server_side_binding": True, "prepare_threshold": 0, "isolation_level": SERIALIZABLE},
    ),
    "pool": (
        "threads",
        {
            "pool": {"min_size": 1, "max_size": 12, "timeout": 60},
            "isolation_level": REPEATABLE_READ,
        },
    ),
    "tasks": ("tasks", {}),
}

# What a broken library would do, and a word of what the audit says to it.
NO_TRIGGERS = "SET LOCAL session_replication_role = replica; "
BREAKAGES = {
    "an event was not written": (
        NO_TRIGGERS + "DELETE FROM depot_parcelevent"
        " WHERE pgh_id = (SELECT max(pgh_id) FROM depot_parcelevent)",
        "Parcel: an event is missing",
    ),
    "an event was written twice": (
        """
        CREATE TEMPORARY TABLE twice AS SELECT * FROM depot_accountevent ORDER BY pgh_id LIMIT 1;
        UPDATE twice SET pgh_id = -1;
        INSERT INTO depot_accountevent SELECT * FROM twice
        """,
        "Account: an event too many",
    ),
    "an event has the context of another writer": (
        NO_TRIGGERS
        + """
        UPDATE depot_accountevent SET pgh_context = '{"user": 99}' WHERE pgh_id = 1
        """,
        "Account: an event is missing",
    ),
    "a context of the table is another": (
        NO_TRIGGERS
        + """
        UPDATE pgtrigger_history_context SET data = data || '{"user": 99}'
         WHERE id = (SELECT max(id) FROM pgtrigger_history_context)
        """,
        "Parcel: an event is missing",
    ),
    "a context was stored for nothing": (
        """
        INSERT INTO pgtrigger_history_context (transaction, created_at, data)
        VALUES ('1', now(), '{}')
        """,
        "1 contexts without an event",
    ),
    "a context is gone": (
        NO_TRIGGERS + "DELETE FROM pgtrigger_history_context"
        " WHERE id = (SELECT max(id) FROM pgtrigger_history_context)",
        "events without their context",
    ),
    "a protected deletion got in": (
        "SET LOCAL pgtrigger.ignore = '{*}'; DELETE FROM depot_account WHERE id = 1",
        "Account 1 is gone",
    ),
    "a change was made without its event": (
        "SET LOCAL pgtrigger.ignore = '{*}'; UPDATE depot_parcel SET note = '?' WHERE id = 1",
        "Parcel 1 is",
    ),
    "what was rolled back has an event": (
        "UPDATE depot_parcel SET note = 'rolled back' WHERE id = 1",
        "Parcel: an event too many",
    ),
}


@pytest.fixture
def depot(server):
    """A database with the tables and triggers of the depot."""
    with new_database(server.url) as url:
        subprocess.run(
            [*python("django"), "migrate", "--run-syncdb", "-v0"], env=env(url), check=True
        )
        yield url


def python(module):
    return [sys.executable, "-W", "error", "-m", module]


def env(url, **options):
    return {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "reliability.depot.settings",
        "DEPOT_OPTIONS": json.dumps(options),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *PYTHONPATH]),
        "PGOPTIONS": "-c deadlock_timeout=100ms",
    }


def writers(undo, url, way, first, count, options):
    """Start a process of writers."""
    arguments = [way, str(first), str(count), str(SECONDS), str(SEED)]
    process = subprocess.Popen(
        [*python("reliability.depot.load"), *arguments],
        env=env(url, **options),
        stdout=subprocess.PIPE,
        text=True,
    )
    undo.callback(process.wait)
    undo.callback(process.kill)
    return process


def report(process):
    """What a process tells when it has ended."""
    out, _ = process.communicate(timeout=SECONDS + 120)
    assert process.returncode == 0
    return json.loads(out)


def test_each_committed_change_has_one_event_and_nothing_forbidden_got_in(depot, record_property):
    processes = PROCESSES if is_psycopg3 else {"plain": ("threads", {}), "tasks": ("tasks", {})}
    with ExitStack() as undo:
        reports = [report(writers(undo, depot, "furnish", 0, 1, {}))]
        running = [
            writers(undo, depot, way, 1 + WRITERS * number, WRITERS, options)
            for number, (way, options) in enumerate(processes.values())
        ]
        reports += map(report, running)

    assert [text for each in reports for text in each["complaints"]] == []
    done = {}
    for each in reports:
        for writer in each["done"]:
            for what, count in writer.items():
                done[what] = done.get(what, 0) + count
    log = [entry for each in reports for entry in each["log"]]
    # So everything happened.
    assert {*THINGS} <= done.keys()
    assert len(log) > 10 * WRITERS
    record_property("changes", len(log))
    for what, count in done.items():
        record_property(what, count)
    print(json.dumps({"changes": len(log), **done}))

    audit = Audit(log)
    with closing(Session(depot)) as session:
        assert audit.complaints(session.sql) == []
        for broken, (statement, complaint) in BREAKAGES.items():
            session.sql("BEGIN")
            session.sql(statement)
            found = audit.complaints(session.sql)
            assert any(complaint in text for text in found), (broken, found[:5])
            session.sql("ROLLBACK")


THINGS = [
    "asynchronous",
    "bulk_update",
    "commit",
    "create",
    "create_account",
    "delete_within_ignore",
    "forbidden_delete",
    "forbidden_update",
    "illegal_transition",
    "probe",
    "refused",
    "rollback",
    "rollback to savepoint",
    "save",
    "soft_delete",
    "transition",
    "update",
    "without_event",
]
