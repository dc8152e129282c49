"""pgtrigger.testing.count_calls and assert_calls: the calls that the server counts."""

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.test import TestCase, TransactionTestCase

import pgtrigger
from pgtrigger.errors import (
    CallCountError,
    DatabaseNotSupportedError,
    TriggerNotFoundError,
    TriggerUriError,
)
from pgtrigger.testing import assert_calls, count_calls, trigger_on
from shop.database import noop, run, value
from shop.models import Event, Product

NOOP = "shop.Product:noop"
STATEMENT = {"level": pgtrigger.Statement, "when": pgtrigger.After, "func": "RETURN NULL;"}


def tracking():
    return value("SHOW track_functions")


@pytest.fixture
def products(db):
    """Two of them."""
    Product.objects.create(name="bolt")
    Product.objects.create(name="nut")
    connection.check_constraints()


def test_each_row_is_a_call_of_a_row_trigger(live, products):
    live(Product, noop())
    with count_calls() as calls:
        Product.objects.update(stock=1)
        Product.objects.filter(name="nut").update(stock=2)
    assert calls == {NOOP: 3}
    assert (calls[NOOP], calls.total, len(calls)) == (3, 3, 1)
    assert NOOP in calls
    assert repr(calls) == f"<count_calls: {{'{NOOP}': 3}}>"


def test_a_statement_is_a_call_of_a_statement_trigger(live, products):
    live(Product, noop(**STATEMENT))
    with count_calls(NOOP) as calls:
        Product.objects.update(stock=1)
    assert calls == {NOOP: 1}


def test_all_postgres_triggers_of_a_declaration_count_as_one(live, products):
    trigger = live(
        Product,
        pgtrigger.Composer(
            name="noop",
            level=pgtrigger.Statement,
            operation=pgtrigger.Update | pgtrigger.Insert,
            func="RETURN NULL;",
            when=pgtrigger.After,
        ),
    )
    assert len(trigger.compile(Product).pgids) == 2
    with count_calls(NOOP) as calls:
        Product.objects.update(stock=1)
        Product.objects.create()
    assert calls == {NOOP: 2}


def test_a_trigger_whose_when_clause_does_not_hold_is_not_called(live, products):
    live(Product, noop(condition=pgtrigger.AnyChange("name")))
    with count_calls(NOOP) as calls:
        Product.objects.update(stock=1)
        assert calls == {}
        Product.objects.update(name="screw")
    assert calls[NOOP] == 2


def test_calls_that_are_zero_can_be_asked_for_and_are_not_listed(live, products):
    live(Product, noop())
    with count_calls() as calls:
        pass
    assert calls[NOOP] == 0
    assert (calls == {}, list(calls), NOOP in calls, calls.total) == (True, [], False, 0)


def test_within_the_block_it_tells_the_calls_so_far_and_afterwards_no_more(live, products):
    live(Product, noop())
    with count_calls() as calls:
        for expected in (2, 4):
            Product.objects.update(stock=1)
            assert calls.total == expected
    Product.objects.update(stock=1)
    assert calls.total == 4


def test_what_is_rolled_back_counts_and_a_refusal_does_not(live, products):
    live(Product, noop())
    live(Product, noop("refuse", func=pgtrigger.raise_violation("No."), operation=pgtrigger.Delete))
    with count_calls() as calls:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Product.objects.update(stock=1)
            raise ZeroDivisionError
        with pytest.raises(IntegrityError), transaction.atomic():
            Product.objects.all().delete()
    assert calls == {NOOP: 2}


def test_without_a_transaction_all_transactions_of_the_block_count(autocommit_live):
    autocommit_live(Product, noop())
    Product.objects.create()
    Product.objects.update(stock=9)
    with count_calls() as calls:
        for stock in range(3):
            Product.objects.update(stock=stock)
        with transaction.atomic():
            Product.objects.update(stock=5)
        run("SELECT pg_stat_force_next_flush()")  # what a session does after a while
        Product.objects.update(stock=6)
    assert calls == {NOOP: 5}
    with count_calls() as calls:
        Product.objects.update(stock=7)
    assert calls == {NOOP: 1}


