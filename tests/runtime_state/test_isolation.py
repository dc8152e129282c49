"""Threads, tasks and requests are isolated in both directions, and keep what is their own."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import IntegrityError, connection, connections, transaction
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.test.client import AsyncClient, Client
from django.urls import path

import pgtrigger
from runtime_state.probe import FIRED, QUIET, URI, ignored
from shop.models import Order


def ask():
    """Whether the trigger is ignored; on a connection that does not outlive the question."""
    try:
        return ignored()
    finally:
        if not connection.in_atomic_block:
            connection.close()


ask_async = sync_to_async(ask)


async def note_of(order):
    """What the trigger has done to an order that the ORM's own coroutines have written."""
    found = await Order.objects.aget(pk=order.pk)
    return found.note


@pytest.fixture
def run_async(uri):
    """`run_async(coroutine)`: in a loop of its own, whose connections are closed."""
    connections["default"].close()

    def run(coroutine):
        async def main():
            try:
                return await coroutine
            finally:
                await sync_to_async(connections.close_all)()

        return asyncio.run(main())

    return run


# --- Tasks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 8])
def test_gathered_tasks_keep_what_is_their_own(run_async, count):
    async def work(number):
        orders = []
        if number % 2:
            async with pgtrigger.ignore(URI):
                for _ in range(3):
                    orders.append(await Order.objects.acreate(note=QUIET))
                    await asyncio.sleep(0)
            orders.append(await Order.objects.acreate(note=QUIET))
        else:
            for _ in range(4):
                orders.append(await Order.objects.acreate(note=QUIET))
                await asyncio.sleep(0)
        return [await note_of(order) for order in orders]

    async def main():
        return await asyncio.gather(*(work(number) for number in range(count)))

    expected = {0: [FIRED] * 4, 1: [QUIET] * 3 + [FIRED]}
    assert run_async(main()) == [expected[number % 2] for number in range(count)]


def test_a_tasks_own_deletion_is_covered_and_anothers_is_not(run_async, autocommit_live):
    autocommit_live(Order, pgtrigger.Protect(name="keep", operation=pgtrigger.Delete))
    keep = "shop.Order:keep"

    async def delete(within):
        order = await Order.objects.acreate()
        if within:
            with pgtrigger.ignore(keep):
                await asyncio.sleep(0.01)
                await order.adelete()
            return "deleted"
        await asyncio.sleep(0.005)
        with pytest.raises(IntegrityError, match="Cannot delete"):
            await order.adelete()
        return "kept"

    async def main():
        return await asyncio.gather(*(delete(number % 2) for number in range(6)))

    assert run_async(main()) == ["kept", "deleted"] * 3


def test_asynchronous_methods_of_the_orm_are_covered(run_async):
    async def main():
        async with pgtrigger.ignore(URI):
            order = await Order.objects.acreate(note=QUIET)
            await Order.objects.abulk_create([Order(note=QUIET)] * 2)
            order.total = 5
            await order.asave()
            await Order.objects.aupdate(total=6)
            await Order.objects.aupdate_or_create(pk=order.pk, defaults={"total": 7})
            found = [order.note async for order in Order.objects.order_by("pk").aiterator(1)]
        await order.asave()
        return found, await note_of(order)

    assert run_async(main()) == ([QUIET] * 3, FIRED)


def test_a_task_that_is_created_inside_starts_with_the_state_and_goes_its_own_way(run_async):
    async def child(gate):
        before = await ask_async()
        await gate.wait()
        after = await ask_async()
        with pgtrigger.schema("public"):
            pass
        return before, after

    async def main():
        gate = asyncio.Event()
        with pgtrigger.ignore(URI):
            task = asyncio.create_task(child(gate))
            await asyncio.sleep(0.05)
        outside = await ask_async()
        gate.set()
        # A task has a copy of the context it was created in: what happens outside is not its own.
        return await task, outside, await ask_async()

    assert run_async(main()) == ((True, True), False, False)


def test_a_task_that_was_created_outside_does_not_notice(run_async):
    async def child(entered, seen):
        await entered.wait()
        seen.append(await ask_async())

    async def main():
        entered, seen = asyncio.Event(), []
        task = asyncio.create_task(child(entered, seen))
        async with pgtrigger.ignore(URI):
            entered.set()
            await task
            seen.append(await ask_async())
        return seen

    assert run_async(main()) == [False, True]


