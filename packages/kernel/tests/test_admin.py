"""pgtrigger.admin: what a trigger refuses is shown by the admin, and nothing of it is done."""

import subprocess
import sys
from contextlib import ExitStack

import pytest
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connections
from django.urls import path

import pgtrigger
from pgtrigger.admin import ViolationsAdminMixin
from pgtrigger.functions import raise_violation
from shop.models import Maker, Order, Product

Before, After = pgtrigger.Before, pgtrigger.After
Insert, Update, Delete = pgtrigger.Insert, pgtrigger.Update, pgtrigger.Delete

site = admin.AdminSite()


class OrderAdmin(ViolationsAdminMixin, admin.ModelAdmin):
    fields = ["user", "total"]
    list_display = ["id", "user", "total"]
    list_editable = ["total"]
    actions = ["empty", "try_to_empty", "stamp"]

    def empty(self, request, queryset):
        queryset.delete()
        messages.success(request, "Emptied")

    def try_to_empty(self, request, queryset):
        """An action that has seen to the error by itself."""
        try:
            queryset.delete()
        except DatabaseError:
            self.message_user(request, "This cannot be emptied", messages.WARNING)

    def stamp(self, request, queryset):
        queryset.update(user="stamped")
        self.message_user(request, "Stamped")


class ProductInline(admin.TabularInline):
    model = Product
    fields = ["name", "stock"]
    extra = 1


class MakerAdmin(ViolationsAdminMixin, admin.ModelAdmin):
    inlines = [ProductInline]


class PlainForm(forms.ModelForm):
    class Meta:
        model = Product
        fields = ["name"]


class ProductAdmin(ViolationsAdminMixin, admin.ModelAdmin):
    """Brings a form of its own making, and an error of its own."""

    fields = ["name"]

    def get_form(self, request, obj=None, change=False, **kwargs):
        return PlainForm

    def save_model(self, request, obj, form, change):
        if obj.name == "mine":
            raise ValidationError("my own")
        super().save_model(request, obj, form, change)


site.register(Order, OrderAdmin)
site.register(Maker, MakerAdmin)
site.register(Product, ProductAdmin)


class Urls:
    urlpatterns = [path("admin/", site.urls)]


ORDERS, MAKERS, PRODUCTS = "/admin/shop/order/", "/admin/shop/maker/", "/admin/shop/product/"


@pytest.fixture(params=[False, True], ids=["each view by itself", "ATOMIC_REQUESTS"])
def browser(request, transactional_db, client, settings, monkeypatch):
    """A superuser's, on requests that commit."""
    settings.ROOT_URLCONF = Urls
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", request.param)
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def put(transactional_db, declared):
    """`put(Model, trigger)`: registers and installs, until the test ends."""
    with ExitStack() as undo:

        def install(model, trigger):
            declared(model, trigger)
            undo.enter_context(trigger.install(model))

        yield install


@pytest.fixture
def orders(transactional_db):
    return Order.objects.bulk_create([Order(user=name, total=1) for name in ("Ada", "Bob")])


def refusing(operation, message="not today", name="own", column=None, **kwargs):
    """A trigger as a third party would write it."""
    func = f"{raise_violation(message, column=column)}"
    return pgtrigger.Trigger(
        name=name, **{"when": Before, "operation": operation, "func": func, **kwargs}
    )


def deferred(operation, **kwargs):
    return refusing(operation, when=After, timing=pgtrigger.Deferred, **kwargs)


def protect(**kwargs):
    return pgtrigger.Protect(name="keep", operation=Delete, **kwargs)


def told(response):
    return [str(message) for message in response.context["messages"]]


KEPT = "pgtrigger: Cannot delete rows from user table"


# --- Deleting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "message"),
    [(protect(), KEPT), (deferred(Delete), "not today")],
    ids=["Protect", "deferred"],
)
class TestDeleting:
    def test_one_object(self, browser, put, orders, trigger, message):
        put(Order, trigger)
        url = f"{ORDERS}{orders[0].pk}/delete/"
        response = browser.post(url, {"post": "yes"}, follow=True)
        assert response.redirect_chain == [(url, 302)]
        assert response.status_code == 200
        assert told(response) == [message]
        assert Order.objects.count() == 2
        assert not LogEntry.objects.exists()

    def test_selected_objects(self, browser, put, orders, trigger, message):
        put(Order, trigger)
        data = {"action": "delete_selected", "_selected_action": [o.pk for o in orders]}
        url = f"{ORDERS}?user__exact=Ada"
        assert browser.post(url, {**data, "index": 0}).status_code == 200  # asks for confirmation
        response = browser.post(url, {**data, "post": "yes"}, follow=True)
        assert response.redirect_chain == [(url, 302)]
        assert told(response) == [message]
        assert Order.objects.count() == 2
        assert not LogEntry.objects.exists()


