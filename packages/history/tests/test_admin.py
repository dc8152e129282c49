"""pgtrigger_history.admin: what the pages show, and to whom."""

import datetime
import re
import uuid

import pytest
from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch
from django.utils.safestring import mark_safe

import pgtrigger
from ledger.models import Account, Cafe, Customer, Everything, Invoice, Payment, Place, Tag
from pgtrigger_history import NotTrackedError, context
from pgtrigger_history.admin import HistoryAdmin, references
from pgtrigger_history.admin.values import LONGEST, cut, shown

INVOICES = "/admin/ledger/invoice/"
CUSTOMERS = "/admin/ledger/customer/"
NOT_FOUND = "Perhaps it was deleted?"
SCRIPT = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"


@pytest.fixture
def visitor(client, db):
    """`visitor("view_invoice", …)`: a client whose user has these permissions."""

    def log_in(*permissions):
        user = User.objects.create(username="ada", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def boss(client, db):
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


def page_of(obj, key=None):
    return f"/admin/ledger/{type(obj)._meta.model_name}/{key or obj.pk}/history/"


def revert_page(event, key=None):
    model = event._pgh_tracking().model
    key = key or event.pgh_obj_id
    return f"{page_of(model(pk=key))}{event._meta.label_lower}/{event.pk}/revert/"


def told(response):
    """What happened, and what changed, in each event of a page."""
    return [
        (row.what, {line.name: (line.old, line.new) for line in row.lines})
        for row in response.context["rows"]
    ]


def words(response):
    return [row.what for row in response.context["rows"]]


def names(response):
    return [row["name"] for row in response.context["rows"]]


def messages(response):
    return [str(message) for message in response.context["messages"]]


def put_back(client, event, key=None, **data):
    """Confirm the page that asks. Follows to where that leads."""
    url = revert_page(event, key)
    digest = client.get(url).context["digest"]
    return client.post(url, {"present": digest, **data}, follow=True)


class TestTimeline:
    def test_who_when_what_and_why(self, boss, invoice):
        user = User.objects.create(username="eve", first_name="Eve", last_name="Adams")
        with context(user=user.pk, url="/x?a=1", tags=["a", 1]):
            invoice.total = 9
            invoice.save()
        response = boss.get(page_of(invoice))
        row = response.context["rows"][0]
        assert (row.what, row.who.name, row.who.full_name) == ("changed", "eve", "Eve Adams")
        assert row.who.url == f"/admin/auth/user/{user.pk}/change/"
        assert {*row.context} == {("url", "/x?a=1"), ("tags", '["a", 1]')}
        assert {line.name: (line.old, line.new) for line in row.lines}["total"] == ("1", "9")
        assert [line.name for line in row.lines] == ["total", "changed at"]
        assert words(response) == ["changed", "added"]
        html = response.content.decode()
        assert row.event.pgh_created_at.isoformat() in html
        assert "update · UPDATE" in html
        assert 'href="/static/pgtrigger_history/history.css"' in html
        assert "<script" not in html.split('<div id="content"')[1].split("</main>")[0]

    def test_inserts_and_deletions_tell_the_whole_object(self, boss, customer):
        key = customer.pk
        customer.delete()
        (gone, lost), (come, got) = told(boss.get(page_of(customer, key)))
        assert (gone, come) == ("deleted", "added")
        assert lost["name"] == ("Ada", "<em>none</em>")
        assert got["name"] == ("<em>none</em>", "Ada")
        assert lost["city"] == ("<em>empty</em>", "<em>none</em>")

    def test_foreign_keys_are_shown_by_name(self, boss, customer, invoice):
        other = Customer.objects.create(name="Bob")
        invoice.customer = other
        invoice.save()
        other_key = other.pk
        Invoice.objects.update(customer=None)
        other.delete()
        changes = [change.get("customer") for _, change in told(boss.get(page_of(invoice)))]
        gone, ada = f"{other_key} (gone)", f"Customer object ({customer.pk})"
        assert changes == [(gone, "<em>none</em>"), (ada, gone), ("<em>none</em>", ada)]

    def test_what_belongs_to_it_too(self, boss, customer, invoice):
        tag = Tag.objects.create(name="red")
        invoice.tags.add(tag)
        invoice.tags.remove(tag)
        red = f"Tag object ({tag.pk})"
        assert told(boss.get(page_of(invoice)))[:2] == [
            ("removed from tags", {"tag": (red, "<em>none</em>")}),
            ("added to tags", {"tag": ("<em>none</em>", red)}),
        ]
        assert words(boss.get(page_of(customer))) == ["added"]

    def test_events_of_others_say_what_they_are_about(self, boss, customer, invoice, monkeypatch):
        monkeypatch.setattr(type(admin.site.get_model_admin(Customer)), "history_related", True)
        row = boss.get(page_of(customer)).context["rows"][0]
        assert (row.what, row.subject.name) == ("added", f"invoice {invoice.pk}")
        assert row.subject.url == page_of(invoice)
        assert row.revert_url == ""

    def test_of_two_trackers_and_without_contexts(self, boss, db):
        Account.objects.create(number="a/b_c", balance=3)
        Account.objects.update(balance=4)
        response = boss.get("/admin/ledger/account/a_2Fb_5Fc/history/")
        assert sorted(words(response)) == ["added", "changed", "changed"]
        assert [row.who for row in response.context["rows"]] == [None] * 3
        assert {*response.context["form"].fields["label"].choices} == {
            ("", "all"),
            ("opened", "opened"),
            ("balance", "balance"),
            ("audited", "audited"),
            ("before", "before"),
        }

    def test_users_that_are_gone_and_words(self, boss, invoice):
        for user in (999_999, "cron", ["x"], None):
            with context(user=user, job="j"):
                invoice.total += 1
                invoice.save()
        found = [row.who for row in boss.get(page_of(invoice)).context["rows"]]
        assert [who and who.name for who in found] == [None, '["x"]', "cron", "999999", None]
        assert not any(who.url for who in found if who)

    def test_users_are_linked_for_those_who_may_see_them(self, visitor, invoice):
        with context(user=User.objects.create(username="eve").pk):
            invoice.delete()
        client = visitor("view_invoice")
        who = client.get(page_of(invoice, Invoice.history.latest().pgh_obj_id)).context["rows"]
        assert (who[0].who.name, who[0].who.url) == ("eve", "")

    def test_an_admin_with_other_pages_is_not_linked(self, boss, invoice, monkeypatch):
        with context(user=User.objects.create(username="eve").pk):
            invoice.delete()
        monkeypatch.setattr(references, "reverse", self.nothing)
        key = Invoice.history.latest().pgh_obj_id
        who = boss.get(page_of(invoice, key)).context["rows"][0].who
        assert (who.name, who.url) == ("eve", "")

    def nothing(self, name, **kwargs):
        raise NoReverseMatch(name)

    def test_a_context_that_is_no_object_is_shown_as_it_is(self, boss, customer, sql):
        invoice = Invoice.objects.create()
        sql("SELECT set_config('pgtrigger.context', '[1, 2]', true)")
        sql("UPDATE ledger_invoice SET total = 7")
        row = boss.get(page_of(invoice)).context["rows"][0]
        assert (row.who, row.context) == (None, [("context", "[1, 2]")])

    def test_what_is_not_tracked_says_so(self, boss, monkeypatch, db):
        class PlaceAdmin(HistoryAdmin, admin.ModelAdmin):
            pass

        monkeypatch.setitem(admin.site._registry, Place, PlaceAdmin(Place, admin.site))
        place = Place.objects.create()
        request = boss.get("/admin/").wsgi_request
        with pytest.raises(NotTrackedError, match='Nothing is recorded of "ledger.Place"'):
            admin.site.get_model_admin(Place).history_view(request, str(place.pk))

    @pytest.mark.parametrize("key", ["7777", "x", "9" * 40, "_00"])
    def test_what_never_was_is_not_found(self, boss, key):
        response = boss.get(f"{INVOICES}{key}/history/", follow=True)
        assert NOT_FOUND in messages(response)[0]

    def test_the_number_of_queries_is_the_same_for_many_events(
        self, boss, invoice, django_assert_num_queries, monkeypatch
    ):
        monkeypatch.setattr(type(admin.site.get_model_admin(Invoice)), "history_related", False)
        users = [User.objects.create(username=f"u{n}") for n in range(3)]
        for number in range(40):
            with context(user=users[number % 3].pk):
                invoice.total += 1
                invoice.customer = Customer.objects.create(name=f"c{number}")
                invoice.save()
        # The session, the viewer, the object, its events, their customers, their users.
        with django_assert_num_queries(6):
            response = boss.get(page_of(invoice))
        assert len(response.context["rows"]) == 41


class TestPages:
    @pytest.fixture
    def busy(self, invoice, monkeypatch):
        monkeypatch.setattr(type(admin.site.get_model_admin(Invoice)), "history_per_page", 4)
        for total in range(2, 12):
            with context(user="cron" if total % 2 else None):
                invoice.total = total
                invoice.save()
        return invoice

    def walk(self, client, url, query=""):
        found, pages = [], 0
        while True:
            response = client.get(f"{url}{query}")
            found += [row.event.total for row in response.context["rows"]]
            pages += 1
            query = response.context["older"]
            if not query:
                return found, pages

    def test_older_ones_are_on_further_pages(self, boss, busy):
        assert self.walk(boss, page_of(busy)) == ([*range(11, 0, -1)], 3)

    def test_pages_keep_the_filter(self, boss, busy):
        found, pages = self.walk(boss, page_of(busy), "?user=cron&label=update")
        assert (found, pages) == ([11, 9, 7, 5, 3], 2)

    def test_a_cursor_of_something_else_becomes_a_message(self, boss, busy):
        response = boss.get(f"{page_of(busy)}?after=nonsense", follow=True)
        assert "is no cursor of a timeline" in messages(response)[0]
        assert len(response.context["rows"]) == 4


class TestFilters:
    @pytest.fixture
    def story(self, invoice):
        with context(user=User.objects.create(username="eve").pk):
            invoice.total = 2
            invoice.save()
            invoice.tags.add(Tag.objects.create(name="red"))
        with context(user="cron"):
            invoice.note = "n"
            invoice.save()
        return invoice

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("user=eve", ["added to tags", "changed"]),
            ("user=cron", ["changed"]),
            ("user=(nobody)", ["added"]),
            ("user=nobody+like+that", []),
            ("label=update", ["changed", "changed"]),
            ("label=insert", ["added"]),
            ("field=total", ["changed", "added"]),
            ("field=note", ["changed", "added"]),
            ("field=tags", ["added to tags"]),
            ("user=eve&field=total&label=update", ["changed"]),
            ("user=&field=&label=", ["changed", "added to tags", "changed", "added"]),
        ],
    )
    def test_only_some_events(self, boss, story, query, found):
        assert words(boss.get(f"{page_of(story)}?{query}")) == found

    @pytest.mark.parametrize("query", ["label=no", "field=id", "user=%00", "field=pgh_id"])
    def test_what_there_is_not_is_an_error_on_the_page(self, boss, story, query):
        response = boss.get(f"{page_of(story)}?{query}")
        assert response.context["rows"] == []
        assert response.context["form"].errors
        assert 'class="error"' in response.content.decode()

    def test_events_without_contexts_are_by_nobody(self, boss, db):
        account = Account.objects.create(number="1")
        url = page_of(account)
        assert words(boss.get(f"{url}?user=(nobody)")) == ["added"]
        assert words(boss.get(f"{url}?user=boss")) == []

    def test_fields_of_another_model_are_not_changed_in_this_one(self, boss, customer, invoice):
        page = admin.site.get_model_admin(Customer)
        page.history_related = True
        try:
            assert words(boss.get(f"{page_of(customer)}?field=total")) == ["added"]
            assert len(boss.get(page_of(customer)).context["rows"]) == 2
        finally:
            del page.history_related


