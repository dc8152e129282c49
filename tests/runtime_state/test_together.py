"""Settings and the statement that needs them in one round trip, and the longer way around it."""

from contextlib import ExitStack

import pytest
from django.db import DataError, IntegrityError, connection, transaction

import pgtrigger
from pgtrigger import together
from pgtrigger.errors import DeclarationError
from pgtrigger.session import local_settings
from runtime_state.probe import URI, psycopg3
from runtime_state.wire import wire
from shop.database import run, value
from shop.models import Log, Order

pytestmark = psycopg3
# A trigger that fires refuses, so what gets through was ignored.
STATE = "SELECT coalesce(nullif(current_setting('pgtrigger.ignore', true), ''), 'none')"


@pytest.fixture
def refused(autocommit_live):
    """Orders that no update gets at, unless it is ignored."""
    autocommit_live(Order, pgtrigger.Protect(name="probe", operation=pgtrigger.Update))
    return Order.objects.create(total=1)


@pytest.fixture(params=["together", "one after the other"])
def way(request, monkeypatch):
    """Both ways to send a statement that needs settings."""
    if request.param != "together":
        monkeypatch.setattr(together, "_KNOWN", False)
    return request.param


def test_a_psycopg_that_we_know_is_installed():
    assert together._KNOWN


def test_a_write_in_autocommit_gets_through_and_nothing_stays(way, refused):
    with pgtrigger.ignore(URI), wire() as heard:
        Order.objects.update(total=2)
    assert heard.ready == 1 if way == "together" else heard.ready >= 1
    with pytest.raises(IntegrityError):
        Order.objects.update(total=3)
    assert Order.objects.get().total == 2


def test_a_write_in_a_transaction_gets_through_and_nothing_stays(way, refused):
    with transaction.atomic():
        run("SELECT 1")
        with wire() as heard, pgtrigger.ignore(URI):
            Order.objects.update(total=2)
        assert heard.ready == (1 if way == "together" else 2)
        with pytest.raises(IntegrityError), transaction.atomic():
            Order.objects.update(total=3)
    assert Order.objects.get().total == 2


def test_the_first_statement_of_a_transaction_can_be_the_write(way, refused):
    with transaction.atomic(), pgtrigger.ignore(URI):
        Order.objects.update(total=2)
    with pytest.raises(IntegrityError):
        Order.objects.update(total=3)


@pytest.mark.parametrize("where", ["autocommit", "transaction"])
def test_an_error_of_the_statement_is_the_statements_own(way, refused, where):
    with pgtrigger.ignore(URI), pytest.raises(DataError, match="division by zero"):
        if where == "autocommit":
            run('UPDATE "user" SET "Total" = 1 / 0')
        else:
            with transaction.atomic():
                run('UPDATE "user" SET "Total" = 1 / 0')
    assert value(STATE) == "none"
    assert Order.objects.get().total == 1


def test_a_failed_statement_within_a_savepoint_leaves_the_state_for_the_next(way, refused):
    with transaction.atomic(), pgtrigger.ignore(URI):
        with pytest.raises(DataError), transaction.atomic():
            run('UPDATE "user" SET "Total" = 1 / 0')
        Order.objects.update(total=2)
    assert Order.objects.get().total == 2


def test_results_of_every_kind_are_the_callers(way, refused):
    large = "x" * 5_000_000  # more than the buffers on the way
    with pgtrigger.ignore(URI), connection.cursor() as cursor:
        cursor.execute('UPDATE "user" SET "Total" = 5 RETURNING "Total", %s', [large])
        assert cursor.fetchall() == [(5, large)]
        assert cursor.rowcount == 1
        cursor.execute("INSERT INTO shop_log (text) SELECT n FROM generate_series(1, 3) n")
        assert cursor.rowcount == 3
        cursor.execute("DELETE FROM shop_log")
        assert cursor.rowcount == 3
        cursor.execute("SELECT set_config('shop.x', '100%%', false), %s", ["é"])
        assert cursor.fetchone() == ("100%", "é")


def test_values_in_another_encoding(way, refused):
    with local_settings(shop__reason="Grüße, Żółć"):
        assert value("SELECT current_setting('shop.reason', true) WHERE true") == "Grüße, Żółć"
        with transaction.atomic():
            assert value("SELECT current_setting('shop.reason', true)") == "Grüße, Żółć"


def test_what_another_hand_has_set_in_the_transaction_comes_back(way, refused):
    with transaction.atomic():
        run("SET LOCAL shop.reason = 'Ünder'")
        with local_settings(shop__reason="ours"):
            Order.objects.filter(total=99).update(total=1)
            assert value("SELECT current_setting('shop.reason')") == "ours"
        assert value("SELECT current_setting('shop.reason')") == "Ünder"


