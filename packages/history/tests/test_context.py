"""context: who and why, stored once in a transaction."""

import asyncio
import uuid

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import connections, transaction
from django.utils.functional import SimpleLazyObject

import pgtrigger
import pgtrigger_history
from ledger.models import Account, Customer, Invoice, Payment
from pgtrigger_history import ContextError, NotTrackedError, context, update_context
from pgtrigger_history.models import Context
from pgtrigger_history.snapshots import record_rows
from pgtrigger_history.trackings import trackings_of


def contexts(events):
    """What is stored with each event, in their order."""
    found = [event.pgh_context for event in events.order_by("pgh_id")]
    return [each.data if isinstance(each, Context) else each for each in found]


@pytest.mark.parametrize("model", [Invoice, Payment])
def test_an_event_has_what_holds_when_it_is_written(invoice, model):
    row = invoice if model is Invoice else Payment(invoice=invoice)
    name = "total" if model is Invoice else "amount"
    start = model.history.count()
    with context(user=7, why="x"):
        setattr(row, name, 10)
        row.save()
        with context(why="y", step=1):
            setattr(row, name, 11)
            row.save()
        setattr(row, name, 12)
        row.save()
    setattr(row, name, 13)
    row.save()
    outer, inner = {"user": 7, "why": "x"}, {"user": 7, "why": "y", "step": 1}
    assert contexts(model.history)[start:] == [outer, inner, outer, None]


def test_it_is_stored_once_in_a_transaction(db, customer):
    before = Context.objects.count()
    with context(user=1):
        for number in range(3):
            Customer.objects.create(name=str(number))
            with context(step=number % 2):
                Invoice.objects.create()
        Customer.objects.update(name="all")
    assert Context.objects.count() == before + 3
    one = Customer.history.filter(pgh_context__isnull=False).values("pgh_context").distinct()
    assert one.count() == 1
    stored = Context.objects.order_by("id").first()
    assert stored.transaction == Customer.history.last().pgh_transaction
    assert (stored.user, str(stored)) == ("1", "user: 1")


def test_a_savepoint_that_is_rolled_back_takes_its_context_along(customer):
    with context(user=1):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Customer.objects.create()
            1 / 0
        Customer.objects.create(name="kept")
    assert contexts(Customer.history.filter(name="kept")) == [{"user": 1}]
    assert Context.objects.count() == 1


def test_events_of_a_statement_and_of_triggers_share_it(customer):
    (tracking,) = trackings_of(Customer)
    with context(user=1):
        record_rows(tracking, "default", label="seen", where="TRUE")
        Customer.objects.update(name="b")
        record_rows(tracking, "default", label="seen", where="TRUE")
    assert contexts(Customer.history)[1:] == [{"user": 1}] * 3
    assert Context.objects.count() == 1


def test_a_temporary_table_of_the_same_name_gets_nothing(customer, sql):
    sql("CREATE TEMPORARY TABLE pgtrigger_history_context (LIKE public.pgtrigger_history_context)")
    with context(user=1):
        Customer.objects.create(name="a")
        with context(step=1):
            Customer.objects.create(name="b")
        Customer.objects.create(name="c")
    sql("DROP TABLE pg_temp.pgtrigger_history_context")
    assert contexts(Customer.history)[1:] == [{"user": 1}, {"user": 1, "step": 1}, {"user": 1}]
    assert Context.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_each_transaction_has_its_own():
    with context(user=1):
        Customer.objects.create()
        Customer.objects.create()
    keys = Customer.history.values_list("pgh_context", flat=True)
    assert len({*keys}) == 2
    assert {context.transaction for context in Context.objects.all()} == {
        *Customer.history.values_list("pgh_transaction", flat=True)
    }


def test_nothing_is_stored_where_there_is_no_event(customer):
    with context(user=1):
        Account.objects.create(number="1")  # tracked without contexts
        assert list(Customer.objects.all()) == [customer]
    assert not Context.objects.exists()


def test_it_is_a_decorator(db):
    @context(user=3)
    def make():
        Customer.objects.create()

    make()
    assert contexts(Customer.history) == [{"user": 3}]


@pytest.mark.django_db(transaction=True)
def test_tasks_and_threads_are_apart():
    async def make(number):
        async with context(user=number):
            await asyncio.sleep(0)
            await Customer.objects.acreate(name=str(number))
            await sync_to_async(Customer.objects.create)(name=str(number))

    async def many():
        await asyncio.gather(*(make(number) for number in range(8)))
        await sync_to_async(connections.close_all)()

    asyncio.run(many())
    found = Customer.history.values_list("name", "pgh_context__user")
    assert len(found) == 16
    assert all(name == user for name, user in found)


def test_more_can_become_known(customer):
    with context(user=1):
        with context(step=1):
            update_context(order=5)
            Customer.objects.create(name="a")
        Customer.objects.create(name="b")
        update_context(user=2)
        Customer.objects.create(name="c")
    assert contexts(Customer.history)[1:] == [
        {"user": 1, "step": 1, "order": 5},
        {"user": 1},
        {"user": 2},
    ]