class TestPermissions:
    def test_without_any_nothing_is_seen(self, visitor, invoice):
        client = visitor("view_customer")
        event = invoice.history.latest()
        for url in (page_of(invoice), f"{INVOICES}deleted/", revert_page(event)):
            assert client.get(url).status_code == 403
        assert client.post(revert_page(event)).status_code == 403

    def test_a_visitor_who_has_not_logged_in_is_asked_to(self, client, invoice):
        for url in (page_of(invoice), revert_page(invoice.history.latest())):
            assert client.get(url).url.startswith("/admin/login/")

    def test_who_may_see_may_not_put_back(self, visitor, invoice):
        client = visitor("view_invoice")
        row = client.get(page_of(invoice)).context["rows"][0]
        assert row.revert_url == ""
        assert client.get(revert_page(row.event)).status_code == 403
        assert client.post(revert_page(row.event)).status_code == 403

    def test_who_may_change_may_put_back_and_not_restore(self, visitor, invoice):
        client = visitor("change_invoice")
        event, key = invoice.history.latest(), invoice.pk
        invoice.total = 5
        invoice.save()
        assert client.get(page_of(invoice)).context["rows"][0].revert_url
        put_back(client, event)
        assert Invoice.objects.get().total == 1
        Invoice.objects.all().delete()
        assert client.get(page_of(invoice, key)).context["rows"][0].revert_url == ""
        assert client.get(f"{INVOICES}deleted/").context["rows"][0]["revert_url"] == ""
        assert client.post(revert_page(event), {"present": ""}).status_code == 403
        assert not Invoice.objects.exists()

    def test_who_may_add_may_restore(self, visitor, invoice):
        client = visitor("view_invoice", "add_invoice")
        event = invoice.history.latest()
        assert client.get(revert_page(event)).status_code == 403
        invoice.delete()
        put_back(client, event)
        assert Invoice.objects.get().pk == event.pgh_obj_id

    def test_events_of_others_are_for_those_who_may_see_those(self, visitor, invoice, monkeypatch):
        monkeypatch.setattr(type(admin.site.get_model_admin(Customer)), "history_related", True)
        Invoice.objects.update(total=3)
        client = visitor("view_customer")
        url = page_of(invoice.customer)
        response = client.get(url)
        assert words(response) == ["added"]
        assert "total" not in response.content.decode()
        assert words(client.get(f"{url}?label=insert")) == ["added"]
        permission = Permission.objects.get(codename="view_invoice")
        User.objects.get(username="ada").user_permissions.add(permission)
        assert words(client.get(url)) == ["changed", "added", "added"]

    def test_also_if_those_have_no_admin(self, visitor, invoice, monkeypatch):
        monkeypatch.setattr(type(admin.site.get_model_admin(Customer)), "history_related", True)
        monkeypatch.delitem(admin.site._registry, Invoice)
        client = visitor("view_customer")
        assert words(client.get(page_of(invoice.customer))) == ["added"]
        permission = Permission.objects.get(codename="change_invoice")
        User.objects.get(username="ada").user_permissions.add(permission)
        rows = client.get(page_of(invoice.customer)).context["rows"]
        assert [(row.what, row.subject and row.subject.url) for row in rows] == [
            ("added", ""),
            ("added", None),
        ]

    def test_an_object_in_no_queryset_of_the_user_is_not_found(self, boss, invoice, monkeypatch):
        page = type(admin.site.get_model_admin(Invoice))
        monkeypatch.setattr(page, "get_queryset", lambda self, request: Invoice.objects.none())
        for url in (page_of(invoice), revert_page(invoice.history.latest())):
            assert NOT_FOUND in messages(boss.get(url, follow=True))[0]

    def test_permission_for_an_object_holds_when_it_is_gone(self, boss, invoice, monkeypatch):
        event = invoice.history.latest()
        invoice.delete()
        Invoice.objects.create(total=7).delete()
        page = type(admin.site.get_model_admin(Invoice))

        def rule(self, request, obj=None):
            return obj is None or obj.total == 7

        monkeypatch.setattr(page, "has_view_or_change_permission", rule)
        assert len(boss.get(f"{INVOICES}deleted/").context["rows"]) == 1
        assert boss.get(page_of(invoice, event.pgh_obj_id)).status_code == 403
        assert boss.post(revert_page(event)).status_code == 403

    def test_deleted_objects_can_be_kept_from_a_user(self, boss, invoice, monkeypatch):
        key = invoice.pk
        invoice.delete()
        page = type(admin.site.get_model_admin(Invoice))
        monkeypatch.setattr(
            page, "get_deleted_events", lambda self, request: Invoice.history.none()
        )
        assert names(boss.get(f"{INVOICES}deleted/")) == []
        assert NOT_FOUND in messages(boss.get(page_of(invoice, key), follow=True))[0]

    def test_fields_that_are_left_out_of_the_form_are_not_shown(self, boss, invoice, monkeypatch):
        page = type(admin.site.get_model_admin(Invoice))
        monkeypatch.setattr(page, "exclude", ["note"], raising=False)
        event = invoice.history.latest()
        Invoice.objects.update(note="secret-1", total=4)
        assert told(boss.get(page_of(invoice)))[0] == (
            "changed",
            {"total": ("1", "4"), "note": ("<em>not shown</em>", "<em>not shown</em>")},
        )
        for url in (page_of(invoice), revert_page(event)):
            response = boss.get(url)
            assert "secret-1" not in response.content.decode()
        assert "field=note" not in boss.get(page_of(invoice)).content.decode()
        assert boss.get(f"{page_of(invoice)}?field=note").context["form"].errors

    @pytest.mark.parametrize("kind", ["HistoryAdmin", "ModelAdmin", "none"])
    def test_also_those_of_others(self, boss, invoice, monkeypatch, kind):
        monkeypatch.setattr(type(admin.site.get_model_admin(Customer)), "history_related", True)
        if kind == "none":
            monkeypatch.delitem(admin.site._registry, Invoice)
            page = type(admin.site.get_model_admin(Customer))
            monkeypatch.setattr(page, "history_exclude", ["note"])
        elif kind == "ModelAdmin":
            page = type("PlainAdmin", (admin.ModelAdmin,), {"exclude": ["note"]})
            monkeypatch.setitem(admin.site._registry, Invoice, page(Invoice, admin.site))
        else:
            page = type(admin.site.get_model_admin(Invoice))
            monkeypatch.setattr(page, "history_exclude", ["note"])
        Invoice.objects.update(note="secret-1")
        response = boss.get(page_of(invoice.customer))
        assert "secret-1" not in response.content.decode()
        assert told(response)[0][1] == {"note": ("<em>not shown</em>", "<em>not shown</em>")}


