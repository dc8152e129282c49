"""pgtrigger.forms: a form that shows what a trigger refuses."""

import pytest
from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.db import IntegrityError, router

import pgtrigger
from pgtrigger.forms import ViolationsFormMixin, add_violation
from pgtrigger.functions import raise_violation
from shop.models import Gadget, Maker, Order, Product, ProductProxy


class OrderForm(ViolationsFormMixin, forms.ModelForm):
    class Meta:
        model = Order
        fields = ["user", "total"]


def bound(**data):
    form = OrderForm({"user": "Ada", "total": 1, **data})
    assert form.is_valid()
    return form


def refusing(operation, column=None, **kwargs):
    return pgtrigger.Trigger(
        name="own",
        when=pgtrigger.After,
        operation=operation,
        func=raise_violation("not %s", "NEW.*", column=column),
        **kwargs,
    )


@pytest.mark.parametrize(
    ("column", "field"),
    [("'Total'", "total"), ("'it''s odd'", NON_FIELD_ERRORS), (None, "__all__")],
)
def test_the_error_stands_at_the_field_if_the_form_has_it(live, column, field):
    live(Order, refusing(pgtrigger.Insert, column))
    form = bound()
    with pytest.raises(pgtrigger.ViolationError):
        form.save()
    assert [*form.errors] == [field]
    assert form.errors.as_data()[field][0].code == "pgtrigger"
    assert form.errors[field][0].startswith("not (")
    assert not form.is_valid()
    assert not Order.objects.exists()


@pytest.mark.parametrize("timing", [None, pgtrigger.Deferred])
def test_a_new_instance_is_new_afterwards(live, timing):
    trigger = refusing(pgtrigger.Insert, timing=timing)
    live(Order, trigger)
    form = bound()
    with pytest.raises(pgtrigger.ViolationError):
        form.save()
    assert (form.instance.pk, form.instance._state.adding, form.instance._state.db) == (
        None,
        True,
        None,
    )
    with pgtrigger.ignore("shop.Order:own"):
        assert bound().save().pk
    assert Order.objects.count() == 1


def test_what_is_allowed_is_saved(live):
    live(Order, pgtrigger.ReadOnly(name="fixed", fields=["note"]))
    assert Order.objects.get(pk=bound().save().pk).user == "Ada"


def test_a_form_that_is_not_to_be_saved_yet(live):
    live(Order, refusing(pgtrigger.Insert))
    instance = bound().save(commit=False)
    assert instance._state.adding


def test_other_errors_pass(live):
    Maker.objects.create(code="a")

    class MakerForm(ViolationsFormMixin, forms.ModelForm):
        class Meta:
            model = Maker
            fields = ["country"]

    form = MakerForm({"country": "NL"})
    assert form.is_valid()
    form.instance.code = "a"
    form.instance.save = lambda **kwargs: Maker.objects.create(code="a")
    with pytest.raises(IntegrityError):
        form.save()
    assert not form.errors


@pytest.mark.django_db(databases=["default", "other"])
def test_the_savepoint_is_in_the_database_that_is_written_to(declared, monkeypatch):
    trigger = declared(Order, refusing(pgtrigger.Insert))
    trigger.install(Order, database="other")
    monkeypatch.setattr(router, "db_for_write", lambda model, **hints: "other")
    form = bound()
    with pytest.raises(pgtrigger.ViolationError):
        form.save()
    assert not Order.objects.using("other").exists()


@pytest.mark.parametrize(
    ("form_model", "trigger_model", "field"),
    [
        (Product, Product, "stock"),
        (Product, ProductProxy, "stock"),
        (ProductProxy, Product, "stock"),
        (Gadget, Product, "stock"),
        (Maker, Product, NON_FIELD_ERRORS),
        (Product, Gadget, NON_FIELD_ERRORS),
    ],
)
def test_a_field_of_the_same_name_of_another_table_is_not_meant(
    live, form_model, trigger_model, field
):
    column = "voltage" if trigger_model is Gadget else "stock"
    trigger = refusing(pgtrigger.Insert, f"'{column}'")
    live(trigger_model, trigger)
    with pytest.raises(pgtrigger.ViolationError) as caught:
        with pgtrigger.violations_as_validation_errors():
            (Gadget if trigger_model is Gadget else Product).objects.create()
    form = forms.modelform_factory(form_model, fields=[])({})
    form.fields = {"stock": forms.IntegerField(), "voltage": forms.IntegerField()}
    form.full_clean()
    form._errors.clear()
    add_violation(form, caught.value)
    assert [*form.errors] == [field]
