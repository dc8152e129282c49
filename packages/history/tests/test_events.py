"""Querysets of events, and what differs between them."""

import datetime

import pytest
from django.utils import timezone

import pgtrigger_history
from ledger.models import Account, Customer, Invoice, Payment, Seat
from pgtrigger_history import Change, NotTrackedError, context


@pytest.fixture
def changed(invoice):
    for total, note in [(2, ""), (2, "x"), (3, "y")]:
        invoice.total, invoice.note = total, note
        invoice.save()
    return invoice


def own(diff):
    return {name: change for name, change in diff.items() if name != "changed_at"}


def test_diff_is_against_the_event_before(changed):
    events = [*changed.history.order_by("pgh_id")]
    assert own(events[1].diff()) == {"total": Change(1, 2)}
    assert own(events[3].diff()) == {"total": (2, 3), "note": ("x", "y")}
    assert own(events[3].diff(against=events[0])) == {"total": (1, 3), "note": ("", "y")}
    assert events[0].diff()["total"] == Change(None, 1)
    changed.delete()
    assert Invoice.history.latest().diff() == {}


def test_previous_and_following_are_of_the_same_object(changed, customer):
    other = Invoice.objects.create()
    Invoice.objects.update(total=9)
    events = [*changed.history.order_by("pgh_id")]
    assert events[1].previous() == events[0]
    assert events[0].previous() is None
    assert events[-1].following() is None
    assert events[0].following() == events[1]
    assert other.history.count() == 2


def test_diffs_of_many_take_at_most_two_queries(changed, django_assert_num_queries):
    with django_assert_num_queries(2):
        found = changed.history.order_by("-pgh_id").diff()
    with django_assert_num_queries(3):
        latest = changed.history.order_by("-pgh_id")[:1].diff()
    assert [(event, own(diff)) for event, diff in latest] == [(found[0][0], own(found[0][1]))]
    assert found[0][1]
    assert [own(diff) for _, diff in found] == [own(event.diff()) for event, _ in found]
    assert Invoice.history.none().diff() == []


def test_what_is_inserted_once_more_is_a_change_of_everything(customer):
    key = customer.pk
    customer.delete()
    restored = Customer.history.of(key).latest().revert()
    event = restored.history.latest()
    everything = event.diff()
    assert set(everything) == {"id", "name", "city"}
    ((_, at_once),) = restored.history.order_by("-pgh_id")[:1].diff()
    assert at_once == everything
    assert pgtrigger_history.timeline(restored)[0].changes == everything
    narrowed = pgtrigger_history.timeline(restored, narrow=lambda events: events.order_by())
    assert narrowed[0].changes == everything


def test_an_event_with_both_rows_needs_no_other(db, django_assert_num_queries):
    account = Account.objects.create(number="7", balance=3)
    account.balance = 5
    account.save()
    event = account.history.latest()
    with django_assert_num_queries(0):
        assert event.diff() == {"balance": (3, 5)}


def test_of_what_was_there_before_nothing_is_told(db):
    account = Account.objects.create(number="7", balance=3)
    Account.objects.update(balance=4)
    assert account.before.get().diff() == {}


def test_between_labelled_by_and_changing(changed):
    events = [*changed.history.order_by("pgh_id")]
    start, end = events[1].pgh_created_at, events[3].pgh_created_at
    assert [*changed.history.between(start, end).order_by("pgh_id")] == events[1:3]
    assert changed.history.between(end=start).get() == events[0]
    assert changed.history.between(timezone.now() + datetime.timedelta(1)).count() == 0
    assert changed.history.labelled("insert").get() == events[0]
    assert changed.history.labelled("insert", "update").count() == 4
    assert [*changed.history.changing("total").order_by("pgh_id")] == [
        events[0],
        events[1],
        events[3],
    ]
    assert [*changed.history.changing("note").order_by("pgh_id")] == [events[0], *events[2:]]
    with pytest.raises(NotTrackedError, match='does not have "nothing"; it has id, customer'):
        changed.history.changing("nothing")


def test_changing_sees_null(customer):
    invoice = Invoice.objects.create(customer=None)
    Invoice.objects.update(customer=customer)
    Invoice.objects.update(total=5)
    Invoice.objects.update(customer=None)
    assert [event.customer_id for event in invoice.history.changing("customer").order_by("pgh_id")] == [
        None, customer.pk, None,
    ]  # fmt: skip


def test_of_takes_objects_and_keys(changed):
    assert (
        {*Invoice.history.of(changed)}
        == {*Invoice.history.of(changed.pk)}
        == {*changed.history.all()}
    )
    seat = Seat.objects.create(row="A", number=1)
    assert Seat.history.of(seat).count() == Seat.history.of(("A", 1)).count() == 1


def test_events_are_found_through_the_object(changed):
    assert Invoice.objects.filter(history__pgh_label="update").distinct().get() == changed
    (prefetched,) = Invoice.objects.prefetch_related("history")
    assert len(prefetched.history.all()) == 4


def test_an_event_as_an_object(changed):
    event = changed.history.earliest()
    before = event.as_object()
    assert isinstance(before, Invoice)
    assert (before.pk, before.total, before.customer_id) == (changed.pk, 1, changed.customer_id)
    assert before.customer == changed.customer
    account = Account.objects.create(number="7")
    assert account.history.get().as_object().get_deferred_fields() == {"owner"}


def test_by_a_user_of_a_context(changed):
    with context(user=4):
        Customer.objects.update(name="z")
        Payment.objects.create(invoice=changed)
    assert Customer.history.by(4).get().name == "z"
    assert Payment.history.by(5).count() == 0
