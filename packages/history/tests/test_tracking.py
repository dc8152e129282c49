"""track: what is recorded, at both levels."""

import datetime

import pytest
from django.apps.registry import Apps
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F

import pgtrigger
import pgtrigger_history
from ledger.models import (
    Account,
    Cafe,
    Everything,
    Invoice,
    Payment,
    Seat,
    Tag,
    TrackedGroup,
)
from pgtrigger.errors import DeclarationError


def told(events):
    return [(e.pgh_label, e.pgh_operation) for e in events.order_by("pgh_id")]


def test_all_that_happens_to_an_object_is_recorded(invoice):
    invoice.total = 2
    invoice.save()
    key = invoice.pk
    invoice.delete()
    events = Invoice.history.of(key)
    assert told(events) == [("insert", "INSERT"), ("update", "UPDATE"), ("delete", "DELETE")]
    assert [event.total for event in events] == [1, 2, 2]
    assert all(event.customer_id == invoice.customer_id for event in events)


def test_an_update_that_changes_nothing_that_is_told_is_not_recorded(invoice):
    invoice.save()  # changed_at is auto_now
    assert told(invoice.history) == [("insert", "INSERT")]


def test_an_event_tells_when_in_which_transaction_and_of_which_object(invoice, sql):
    event = invoice.history.get()
    ((transaction_id, now),) = sql("SELECT pg_current_xact_id()::text, clock_timestamp()")
    assert event.pgh_transaction == int(transaction_id)
    assert now - datetime.timedelta(seconds=30) < event.pgh_created_at < now
    assert event.pgh_obj == invoice
    assert event.created_at == invoice.created_at
    assert event.changed_at == invoice.changed_at


def test_a_statement_records_each_of_its_rows(customer):
    Invoice.objects.bulk_create([Invoice(total=n) for n in range(50)])
    assert Invoice.objects.filter(total__lt=40).update(total=F("total") + 1) == 40
    Invoice.objects.filter(total__gt=45).delete()
    events = Invoice.history
    assert events.filter(pgh_operation="INSERT").count() == 50
    assert events.filter(pgh_operation="UPDATE").count() == 40
    assert events.filter(pgh_operation="DELETE").count() == 4
    keys = [event.pgh_id for event in events.all()]
    assert keys == sorted({*keys})


@pytest.mark.parametrize("model", [Invoice, Payment])
def test_a_row_whose_key_changes_ends_under_one_and_begins_under_the_other(model, invoice, sql):
    rows = [
        model(**({"invoice": invoice, "amount": n} if model is Payment else {"total": n}))
        for n in (5, 6, 7)
    ]
    first, second, third = (row.pk for row in model.objects.bulk_create(rows))
    table = connection.ops.quote_name(model._meta.db_table)
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    # A chain: 1 -> 2, 2 -> 3, 3 -> new.
    sql(f"ALTER TABLE {table} DROP CONSTRAINT {model._meta.db_table}_pkey CASCADE")
    sql(f"UPDATE {table} SET id = CASE id WHEN %s THEN %s WHEN %s THEN %s ELSE %s END WHERE id IN (%s, %s, %s)",
        [first, second, second, third, third + 1000, first, second, third])  # fmt: skip
    value = "amount" if model is Payment else "total"
    found = {
        key: [
            (op, number)
            for op, number in model.history.of(key)
            .order_by("pgh_id")
            .values_list("pgh_operation", value)
        ][1:]
        for key in (first, second, third)
    }
    assert [op for op, _ in found[first]] == ["DELETE"]
    assert model.history.of(second).last().pgh_operation in ("UPDATE", "INSERT")
    assert [
        getattr(model.history.of(key).order_by("pgh_id").last(), value)
        for key in (second, third, third + 1000)
    ] == [5, 6, 7]
    assert model.history.of(third + 1000).get().pgh_operation == "INSERT"


