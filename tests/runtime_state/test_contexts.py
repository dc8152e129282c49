"""Contexts nest, overlap, are shared and are left early: the outer state is back each time."""

import asyncio
import contextlib
import gc
import itertools
import threading

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

import pgtrigger
from pgtrigger.errors import TriggerNotFoundError, TriggerUriError
from pgtrigger.session import local_settings
from runtime_state.probe import URI, ignored, probe
from shop.database import run, value
from shop.models import Order

PATH = "SHOW search_path"


class Mine(Exception):
    pass


@pytest.fixture(params=["autocommit", "transaction"])
def agreed(request, probed):
    """`agreed()`: whether the trigger is ignored, which server and Python must agree on."""
    with transaction.atomic() if request.param == "transaction" else contextlib.nullcontext():

        def state():
            found = ignored()
            assert pgtrigger.is_ignored(URI) is found
            return found

        yield state
        assert not state()


# --- Nested and overlapping ------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3])
def test_contexts_overlap_in_any_order(agreed, count):
    for order in set(itertools.permutations([*range(count)] * 2)):
        contexts = [pgtrigger.ignore(URI) for _ in range(count)]
        held = set()
        for which in order:
            if which in held:
                contexts[which].__exit__(None, None, None)
                held.remove(which)
            else:
                contexts[which].__enter__()
                held.add(which)
            assert pgtrigger.is_ignored(URI) is bool(held), order
        assert not agreed(), order


def test_nested_contexts_of_different_kinds_come_back_one_by_one(agreed):
    def state():
        with transaction.atomic():
            return (
                agreed(),
                value(PATH),
                value("SELECT coalesce(current_setting('a.b', true), '')"),
            )

    makers = {
        "ignore": lambda: pgtrigger.ignore(URI),
        "schema": lambda: pgtrigger.schema("public", "x"),
        "settings": lambda: local_settings(a__b="v"),
    }
    for order in itertools.permutations(makers):
        entered, before = [], [state()]
        for name in order:
            context = makers[name]()
            context.__enter__()
            entered.append(context)
            before.append(state())
            assert before[-1] != before[-2]
        for context in reversed(entered):
            assert state() == before.pop(), order
            context.__exit__(None, None, None)
        assert state() == before.pop(), order


def test_one_context_can_be_entered_again_within_itself(agreed):
    context = pgtrigger.ignore(URI)
    with context:
        with context:
            assert agreed()
        assert agreed()
    assert not agreed()
    with context:
        assert agreed()


def test_a_decorated_function_recurses(agreed):
    @pgtrigger.ignore(URI)
    def count_down(number):
        assert agreed()
        if number:
            count_down(number - 1)
        assert agreed()
        return number

    assert count_down(3) == 3
    assert not agreed()


def test_an_exit_stack_leaves_all_when_entering_one_fails(agreed):
    with pytest.raises(TriggerNotFoundError), contextlib.ExitStack() as stack:
        for uri in (URI, "shop.Order:nothing"):
            stack.enter_context(pgtrigger.ignore(uri))
    assert not agreed()


@pytest.mark.parametrize(
    ("uri", "error"), [("shop.Order:x", TriggerNotFoundError), ("nonsense", TriggerUriError)]
)
def test_a_uri_that_does_not_exist_among_others_ignores_nothing(agreed, uri, error):
    with pytest.raises(error), pgtrigger.ignore(URI, uri):
        pytest.fail("entered")
    assert not agreed()


# --- Sessions ------------------------------------------------------------------------------------------


def test_sessions_and_contexts_overlap(agreed):
    session, context = pgtrigger.ignore.session(), pgtrigger.ignore(URI)
    for first, second in ((session, context), (context, session)):
        first.__enter__()
        second.__enter__()
        assert agreed()
        first.__exit__(None, None, None)
        assert agreed() is (first is session)
        second.__exit__(None, None, None)
        assert not agreed()


def test_a_session_that_fails_leaves_no_session(agreed):
    with pytest.raises(Mine), pgtrigger.ignore.session(), pgtrigger.schema.session():
        with pgtrigger.ignore(URI):
            assert agreed()
        raise Mine
    with pgtrigger.ignore(URI):
        assert agreed()
    assert not agreed()


# --- Exceptions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raised", [Mine, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError]
)
def test_the_outer_state_is_back_after_an_exception(agreed, raised):
    with pgtrigger.ignore(URI):
        with pytest.raises(raised), pgtrigger.ignore(), pgtrigger.schema("public"):
            assert agreed()
            raise raised
        assert agreed()
    assert not agreed()

    @pgtrigger.ignore(URI)
    def work():
        assert agreed()
        raise raised

    with pytest.raises(raised):
        work()
    assert not agreed()


def test_an_interrupted_statement_leaves_the_connection_usable(agreed):
    import _thread

    with pytest.raises(KeyboardInterrupt), transaction.atomic(), pgtrigger.ignore(URI):
        assert agreed()
        timer = threading.Timer(0.3, _thread.interrupt_main)
        timer.start()
        try:
            value("SELECT pg_sleep(20)")
        finally:
            timer.join()
    assert not agreed()
    with pgtrigger.ignore(URI):
        assert agreed()