def test_a_function_that_is_replaced_in_the_block_goes_on_counting(live, products):
    trigger = live(Product, noop())
    with count_calls(NOOP) as calls:
        Product.objects.update(stock=1)
        trigger.func = "NEW.stock = 7; RETURN NEW;"
        trigger.install(Product)
        Product.objects.update(stock=2)
    assert Product.objects.filter(stock=7).count() == 2
    assert calls == {NOOP: 4}


def test_a_trigger_that_comes_or_goes_in_the_block_is_counted(declared, live, products):
    comes = declared(Product, noop("comes"))
    goes = live(Product, noop("goes"))
    with count_calls("*:comes", "*:goes") as calls:
        Product.objects.update(stock=1)
        goes.uninstall(Product)
        comes.install(Product)
        Product.objects.update(stock=2)
    assert calls == {"shop.Product:comes": 2, "shop.Product:goes": 2}


def test_a_trigger_that_is_declared_in_the_block_is_counted(products):
    with count_calls() as calls, trigger_on(noop()) as model:
        model.objects.create()
        model.objects.update(id=7)
        assert calls == {"pgtrigger.Sample:noop": 1}
        assert calls["pgtrigger.Sample:noop"] == 1


def test_only_the_named_triggers_are_counted(live, products):
    live(Product, noop())
    live(Product, noop("other"))
    with count_calls("*:noop") as calls:
        Product.objects.update(stock=1)
    assert calls == {NOOP: 2}
    with pytest.raises(TriggerNotFoundError, match="not among the triggers that are counted"):
        calls["shop.Product:other"]


def test_triggers_of_one_name_are_told_from_one_another_by_their_tables(live, products):
    with trigger_on(noop()) as first, trigger_on(noop()) as second:
        first.objects.create()
        second.objects.create()
        with count_calls("*:noop") as calls:
            first.objects.update(id=7)
            second.objects.update(id=8)
            second.objects.update(id=9)
    assert calls == {"pgtrigger.Sample:noop": 1, "pgtrigger.Sample2:noop": 2}


def test_the_clones_on_partitions_belong_to_the_trigger(live):
    run("CREATE TABLE shop_event (id int NOT NULL, value int NOT NULL) PARTITION BY RANGE (id)")
    run("CREATE TABLE shop_event_1 PARTITION OF shop_event FOR VALUES FROM (0) TO (10)")
    run("CREATE TABLE shop_event_2 PARTITION OF shop_event FOR VALUES FROM (10) TO (20)")
    live(Event, noop())
    Event.objects.create(id=1)
    Event.objects.create(id=11)
    with count_calls() as calls:
        Event.objects.update(value=1)
    assert calls == {"shop.Event:noop": 2}


@pytest.mark.parametrize(
    ("uri", "error"),
    [("shop.Product:nop", TriggerNotFoundError), ("shop.Product", TriggerUriError)],
)
def test_a_misspelt_uri_is_an_error(live, products, uri, error):
    live(Product, noop())
    with pytest.raises(error):
        count_calls(uri)
    with pytest.raises(error), count_calls() as calls:
        calls[uri]


def test_a_named_trigger_that_is_not_installed_is_an_error(declared, products):
    declared(Product, noop())
    message = r"'shop.Product:noop' cannot be called: not installed on database \"default\""
    with pytest.raises(CallCountError, match=message), count_calls(NOOP):
        pass
    assert tracking() == "none"
    with count_calls() as calls:  # all, whichever there are
        pass
    assert calls == {}


def test_counts_are_not_to_be_had_before_the_block(live, products):
    live(Product, noop())
    calls = count_calls()
    with pytest.raises(CallCountError, match="has not begun"):
        calls.total
    assert repr(calls) == ("<count_calls: The block in which calls are counted has not begun.>")


def test_a_block_that_fails_has_no_counts_and_its_error_passes(live, products):
    live(Product, noop("refuse", func=pgtrigger.raise_violation("No.")))
    with (
        pytest.raises(IntegrityError, match="No"),
        transaction.atomic(),
        count_calls() as calls,
    ):
        run("UPDATE shop_product SET stock = 1")
    with pytest.raises(CallCountError, match="Put what expects the error into that block"):
        len(calls)
    assert tracking() == "none"


