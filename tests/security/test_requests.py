"""What a request brings reaches the database as a value, and breaks no write of the application."""

import json
import random
from types import SimpleNamespace

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory

import pgtrigger
from ledger.models import Invoice
from pgtrigger.errors import TriggerNotFoundError, TriggerUriError
from pgtrigger_history import ContextError, HistoryMiddleware, context
from pgtrigger_history.middleware import MAX_URL

pytestmark = pytest.mark.django_db

MEGABYTES = 3_000_000
HOSTILE = [
    "'; DROP TABLE ledger_invoice; --",
    "', true); SELECT pg_sleep(9); --",
    '"}{"user": 1}',
    "$$; $pgtrigger$ $1 %s %(x)s {0} {columns.x}",
    "\\'\\\\",
    "a\nb\r\nc\td\x00e\x1f",
    "\ud800 \udfff \udcff",
    "\N{GRINNING FACE}\u202e\ufeff",
    "x" * MEGABYTES,
    "%00%ff%fe%ed%a0%80",
    "../../../etc/passwd",
    "{*}",
    "pgtrigger.ignore={*}",
]
STORED = """
    SELECT data FROM ledger_invoiceevent JOIN pgtrigger_history_context c ON c.id = pgh_context_id
     ORDER BY pgh_id DESC LIMIT 1
"""
FACTORY = RequestFactory()


def written_by(request):
    """The event of a view that writes, in a request with the middleware."""

    def view(request):
        with transaction.atomic():
            invoice = Invoice.objects.create(note="by a view")
            connection.check_constraints()
        return HttpResponse(str(invoice.pk))

    key = int(HistoryMiddleware(view)(request).content)
    event = Invoice.history.of(key).get()
    return event.pgh_context.data


@pytest.mark.parametrize("place", ["path", "query", "header", "method", "ip", "user", "cookie"])
def test_a_hostile_request_is_recorded_as_a_value(place, settings):
    settings.PGTRIGGER_HISTORY_MIDDLEWARE_KEYS = ("user", "url", "method", "ip")
    for value in HOSTILE:
        request = FACTORY.post("/buy/", data=b"x" * 100, content_type="text/plain")
        request.user = SimpleNamespace(pk=7)
        match place:
            case "path":
                request.path = "/" + value.encode("utf-8", "replace").decode()
            case "query":
                request.META["QUERY_STRING"] = value.encode("utf-8", "replace").decode()
            case "header":
                request.META |= {"HTTP_X_FORWARDED_FOR": value, "HTTP_USER_AGENT": value}
            case "method":
                request.method = value
            case "ip":
                request.META["REMOTE_ADDR"] = value
            case "user":
                request.user = SimpleNamespace(pk=value[:1000])
            case "cookie":
                request.META["HTTP_COOKIE"] = f"sessionid={value}; pgtrigger.context={value}"
        stored = written_by(request)
        assert {*stored} == {"user", "url", "method", "ip"}
        assert len(stored["url"]) <= MAX_URL
        if place == "user":
            assert stored["user"][:1] == value[:1].replace("\ud800", "\ufffd").replace(
                "\0", "\ufffd"
            )
    assert Invoice.objects.count() == len(HOSTILE)


def test_a_body_of_megabytes_is_not_read():
    request = FACTORY.post("/", data=b"\xff" * MEGABYTES, content_type="application/octet-stream")
    request.user = SimpleNamespace(pk=1)
    assert written_by(request) == {"user": 1, "url": "/", "method": "POST"}
    assert not hasattr(request, "_body")


def test_keys_that_look_like_ours_are_keys_like_any_other():
    names = ["pgtrigger.ignore", "search_path", "a'b", 'a"b', "a\0b", "pgh_id", "$1", "", "{*}"]
    with context(**{name: name for name in names}):
        invoice = Invoice.objects.create()
    assert {*invoice.history.get().pgh_context.data} == {n.replace("\0", "\ufffd") for n in names}
    assert not pgtrigger.runtime.current.get().layers


def test_a_context_of_thousands_of_random_values_comes_back_as_it_was():
    chance = random.Random(8)
    pieces = [
        *"'\"\\${}[]%;:,-/*\n\t ",
        "$$",
        "$pgtrigger$",
        "--",
        "/*",
        "\u2028",
        "é",
        "\U0001f600",
    ]
    cases = 2000
    values = {
        f"k{number}": "".join(chance.choices(pieces, k=chance.randint(0, 12)))
        for number in range(cases)
    }
    with context(**values):
        invoice = Invoice.objects.create()
    assert invoice.history.get().pgh_context.data == values
    for setting in ("on", "off"):
        # One by one, in the other way in which Postgres reads strings.
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL standard_conforming_strings = {setting}")
            for value in [*values.values()][:100]:
                with context(said=value):
                    cursor.execute("UPDATE ledger_invoice SET total = total + 1")
                    cursor.execute(STORED)
                    [(data,)] = cursor.fetchall()
                assert (json.loads(data) if isinstance(data, str) else data) == {"said": value}
    print(f"{cases} values at once, 200 one by one")


def test_a_context_nested_too_deep_is_refused_before_anything_is_written():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises((ContextError, RecursionError)):
        context(deep=deep)
    nested = current = {}
    for _ in range(200):
        current["a"] = current = {}
    with context(nested=nested):
        invoice = Invoice.objects.create()
    assert invoice.history.get().pgh_context.data == {"nested": nested}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: object()}, b"bytes"])
def test_what_is_no_json_is_refused_at_once(value):
    with pytest.raises(ContextError):
        context(value=value)


@pytest.mark.parametrize(
    "uri",
    [
        *(value[:500] for value in HOSTILE if value != "{*}"),
        "ledger.Invoice:'; DROP TABLE x; --",
        "ledger.Invoice:" + "x" * 100_000,
        "a.b:c:d",
        ":",
        "",
        "ledger.Invoice:\0",
    ],
    ids=lambda uri: "uri",
)
def test_a_uri_with_odd_characters_is_refused_or_names_nothing(uri):
    with pytest.raises((TriggerUriError, TriggerNotFoundError)):
        with pgtrigger.ignore(uri):
            pass