def test_nothing_can_be_added_to_no_context():
    with pytest.raises(ContextError, match="there is none"):
        update_context(user=1)


def test_it_can_be_limited_to_databases(db):
    with context(user=1, databases=["other"]):
        Customer.objects.create()
    assert contexts(Customer.history) == [None]


class TestValues:
    def test_what_is_callable_or_lazy_is_asked_for_when_it_is_needed(self, customer):
        asked = []

        def user():
            asked.append(Customer.objects.count())  # a query of its own
            return 5

        with context(user=user, other=SimpleLazyObject(lambda: asked.append(1) or "x")):
            assert Customer.objects.count() == 1
            assert asked == []
            Customer.objects.create(name="a")
            Customer.objects.create(name="b")
        assert len(asked) == 2
        assert contexts(Customer.history)[1:] == [{"user": 5, "other": "x"}] * 2

    def test_a_model_instance_stands_for_its_key(self, db, django_user_model):
        user = django_user_model.objects.create(username="ada")
        with context(user=user, visitor=AnonymousUser(), key=uuid.UUID(int=1)):
            Customer.objects.create()
        assert contexts(Customer.history) == [
            {"user": user.pk, "visitor": None, "key": str(uuid.UUID(int=1))}
        ]

    @pytest.mark.parametrize(
        ("value", "stored"),
        [
            ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
            ("\ud800", "\N{REPLACEMENT CHARACTER}"),
            ("'; DROP TABLE x; --", "'; DROP TABLE x; --"),
            ("%s %(a)s {x} \\u0000 \\", "%s %(a)s {x} \\u0000 \\"),
            ({"a\0": ["\0"]}, {"a\N{REPLACEMENT CHARACTER}": ["\N{REPLACEMENT CHARACTER}"]}),
            ("ä" * 100_000, "ä" * 100_000),
        ],
    )
    def test_whatever_a_request_has_can_be_stored(self, db, value, stored):
        with context(url=value):
            Customer.objects.create()
        assert contexts(Customer.history) == [{"url": stored}]

    @pytest.mark.parametrize("value", [object(), {1, 2}, float("nan")])
    def test_what_is_no_json_is_refused_at_once(self, value):
        with pytest.raises(ContextError, match="cannot be stored as a context"):
            context(user=value)

    def test_current_context_tells_what_would_be_stored(self):
        assert pgtrigger_history.current_context() == {}
        with context(user=lambda: 3, a="b"):
            assert pgtrigger_history.current_context() == {"user": 3, "a": "b"}


class TestBy:
    def test_events_are_found_by_user(self, invoice, django_user_model):
        user = django_user_model.objects.create(username="ada")
        with context(user=user.pk):
            invoice.total = 8
            invoice.save()
            Payment.objects.create(invoice=invoice)
        Payment.objects.create(invoice=invoice)
        for who in (user, user.pk):
            assert [event.total for event in invoice.history.by(who)] == [8]
            assert Payment.history.by(who).count() == 1
        assert invoice.history.by(None).count() == 1
        assert Payment.history.by(None).count() == 1

    def test_without_contexts_there_is_nobody(self):
        with pytest.raises(NotTrackedError, match="stores no context"):
            Account.history.by(1)


def test_sql_of_somebody_else_can_say_it(db, sql):
    sql("SELECT set_config('pgtrigger.context', '{\"user\": 9}', true)")
    sql("INSERT INTO ledger_customer (name, \"Town\") VALUES ('x', 'y')")
    assert contexts(Customer.history) == [{"user": 9}]


def test_sql_may_say_something_else_than_names_and_values(db, sql):
    sql("SELECT set_config('pgtrigger.context', '[1, 2]', true)")
    sql("INSERT INTO ledger_customer (name, \"Town\") VALUES ('x', 'y')")
    stored = Customer.history.get().pgh_context
    assert (str(stored), stored.user) == ("[1, 2]", None)


def test_the_context_of_a_tracker_without_contexts_costs_no_column(db):
    assert "pgh_context" not in {field.name for field in Account.history.model._meta.fields}


def test_it_is_ignored_with_its_trigger(customer):
    with pgtrigger.ignore("ledger.Customer:history_insert"):
        Customer.objects.create(name="silent")
    assert not Customer.history.filter(name="silent").exists()


def test_a_user_of_any_length_that_is_taken_fits_into_the_index(db):
    # Nothing that can be compressed.
    user = "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(333))
    with context(user=user):
        Invoice.objects.create()
    assert Invoice.history.by(user).count() == 1


@pytest.mark.parametrize("user", ["u" * 1001, "\ud800" * 1001, lambda: "u" * 1001], ids=range(3))
def test_a_user_that_is_too_long_for_a_key_is_refused(db, user):
    with pytest.raises(ContextError, match=r'"user" of a context.*at most 1000 bytes.*has 1,001'):
        with context(user=user), transaction.atomic():
            Invoice.objects.create()
    assert not Context.objects.exists()
