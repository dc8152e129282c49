"""Putting back what was: revert, undo, restore."""

import pytest
from django.db import IntegrityError, connection

import pgtrigger
from ledger.models import Account, Cafe, Customer, Everything, Invoice, Payment, Place, Seat, Tag
from pgtrigger_history import NotTrackedError, RevertError, context


def values(obj):
    return {field.attname: getattr(obj, field.attname) for field in obj._meta.concrete_fields}


def test_revert_puts_back_all_values_also_automatic_ones(invoice):
    before = values(Invoice.objects.get())
    invoice.total, invoice.note = 50, "changed"
    invoice.save()
    event = invoice.history.earliest()
    with context(user=1):
        assert values(event.revert()) == before
    assert values(Invoice.objects.get()) == before
    last = invoice.history.latest()
    assert (last.pgh_operation, last.pgh_context.user) == ("UPDATE", "1")


def test_a_deleted_object_comes_back_with_its_key(invoice):
    before, key = values(Invoice.objects.get()), invoice.pk
    invoice.delete()
    assert values(Invoice.history.of(key).latest().revert()) == before
    assert [event.pgh_operation for event in Invoice.history.of(key)] == [
        "INSERT",
        "DELETE",
        "INSERT",
    ]


def test_every_kind_of_value_comes_back(db):
    row = Everything.objects.create(data={"a": [None, 1.5]}, raw=b"\0", pairs={"a": None}, real=0.1)
    before = values(Everything.objects.get())
    Everything.objects.update(
        data=[], raw=b"", pairs=None, real=1, shout=pgtrigger.F("shout")
    ) if False else None
    Everything.objects.update(data=[], raw=b"", pairs=None, real=1)
    row.history.earliest().revert()
    found = values(Everything.objects.get())
    found["raw"], before["raw"] = bytes(found["raw"]), bytes(before["raw"])
    assert found == before
    Everything.objects.all().delete()
    row.history.earliest().revert()
    assert Everything.objects.get().data == {"a": [None, 1.5]}


def test_a_composite_key_comes_back(db):
    seat = Seat.objects.create(row="A", number=1, guest="x")
    seat.delete()
    assert Seat.history.latest().revert().guest == "x"


def test_what_is_not_tracked_is_refused(db):
    account = Account.objects.create(number="7", balance=3, owner="x")
    Account.objects.update(balance=4, owner="y")
    event = account.history.earliest()
    with pytest.raises(NotTrackedError, match="owner are not tracked. Say partial=True"):
        event.revert()
    assert event.revert(partial=True).balance == 3
    assert Account.objects.get().owner == "y"
    Account.objects.all().delete()
    with pytest.raises(RevertError, match="is gone, and cannot be put back: owner cannot be NULL"):
        event.revert(partial=True)


def test_what_it_belongs_to_may_be_gone(customer):
    invoice = Invoice.objects.create(customer=customer)
    payment = Payment.objects.create(invoice=invoice)
    key = payment.pk
    customer.delete()
    with pytest.raises(RevertError, match="Payment .* cannot be put back"):
        Payment.history.of(key).latest().revert()
    assert not Payment.objects.exists()


def test_a_trigger_may_refuse_it(invoice):
    invoice.total = 5
    invoice.save()
    protect = pgtrigger.Protect(name="no_changes", operation=pgtrigger.Update)
    with protect.register(Invoice), protect.install(Invoice):
        with pytest.raises(RevertError, match="Cannot update rows") as caught:
            invoice.history.earliest().revert()
    assert isinstance(caught.value.__cause__, IntegrityError)


def test_a_column_may_have_become_too_narrow(invoice):
    Invoice.objects.update(total=70_000)
    Invoice.objects.update(total=1)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE ledger_invoice ALTER total TYPE smallint")
    with pytest.raises(RevertError, match="out of range"):
        invoice.history.get(total=70_000).revert()


def test_a_child_needs_its_parent(db):
    cafe = Cafe.objects.create(address="here", stars=3)
    key = cafe.pk
    Cafe.objects.all().delete()
    with pytest.raises(RevertError, match='the parent "ledger.Place", of which no events tell'):
        Cafe.history.of(key).latest().revert()
    Place.objects.create(pk=key, address="there")
    restored = Cafe.history.of(key).latest().revert()
    assert (restored.stars, restored.address) == (3, "there")


class TestUndo:
    def test_it_takes_back_the_last_changes(self, customer):
        for name in "bcd":
            customer.name = name
            customer.save()
        assert customer.history.undo().name == "c"
        assert customer.history.undo(3).name == "b"  # that was one change more
        assert customer.history.undo(6) is None

    def test_of_an_insert_it_deletes(self, customer):
        assert customer.history.undo() is None
        assert not Customer.objects.exists()

    def test_of_a_deletion_it_restores(self, customer):
        key = customer.pk
        customer.delete()
        customer.pk = key
        assert customer.history.undo() == customer
        assert customer.history.undo(1) is None

    def test_more_than_is_known_is_refused(self, customer):
        with pytest.raises(NotTrackedError, match="takes back 5 events, and 1 are known"):
            customer.history.undo(5)
        with pytest.raises(RevertError, match="one event or more"):
            customer.history.undo(0)

    def test_what_was_there_before_it_was_tracked_is_refused(self, db):
        with pgtrigger.ignore():
            customer = Customer.objects.create(name="a")
        customer.name = "b"
        customer.save()
        with pytest.raises(NotTrackedError, match="it was there before it was tracked"):
            customer.history.undo()

    def test_it_needs_complete_events(self, db):
        account = Account.objects.create(number="1")
        with pytest.raises(NotTrackedError, match="lack every INSERT|lack every UPDATE"):
            account.before.undo()

    def test_it_is_for_an_object(self):
        with pytest.raises(TypeError, match="of an object"):
            Tag.history.undo()
