"""Server or client are killed within ignore, schema, constraints and context, and while installing."""

import json
from contextlib import closing

import pytest

from reliability.conftest import Session, eventually
from reliability.durable import needs_a_durable_server

pytestmark = [pytest.mark.slow, *needs_a_durable_server]

# Waits within all contexts: for the server, or idle; and goes on when its connection was lost.
INSIDE = """
    import json
    import sys
    import time

    import django

    django.setup()

    from django.db import (
        IntegrityError, InterfaceError, OperationalError, close_old_connections, connection,
        transaction,
    )

    import pgtrigger
    import pgtrigger_history
    from pgtrigger.wanted import current
    from reliability.depot.models import Account, Parcel

    def value(query):
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]

    def wait():
        if "idle" in sys.argv:
            time.sleep(600)
        value("SELECT pg_sleep(600)::text")

    def until_the_server_is_back():
        while True:
            close_old_connections()
            try:
                return value("SELECT 1")
            except OperationalError:
                time.sleep(0.05)

    report = {}
    with (
        pgtrigger_history.context(user=7),
        pgtrigger.ignore("depot.Account:keep"),
        pgtrigger.schema("public"),
    ):
        try:
            with transaction.atomic(), pgtrigger_history.context(attempt=1):
                Parcel.objects.create(note="undone")
                Account.objects.filter(pk=1).delete()
                pgtrigger.constraints(pgtrigger.Deferred)
                wait()
        except (OperationalError, InterfaceError) as error:
            report["error"] = type(error).__name__
        until_the_server_is_back()
        report["path"] = value("SHOW search_path")
        with transaction.atomic():
            Parcel.objects.create(note="again")
        Account.objects.filter(pk=1).delete()
    try:
        Account.objects.filter(pk=2).delete()
    except IntegrityError:
        report["refused"] = True
    report["path afterwards"] = value("SHOW search_path")
    report["left"] = [
        value(f"SELECT coalesce(current_setting('pgtrigger.{name}', true), '')")
        for name in ("ignore", "context", "context_stored")
    ]
    report["wanted"] = len(current.get().layers)
    Parcel.objects.create(note="outside")
    json.dump(report, sys.stdout)
"""
EVENTS = """
    SELECT note, (SELECT data FROM pgtrigger_history_context AS context
                   WHERE context.id = event.pgh_context_id)
      FROM depot_parcelevent AS event ORDER BY pgh_id
"""
# Also of sessions that are not there any more; but autovacuum may be at work.
LOCKS_OF_OTHERS = """
    SELECT 1 FROM pg_locks LEFT JOIN pg_stat_activity AS activity USING (pid)
     WHERE pid <> pg_backend_pid() AND coalesce(backend_type, 'client backend') = 'client backend'
"""


@pytest.fixture
def accounts(depot):
    """Two that cannot be deleted."""
    depot.write("inside.py", INSIDE)
    depot.sql(
        "INSERT INTO depot_account (note, balance, frozen) VALUES ('', 0, false), ('', 0, false)"
    )
    return depot


def test_a_server_that_is_killed_leaves_no_state_and_the_task_goes_on(accounts, durable):
    with closing(accounts.start("inside.py")) as running:
        with closing(Session(accounts.url)) as session:
            sleeps = "wait_event = 'PgSleep'"
            eventually(lambda: session.sessions(sleeps), "the process to come to its wait")
            durable.crash()
        durable.restart()
        report = json.loads(running.result().stdout)
    assert report == {
        "error": "OperationalError",
        "path": "public",
        "refused": True,
        "path afterwards": '"$user", public',
        "left": ["", "", ""],
        "wanted": 0,
    }
    assert accounts.sql(EVENTS) == [("again", {"user": 7}), ("outside", None)]
    assert accounts.sql("SELECT id FROM depot_account") == [(2,)]


def test_a_client_that_is_killed_leaves_no_locks_and_no_state(accounts):
    with closing(Session(accounts.url)) as session:
        with closing(accounts.start("inside.py", "idle")) as running:
            idle = "state = 'idle in transaction'"
            eventually(lambda: session.sessions(idle), "the process to come to its wait")
            assert not running.done()
        # It was sent SIGKILL.
        others = "backend_type = 'client backend'"
        eventually(lambda: not session.sessions(others), "the server to notice")
        assert session.sql(LOCKS_OF_OTHERS) == []
        assert session.sql("SELECT id FROM depot_account ORDER BY id") == [(1,), (2,)]
        assert session.sql(EVENTS) == []
        with pytest.raises(Exception, match="Cannot delete"):
            session.sql("DELETE FROM depot_account WHERE id = 1")


def test_an_installer_that_is_killed_has_changed_nothing_and_stands_in_nobodys_way(depot):
    depot.manage("pgtrigger", "uninstall")
    assert depot.fingerprint() == []
    with closing(Session(depot.url)) as session, depot.background() as manage:
        session.sql("BEGIN")
        session.sql("LOCK TABLE depot_parcel IN ROW EXCLUSIVE MODE")
        running = manage("pgtrigger", "install")
        session.someone_blocked()
        running.close()
        session.sql("ROLLBACK")
        others = "backend_type = 'client backend'"
        eventually(lambda: not session.sessions(others), "the server to notice")
        assert session.sql(LOCKS_OF_OTHERS) == []
    assert depot.fingerprint() == []
    depot.manage("pgtrigger", "install")
    assert depot.status() == {"INSTALLED ENABLED"}


def test_a_flush_that_takes_too_long_has_removed_nothing_and_protects_the_events_again(accounts):
    accounts.sql(
        "INSERT INTO depot_parcel (status, note, weight, is_active) VALUES ('packed', '', 0, true)"
    )
    count = "SELECT (SELECT count(*) FROM depot_parcelevent), (SELECT count(*) FROM depot_account)"
    with closing(Session(accounts.url)) as session:
        session.sql("BEGIN")
        session.sql("LOCK TABLE depot_parcelevent IN ROW EXCLUSIVE MODE")
        limit = "-c statement_timeout=300ms"
        result = accounts.manage("flush", "--no-input", exits=1, PGOPTIONS=limit)
        assert "CommandError: Database" in result.stderr
        session.sql("ROLLBACK")
        assert session.sql(count) == [(1, 2)]
        with pytest.raises(Exception, match="annot truncate"):
            session.sql("TRUNCATE depot_parcelevent")
        accounts.manage("flush", "--no-input")
        assert session.sql(count) == [(0, 0)]