def test_a_truncation_is_recorded(customer, sql):
    Tag.objects.bulk_create([Tag(name="a"), Tag(name="b")])
    with transaction.atomic():
        sql("TRUNCATE ledger_tag CASCADE")
        found = told(Tag.history.filter(pgh_label="delete"))
        assert found == [("delete", "TRUNCATE")] * 2
        transaction.set_rollback(True)
    assert not Tag.history.filter(pgh_label="delete").exists()


def test_what_is_rolled_back_has_no_event(customer):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        customer.name = "Eve"
        customer.save()
        1 / 0
    assert told(customer.history) == [("insert", "INSERT")]


def test_links_of_a_many_to_many_field_are_recorded(invoice):
    from ledger.models import InvoiceTagsEvent

    tags = [Tag.objects.create(name=name) for name in "abc"]
    invoice.tags.add(*tags)
    invoice.tags.remove(tags[1])
    found = InvoiceTagsEvent.objects.order_by("pgh_id").values_list(
        "pgh_label", "invoice", "tag__name"
    )
    assert sorted(found) == sorted([
        *(("add", invoice.pk, name) for name in "abc"), ("remove", invoice.pk, "b"),
    ])  # fmt: skip


def test_a_tracker_has_conditions_labels_both_rows_and_fields(db):
    account = Account.objects.create(number="7", balance=3, owner="x")
    account.owner = "y"
    account.save()
    account.balance = 5
    account.save()
    assert told(account.history) == [("opened", "INSERT"), ("balance", "UPDATE")]
    opened, changed = account.history.order_by("pgh_id")
    assert (changed.pgh_old_balance, changed.balance) == (3, 5)
    assert opened.pgh_old_balance is None
    assert not hasattr(changed, "owner")
    assert [e.owner for e in account.before.order_by("pgh_id")] == ["x", "y"]
    assert [e.balance for e in account.before.order_by("pgh_id")] == [3, 3]


def test_a_manual_event_records_the_row_as_it_is(db):
    account = Account.objects.create(number="7", balance=3)
    Account.objects.update(balance=4)
    event = pgtrigger_history.create_event(account, label="audited")
    assert (event.balance, event.pgh_label, event.pgh_operation) == (4, "audited", "")
    with pytest.raises(
        pgtrigger_history.NotTrackedError, match=r'no ManualEvent\("x"\)\. It has: audited'
    ):
        pgtrigger_history.create_event(account, label="x")
    account.delete()
    with pytest.raises(pgtrigger_history.NotTrackedError, match="to record"):
        pgtrigger_history.create_event(Account(number="7"), label="audited")


def test_a_composite_primary_key(db):
    seat = Seat.objects.create(row="A", number=1)
    seat.guest = "Ada"
    seat.save()
    assert told(seat.history) == [("insert", "INSERT"), ("update", "UPDATE")]
    Seat.objects.all().delete()
    assert told(Seat.history.of(("A", 1)))[-1] == ("delete", "DELETE")


def test_a_child_of_another_model_records_its_own_table(db):
    cafe = Cafe.objects.create(address="here", stars=3)
    cafe.stars = 4
    cafe.save()
    assert [event.stars for event in cafe.history.all()] == [3, 4]


def test_a_model_of_somebody_else_by_a_proxy(db):
    group = TrackedGroup.objects.create(name="staff")
    Group.objects.update(name="crew")
    assert [event.name for event in group.history.all()] == ["staff", "crew"]
    assert Group.objects.get().history.count() == 2


def test_every_kind_of_field_keeps_its_value(db, customer):
    tag = Tag.objects.create(name="t")
    row = Everything.objects.create(
        numbers=[1, 2], texts=[["a"], ["b"]], pairs={"k": "v"}, data={"a": [1]}, raw=b"\x00\xff",
        ip="::1", money="1.250", wait=datetime.timedelta(hours=1), day=datetime.date(2020, 2, 29),
        clock=datetime.time(1, 2, 3, 4), moment=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        slug="s", file="files/a.txt", image="images/a.png", by_name=tag, one=customer, real=0.1,
        span=(1, 5), big=2**60,
    )  # fmt: skip
    row.refresh_from_db()
    event = row.history.get()
    for field in Everything._meta.concrete_fields:
        ours, theirs = getattr(row, field.attname), getattr(event, field.attname)
        if isinstance(theirs, memoryview):
            ours, theirs = bytes(ours), bytes(theirs)
        assert ours == theirs, field.name
    assert event.shout == "X"