def test_where_one_of_many_is_protected_all_are_kept(browser, put, orders):
    put(Order, protect(condition=pgtrigger.Q(old__user="Bob")))
    data = {"action": "delete_selected", "_selected_action": [o.pk for o in orders], "post": "yes"}
    assert told(browser.post(ORDERS, data, follow=True)) == [KEPT]
    assert Order.objects.count() == 2


def test_what_is_allowed_is_deleted(browser, put, orders):
    put(Order, protect(condition=pgtrigger.Q(old__user="Bob")))
    response = browser.post(f"{ORDERS}{orders[0].pk}/delete/", {"post": "yes"}, follow=True)
    assert response.redirect_chain == [(ORDERS, 302)]
    assert "was deleted successfully" in told(response)[0]
    assert [order.user for order in Order.objects.all()] == ["Bob"]
    assert LogEntry.objects.count() == 1


def test_an_object_that_goes_along_is_protected(browser, put):
    Product.objects.create(maker=Maker.objects.create(code="a"))
    put(Product, protect())
    response = browser.post(f"{MAKERS}a/delete/", {"post": "yes"}, follow=True)
    assert told(response) == ["pgtrigger: Cannot delete rows from shop_product table"]
    assert Product.objects.count() == Maker.objects.count() == 1


# --- Adding and changing ----------------------------------------------------------------------


def test_a_read_only_field_is_marked_in_the_form_which_keeps_what_was_typed(browser, put, orders):
    put(Order, pgtrigger.ReadOnly(name="fixed", fields=["total"]))
    url = f"{ORDERS}{orders[0].pk}/change/"
    response = browser.post(url, {"user": "Eve", "total": 777})
    assert response.status_code == 200
    form = response.context["adminform"].form
    assert [*form.errors] == ["total"]
    assert "Total is read-only" in response.text
    assert 'value="777"' in response.text
    assert 'value="Eve"' in response.text
    orders[0].refresh_from_db()
    assert (orders[0].user, orders[0].total) == ("Ada", 1)
    assert not LogEntry.objects.exists()
    response = browser.post(url, {"user": "Eve", "total": 1}, follow=True)
    assert "was changed successfully" in told(response)[0]
    assert Order.objects.filter(user="Eve").exists()


@pytest.mark.parametrize("trigger", [refusing(Insert), deferred(Insert)], ids=["raw", "deferred"])
def test_what_cannot_be_added(browser, put, trigger):
    put(Order, trigger)
    response = browser.post(f"{ORDERS}add/", {"user": "Eve", "total": 777})
    assert response.status_code == 200
    assert response.context["adminform"].form.non_field_errors() == ["not today"]
    assert told(response) == []
    assert 'value="777"' in response.text
    assert not Order.objects.exists()
    with pgtrigger.ignore("shop.Order:own"):
        response = browser.post(f"{ORDERS}add/", {"user": "Eve", "total": 777}, follow=True)
    assert "was added successfully" in told(response)[0]
    assert Order.objects.count() == 1


def test_a_deferred_trigger_refuses_a_change(browser, put, orders):
    put(Order, deferred(Update, column="'Total'"))
    response = browser.post(f"{ORDERS}{orders[0].pk}/change/", {"user": "Eve", "total": 1})
    assert response.context["adminform"].form.errors == {"total": ["not today"]}
    assert told(response) == []
    assert not Order.objects.filter(user="Eve").exists()


def test_an_inline_object_is_refused(browser, put):
    Maker.objects.create(code="a")
    put(Product, refusing(Insert, column="'stock'"))
    data = {"code": "a", "country": "BE", "product_set-0-name": "x", "product_set-0-stock": 5}
    data |= {"product_set-TOTAL_FORMS": 1, "product_set-INITIAL_FORMS": 0}
    response = browser.post(f"{MAKERS}a/change/", data)
    assert response.context["adminform"].form.non_field_errors() == ["not today"]
    assert 'value="BE"' in response.text
    assert Maker.objects.get().country == "NL"