class TestDeleted:
    def test_those_whose_last_event_is_a_deletion_the_latest_first(self, boss, customer):
        first, second, back = (Customer.objects.create(name=name) for name in "abc")
        for each in (first, second, back):
            each.delete()
        Customer.history.filter(name="c").latest().revert()
        with context(user="cron"):
            customer.delete()
        response = boss.get(f"{CUSTOMERS}deleted/")
        rows = response.context["rows"]
        assert [(row["event"].name, row["who"] and row["who"].name) for row in rows] == [
            ("Ada", "cron"),
            ("b", None),
            ("a", None),
        ]
        key = rows[0]["event"].pgh_obj_id
        assert rows[0]["url"] == f"{CUSTOMERS}{key}/history/"
        assert words(boss.get(rows[0]["url"])) == ["deleted", "added"]

    def test_what_went_twice_is_there_once(self, boss, customer):
        key = customer.pk
        customer.delete()
        Customer.history.of(key).latest().revert().delete()
        (row,) = boss.get(f"{CUSTOMERS}deleted/").context["rows"]
        assert row["event"] == Customer.history.of(key).latest()

    def test_those_that_came_back_unseen_are_not_among_them(self, boss, customer):
        key = customer.pk
        customer.delete()
        with pgtrigger.ignore():
            Customer.objects.create(pk=key, name="back")
        assert names(boss.get(f"{CUSTOMERS}deleted/")) == []

    def test_those_that_went_with_a_truncation_are(self, boss, db, sql):
        Everything.objects.create()
        connection.check_constraints()  # none are pending then
        sql("TRUNCATE ledger_everything")
        response = boss.get("/admin/ledger/everything/deleted/")
        assert len(names(response)) == 1
        assert words(boss.get(response.context["rows"][0]["url"]))[0] == "deleted with all others"

    def test_pages(self, boss, db, monkeypatch):
        monkeypatch.setattr(type(admin.site.get_model_admin(Customer)), "history_per_page", 2)
        for name in "abcde":
            Customer.objects.create(name=name).delete()
        found, query = [], ""
        for _ in range(3):
            response = boss.get(f"{CUSTOMERS}deleted/{query}")
            found.append([row["event"].name for row in response.context["rows"]])
            query = response.context["older"]
        assert found == [["e", "d"], ["c", "b"], ["a"]]
        assert query == ""

    @pytest.mark.parametrize("before", ["x", "-1", "²", "9" * 20])
    def test_a_place_that_is_none_is_not_found(self, boss, before):
        assert boss.get(f"{CUSTOMERS}deleted/", {"before": before}).status_code == 404

    def test_of_a_model_that_stores_contexts_in_its_events(self, boss, invoice):
        with context(user="cron"):
            Payment.objects.create(invoice=invoice).delete()
        response = boss.get("/admin/ledger/payment/deleted/")
        assert [row["who"].name for row in response.context["rows"]] == ["cron"]
        rows = boss.get(response.context["rows"][0]["url"]).context["rows"]
        assert [row.who.name for row in rows] == ["cron", "cron"]

    def test_the_list_has_a_link_to_them_whatever_its_template(self, boss, monkeypatch, tmp_path):
        link = f'href="{CUSTOMERS}deleted/"'
        assert link in boss.get(CUSTOMERS).content.decode()
        page = type(admin.site.get_model_admin(Customer))
        monkeypatch.setattr(page, "change_list_template", "admin/change_list.html", raising=False)
        assert link in boss.get(CUSTOMERS).content.decode()

    def test_actions_of_the_list_work_as_ever(self, boss, customer):
        data = {"action": "delete_selected", "_selected_action": [customer.pk]}
        assert b"Are you sure" in boss.post(CUSTOMERS, data).content
        boss.post(CUSTOMERS, {**data, "post": "yes"})
        assert not Customer.objects.exists()

    def test_where_deletions_are_not_recorded_there_is_no_such_page(self, boss, db):
        account = Account.objects.create(number="1")
        assert "deleted/" not in boss.get("/admin/ledger/account/").content.decode()
        assert boss.get("/admin/ledger/account/deleted/").status_code == 404
        Account.objects.all().delete()
        response = boss.get(page_of(account, "1"), follow=True)
        assert NOT_FOUND in messages(response)[0]

    def test_what_its_name_needs_may_be_gone_too(self, boss, customer, monkeypatch):
        invoice = Invoice.objects.create(customer=customer)
        key = invoice.pk
        monkeypatch.setattr(Invoice, "__str__", lambda self: f"of {self.customer.name}")
        customer.delete()
        assert names(boss.get(f"{INVOICES}deleted/")) == [f"invoice {key}"]