def test_events_cannot_be_changed_deleted_or_truncated(invoice, sql):
    for statement in (
        "UPDATE ledger_invoiceevent SET total = 5",
        "DELETE FROM ledger_invoiceevent",
        "TRUNCATE ledger_invoiceevent",
    ):
        with (
            pytest.raises(IntegrityError, match="Cannot"),
            pgtrigger.ignore(),
            transaction.atomic(),
        ):
            sql(statement)


OWN = Apps()


class Stop(models.Model):
    tour = models.ForeignKey("Tour", models.CASCADE)
    place = models.ForeignKey("ledger.Place", models.CASCADE)

    class Meta:
        app_label = "unknown"
        apps = OWN


class Tour(models.Model):
    links = models.ManyToManyField("ledger.Place", through=Stop)

    class Meta:
        app_label = "unknown"
        apps = OWN


def test_transactions_are_compared(invoice):
    event = invoice.history.latest()
    assert Invoice.history.filter(pgh_transaction=event.pgh_transaction).exists()
    assert not Invoice.history.filter(pgh_transaction=event.pgh_transaction + 1).exists()


class TestRefusals:
    def test_both_fields_and_exclude(self):
        with pytest.raises(DeclarationError, match='"fields" or "exclude", not both'):
            pgtrigger_history.track(fields=["total"], exclude=["note"])(Invoice)

    def test_without_the_primary_key(self):
        with pytest.raises(DeclarationError, match='cannot leave out "id", the primary key'):
            pgtrigger_history.track(exclude=["id"])(Invoice)

    def test_an_accessor_that_is_taken(self):
        with pytest.raises(DeclarationError, match='has an attribute "history" already'):
            pgtrigger_history.track(model_name="Second")(Invoice)

    def test_an_abstract_model(self):
        class Base(models.Model):
            class Meta:
                abstract = True

        with pytest.raises(DeclarationError, match="abstract and has no table"):
            pgtrigger_history.track()(Base)

    def test_a_field_that_is_called_like_those_of_events(self):
        kind = type(
            "Clashing",
            (models.Model,),
            {
                "__module__": __name__,
                "pgh_total": models.IntegerField(),
                "Meta": type("Meta", (), {"app_label": "unknown", "apps": Apps()}),
            },
        )
        with pytest.raises(DeclarationError, match=r"pgh_total. begins with pgh_"):
            pgtrigger_history.track()(kind)

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("total", '"ledger.Invoice.total" is no many-to-many field'),
            ("nothing", "Invoice has no field named 'nothing'"),
        ],
    )
    def test_what_is_no_many_to_many_field(self, name, said):
        with pytest.raises(DeclarationError, match=said):
            pgtrigger_history.track(m2m=[name], accessor="other", model_name="Other")(Invoice)
        assert not hasattr(Invoice, "other")

    def test_a_link_that_has_a_model_of_its_own(self):
        with pytest.raises(
            DeclarationError, match="decorate auth.*with track|has a table of its own"
        ):
            pgtrigger_history.track(m2m=["links"], accessor="other", model_name="Other")(Tour)

    def test_an_unknown_storage(self):
        with pytest.raises(DeclarationError, match='"context" can be "table", "inline" or None'):
            pgtrigger_history.track(context="file", accessor="x")(Invoice)


def test_events_of_deletions_have_an_index_where_deletions_are_recorded():
    def has_it(events):
        return [index.name for index in events._meta.indexes if index.condition]

    assert len(has_it(Invoice.history.model)) == 1
    assert has_it(Account.history.model) == []