def test_a_form_of_ones_own_making_that_is_saved_again(browser, put):
    put(Product, refusing(Insert))
    response = browser.post(f"{PRODUCTS}add/", {"name": "x"}, follow=True)
    assert response.redirect_chain == [(f"{PRODUCTS}add/", 302)]
    assert told(response) == ["not today"]
    assert not Product.objects.exists()


# --- In the list ------------------------------------------------------------------------------


def edited(orders, total):
    data = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 2, "_save": "Save"}
    for number, order in enumerate(orders):
        data |= {f"form-{number}-id": order.pk, f"form-{number}-total": total + number}
    return data


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (pgtrigger.ReadOnly(name="fixed", condition=pgtrigger.Q(old__user="Bob")), "is read-only"),
        (deferred(Update, condition=pgtrigger.Q(old__user="Bob")), "not today"),
    ],
    ids=["ReadOnly", "deferred"],
)
def test_editing_in_the_list(browser, put, orders, trigger, message):
    put(Order, trigger)
    response = browser.post(ORDERS, edited(orders, 777))
    assert response.status_code == 200
    (error,) = response.context["cl"].formset.non_form_errors()
    assert message in error
    assert message in response.text
    assert 'value="777"' in response.text
    assert told(response) == []
    assert {*Order.objects.values_list("total", flat=True)} == {1}
    assert not LogEntry.objects.exists()
    response = browser.post(ORDERS, edited(orders[:1], 5) | {"form-TOTAL_FORMS": 1}, follow=True)
    assert "was changed successfully" in told(response)[0]


def test_an_action_is_refused_as_a_whole(browser, put, orders):
    put(Order, protect())
    data = {"action": "empty", "_selected_action": [orders[0].pk], "index": 0}
    assert told(browser.post(ORDERS, data, follow=True)) == [KEPT]
    assert Order.objects.count() == 2


def test_a_deferred_trigger_refuses_what_an_action_is_about_to_boast_of(browser, put, orders):
    put(Order, deferred(Update))
    data = {"action": "stamp", "_selected_action": [orders[0].pk], "index": 0}
    assert told(browser.post(ORDERS, data, follow=True)) == ["not today"]
    assert not Order.objects.filter(user="stamped").exists()


def test_a_deferred_trigger_is_checked_at_the_end_of_a_silent_action_too(browser, put, orders):
    put(Order, deferred(Delete))
    data = {"action": "empty", "_selected_action": [orders[0].pk], "index": 0}
    response = browser.post(ORDERS, data, follow=True)
    assert told(response)[-1] == "not today"
    assert Order.objects.count() == 2


def test_an_action_that_sees_to_the_error_by_itself(browser, put, orders):
    put(Order, protect())
    data = {"action": "try_to_empty", "_selected_action": [orders[0].pk], "index": 0}
    assert told(browser.post(ORDERS, data, follow=True)) == ["This cannot be emptied"]
    assert Order.objects.count() == 2


# --- What is left alone -----------------------------------------------------------------------


def test_pages_are_shown_as_ever(browser, put, orders):
    put(Order, protect())
    for url in (ORDERS, f"{ORDERS}add/", f"{ORDERS}{orders[0].pk}/change/"):
        assert browser.get(url).status_code == 200


def test_other_errors_of_the_database_pass(browser, put):
    put(Order, refusing(Insert, func="RAISE EXCEPTION 'something else';"))
    with pytest.raises(DatabaseError, match="something else"):
        browser.post(f"{ORDERS}add/", {"user": "Eve", "total": 1})


def test_a_validation_error_of_somebody_elses_passes(browser):
    with pytest.raises(ValidationError, match="my own"):
        browser.post(f"{PRODUCTS}add/", {"name": "mine"})


def test_permissions_are_asked_for_first(browser, put, orders):
    put(Order, protect())
    user = User.objects.create_user("eve", is_staff=True)
    user.user_permissions.add(
        Permission.objects.get(codename="view_order", content_type__app_label="shop")
    )
    browser.force_login(user)
    url = f"{ORDERS}{orders[0].pk}"
    assert browser.post(f"{url}/delete/", {"post": "yes"}).status_code == 403
    assert browser.post(f"{url}/change/", {"user": "Eve", "total": 1}).status_code == 403
    assert browser.get(f"{url}/change/").status_code == 200


def test_importing_pgtrigger_imports_no_admin():
    code = "import sys, pgtrigger; sys.exit('django.contrib.admin' in sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