class TestPuttingBack:
    @pytest.fixture
    def changed(self, invoice):
        invoice.total, invoice.note = 50, "new"
        invoice.save()
        return invoice

    def test_the_difference_to_the_present_is_shown_and_nothing_done(self, boss, changed):
        response = boss.get(revert_page(changed.history.earliest()))
        lines = {line.name: (line.old, line.new) for line in response.context["lines"]}
        assert {*lines} == {"total", "note", "changed at"}
        assert lines["total"] == ("50", "1")
        old, new = lines["changed at"]
        assert old > new  # to the microsecond
        assert Invoice.objects.get().total == 50

    def test_it_is_done_and_says_who_did_it(self, boss, changed):
        event = changed.history.earliest()
        response = put_back(boss, event)
        assert response.redirect_chain[-1][0] == page_of(changed)
        assert re.match(r"The invoice “.*” was put back, as event \d+ has", messages(response)[0])
        found = Invoice.objects.get()
        assert (found.total, found.note, found.changed_at) == (1, "", event.changed_at)
        last, boss_user = changed.history.latest(), User.objects.get(username="boss")
        assert last.pgh_context.data == {"user": boss_user.pk, "reverted_to": event.pk}
        log = LogEntry.objects.get()
        assert (log.user, log.object_id, log.action_flag) == (boss_user, str(changed.pk), CHANGE)
        assert log.get_change_message().startswith(f"Put back to event {event.pk}")

    def test_a_deleted_object_is_restored(self, boss, changed):
        event, key = changed.history.latest(), changed.pk
        changed.delete()
        page = boss.get(revert_page(event))
        assert "Yes, restore it" in page.content.decode()
        response = put_back(boss, event)
        assert "was restored" in messages(response)[0]
        assert Invoice.objects.get(pk=key).total == 50
        assert LogEntry.objects.get().action_flag == ADDITION

    def test_nothing_is_done_without_the_token(self, changed):
        client = Client(enforce_csrf_checks=True)
        client.force_login(User.objects.create(username="b", is_staff=True, is_superuser=True))
        url = revert_page(changed.history.earliest())
        page = client.get(url)
        data = {"present": page.context["digest"]}
        assert client.post(url, data).status_code == 403
        assert Invoice.objects.get().total == 50
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.content.decode())[1]
        assert client.post(url, {**data, "csrfmiddlewaretoken": token}).status_code == 302
        assert Invoice.objects.get().total == 1

    def test_what_has_changed_meanwhile_is_asked_about_anew(self, boss, changed):
        url = revert_page(changed.history.earliest())
        digest = boss.get(url).context["digest"]
        Invoice.objects.update(note="newer")
        response = boss.post(url, {"present": digest}, follow=True)
        assert "has changed in the meantime" in messages(response)[0]
        assert response.redirect_chain[-1][0] == url
        assert Invoice.objects.get().note == "newer"
        assert boss.post(url).status_code == 302  # no digest at all
        assert Invoice.objects.get().note == "newer"
        assert not LogEntry.objects.exists()

    def test_what_is_as_it_was_needs_nothing(self, boss, changed):
        response = boss.get(revert_page(changed.history.latest()))
        html = response.content.decode()
        assert "There is nothing to put back" in html
        assert 'class="pgh-confirm"' not in html

    def test_a_refusal_of_the_database_becomes_a_message(self, boss, changed):
        event = changed.history.earliest()
        protect = pgtrigger.Protect(name="no_changes", operation=pgtrigger.Update)
        with protect.register(Invoice), protect.install(Invoice):
            (said,) = messages(put_back(boss, event))
        assert "cannot be put back: pgtrigger: Cannot update rows" in said
        assert "PL/pgSQL" not in said
        assert Invoice.objects.get().total == 50
        assert not LogEntry.objects.exists()

    def test_any_error_of_the_database_does(self, boss, changed, sql):
        event = changed.history.earliest()
        connection.check_constraints()  # none are pending then
        sql("ALTER TABLE ledger_invoice ALTER COLUMN total TYPE smallint")
        sql("ALTER TABLE ledger_invoiceevent DISABLE TRIGGER USER")
        sql("UPDATE ledger_invoiceevent SET total = 100000 WHERE pgh_id = %s", [event.pk])
        (said,) = messages(put_back(boss, event))
        assert said.endswith("cannot be put back: smallint out of range")
        assert Invoice.objects.get().total == 50

    def test_what_it_belongs_to_may_be_gone(self, boss, invoice):
        payment = Payment.objects.create(invoice=invoice)
        key = payment.pk
        invoice.delete()
        event = Payment.history.of(key).latest()
        (said,) = messages(put_back(boss, event))
        assert "DETAIL:" in said
        assert "violates foreign key constraint" in said
        assert not Payment.objects.exists()

    def test_nothing_is_half_done(self, boss, changed, monkeypatch):
        def fail(*args):
            raise DatabaseError("no log today")

        page = type(admin.site.get_model_admin(Invoice))
        monkeypatch.setattr(page, "log_change", fail)
        assert messages(put_back(boss, changed.history.earliest())) == ["no log today"]
        assert Invoice.objects.get().total == 50
        assert changed.history.count() == 2

    def test_fields_that_are_not_tracked_are_refused_or_left(self, boss, db, monkeypatch):
        account = Account.objects.create(number="7", balance=3, owner="x")
        Account.objects.update(balance=4, owner="y")
        event = account.history.earliest()
        page = boss.get(revert_page(event, "7"))
        assert "owner are not tracked" in page.context["problem"]
        assert 'class="pgh-confirm"' not in page.content.decode()
        assert "owner are not tracked" in messages(put_back(boss, event, "7"))[0]
        assert Account.objects.get().balance == 4
        monkeypatch.setattr(
            type(admin.site.get_model_admin(Account)), "history_partial", True, raising=False
        )
        page = boss.get(revert_page(event, "7"))
        assert "left as it is: owner" in page.content.decode()
        put_back(boss, event, "7")
        assert (Account.objects.get().balance, Account.objects.get().owner) == (3, "y")

    def test_a_child_is_put_back(self, boss, db):
        cafe = Cafe.objects.create(stars=1, address="here")
        Cafe.objects.update(stars=2)
        put_back(boss, cafe.history.earliest())
        assert Cafe.objects.get().stars == 1

    def test_only_to_an_event_of_its_own(self, boss, changed):
        other = Invoice.objects.create()
        event = other.history.latest()
        mine = page_of(changed)
        for path in (
            f"ledger.invoiceevent/{event.pk}/revert/",
            f"ledger.customerevent/{changed.customer.history.latest().pk}/revert/",
            "ledger.invoicetagsevent/1/revert/",
            "nothing/1/revert/",
            f"ledger.invoiceevent/{'9' * 30}/revert/",
        ):
            assert boss.get(f"{mine}{path}").status_code == 404
            assert boss.post(f"{mine}{path}").status_code == 404
        response = boss.get(f"{INVOICES}7777/history/ledger.invoiceevent/1/revert/", follow=True)
        assert NOT_FOUND in messages(response)[0]