def test_what_a_child_enters_does_not_reach_its_parent(run_async):
    async def child():
        pgtrigger.ignore(URI).__enter__()
        return await ask_async()

    async def main():
        return await asyncio.gather(child(), child()), await ask_async()

    assert run_async(main()) == ([True, True], False)


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_a_task_that_is_cancelled_leaves_nothing_behind(run_async, how):
    async def main():
        async def work():
            async with pgtrigger.ignore(URI):
                await ask_async()
                await asyncio.sleep(30)

        if how == "timeout":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await work()
        else:
            task = asyncio.create_task(work())
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return await ask_async(), pgtrigger.is_ignored(URI)

    assert run_async(main()) == (False, False)


# --- Between synchronous and asynchronous ----------------------------------------------------------------------


@pytest.mark.parametrize("sensitive", [True, False])
def test_a_state_goes_down_through_both_worlds_and_back(run_async, sensitive):
    def lowest():
        inside = ask()
        with pgtrigger.ignore(URI):
            assert ask()
        return inside, ask()

    async def lower():
        return await sync_to_async(lowest, thread_sensitive=sensitive)()

    def upper():
        return async_to_sync(lower)()

    async def main():
        outside = await sync_to_async(upper, thread_sensitive=sensitive)()
        async with pgtrigger.ignore(URI):
            inside = await sync_to_async(upper, thread_sensitive=sensitive)()
        return outside, inside, await ask_async()

    assert run_async(main()) == ((False, False), (True, True), False)


def test_a_context_that_is_entered_in_a_thread_is_left_in_the_task(run_async):
    """`sync_to_async` brings the context variables of its function back."""

    async def main():
        context = pgtrigger.ignore(URI)
        await sync_to_async(context.__enter__)()
        inside = await ask_async()
        await sync_to_async(context.__exit__)(None, None, None)
        return inside, await ask_async()

    assert run_async(main()) == (True, False)


def test_a_transaction_in_a_thread_of_the_loop(run_async):
    def work():
        with transaction.atomic():
            before = ignored()
            with pgtrigger.ignore(URI):
                inside = ignored()
                inner = async_to_sync(nested)()
            return before, inside, inner, ignored()

    async def nested():
        # The loop must not wait for the database; the next statement makes up for it.
        with pgtrigger.schema("public"), pgtrigger.ignore():
            pass
        return await sync_to_async(ignored)()

    async def main():
        return await sync_to_async(work)()

    assert run_async(main()) == (False, True, True, False)


def test_synchronous_code_calls_coroutines_within_its_transaction(uri):
    async def nested():
        inside = await sync_to_async(ignored)()
        async with pgtrigger.ignore(uri):
            await asyncio.sleep(0)
            assert await sync_to_async(ignored)()
        return inside, await sync_to_async(ignored)()

    with transaction.atomic():
        assert async_to_sync(nested)() == (False, False)
        assert not ignored()
        with pgtrigger.ignore(uri):
            assert async_to_sync(nested)() == (True, True)
            assert ignored()
        assert not ignored()
    assert not ignored()


def test_a_decorated_coroutine_is_covered_while_it_runs_only(run_async):
    @pgtrigger.ignore(URI)
    async def work(pause):
        await asyncio.sleep(pause)
        return await ask_async()

    async def main():
        coroutine = work(0)
        before = await ask_async()
        running = asyncio.gather(work(0.01), work(0.02))
        during = await ask_async()
        return before, during, await coroutine, await running, await ask_async()

    assert run_async(main()) == (False, False, True, [True, True], False)


# --- Threads ------------------------------------------------------------------------------------------------------


def test_threads_with_transactions_of_their_own_take_turns(uri):
    barrier = threading.Barrier(6)

    def work(number):
        try:
            seen = []
            with transaction.atomic():
                for turn in range(4):
                    barrier.wait(30)
                    wanted = (number + turn) % 2 == 0
                    if wanted:
                        with pgtrigger.ignore(uri):
                            barrier.wait(30)
                            seen.append(ignored() is wanted)
                    else:
                        barrier.wait(30)
                        seen.append(ignored() is wanted)
            return seen
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool, pgtrigger.ignore(uri):
        assert [*pool.map(work, range(6))] == [[True] * 4] * 6


def test_a_thread_of_a_pool_forgets_what_a_task_with_a_copied_context_wanted(uri):
    with ThreadPoolExecutor(1) as pool:
        with pgtrigger.ignore(uri):
            context = contextvars.copy_context()
            assert pool.submit(context.run, ask).result(30)
            assert not pool.submit(ask).result(30)
        assert not pool.submit(ask).result(30)
        # The copy is a picture of the moment it was made.
        assert pool.submit(context.run, ask).result(30)
        assert not pool.submit(contextvars.copy_context().run, ask).result(30)
        pool.submit(connections.close_all).result(30)
    assert not ignored()


def test_what_a_thread_with_a_copied_context_enters_stays_there(uri):
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(context.run, pgtrigger.ignore(uri).__enter__).result(30)
        assert pool.submit(context.run, ask).result(30)
        assert not pool.submit(ask).result(30)
    assert not ignored()


