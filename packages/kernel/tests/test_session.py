"""pgtrigger.session: settings hold for the SQL of one task, wherever that runs."""

import asyncio
import contextvars
import threading

import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, connection, transaction

import pgtrigger
from pgtrigger.session import local_settings
from shop.database import logged, logs, refused, statements, value
from shop.models import Order

# Postgres remembers a setting that was once there as an empty one.
READ = "coalesce(nullif(current_setting('shop.reason', true), ''), 'none')"
REASON = f"SELECT {READ}"


@pytest.fixture
def order(autocommit_live):
    autocommit_live(Order, logs(READ))
    return Order.objects.create()


def test_a_trigger_reads_the_setting_in_autocommit(order):
    with local_settings(shop__reason="it's 100% \\ ünusual"):
        Order.objects.update(total=1)
    Order.objects.update(total=2)
    assert logged() == ["it's 100% \\ ünusual", "none"]


def test_a_trigger_reads_the_setting_in_a_transaction(order):
    with transaction.atomic():
        Order.objects.update(total=1)
        with local_settings(shop__reason="inside"):
            Order.objects.update(total=2)
        Order.objects.update(total=3)
    assert logged() == ["none", "inside", "none"]


def test_the_innermost_context_decides_and_the_outer_comes_back(order):
    with transaction.atomic(), local_settings(shop__reason="outer"):
        assert value(REASON) == "outer"
        with local_settings(shop__reason="inner", shop__other="x"):
            assert value(REASON) == "inner"
            assert value("SELECT current_setting('shop.other')") == "x"
        assert value(REASON) == "outer"


def test_what_the_caller_had_set_comes_back(order):
    with transaction.atomic():
        value("SELECT set_config('shop.reason', 'mine', true)")
        with local_settings(shop__reason="theirs"):
            assert value(REASON) == "theirs"
        assert value(REASON) == "mine"


def test_contexts_may_overlap(order):
    one, two = local_settings(shop__reason="one"), local_settings(shop__reason="two")
    with transaction.atomic():
        one.__enter__()
        two.__enter__()
        one.__exit__(None, None, None)
        assert value(REASON) == "two"
        two.__exit__(None, None, None)
        assert value(REASON) == "none"


def test_a_context_may_be_entered_twice_at_once(order):
    context = local_settings(shop__reason="x")
    with transaction.atomic(), context:
        with context:
            pass
        assert value(REASON) == "x"


def test_one_database_can_be_named(order):
    with local_settings(databases=["other"], shop__reason="x"), transaction.atomic():
        assert value(REASON) == "none"


def test_a_function_and_a_coroutine_can_be_decorated(order):
    @local_settings(shop__reason="x")
    def work():
        """Reads it."""
        with transaction.atomic():
            return value(REASON)

    @local_settings(shop__reason="y")
    async def work_async():
        return await sync_to_async(work_within)()

    def work_within():
        try:
            with transaction.atomic():
                return value(REASON)
        finally:
            connection.close()

    assert (work(), work.__name__, work.__doc__) == ("x", "work", "Reads it.")
    assert asyncio.run(work_async()) == "y"
    with transaction.atomic():
        assert value(REASON) == "none"


def test_threads_do_not_see_each_other(order):
    barrier, seen = threading.Barrier(4), {}

    def work(name):
        try:
            with local_settings(shop__reason=name), transaction.atomic():
                barrier.wait(10)
                seen[name] = value(REASON)
                barrier.wait(10)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[name]) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == {name: name for name in "abcd"}


def test_a_thread_with_the_callers_context_sees_it(order):
    seen = []

    def work():
        try:
            with transaction.atomic():
                seen.append(value(REASON))
        finally:
            connection.close()

    with local_settings(shop__reason="x"):
        thread = threading.Thread(target=contextvars.copy_context().run, args=[work])
        thread.start()
        thread.join(30)
    assert seen == ["x"]


def test_tasks_of_one_loop_do_not_see_each_other(order):
    def read():
        try:
            with transaction.atomic():
                return value(REASON)
        finally:
            connection.close()

    async def work(name):
        async with local_settings(shop__reason=name):
            await asyncio.sleep(0)
            found = await sync_to_async(read)()
            await asyncio.sleep(0)
            return found, await sync_to_async(read)()

    async def main():
        return await asyncio.gather(*(work(name) for name in "abc"))

    assert asyncio.run(main()) == [(name, name) for name in "abc"]


def test_entering_in_an_event_loop_asks_no_database(order):
    async def main():
        async with local_settings(shop__reason="x"):
            pass

    with transaction.atomic():
        value(REASON)
        with statements() as found:
            asyncio.run(main())
        assert found == []


# --- Sessions ---------------------------------------------------------------------------------


def test_within_a_session_leaving_runs_no_sql_and_the_next_statement_makes_up(order):
    with transaction.atomic(), pgtrigger.ignore.session():
        with local_settings(shop__reason="x"):
            value(REASON)
        assert value(REASON) == "none"


def test_within_a_session_a_failed_transaction_can_be_left(order):
    with pytest.raises(IntegrityError), pgtrigger.ignore.session(), transaction.atomic():
        with local_settings(shop__reason="x"):
            Order.objects.bulk_create([Order(pk=order.pk)])
    with transaction.atomic():
        assert value(REASON) == "none"


def test_sessions_nest(order):
    with transaction.atomic(), pgtrigger.schema.session(), local_settings(shop__reason="x"):
        with pgtrigger.ignore.session():
            pass
        with local_settings(shop__reason="y"):
            assert value(REASON) == "y"
        assert value(REASON) == "x"


def test_the_exception_of_the_block_is_never_masked(order):
    class Mine(Exception):
        pass

    with pytest.raises(Mine), transaction.atomic(), local_settings(shop__reason="x"):
        with refused():
            Order.objects.bulk_create([Order(pk=order.pk)])
        raise Mine
    with pytest.raises(IntegrityError), transaction.atomic(), local_settings(shop__reason="x"):
        Order.objects.bulk_create([Order(pk=order.pk)])
    assert value(REASON) == "none"