class TestEscaping:
    def test_no_value_context_or_name_becomes_html(self, boss, monkeypatch):
        user = User.objects.create(username=SCRIPT[:150], first_name=SCRIPT)
        monkeypatch.setattr(Customer, "__str__", lambda self: self.name)
        with context(user=user.pk, **{SCRIPT: SCRIPT, "url": "javascript:alert(1)"}):
            customer = Customer.objects.create(name=SCRIPT)
            invoice = Invoice.objects.create(customer=customer, note=SCRIPT)
            invoice.tags.add(Tag.objects.create(name=SCRIPT))
        with context(user=SCRIPT):
            invoice.note, invoice.customer = SCRIPT + "2", None
            invoice.save()
        event = invoice.history.earliest()
        for url in (
            page_of(invoice),
            page_of(customer),
            revert_page(event),
            f"{page_of(invoice)}?{'user=' + SCRIPT}",
            f"{page_of(invoice)}?label={SCRIPT}&field={SCRIPT}",
        ):
            self.is_clean(boss.get(url), SCRIPT)
        self.is_clean(put_back(boss, customer.history.latest()), SCRIPT)
        Invoice.objects.all().delete()
        customer.delete()
        self.is_clean(boss.get(f"{CUSTOMERS}deleted/"), SCRIPT)
        self.is_clean(put_back(boss, Customer.history.earliest()), SCRIPT)
        self.is_clean(boss.get(f"{page_of(invoice)}?after={SCRIPT}", follow=True), SCRIPT)

    def is_clean(self, response, script):
        assert response.status_code == 200
        html = response.content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert 'href="javascript:' not in html

    def test_also_of_a_model_that_says_its_name_is_safe(self, boss, monkeypatch):
        monkeypatch.setattr(Customer, "__str__", lambda self: mark_safe(f"{SCRIPT}({self.pk})"))
        customer = Customer.objects.create()
        invoice = Invoice.objects.create(customer=customer)
        html = boss.get(page_of(invoice)).content.decode()
        assert "<img src=x" not in html