def test_the_servers_setting_is_as_it_was_afterwards(live, products):
    assert tracking() == "none"
    for error in (None, ZeroDivisionError):
        with pytest.raises(error or KeyError), count_calls():
            assert tracking() == "pl"
            raise error or KeyError
        assert tracking() == "none"
    run("SET track_functions = 'all'")
    with count_calls():
        assert tracking() == "all"
    assert tracking() == "all"
    run("RESET track_functions")


def test_a_user_that_may_not_have_calls_counted_is_told_what_to_do(live, products):
    live(Product, noop())
    run("CREATE ROLE nobody_special")
    run("SET LOCAL ROLE nobody_special")
    with pytest.raises(CallCountError, match="GRANT SET ON PARAMETER track_functions"):
        with count_calls():
            pass
    run("RESET ROLE")
    run("GRANT SET ON PARAMETER track_functions TO nobody_special")
    run("GRANT SELECT, UPDATE ON shop_product TO nobody_special")
    run("SET LOCAL ROLE nobody_special")
    with count_calls() as calls:
        Product.objects.update(stock=1)
    run("RESET ROLE")
    assert calls == {NOOP: 2}


def test_a_user_that_may_not_set_it_can_count_where_the_server_tracks_calls(live, products):
    live(Product, noop())
    run("SET track_functions = 'pl'")
    run("CREATE ROLE nobody_special")
    run("GRANT SELECT, UPDATE ON shop_product TO nobody_special")
    run("SET LOCAL ROLE nobody_special")
    with count_calls() as calls:
        Product.objects.update(stock=1)
    run("RESET ROLE")
    run("RESET track_functions")
    assert calls == {NOOP: 2}


def test_a_connection_that_was_closed_in_the_block_is_an_error(autocommit_live):
    autocommit_live(Product, noop())
    with pytest.raises(CallCountError, match="was closed in the block"):
        with count_calls():
            connections["default"].close()


def test_another_database_system_is_refused(db):
    with pytest.raises(DatabaseNotSupportedError, match='"sqlite" is not PostgreSQL'):
        count_calls(using="sqlite").__enter__()


def test_asserting_the_calls_returns_them(live, products):
    live(Product, noop())
    with assert_calls({NOOP: 2}) as calls:
        Product.objects.update(stock=1)
    assert calls.total == 2


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_another_number_of_calls_than_asserted_fails(live, products, expected):
    live(Product, noop())
    live(Product, noop("other"))
    message = f'^"{NOOP}" was called 2 times instead of {expected}$'
    with pytest.raises(AssertionError, match=message):
        with assert_calls({NOOP: expected, "shop.Product:other": 2}):
            Product.objects.update(stock=1)


def test_an_error_in_the_block_passes_instead_of_the_assertion(live, products):
    live(Product, noop())
    with pytest.raises(ZeroDivisionError), assert_calls({NOOP: 2}):
        raise ZeroDivisionError


class InTestCase(TestCase):
    def test_calls_are_counted_in_the_transaction_of_the_test(self):
        with trigger_on(noop()) as model:
            model.objects.create()
            with assert_calls({"pgtrigger.Sample:noop": 1}):
                model.objects.update(id=7)

    async def test_calls_of_asynchronous_code_are_counted(self):
        async with trigger_on(noop()) as model:
            await model.objects.acreate()
            async with assert_calls({"pgtrigger.Sample:noop": 1}) as calls:
                await model.objects.aupdate(id=7)
        assert calls.total == 1


class InTransactionTestCase(TransactionTestCase):
    available_apps = ["shop"]

    def test_calls_are_counted_in_transactions_of_their_own(self):
        trigger = noop()
        with trigger.register(Product), trigger.install(Product):
            Product.objects.create()
            with assert_calls({NOOP: 2}):
                Product.objects.update(stock=1)
                Product.objects.update(stock=2)