def late(func):
    """A trigger on new orders that waits for the commit."""
    return pgtrigger.Trigger(
        name="late",
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        timing=pgtrigger.Deferred,
        func=func,
    )


def test_a_commit_outside_the_context_restores_in_the_same_round_trip(way, autocommit_live):
    autocommit_live(Order, late("INSERT INTO shop_log (text) VALUES ('late'); RETURN NULL;"))
    with ExitStack() as listening:
        with transaction.atomic():
            with pgtrigger.ignore("shop.Order:late"):
                Order.objects.create(total=1)
            heard = listening.enter_context(wire())
    assert Log.objects.count() == 1
    assert heard.ready == (1 if way == "together" else 2)


def test_an_error_at_such_a_commit_rolls_back(way, autocommit_live):
    autocommit_live(Order, late(pgtrigger.raise_violation("too late")))
    with pytest.raises(IntegrityError, match="too late"), transaction.atomic():
        with pgtrigger.ignore("shop.Order:late"):
            Order.objects.create(total=1)
    assert not Order.objects.exists()
    assert value(STATE) == "none"


# --- Cursors of the driver ---------------------------------------------------------------------


@pytest.mark.parametrize("where", ["autocommit", "transaction"])
@pytest.mark.parametrize("call", ["connection", "cursor", "many", "stream"])
def test_cursors_of_the_driver_are_looked_after(way, refused, where, call):
    def write():
        driver = connection.connection
        with driver.cursor() as cursor:
            if call == "connection":
                driver.execute('UPDATE "user" SET "Total" = 7')
            elif call == "cursor":
                cursor.execute('UPDATE "user" SET "Total" = 7')
            elif call == "many":
                cursor.executemany('UPDATE "user" SET "Total" = %s', [(6,), (7,)])
            else:
                [*cursor.stream('UPDATE "user" SET "Total" = 7 RETURNING 1')]

    def attempt():
        if where == "autocommit":
            write()
        else:
            with transaction.atomic():
                run("SELECT 1")
                write()

    with pgtrigger.ignore(URI):
        attempt()
    assert Order.objects.get().total == 7
    with pytest.raises(Exception, match="Cannot update rows"):
        attempt()


def test_a_named_cursor_of_the_driver_finds_the_search_path(way, refused):
    with transaction.atomic():
        run("SELECT 1")
        with pgtrigger.schema("tenant_x"), connection.connection.cursor("c") as cursor:
            cursor.execute("SELECT current_setting('search_path')")
            assert cursor.fetchone() == ("tenant_x",)


# --- Everything --------------------------------------------------------------------------------


def test_everything_is_told_from_how_the_setting_begins(way, refused):
    with pgtrigger.ignore():
        text = value(STATE + " WHERE true")
        assert text.startswith("{*,pgtrigger_")
        with pgtrigger.ignore(URI):
            assert value(STATE + " WHERE true") == text
        Order.objects.update(total=8)
    with pgtrigger.ignore(URI):
        assert "*" not in value(STATE + " WHERE true")


def test_a_function_that_only_knows_names_is_ignored_with_everything(refused, autocommit_live):
    """As django-pgtrigger writes them; the registered trigger is another one of that name."""
    trigger = pgtrigger.Trigger(
        name="older",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        func="""
            IF TG_NAME = ANY(NULLIF(current_setting('pgtrigger.ignore', true), '')::text[]) THEN
                RETURN NEW;
            END IF;
            NEW."Total" = 1000;
            RETURN NEW;
        """,
        ignorable=False,
    )
    autocommit_live(Order, trigger)
    trigger.ignorable = True
    with pgtrigger.ignore():
        Order.objects.update(total=3)
    assert Order.objects.get().total == 3


def test_what_cannot_be_ignored_is_not_with_everything(autocommit_live):
    autocommit_live(
        Order, pgtrigger.Protect(name="always", operation=pgtrigger.Update, ignorable=False)
    )
    Order.objects.create(total=1)
    with pgtrigger.ignore(), pytest.raises(IntegrityError):
        Order.objects.update(total=2)


@pytest.mark.parametrize("name", ["no name", "1st", "a..b", "a.", "a;b", "ä b", "a.b'c", ""])
def test_a_name_that_no_setting_can_have_is_refused_at_once(name):
    with pytest.raises(DeclarationError, match="cannot be the name of a setting"):
        local_settings(**{name: "x"})