class TestValues:
    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("code", "x", "X"),
            ("code", "gone", "gone"),
            ("code", None, "<em>none</em>"),
            ("flag", True, "Yes"),
            ("flag", False, "No"),
            ("numbers", [1, 2], "1, 2"),
            ("numbers", [], "[]"),
            ("data", {"a": [None, 1.5]}, '{"a": [null, 1.5]}'),
            ("data", {}, "{}"),
            ("raw", b"\x00\xff", "00 ff (2 bytes)"),
            ("raw", memoryview(b"a" * 40), f"{' '.join(['61'] * 32)}… (40 bytes)"),
            ("raw", b"", "<em>empty</em>"),
            ("real", 0.0, "0.0"),
            ("wait", datetime.timedelta(0), "0:00:00"),
            ("day", datetime.date(2026, 1, 2), "Jan. 2, 2026"),
            ("slug", "", "<em>empty</em>"),
            ("ip", "::1", "::1"),
        ],
    )
    def test_they_are_readable(self, name, value, text):
        assert shown(value, Everything._meta.get_field(name)) == text

    def test_all_fields_can_be_shown(self, boss, db):
        tag = Tag.objects.create(name="red")
        row = Everything.objects.create(key=uuid.uuid4(), file="files/a.txt", by_name=tag)
        ((_, values),) = told(boss.get(page_of(row)))
        assert values["file"] == ("<em>none</em>", "files/a.txt")
        assert values["image"] == ("<em>none</em>", "<em>empty</em>")
        assert values["by name"] == ("<em>none</em>", f"Tag object ({tag.pk}) (red)")
        assert values["shout"] == ("<em>none</em>", "X")
        Everything.objects.update(raw=b"\0")
        assert told(boss.get(page_of(row)))[0][1] == {"raw": ("<em>empty</em>", "00 (1 bytes)")}

    def test_long_texts_are_cut_to_where_they_differ(self):
        old, new = "a" * 10_000 + "old" + "b" * 10_000, "a" * 10_000 + "new"
        found = cut(old, new)
        assert [len(text) < LONGEST + 50 for text in found] == [True, True]
        assert found[0].startswith("…" + "a" * 100 + "oldb")
        assert found[0].endswith("… (20003 characters)")
        assert found[1] == "…" + "a" * 100 + "new (10003 characters)"
        assert cut("a" * 3000, "a" * 3000)[0] == "a" * LONGEST + "… (3000 characters)"
        assert cut("short", "b" * 3000) == ("short", "b" * LONGEST + "… (3000 characters)")
        assert cut("a", "b") == ("a", "b")


