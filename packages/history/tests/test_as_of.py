"""as_of: objects as they were, and what they refer to."""

import datetime

import pytest
from django.db import NotSupportedError, connection
from django.db.models import Count, Exists, F, OuterRef, Sum
from django.utils import timezone

from ledger.models import Account, Cafe, Customer, Invoice, Payment, Seat, Tag
from pgtrigger_history import NotTrackedError


class Story:
    """What was, with the moments in between."""

    def __init__(self):
        self.moments = []
        self.ada = Customer.objects.create(name="Ada", city="Ulm")
        self.eve = Customer.objects.create(name="Eve", city="Bonn")
        self.red, self.blue = (Tag.objects.create(name=name) for name in ("red", "blue"))
        self.first = Invoice.objects.create(customer=self.ada, total=10)
        self.first.tags.add(self.red)
        self.payment = Payment.objects.create(invoice=self.first, amount=3)
        self.note()
        Customer.objects.filter(pk=self.ada.pk).update(name="Ada L.", city="Bonn")
        Tag.objects.filter(pk=self.red.pk).update(name="crimson")
        self.second = Invoice.objects.create(customer=self.eve, total=20)
        self.first.tags.add(self.blue)
        self.note()
        Invoice.objects.filter(pk=self.first.pk).update(customer=self.eve, total=11)
        self.first.tags.remove(self.red)
        self.second_key = self.second.pk
        self.second.delete()
        self.payment.delete()
        self.note()

    def note(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            self.moments.append(cursor.fetchone()[0])


@pytest.fixture
def story(db):
    return Story()


def totals(moment):
    return [*Invoice.history.as_of(moment).order_by("pk").values_list("total", flat=True)]


def test_rows_are_those_of_the_moment(story):
    assert [totals(moment) for moment in story.moments] == [[10], [10, 20], [11]]
    assert totals(story.moments[0] - datetime.timedelta(days=1)) == []
    assert totals(timezone.now()) == [11]


def test_it_is_one_query_that_can_be_filtered_and_counted(story, django_assert_num_queries):
    first, second, third = story.moments
    with django_assert_num_queries(1):
        found = [*Invoice.history.as_of(second).select_related("customer").order_by("-total")]
    assert [(invoice.total, invoice.customer.name) for invoice in found] == [
        (20, "Eve"),
        (10, "Ada L."),
    ]
    with django_assert_num_queries(7):
        assert Invoice.history.as_of(second).count() == 2
        assert Invoice.history.as_of(second).filter(customer__city="Bonn").count() == 2
        assert Invoice.history.as_of(first).filter(customer__city="Bonn").count() == 0
        assert Invoice.history.as_of(second).aggregate(Sum("total")) == {"total__sum": 30}
        assert Invoice.history.as_of(first).exists()
        assert not Invoice.history.as_of(first).filter(pk=story.second_key).exists()
        assert Invoice.history.as_of(third).get(pk=story.first.pk).total == 11


def test_all_that_querysets_do(story):
    first, second, _ = story.moments
    customers = Customer.history.as_of(second)
    assert [*customers.annotate(n=Count("invoices")).order_by("pk").values_list("name", "n")] == [
        ("Ada L.", 1), ("Eve", 1),
    ]  # fmt: skip
    assert [*customers.exclude(invoices__total=20).values_list("name", flat=True)] == ["Ada L."]
    assert [*customers.filter(invoices__tags__name="crimson").values_list("name", flat=True)] == [
        "Ada L."
    ]
    assert [*Customer.history.as_of(first).filter(invoices__tags__name="crimson")] == []
    assert [*Customer.history.as_of(first).filter(invoices__tags__name="red")] == [story.ada]
    own = Invoice.history.as_of(second).filter(customer=OuterRef("pk"), total__gt=15)
    assert [c.name for c in customers.filter(Exists(own))] == ["Eve"]
    owners = Invoice.history.as_of(second).values("customer")
    assert customers.filter(pk__in=owners).count() == 2
    both = customers.filter(name="Eve") | customers.filter(name="Ada L.")
    assert both.count() == 2
    assert (
        customers.filter(name="Eve").union(Customer.history.as_of(first).filter(name="Ada")).count()
        == 2
    )
    assert [
        *Invoice.history.as_of(second).values_list(F("customer__name"), flat=True).order_by("pk")
    ] == ["Ada L.", "Eve"]
    assert customers.order_by("name").reverse()[0].name == "Eve"
    assert customers.first().name == "Ada L."
    assert customers.only("name").order_by("pk").values("name")[0] == {"name": "Ada L."}
    assert len(customers.in_bulk([story.ada.pk])) == 1
    assert len([*customers.iterator(chunk_size=1)]) == 2


def test_relations_lead_to_the_same_moment(story):
    first, second, third = story.moments
    then = Invoice.history.as_of(first).get()
    assert (then.customer.name, then.customer.city) == ("Ada", "Ulm")
    assert [tag.name for tag in then.tags.all()] == ["red"]
    assert then.payments.get().amount == 3
    assert then.payments.filter(amount=3).count() == 1
    assert [invoice.total for invoice in then.customer.invoices.all()] == [10]
    assert then.payments.get().invoice.customer.name == "Ada"
    later = Invoice.history.as_of(second).get(pk=then.pk)
    assert sorted(tag.name for tag in later.tags.all()) == ["blue", "crimson"]
    assert [i.total for i in Tag.history.as_of(second).get(name="blue").invoices.all()] == [10]
    last = Invoice.history.as_of(third).get()
    assert [tag.name for tag in last.tags.all()] == ["blue"]
    assert not last.payments.exists()
    # The present is not touched.
    now = Invoice.objects.get()
    assert (now.customer.name, [tag.name for tag in now.tags.all()]) == ("Eve", ["blue"])
    assert now.customer.invoices.count() == 1


def test_prefetching_and_selecting_lead_there_too(story, django_assert_num_queries):
    first, *_ = story.moments
    with django_assert_num_queries(4):
        (then,) = Invoice.history.as_of(first).prefetch_related("tags", "payments", "customer")
        assert [tag.name for tag in then.tags.all()] == ["red"]
        assert [payment.amount for payment in then.payments.all()] == [3]
        assert then.customer.name == "Ada"
    (then,) = Payment.history.as_of(first).select_related("invoice__customer")
    assert then.invoice.customer.name == "Ada"
    assert [tag.name for tag in then.invoice.tags.all()] == ["red"]


def test_one_object_as_it_was(story):
    assert story.ada.history.as_of(story.moments[0]).name == "Ada"
    with pytest.raises(Customer.DoesNotExist):
        story.ada.history.as_of(story.moments[0] - datetime.timedelta(days=1))


def test_what_is_gone_is_found(story):
    second = Invoice.history.as_of(story.moments[1]).get(pk=story.second_key)
    assert second.customer.name == "Eve"


def test_a_composite_key(db):
    seat = Seat.objects.create(row="A", number=1, guest="x")
    before = seat.history.latest().pgh_created_at
    Seat.objects.update(guest="y")
    assert Seat.history.as_of(before).get(pk=("A", 1)).guest == "x"


def test_it_is_for_reading(story):
    then = Invoice.history.as_of(story.moments[0])
    for change in (lambda: then.update(total=1), then.delete):
        with pytest.raises(NotSupportedError, match="for reading"):
            change()
    assert Invoice.objects.get().total == 11


def test_a_condition_on_the_key_reaches_the_index(story):
    Invoice.objects.bulk_create([Invoice(total=n) for n in range(3000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE ledger_invoiceevent")
    plan = Invoice.history.as_of(timezone.now()).filter(pk=story.first.pk).explain()
    assert "Index" in plan
    assert "Seq Scan" not in plan


class TestRefusals:
    def test_events_that_do_not_tell_all(self, db):
        with pytest.raises(NotTrackedError, match="its events lack .*every DELETE"):
            Account.history.as_of(timezone.now())

    def test_a_parent_that_is_not_tracked(self, db):
        with pytest.raises(
            NotTrackedError, match='"ledger.Place" held at a time: it is not tracked'
        ):
            Cafe.history.as_of(timezone.now())

    def test_a_naive_moment(self):
        with pytest.raises(ValueError, match="with a time zone"):
            Invoice.history.as_of(datetime.datetime(2020, 1, 1))
        with pytest.raises(TypeError, match="takes a datetime"):
            Invoice.history.as_of("2020-01-01")
