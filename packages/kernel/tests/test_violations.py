"""pgtrigger.violations: which trigger refused, told from the error alone."""

import pytest
from django.db import DatabaseError, IntegrityError, connection

import pgtrigger
from pgtrigger.functions import raise_violation
from shop.database import refused, run
from shop.models import AuditEntry, Event, Maker, Order, Product, ProductProxy

Insert, Update, Delete, Truncate = (
    pgtrigger.Insert,
    pgtrigger.Update,
    pgtrigger.Delete,
    pgtrigger.Truncate,
)
STATEMENTS = {
    Insert: 'INSERT INTO "user" ("user", "Total", "it\'s odd") VALUES (\'\', 0, \'\')',
    Update: 'UPDATE "user" SET "Total" = 1',
    Delete: 'DELETE FROM "user"',
    Truncate: 'TRUNCATE "user"',
}


def found_in(statement):
    with refused(error=DatabaseError) as caught:
        run(statement)
    return pgtrigger.violation(caught.value)


@pytest.mark.parametrize("level", [pgtrigger.Row, pgtrigger.Statement])
@pytest.mark.parametrize("operation", STATEMENTS)
def test_a_violation_names_trigger_operation_and_place(live, level, operation):
    everything = Insert | Update | Delete | Truncate
    trigger = pgtrigger.Protect(name="keep", operation=everything, level=level)
    Order.objects.create()
    live(Order, trigger)
    found = found_in(STATEMENTS[operation])
    assert (found.model, found.trigger, found.uri) == (Order, trigger, "shop.Order:keep")
    assert found.operation == operation
    assert found.message == f"pgtrigger: Cannot {operation.name.lower()} rows from user table"
    assert (found.schema, found.table, found.column) == ("public", "user", "")


def test_conditions_at_statement_level_make_parts_that_are_all_known(live):
    Order.objects.create(total=5)
    condition = pgtrigger.Q(old__total=5)
    live(
        Order,
        pgtrigger.Protect(
            name="keep", operation=Update | Delete, level=pgtrigger.Statement, condition=condition
        ),
    )
    for operation in (Update, Delete):
        assert found_in(STATEMENTS[operation]).operation == operation


def test_a_trigger_of_a_proxy_is_named_by_the_proxy(live):
    live(ProductProxy, pgtrigger.Protect(name="keep", operation=Insert))
    with refused() as caught:
        Product.objects.create()
    found = pgtrigger.violation(caught.value)
    assert (found.model, found.table) == (ProductProxy, "shop_product")


def test_a_partition_is_where_it_happened_and_the_table_is_whose_trigger_it_is(live):
    run("CREATE TABLE shop_event (id int PRIMARY KEY, value int) PARTITION BY RANGE (id)")
    run("CREATE TABLE shop_event_a PARTITION OF shop_event FOR VALUES FROM (0) TO (10)")
    live(Event, pgtrigger.Protect(name="keep", operation=Insert))
    found = found_in("INSERT INTO shop_event VALUES (1, 1)")
    assert (found.uri, found.table) == ("shop.Event:keep", "shop_event_a")


def test_another_schema_is_said(live):
    run("CREATE SCHEMA shop_audit")
    run("CREATE TABLE shop_audit.entry (id int PRIMARY KEY, value int)")
    live(AuditEntry, pgtrigger.Protect(name="keep", operation=Insert))
    found = found_in("INSERT INTO shop_audit.entry VALUES (1, 1)")
    assert (found.uri, found.schema, found.table) == ("shop.AuditEntry:keep", "shop_audit", "entry")


def test_two_tables_that_share_an_id_are_told_apart(live):
    class Fixed(pgtrigger.Trigger):
        when, operation, func = pgtrigger.Before, Insert, raise_violation("no", hint="ask")

        def get_pgid(self, model):
            return "pgtrigger_fixed_00000"

    live(Order, Fixed(name="fixed"))
    live(Maker, Fixed(name="fixed"))
    assert found_in(STATEMENTS[Insert]).uri == "shop.Order:fixed"
    found = found_in("INSERT INTO shop_maker VALUES ('a', 'NL')")
    assert (found.uri, found.hint) == ("shop.Maker:fixed", "ask")


def test_a_column_is_told_where_one_is_meant(live):
    live(Order, pgtrigger.ReadOnly(name="fixed", fields=["total"]))
    Order.objects.create()
    found = found_in(STATEMENTS[Update])
    assert (found.column, found.operation) == ("Total", Update)


def test_an_operation_that_is_not_told_is_none(live):
    text = raise_violation("no").replace("DETAIL = TG_OP", "DETAIL = 'something else'")
    trigger = pgtrigger.Trigger(name="own", when=pgtrigger.Before, operation=Insert, func=text)
    live(Order, trigger)
    found = found_in(STATEMENTS[Insert])
    assert (found.uri, found.operation) == ("shop.Order:own", None)


@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: e.__cause__], ids=["django", "driver"])
def test_the_drivers_error_will_do(live, wrap):
    live(Order, pgtrigger.Protect(name="keep", operation=Insert))
    with refused() as caught:
        run(STATEMENTS[Insert])
    assert pgtrigger.violation(wrap(caught.value)).uri == "shop.Order:keep"


def test_an_error_that_was_raised_from_the_databases_will_do(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Insert))
    try:
        try:
            with refused() as caught:
                run(STATEMENTS[Insert])
            raise caught.value
        except IntegrityError as error:
            raise ValueError from error
    except ValueError as error:
        assert pgtrigger.violation(error).uri == "shop.Order:keep"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO shop_maker VALUES ('dup', 'NL'), ('dup', 'NL')",
        "INSERT INTO shop_maker VALUES ('x', NULL)",
        "SELECT 1/0",
        "SELECT * FROM nothing",
        "DO $$ BEGIN RAISE EXCEPTION 'x' USING CONSTRAINT = 'pgtrigger_keep_00000'; END $$",
    ],
)
def test_other_errors_are_none(live, statement):
    live(Maker, pgtrigger.Protect(name="keep", operation=Delete))
    assert found_in(statement) is None


@pytest.mark.parametrize("error", [ValueError("x"), DatabaseError("x"), IntegrityError()])
def test_errors_without_diagnostics_are_none(error):
    assert pgtrigger.violation(error) is None


def test_asking_uses_no_database(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Insert))
    with refused() as caught:
        run(STATEMENTS[Insert])
    before = len(connection.queries_log)
    pgtrigger.violation(caught.value)
    assert len(connection.queries_log) == before