class TestManyEvents:
    @pytest.fixture
    def many(self, invoice, sql):
        """100,000 events of 1,000 invoices, 100 of this one's, and 200 deletions."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO ledger_invoiceevent
                    (pgh_created_at, pgh_label, pgh_operation, pgh_transaction, id, total, note,
                     pgh_obj_id)
                SELECT clock_timestamp(), 'update', 'UPDATE', pg_current_xact_id(),
                       key, round, '', key
                FROM generate_series(1, 100) AS round,
                     generate_series(%(first)s, %(first)s + 999) AS key
                """,
                {"first": invoice.pk},
            )
            cursor.execute(
                """
                INSERT INTO ledger_invoiceevent
                    (pgh_created_at, pgh_label, pgh_operation, pgh_transaction, id, total, note,
                     pgh_obj_id)
                SELECT clock_timestamp(), 'delete', 'DELETE', pg_current_xact_id(),
                       key, 1, '', key
                FROM generate_series(500001, 500200) AS key
                """
            )
            cursor.execute("ANALYZE ledger_invoiceevent")
        return invoice

    def test_a_page_reads_an_index_and_no_table(self, boss, many):
        history = page_of(many)
        for url, queries in {
            history: 1,
            f"{history}?label=update": 3,
            f"{history}?field=note": 2,  # one event, which came first
            f"{history}?user=(nobody)": 3,
            f"{INVOICES}deleted/": 1,
        }.items():
            with CaptureQueriesContext(connection) as captured:
                assert boss.get(url).context["rows"]
            found = [
                query["sql"] for query in captured if 'FROM "ledger_invoiceevent"' in query["sql"]
            ]
            assert 0 < len(found) <= queries, url
            for query in found:
                plan = "\n".join(line for (line,) in self.explain(query))
                assert "Seq Scan on ledger_invoiceevent" not in plan, plan
                read = re.findall(r"actual time=\S+ rows=([\d.]+)", plan)
                assert max(map(float, read)) <= 250, plan

    def explain(self, query):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE) {query}")
            return cursor.fetchall()
