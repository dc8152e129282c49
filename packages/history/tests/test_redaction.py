"""redaction, user_redaction: `manage.py pgtrigger history redact`."""

import datetime
import json

import pytest
from django.core.management.base import CommandError
from django.db import IntegrityError

import pgtrigger_history
from ledger.models import Account, Customer, Invoice, Payment, Seat
from pgtrigger_history import NotTrackedError, RedactionError, redact, redact_user
from pgtrigger_history.models import Context
from pgtrigger_history.user_redaction import UserRedaction


@pytest.fixture
def ada(db):
    """One who was called Ada, has moved, and lives nowhere now."""
    ada = Customer.objects.create(name="Ada", city="Ulm")
    ada.city = "Bonn"
    ada.save()
    Customer.objects.create(name="Eve", city="Ulm")
    return ada


def told(events):
    return [(e.pgh_label, e.pgh_operation, e.name, e.city) for e in events.order_by("pgh_id")]


def test_fields_of_the_events_of_one_object_become_null(ada):
    with pgtrigger_history.context(user=9, reason="she asked for it"):
        assert redact(ada, fields=["city"]) == 2
    assert told(ada.history) == [
        ("insert", "INSERT", "Ada", None),
        ("update", "UPDATE", "Ada", None),
        ("redact", "", "Ada", None),
    ]
    assert ada.history.last().pgh_context.data["reason"] == "she asked for it"
    ada.refresh_from_db()
    assert ada.city == "Bonn"
    assert Customer.history.filter(city="Ulm").count() == 1


def test_or_another_value_but_what_is_null_stays_null(ada, sql):
    redact(ada, fields={"city": "x"})
    assert {event.city for event in ada.history.all()} == {"x"}
    assert redact(ada, fields={"city": "x"}) == 0
    redact(ada, fields=["city"])
    assert redact(ada, fields={"city": "x"}) == 0
    assert ada.history.count() == 4


def test_an_object_that_is_gone_stays_gone(ada, sql):
    key = ada.pk
    ada.delete()
    assert redact(Customer, key, fields=["name"]) == 3
    last = Customer.history.of(key).last()
    assert (last.pgh_label, last.pgh_operation, last.name) == ("redact", "DELETE", None)
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
    assert not Customer.history.as_of(now).filter(pk=key).exists()


def test_old_rows_all_trackers_and_those_without_a_context(db):
    account = Account.objects.create(number="7", balance=3, owner="x")
    Account.objects.update(balance=5)
    assert redact(account, fields={"balance": 0, "owner": ""}) == 3
    assert [(e.pgh_old_balance, e.balance) for e in account.history.order_by("pgh_id")] == [
        (None, 0), (0, 0), (0, 0),
    ]  # fmt: skip
    assert [(e.balance, e.owner) for e in account.before.all()] == [(0, ""), (0, "")]


def test_inline_contexts_and_foreign_keys(invoice):
    payment = Payment.objects.create(invoice=invoice, amount=5)
    with pgtrigger_history.context(user=1):
        assert redact(payment, fields=["invoice", "amount"]) == 1
    first, last = payment.history.order_by("pgh_id")
    assert (first.invoice_id, first.amount, first.pgh_context) == (None, None, None)
    assert last.pgh_context == {"user": 1}
    assert redact(payment, fields={"invoice": 5}) == 0
    other = Payment.objects.create(invoice=invoice)
    redact(other, fields={"invoice": "12"})
    assert {event.invoice_id for event in other.history.all()} == {12}


def test_composite_keys(db):
    Seat.objects.create(row="A", number=1, guest="Ada")
    Seat.objects.create(row="A", number=2, guest="Eve")
    assert redact(Seat, ("A", 1), fields=["guest"]) == 1
    assert [e.guest for e in Seat.history.order_by("pgh_id")] == [None, "Eve", None]
    with pytest.raises(
        RedactionError, match=r'"ledger\.Seat" has 2 values; got \["A"\]'.replace('"A"', "'A'")
    ):
        redact(Seat, ["A"], fields=["guest"])


def test_events_are_protected_again_afterwards(ada, sql):
    redact(ada, fields=["city"])
    with pytest.raises(IntegrityError, match="Cannot update"):
        sql("UPDATE ledger_customerevent SET name = 'x'")


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (["id"], RedactionError, "is of the primary key"),
        (
            ["nmae"],
            NotTrackedError,
            r'No events tell of "ledger\.Invoice\.nmae"\. They tell of: cha',
        ),
        ({"total": "many"}, RedactionError, r'"ledger\.InvoiceEvent\.total" cannot be \'many\''),
    ],
)
def test_refusals(invoice, fields, error, message):
    with pytest.raises(error, match=message):
        redact(invoice, fields=fields)


