"""HistoryMiddleware: a context for each request."""

import asyncio

import pytest
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_logged_in
from django.core.management import call_command
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import RequestFactory

from ledger.models import Customer, Invoice
from pgtrigger_history import ContextError, HistoryMiddleware
from pgtrigger_history.models import Context

FACTORY = RequestFactory()


def request(user=None, path="/orders/?a=1", **extra):
    found = FACTORY.post(path, **extra)
    found.user = user or AnonymousUser()
    return found


def write(request):
    Customer.objects.create(name="written")
    return HttpResponse()


def stored():
    return [context.data for context in Context.objects.order_by("id")]


def test_changes_of_a_request_know_who_and_where(db, django_user_model):
    user = django_user_model.objects.create(username="ada")
    HistoryMiddleware(write)(request(user))
    assert stored() == [{"user": user.pk, "url": "/orders/?a=1", "method": "POST"}]
    Customer.objects.create()
    assert Customer.history.latest().pgh_context is None


def test_a_visitor_is_nobody(db):
    HistoryMiddleware(write)(request())
    bare = FACTORY.get("/")
    HistoryMiddleware(write)(bare)  # not behind AuthenticationMiddleware
    assert [data["user"] for data in stored()] == [None, None]


def test_the_user_is_not_looked_for_without_a_write(db):
    class Visitor:
        @property
        def pk(self):
            raise AssertionError

    def read(request):
        with transaction.atomic():
            return HttpResponse(Customer.objects.count())

    assert HistoryMiddleware(read)(request(Visitor())).content == b"0"


def test_who_logs_in_is_the_user_from_then_on(db, django_user_model):
    user = django_user_model.objects.create(username="ada")

    def log_in(request):
        write(request)
        request.user = user
        user_logged_in.send(type(user), request=request, user=user)
        return write(request)

    HistoryMiddleware(log_in)(request())
    assert [data["user"] for data in stored()] == [None, user.pk]


@pytest.mark.django_db(transaction=True)
def test_under_asgi():
    user = User.objects.create(username="ada")

    async def view(request):
        assert await Customer.objects.acount() == 0
        await Customer.objects.acreate(name="async")
        await sync_to_async(write)(request)
        return HttpResponse()

    middleware = HistoryMiddleware(view)
    assert iscoroutinefunction(middleware)

    async def main():
        await middleware(request(user))
        await sync_to_async(connections.close_all)()

    asyncio.run(main())
    assert [data["user"] for data in stored()] == [user.pk] * 2


def test_keys_can_be_chosen(db, settings):
    settings.PGTRIGGER_HISTORY_MIDDLEWARE_KEYS = ["ip", "method"]
    HistoryMiddleware(write)(request(REMOTE_ADDR="10.0.0.1"))
    assert stored() == [{"ip": "10.0.0.1", "method": "POST"}]


def test_an_unknown_key_is_refused_at_the_start(settings):
    settings.PGTRIGGER_HISTORY_MIDDLEWARE_KEYS = ["session"]
    with pytest.raises(ContextError, match="can have user, url, method, ip; got 'session'"):
        HistoryMiddleware(write)


def test_a_subclass_adds_to_it(db):
    class Middleware(HistoryMiddleware):
        def get_context(self, request):
            return {**super().get_context(request), "tenant": "t"}

    Middleware(write)(request())
    assert stored()[0]["tenant"] == "t"


@pytest.mark.parametrize("path", ["/%00?a=%00", "/" + "x" * 100_000, "/?q='%27;--%20\"{}%25s"])
def test_whatever_is_asked_for_is_stored_and_bounded(db, path):
    HistoryMiddleware(write)(request(path=path))
    (data,) = stored()
    assert len(data["url"]) <= 2000


@pytest.mark.django_db(transaction=True)
def test_flush_empties_the_tables_of_events_too():
    Invoice.objects.create().delete()
    assert Invoice.history.count() == 2
    call_command("flush", interactive=False, verbosity=0)
    assert Invoice.history.count() == 0