# --- Generators -------------------------------------------------------------------------------------------


def walk(count=5):
    with pgtrigger.ignore(URI):
        yield from range(count)


def test_a_generator_that_is_read_to_its_end(agreed):
    assert [*walk()] == [*range(5)]
    assert not agreed()


def test_a_generator_that_is_closed_early(agreed):
    generator = walk()
    next(generator)
    assert agreed()
    generator.close()
    assert not agreed()


def test_a_generator_that_is_dropped_early(agreed):
    for _ in walk():
        assert agreed()
        break
    gc.collect()
    assert not agreed()


def test_a_generator_that_an_exception_is_thrown_into(agreed):
    generator = walk()
    next(generator)
    with pytest.raises(Mine):
        generator.throw(Mine)
    assert not agreed()


def test_generators_that_take_turns(agreed):
    one, two = walk(), walk()
    next(one)
    next(two)
    one.close()
    assert agreed()
    with pgtrigger.ignore(URI):
        two.close()
        assert agreed()
    assert not agreed()


def test_a_generator_in_a_contextmanager(agreed):
    @contextlib.contextmanager
    def maintenance():
        with pgtrigger.ignore(URI):
            yield

    with pytest.raises(Mine), maintenance():
        assert agreed()
        raise Mine
    assert not agreed()


def asking(task):
    """Run a coroutine function whose questions go to the database in a thread."""

    def ask():
        try:
            return ignored()
        finally:
            connections["default"].close()

    return asyncio.run(task(sync_to_async(ask)))


def test_an_asynchronous_generator_that_is_closed_early(uri):
    async def walk_async():
        async with pgtrigger.ignore(uri):
            for number in range(5):
                yield number

    async def task(ask):
        generator = walk_async()
        await anext(generator)
        inside = await ask()
        await generator.aclose()
        return inside, await ask(), pgtrigger.is_ignored(uri)

    assert asking(task) == (True, False, False)


def test_an_asynchronous_generator_that_is_dropped_early(uri):
    async def walk_async():
        async with pgtrigger.ignore(uri):
            for number in range(5):
                yield number

    async def task(ask):
        async for _ in walk_async():
            inside = await ask()
            break
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)
        return inside, await ask(), pgtrigger.is_ignored(uri)

    assert asking(task) == (True, False, False)


# --- One object in several hands -----------------------------------------------------------------------------


def test_threads_may_share_one_context_object(uri):
    shared = pgtrigger.ignore(uri)
    first_entered, second_entered, first_left = (threading.Event() for _ in range(3))
    seen = {}

    def first():
        with shared:
            first_entered.set()
            second_entered.wait(10)
        seen["first"] = pgtrigger.is_ignored(uri)
        first_left.set()

    def second():
        first_entered.wait(10)
        with shared:
            second_entered.set()
            first_left.wait(10)
            seen["second within"] = pgtrigger.is_ignored(uri)
        seen["second"] = pgtrigger.is_ignored(uri)

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == {"first": False, "second within": True, "second": False}


def test_tasks_may_share_one_context_object(uri):
    shared = pgtrigger.ignore(uri)

    async def work(pause):
        async with shared:
            await asyncio.sleep(pause)
            within = pgtrigger.is_ignored(uri)
        return within, pgtrigger.is_ignored(uri)

    async def task(ask):
        return await asyncio.gather(work(0.02), work(0.05), work(0))

    assert asking(task) == [(True, False)] * 3


# --- What a context asks for ----------------------------------------------------------------------------------


def test_entering_and_leaving_opens_no_connection(probed):
    connections["default"].close()
    connections["other"].close()
    with pgtrigger.ignore(), pgtrigger.schema("x"), pgtrigger.ignore.session():
        pass
    assert connections["default"].connection is None
    assert connections["other"].connection is None


@pytest.mark.parametrize("name", ['"', "'", "%s", "a b", "Ü", "$user", "a,b", "a.b", "\\", ";--"])
def test_a_search_path_of_odd_names_finds_its_tables_and_comes_back(agreed, name):
    from pgtrigger import sql

    before = value(PATH)
    schema = sql.identifier(name) if name != "$user" else '"$user"'
    with transaction.atomic():
        run(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.shop_there (a int)".replace("%", "%%"), [])  # fmt: skip
        with pgtrigger.schema(name, "public"):
            if name != "$user":
                assert value("SELECT current_schema()") == name
                assert value("SELECT count(*) FROM shop_there") == 0
            with pgtrigger.ignore(URI):
                assert agreed()
        assert value(PATH) == before
        transaction.set_rollback(True)


def test_a_context_of_all_triggers_takes_those_of_the_moment_it_is_entered(agreed, declared):
    everything = pgtrigger.ignore()
    with everything:
        assert agreed()
    later = declared(Order, probe("later"))
    assert not pgtrigger.is_ignored("shop.Order:later")
    with everything:
        assert pgtrigger.is_ignored("shop.Order:later")
        assert agreed()
    later.unregister(Order)
    with pytest.raises(TriggerNotFoundError):
        pgtrigger.is_ignored("shop.Order:later")
