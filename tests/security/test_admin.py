"""The pages of the history: who sees what, who changes what, and by which requests."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import get_resolver

from ledger.models import Customer, Invoice, Tag
from pgtrigger_history import context

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
NAMES = ["next", "url", "after", "before", "redirect_to", "_popup"]
WHO = {
    "anonymous": None,
    "nobody on the staff": {"is_staff": False, "may": ["view_customer", "change_customer"]},
    "staff": {"may": []},
    "who sees another model": {"may": ["view_tag", "change_tag", "add_tag", "delete_tag"]},
    "viewer": {"may": ["view_customer"]},
    "changer": {"may": ["view_customer", "change_customer"]},
    "adder": {"may": ["view_customer", "add_customer"]},
    "superuser": {"is_superuser": True, "may": []},
    "former superuser": {"is_superuser": True, "is_active": False, "may": []},
}
# Which answers each gets: the timeline, the list of those that are gone, putting back, restoring.
ALLOWED = {
    "anonymous": "to log in",
    "nobody on the staff": "to log in",
    "staff": [403, 403, 403, 403],
    "who sees another model": [403, 403, 403, 403],
    "viewer": [200, 200, 403, 403],
    "changer": [200, 200, 200, 403],
    "adder": [200, 200, 403, 200],
    "superuser": [200, 200, 200, 200],
    "former superuser": "to log in",
}


def client_of(who, **options):
    client = Client(**options)
    if WHO[who] is not None:
        values = {"is_staff": True, **WHO[who]}
        may = values.pop("may")
        user = User.objects.create(username=who, **values)
        user.user_permissions.set(Permission.objects.filter(codename__in=may))
        client.force_login(user)
    return client


@pytest.fixture
def pages():
    """The four kinds of pages, for an object that is there and one that is gone."""
    there, gone = Customer.objects.create(name="there"), Customer.objects.create(name="gone")
    there.name = "renamed"
    there.save()
    keys = there.pk, gone.pk
    gone.delete()
    first, last = (Customer.history.of(key).order_by("pgh_id") for key in keys)
    base = "/admin/ledger/customer/"
    revert = "{}{}/history/ledger.customerevent/{}/revert/"
    return [
        f"{base}{keys[0]}/history/",
        f"{base}deleted/",
        revert.format(base, keys[0], first.first().pk),
        revert.format(base, keys[1], last.last().pk),
    ]


def rows():
    return [*Customer.objects.values_list("pk", "name")], Customer.history.count()


def token(response):
    return re.search(r'name="present" value="(\w+)"', response.content.decode())[1]


@pytest.mark.parametrize("who", WHO)
def test_each_page_is_for_those_who_may_see_it_and_looking_changes_nothing(who, pages):
    client, before = client_of(who), rows()
    for method in ("get", "head"):
        answers = [getattr(client, method)(page) for page in pages]
        if ALLOWED[who] == "to log in":
            assert {answer.status_code for answer in answers} == {302}
            assert all(answer.url.startswith(LOGIN) for answer in answers)
        else:
            assert [answer.status_code for answer in answers] == ALLOWED[who]
    for method in ("put", "delete"):
        for page in pages:
            getattr(client, method)(page)
    assert rows() == before


@pytest.mark.parametrize("who", WHO)
def test_only_who_may_puts_back_and_restores(who, pages):
    client = client_of(who)
    answered = ALLOWED[who] if isinstance(ALLOWED[who], list) else [302] * 4
    seen = [*client_of_superuser_tokens(pages)]
    for page, status, digest in zip(pages[2:], answered[2:], seen, strict=True):
        state = rows()
        response = client.post(page, {"present": digest})
        if status == 200:
            assert rows() != state
            assert response.url.startswith("/admin/ledger/customer/")
        else:
            assert response.status_code == status
            assert rows() == state


def client_of_superuser_tokens(pages):
    boss = Client()
    boss.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return [token(boss.get(page)) for page in pages[2:]]


def test_putting_back_asks_for_the_token_of_the_form(pages):
    client, before = client_of("superuser", enforce_csrf_checks=True), rows()
    digest = token(client.get(pages[2]))
    client.cookies.pop("csrftoken", None)
    assert client.post(pages[2], {"present": digest}).status_code == 403
    assert rows() == before


@pytest.mark.parametrize(
    "there", ["//evil.example/", "https://evil.example/", "javascript:alert(1)"]
)
def test_no_page_sends_anybody_elsewhere(pages, there):
    client = client_of("superuser")
    for page in pages:
        for response in (
            client.get(page, dict.fromkeys(NAMES, there)),
            client.post(f"{page}?next={there}", {**dict.fromkeys(NAMES, there), "present": "x"}),
        ):
            url = response.headers.get("Location", "/")
            assert url.startswith("/")
            assert "evil" not in url.split("?")[0]
            assert not url.startswith("//")
            assert f'href="{there}' not in response.content.decode()


@pytest.mark.parametrize("model", ["invoice", "account", "tag", "payment"])
def test_the_events_of_another_model_are_not_put_back_through_a_page(pages, model):
    client, before = client_of("superuser"), rows()
    page = pages[2].replace("ledger.customerevent", f"ledger.{model}event")
    assert client.get(page).status_code == 404
    assert client.post(page, {"present": "x"}).status_code == 404
    # Nor those of another object of the same model.
    other = pages[3].split("/history/")[1]
    mixed = f"{pages[2].split('/history/')[0]}/history/{other}"
    assert client.get(mixed).status_code == 404
    assert rows() == before


def test_a_timeline_links_to_nothing_that_its_viewer_may_not_see():
    customer = Customer.objects.create(name="of the invoice")
    invoice = Invoice.objects.create(customer=customer)
    invoice.tags.add(Tag.objects.create(name="a tag"))
    page = f"/admin/ledger/invoice/{invoice.pk}/history/"
    viewer = User.objects.create(username="sees invoices", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_invoice"))
    client = Client()
    client.force_login(viewer)
    text = client.get(page).content.decode()
    # As on any page of the admin, a foreign key is shown by the name of what it refers to.
    for model in ("payment", "customer", "tag"):
        assert f'href="/admin/ledger/{model}/' not in text


ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7000|add:777 }}{% debug %}",
    "</td></table><iframe src=//evil.example>",
    "&lt;b&gt;\u202e",
]


@pytest.mark.parametrize("number", range(len(ATTACKS)))
def test_what_events_hold_is_text_on_every_page(number):
    attack = ATTACKS[number]
    with context(user=attack, url=attack, **{attack: attack}):
        customer = Customer.objects.create(name=attack, city=attack)
        customer.name = f"{attack}2"
        customer.save()
        gone = Customer.objects.create(name=attack)
        gone_key = gone.pk
        gone.delete()
    client = client_of("superuser")
    event = Customer.history.of(customer.pk).order_by("pgh_id").first()
    base = "/admin/ledger/customer/"
    for page in [
        f"{base}{customer.pk}/history/",
        f"{base}{gone_key}/history/",
        f"{base}deleted/",
        f"{base}{customer.pk}/history/ledger.customerevent/{event.pk}/revert/",
        f"{base}{customer.pk}/history/?user={attack}&after={attack}",
    ]:
        text = client.get(page, follow=True).content.decode()
        for tag in ("<script>alert", "<img src=x", "<iframe", '"><img'):
            assert tag not in text, page
        assert not re.search(r'(href|src|action)="\s*javascript:', text)
        assert "7777" not in text


def test_every_page_of_the_history_is_behind_the_login():
    resolver = get_resolver()
    found = [
        pattern
        for pattern in resolver.reverse_dict
        if isinstance(pattern, str) and "ledger" in pattern
    ]
    assert found == []  # none outside the admin's own urls
    client = Client()
    for model, model_admin in admin.site._registry.items():
        if not hasattr(model_admin, "history_related"):
            continue
        label, name = model._meta.app_label, model._meta.model_name
        for page in ("deleted/", "1/history/", f"1/history/{label}.{name}event/1/revert/"):
            response = client.get(f"/admin/{label}/{name}/{page}")
            assert response.status_code == 302
            assert response.url.startswith(LOGIN)
