"""pgtrigger.locks: one installer at a time, and one run of migrations."""

import threading
import time

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections, transaction

import pgtrigger
from pgtrigger import locks
from pgtrigger.errors import InstallationError
from shop.database import functions, noop, run, second_connection, value
from shop.models import Product

KEY = locks._ADVISORY_LOCK
URI = "shop.Product:noop"
HELD = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    f" AND (classid::bigint << 32 | objid::bigint) = {KEY}"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture
def other():
    connection = second_connection()
    yield connection.cursor()
    connection.close()


def is_held(cursor):
    cursor.execute(HELD)
    return cursor.fetchone() == (1,)


def test_a_run_of_migrations_holds_the_lock_from_its_beginning_to_its_end(committed, other):
    with locks.migrating(connection):
        assert is_held(other)
        # What the run installs does not wait for itself.
        with locks.installer(connection):
            assert is_held(other)
        assert is_held(other)
    assert not is_held(other)


def test_the_lock_is_given_back_after_an_error(committed, other):
    with pytest.raises(ValueError, match="oops"), locks.migrating(connection):
        raise ValueError("oops")
    assert not is_held(other)


def test_a_run_within_a_run_does_not_wait_for_itself(committed, other):
    with locks.migrating(connection), locks.migrating(connection):
        assert is_held(other)


def test_who_holds_the_lock_keeps_no_snapshot(committed, other):
    with locks.migrating(connection):
        other.execute(
            "SELECT a.backend_xmin, a.state FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()"
        )
        assert other.fetchall() == [(None, "idle in transaction")]


def test_an_installer_waits_for_a_run_of_migrations_and_gives_up_in_time(committed, other):
    other.execute("BEGIN")
    other.execute("SELECT pg_advisory_xact_lock(%s)", [KEY])
    with noop().register(Product):
        with pytest.raises(InstallationError, match="installing triggers or migrating.*200 ms"):
            pgtrigger.install(URI, lock_timeout="200ms")
    assert not [name for name in functions() if "_noop_" in name]
    other.execute("ROLLBACK")


@pytest.mark.parametrize("level", ["READ COMMITTED", "SERIALIZABLE"])
def test_an_installer_that_waits_begins_anew_and_keeps_its_settings(committed, other, level):
    """So that ``CREATE INDEX CONCURRENTLY`` does not wait for the end of its transaction."""
    run(f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}")
    pid = value("SELECT pg_backend_pid()")
    other.execute("BEGIN")
    other.execute("SELECT pg_advisory_xact_lock(%s)", [KEY])
    seen = set()

    def watch():
        deadline = time.monotonic() + 20
        while len(seen) < 3 and time.monotonic() < deadline:
            other.execute(
                "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'virtualxid' AND pid = %s",
                [pid],
            )
            seen.update(other.fetchall())
            time.sleep(0.01)
        other.execute("ROLLBACK")

    watching = threading.Thread(target=watch)
    watching.start()
    with locks.installer(connection, "25s"):
        assert value("SHOW lock_timeout") == "25s"
        assert value("SHOW transaction_isolation") == "read committed"
        run("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED")
    watching.join()
    assert len(seen) >= 3
    assert value("SHOW lock_timeout") != "25s"


def test_in_a_transaction_the_server_ends_the_wait(committed, other, monkeypatch):
    monkeypatch.setattr(locks, "_IN_TRANSACTION", 100)
    run("SET lock_timeout = 0")
    other.execute("BEGIN")
    other.execute("SELECT pg_advisory_xact_lock(%s)", [KEY])
    with noop().register(Product), pytest.raises(InstallationError, match="or a minute"):
        with transaction.atomic():
            pgtrigger.install(URI)
    other.execute("ROLLBACK")


def test_in_a_transaction_the_wait_leaves_the_timeout_as_it_was(committed, other):
    other.execute("BEGIN")
    other.execute("SELECT pg_advisory_xact_lock(%s)", [KEY])
    release = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    release.start()
    with noop().register(Product), transaction.atomic():
        run("SET LOCAL lock_timeout = '7s'")
        begin = time.monotonic()
        pgtrigger.install(URI)
        assert time.monotonic() - begin > 0.2
        assert value("SHOW lock_timeout") == "7s"
        transaction.set_rollback(True)
    release.join()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_installer_reads_what_is_committed_whatever_the_isolation(committed, level):
    run(f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}")
    with locks.installer(connection):
        assert value("SHOW transaction_isolation") == "read committed"
    with transaction.atomic():
        assert value("SHOW transaction_isolation") == level.lower()
        with locks.installer(connection):
            assert value("SHOW transaction_isolation") == level.lower()


def test_a_run_in_a_transaction_takes_no_lock_of_its_own(committed, other):
    with transaction.atomic(), locks.migrating(connection):
        assert not is_held(other)


def test_other_databases_have_no_lock(db):
    with locks.migrating(connections["sqlite"]):
        pass


def test_without_a_connection_to_be_had_the_run_goes_on(committed, other, monkeypatch, caplog):
    def refused(holder):
        raise OperationalError("too many clients already")

    monkeypatch.setattr(locks, "_hold", refused)
    with locks.migrating(connection):
        assert not is_held(other)
    assert "without a lock" in caplog.text
    assert "too many clients" in caplog.text


@pytest.mark.parametrize(
    ("options", "taken"), [({}, 1), ({"plan": True}, 0), ({"check_unapplied": True}, 0)], ids=str
)
def test_migrate_takes_the_lock_unless_it_only_shows(db, monkeypatch, options, taken):
    found = []
    monkeypatch.setattr("pgtrigger.migrations._commands.migrating", lambda c: Noted(found, c))
    with pytest.raises(CommandError, match="does not have migrations"):
        call_command("migrate", "shop", verbosity=0, **options)
    assert len(found) == taken


class Noted:
    """A context that notes for which connection it was entered."""

    def __init__(self, found, connection):
        self.found, self.connection = found, connection

    def __enter__(self):
        self.found.append(self.connection)

    def __exit__(self, *exc_info):
        pass