def test_a_connection_that_threads_share_serves_each_with_its_own_state(uri):
    shared = connections["default"]
    shared.inc_thread_sharing()
    seen = []

    def work():
        connections["default"] = shared
        seen.append(ignored())
        with pgtrigger.ignore(uri):
            seen.append(ignored())
        seen.append(ignored())

    try:
        with transaction.atomic(), pgtrigger.ignore(uri):
            assert ignored()
            thread = threading.Thread(target=work)
            thread.start()
            thread.join(30)
            assert ignored()
    finally:
        shared.dec_thread_sharing()
    assert seen == [False, True, False]


# --- Requests --------------------------------------------------------------------------------------------------------


def sync_view(request, within):
    if within == "context":
        with pgtrigger.ignore(URI):
            inside = ask()
        return HttpResponse(f"{inside} {ask()}")
    if within == "error":
        pgtrigger.ignore(URI).__enter__()
        raise RuntimeError
    if within == "left open":
        pgtrigger.ignore(URI).__enter__()
    return HttpResponse(f"{ask()}")


async def async_view(request, within):
    if within == "context":
        async with pgtrigger.ignore(URI):
            inside = await ask_async()
        return HttpResponse(f"{inside} {await ask_async()}")
    if within == "left open":
        pgtrigger.ignore(URI).__enter__()
    return HttpResponse(f"{await ask_async()}")


urlpatterns = [path("sync/<within>", sync_view), path("async/<within>", async_view)]


def sync_middleware(get_response):
    def middleware(request):
        if "X-Maintenance" not in request.headers:
            return get_response(request)
        with pgtrigger.ignore(URI):
            return get_response(request)

    return middleware


@pytest.fixture
def site(settings, uri):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [f"{__name__}.sync_middleware"]
    settings.ALLOWED_HOSTS = ["*"]


ANSWERS = {"context": "True False", "nothing": "False"}


@pytest.mark.parametrize("view", ["sync", "async"])
def test_wsgi_requests_are_isolated(site, view):
    def get(within):
        found = Client().get(f"/{view}/{within}")
        connection.close()
        return found.content.decode()

    with ThreadPoolExecutor(4) as pool:
        asked = ["context", "nothing"] * 6
        assert [*pool.map(get, asked)] == [ANSWERS[within] for within in asked]


def test_a_wsgi_handler_called_as_a_server_calls_it(site):
    environ = RequestFactory().get("/sync/context").environ
    body = WSGIHandler()(environ, lambda status, headers: None)
    assert b"".join(body) == b"True False"
    body.close()
    assert not ignored()


def test_a_middleware_covers_its_view_and_nothing_else(site):
    headers = {"X-Maintenance": "1"}
    assert Client().get("/sync/nothing", headers=headers).content == b"True"
    assert Client().get("/sync/nothing").content == b"False"
    assert Client().get("/async/nothing", headers=headers).content == b"True"
    assert Client().get("/async/nothing").content == b"False"


@pytest.mark.parametrize("view", ["sync", "async"])
def test_asgi_requests_are_isolated(site, run_async, view):
    async def get(within, **headers):
        return (await AsyncClient().get(f"/{view}/{within}", headers=headers)).content.decode()

    async def main():
        asked = ["context", "nothing"] * 4
        answers = await asyncio.gather(*(get(within) for within in asked))
        assert answers == [ANSWERS[within] for within in asked]
        maintained = {"X-Maintenance": "1"}
        covered, plain = await asyncio.gather(get("nothing", **maintained), get("nothing"))
        assert (covered, plain) == ("True", "False")
        return await ask_async()

    assert run_async(main()) is False


def test_an_asgi_application_called_as_a_server_calls_it(site, run_async):
    """A task for each request, as uvicorn, daphne and hypercorn have it; a view that leaves a
    context open harms itself alone."""
    application = ASGIHandler()

    async def get(url):
        scope = AsyncRequestFactory().get(url).scope
        sent, gate = [], asyncio.Event()
        parts = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive():
            if parts:
                return parts.pop()
            await gate.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        await application(scope, receive, send)
        return b"".join(message.get("body", b"") for message in sent)

    async def main():
        urls = [f"/{view}/{within}" for within in ("left open", "nothing", "context") for view in ("sync", "async")]  # fmt: skip
        urls = [url.replace(" ", "%20") for url in urls] * 2
        tasks = [asyncio.create_task(get(url)) for url in urls]
        return [answer.decode() for answer in await asyncio.gather(*tasks)], await ask_async()

    answers = ["True", "True", "False", "False", "True False", "True False"]
    assert run_async(main()) == (answers * 2, False)
