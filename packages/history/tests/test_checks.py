"""System checks of histories."""

import pytest
from django.db import models

import pgtrigger
from ledger.models import Cafe, Customer, Invoice
from pgtrigger_history.checks import problems


def ids(model, trigger):
    return [message.id for message in problems(model, trigger)]


def history(model):
    return next(t for t in model._meta.triggers if t.name == "history_insert")


def test_a_history_that_is_right_has_none():
    assert ids(Invoice, history(Invoice)) == []


def test_a_parent_that_is_not_tracked():
    (message,) = problems(Cafe, history(Cafe))
    assert message.id == "pgtrigger_history.W001"
    assert 'its parent "ledger.Place" is not' in message.msg


def test_events_that_have_no_model():
    trigger = pgtrigger.History(name="h", into="ledger.Nothing", operation=pgtrigger.Insert)
    (message,) = problems(Customer, trigger)
    assert message.id == "pgtrigger_history.E001"
    assert 'no model "ledger.Nothing"' in message.msg


# django.contrib.postgres, which begins anew with other apps, asks the databases that are connected.
@pytest.mark.django_db(databases="__all__")
def test_a_table_of_contexts_that_is_not_installed(settings):
    settings.INSTALLED_APPS = [n for n in settings.INSTALLED_APPS if n != "pgtrigger_history"]
    (message,) = problems(Invoice, history(Invoice))
    assert message.id == "pgtrigger_history.E002"


class Log(models.Model):
    """Events of somebody's own making."""

    name = models.TextField()
    Town = models.TextField(null=True)
    happened = models.TextField()

    class Meta:
        app_label = "ledger"
        managed = False


def test_events_that_cannot_be_filled():
    trigger = pgtrigger.History(name="h", into=Log, operation=pgtrigger.Insert)
    with pytest.raises(pgtrigger.errors.DeclarationError, match=r"Log\.happened.*cannot be NULL"):
        trigger.compile(Customer)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, 'must have "into"'),
        ({"into": Log, "when": pgtrigger.Before}, "its moment is pgtrigger.After"),
        ({"into": Log, "func": "RETURN NULL;"}, '"func" is not for it'),
        ({"into": Log, "row": "all"}, '"row" can be one of new, old, both'),
    ],
)
def test_declarations_that_are_refused(arguments, said):
    with pytest.raises(pgtrigger.errors.DeclarationError, match=said):
        pgtrigger.History(name="h", operation=pgtrigger.Insert, **arguments)


@pytest.mark.parametrize(
    ("operation", "condition", "missing"),
    [
        (pgtrigger.Insert | pgtrigger.Update, pgtrigger.Q(old__name="x"), "OLD.*INSERT"),
        (pgtrigger.Delete, pgtrigger.Q(new__name="x"), "NEW.*DELETE"),
        (pgtrigger.Truncate, pgtrigger.Q(new__name="x"), "NEW.*TRUNCATE"),
    ],
)
def test_conditions_on_rows_that_are_not_there(operation, condition, missing):
    trigger = pgtrigger.History(
        name="h", into="ledger.CustomerEvent", operation=operation, condition=condition
    )
    with pytest.raises(pgtrigger.errors.DeclarationError, match=missing):
        trigger.compile(Customer)