def test_a_model_without_a_key(db):
    with pytest.raises(TypeError, match="an object, or a model and a key"):
        redact(Invoice, fields=["total"])


def test_a_key_that_is_none_of_the_model(db):
    with pytest.raises(RedactionError, match="cannot be 'x'"):
        redact(Invoice, "x", fields=["total"])


class TestUsers:
    @pytest.fixture
    def made(self, invoice):
        for number, user in enumerate((5, 6, 5)):
            with pgtrigger_history.context(user=user, ip=f"10.0.0.{user}", url=f"/{number}"):
                Payment.objects.create(invoice=invoice)
                Customer.objects.create()
        Payment.objects.create(invoice=invoice)

    def contexts(self):
        stored = [context.data for context in Context.objects.order_by("id")]
        inline = [event.pgh_context for event in Payment.history.order_by("pgh_id")]
        assert inline.pop() is None
        return stored, inline

    @pytest.mark.parametrize("size", [1, 2, 1000])
    def test_a_user_is_replaced_in_all_contexts(self, made, size):
        work = UserRedaction(
            5, replacement=0, remove=["ip", "none"], database="default", batch_size=size
        )
        assert work.total() == sum(work.batches())
        for found in self.contexts():
            first, other, last = (dict(data) for data in found)
            assert datetime.datetime.fromisoformat(first.pop("redacted")).tzinfo
            assert first == {"user": 0, "url": "/0"}
            assert other == {"user": 6, "ip": "10.0.0.6", "url": "/1"}
            assert last["user"] == 0
        assert work.total() == 0
        assert Customer.history.by(5).count() == Payment.history.by(5).count() == 0
        assert Customer.history.by(0).count() == 2

    def test_or_removed(self, made, django_user_model):
        user = django_user_model(pk=5)
        assert redact_user(user) >= 4
        stored, inline = self.contexts()
        assert stored[0]["user"] is inline[0]["user"] is None
        assert stored[0]["ip"] == "10.0.0.5"

    def test_nobody_is_replaced_by_themselves(self, db):
        with pytest.raises(RedactionError, match="User 5 cannot be replaced by '5'"):
            redact_user(5, replacement="5")

    def test_without_a_table_of_contexts_those_in_events_are(self, made, sql):
        count = UserRedaction(5, database="default").total()
        sql("DROP TABLE pgtrigger_history_context CASCADE")
        assert 2 <= redact_user(5) < count


class TestCommand:
    def test_an_object(self, ada, history):
        arguments = ("redact", "--model=ledger.Customer", "--key", ada.pk, "--fields=name, city")
        assert history(*arguments, "--dry-run")[1] == [
            f"ledger.Customer {ada.pk}: 2 events to redact"
        ]
        assert ada.history.filter(name="Ada").count() == 2
        assert history(*arguments)[1] == [f"ledger.Customer {ada.pk}: 2 events redacted"]
        assert told(ada.history)[-1] == ("redact", "", None, None)

    def test_a_value_and_a_composite_key(self, db, history):
        Seat.objects.create(row="A", number=1, guest="Ada")
        history("redact", "--model=ledger.Seat", "--key", "A", 1, "--fields=guest", "--value=x")
        assert {e.guest for e in Seat.history.all()} == {"x"}

    def test_a_user(self, db, history):
        with pgtrigger_history.context(user=5, ip="::1"):
            Customer.objects.create()
        arguments = ("redact", "--user=5", "--replacement=gone", "--remove=ip", "--batch-size=1")
        assert history(*arguments, "--dry-run")[1] == ["user 5: 1 contexts to redact"]
        assert history(*arguments)[1] == ["user 5: 1 contexts redacted"]
        (data,) = [context.data for context in Context.objects.all()]
        assert data.pop("redacted")
        assert data == {"user": "gone"}
        assert json.dumps(data)

    @pytest.mark.parametrize(
        "arguments", [(), ("--model=ledger.Customer",), ("--user=1", "--key=1")]
    )
    def test_too_few_arguments(self, db, history, arguments):
        with pytest.raises(CommandError, match="Give --model, --key and --fields, or --user"):
            history("redact", *arguments)

    def test_an_unknown_model(self, db, history):
        with pytest.raises(CommandError, match=r'"ledger\.X" is not tracked\. Tracked are: ledger'):
            history("redact", "--model=ledger.X", "--key=1", "--fields=a")
