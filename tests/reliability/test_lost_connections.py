"""The server ends a connection, within each context: Django's error, and nothing of it stays."""

import asyncio
import threading
from contextlib import ExitStack, contextmanager

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import (
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
    transaction,
)
from django.db.backends.postgresql.psycopg_any import is_psycopg3

import pgtrigger
import pgtrigger_history
from ledger.models import Customer
from pgtrigger.wanted import current
from reliability.conftest import eventually
from reliability.tracked import recorded
from reliability.tracked import tracked as tracked
from runtime_state.conftest import autocommit_live as autocommit_live
from runtime_state.conftest import committed as committed
from runtime_state.conftest import connected as connected
from runtime_state.conftest import declared as declared
from runtime_state.conftest import probed as probed
from runtime_state.conftest import untainted as untainted
from runtime_state.probe import URI, ignored
from shop.database import backend, second_connection, terminate

LOST = (OperationalError, InterfaceError)
SETTINGS = ("pgtrigger.ignore", "pgtrigger.context", "pgtrigger.context_stored", "search_path")
SLOW_WRITE = """INSERT INTO ledger_customer (name, "Town") SELECT 'x', '' FROM pg_sleep(60)"""


@contextmanager
def deferred():
    """Checks of constraints are moved for the rest of the transaction."""
    with ExitStack() as stack:
        if connection.in_atomic_block:
            pgtrigger.constraints(pgtrigger.Deferred)
        yield stack


CONTEXTS = {
    "ignore": lambda: pgtrigger.ignore(URI),
    "schema": lambda: pgtrigger.schema("public", "pg_catalog"),
    "constraints": deferred,
    "context": lambda: pgtrigger_history.context(user=7),
}

contexts = pytest.mark.parametrize("name", CONTEXTS)


@pytest.fixture(autouse=True)
def ready(tracked, probed, untainted):
    """Rows of customers are removed in the end, and a trigger tells whether it fired."""


def end_once_it_sleeps(pid):
    """End a session in the middle of a statement."""
    other = second_connection()
    query = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"

    def sleeps():
        with other.cursor() as cursor:
            cursor.execute(query, (pid,))
            return cursor.fetchone()

    def work():
        try:
            eventually(sleeps, "the statement to run")
            terminate(pid)
        finally:
            other.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def before_a_statement():
    terminate(backend())
    Customer.objects.create(name="too late")


def during_a_statement():
    thread = end_once_it_sleeps(backend())
    try:
        with connection.cursor() as cursor:
            cursor.execute(SLOW_WRITE)
    finally:
        thread.join()


def before_the_commit():
    if connection.in_atomic_block:
        terminate(backend())
    else:
        before_a_statement()


MOMENTS = [before_a_statement, during_a_statement, before_the_commit]
moments = pytest.mark.parametrize("lose", MOMENTS, ids=lambda lose: lose.__name__)


def block(*, atomic):
    return transaction.atomic() if atomic else ExitStack()


def expect_nothing_left():
    """The task wants nothing, and the connection that is used next has nothing."""
    assert current.get().layers == ()
    close_old_connections()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'current_setting({n!r}, true)' for n in SETTINGS)}")
        assert [*cursor.fetchone()] in (
            [None, None, None, '"$user", public'],
            ["", "", "", '"$user", public'],
        )
    assert not ignored()
    Customer.objects.create(name="afterwards")
    assert recorded()[-1] == ("INSERT", "afterwards", None)


@contexts
@moments
@pytest.mark.parametrize("atomic", [True, False], ids=["transaction", "autocommit"])
def test_a_lost_connection_is_djangos_error_and_nothing_is_left(name, lose, atomic):
    Customer.objects.create(name="before")
    with pytest.raises(LOST) as without, block(atomic=atomic):
        if atomic:
            Customer.objects.create(name="undone")
        lose()
    close_old_connections()
    with pytest.raises(LOST) as caught, CONTEXTS[name](), block(atomic=atomic):
        with CONTEXTS[name]():
            if atomic:
                Customer.objects.create(name="undone")
            lose()
    assert caught.type is without.type
    assert type(caught.value.__cause__) is type(without.value.__cause__)
    expect_nothing_left()
    assert [name for _, name, _ in recorded()] == ["before", "afterwards"]


def test_the_task_goes_on_within_its_contexts_on_another_connection():
    with pgtrigger_history.context(user=7), pgtrigger.ignore(URI):
        assert ignored()
        with pytest.raises(LOST), transaction.atomic(), pgtrigger_history.context(step=1):
            Customer.objects.create(name="undone")
            before_a_statement()
        close_old_connections()
        assert ignored()
        with transaction.atomic():
            Customer.objects.create(name="again")
            assert ignored()
        Customer.objects.create(name="and again")
    expect_nothing_left()
    assert recorded()[:2] == [
        ("INSERT", "again", {"user": 7}),
        ("INSERT", "and again", {"user": 7}),
    ]


@pytest.mark.parametrize("name", ["ignore", "context"])
@moments
@pytest.mark.parametrize("atomic", [True, False], ids=["transaction", "autocommit"])
def test_a_pool_gets_no_broken_connection_back(connected, name, lose, atomic):
    if not is_psycopg3:
        pytest.skip("the pools of psycopg 3")
    pytest.importorskip("psycopg_pool", reason="the pools of psycopg 3")
    connected(OPTIONS={"pool": {"min_size": 1, "max_size": 1, "timeout": 10}})
    first = backend()
    with pytest.raises(LOST), CONTEXTS[name](), block(atomic=atomic):
        if atomic:
            Customer.objects.create(name="undone")
        lose()
    close_old_connections()
    # Its only connection is another one.
    assert backend() != first
    expect_nothing_left()
    assert [name for _, name, _ in recorded()] == ["afterwards"]


@pytest.mark.parametrize("atomic", [True, False], ids=["transaction", "autocommit"])
def test_an_asynchronous_task_that_loses_its_connection_does_not_concern_another(atomic):
    """Both in contexts of their own, and with connections of their own."""

    def write(name):
        with block(atomic=atomic):
            Customer.objects.create(name=name)
            if name == "lost":
                before_a_statement()

    async def task(name, user):
        async with ThreadSensitiveContext(), pgtrigger_history.context(user=user):
            try:
                async with pgtrigger.ignore(URI):
                    assert await sync_to_async(ignored)()
                    if name == "lost":
                        with pytest.raises(LOST):
                            await sync_to_async(write)(name)
                        await sync_to_async(close_old_connections)()
                    await sync_to_async(write)(f"{name} {user}")
                    assert await sync_to_async(ignored)()
                assert not await sync_to_async(ignored)()
                await Customer.objects.acreate(name=f"{name} {user} alone")
            finally:
                await sync_to_async(connections.close_all)()
        assert current.get().layers == ()

    async def both():
        await asyncio.gather(task("lost", 1), task("kept", 2))

    asyncio.run(both())
    told = [("INSERT", "lost", {"user": 1})] if not atomic else []
    told += [
        ("INSERT", f"{name} {user}{rest}", {"user": user})
        for name, user in (("lost", 1), ("kept", 2))
        for rest in ("", " alone")
    ]
    assert sorted(recorded(), key=repr) == sorted(told, key=repr)
    expect_nothing_left()
