"""pgtrigger.violations: which trigger refused, told from the error alone."""

import contextlib

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction

import pgtrigger
from pgtrigger.functions import raise_violation
from shop.database import refused, run, statements
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


# --- As validation errors ---------------------------------------------------------------------

CHECK = "IF NEW.country = 'XX' THEN {} END IF; RETURN NULL;"


def converted(**kwargs):
    return pgtrigger.violations_as_validation_errors(**kwargs)


def deferred(**kwargs):
    """A constraint trigger of nobody's type, which refuses makers of the country XX."""
    return pgtrigger.Trigger(
        name="known_country",
        when=pgtrigger.After,
        operation=Insert | Update,
        timing=pgtrigger.Deferred,
        func=CHECK.format(raise_violation("no %s", "NEW.country", column="'country'")),
        **kwargs,
    )


def test_what_a_trigger_refuses_becomes_a_validation_error(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Delete))
    Order.objects.create()
    with pytest.raises(ValidationError) as caught, converted():
        Order.objects.all().delete()
    error = caught.value
    assert error.message_dict == {
        NON_FIELD_ERRORS: ["pgtrigger: Cannot delete rows from user table"]
    }
    assert isinstance(error, pgtrigger.ViolationError)
    assert isinstance(error.__cause__, IntegrityError)
    assert error.violation == pgtrigger.violation(error.__cause__)
    (refusal,) = error.error_dict[NON_FIELD_ERRORS]
    assert refusal.code == "pgtrigger"
    assert refusal.params["uri"] == "shop.Order:keep"
    assert "pgtrigger.ignore" in refusal.params["hint"]
    assert Order.objects.count() == 1  # the connection is usable


@pytest.mark.parametrize(
    ("column", "fields"),
    [
        ("'Total'", ["total"]),
        ("'Total, user'", ["total", "user"]),
        ("'it''s odd'", ["note"]),
        ("'Total, nothing'", [NON_FIELD_ERRORS]),
        ("'total'", [NON_FIELD_ERRORS]),
        (None, [NON_FIELD_ERRORS]),
    ],
)
def test_the_columns_at_fault_name_the_fields(live, column, fields):
    func = raise_violation("100%% wrong %s", "1", column=column)
    live(Order, pgtrigger.Trigger(name="own", when=pgtrigger.Before, operation=Insert, func=func))
    with pytest.raises(ValidationError) as caught, converted():
        Order.objects.create()
    assert caught.value.message_dict == {name: ["100% wrong 1"] for name in fields}


def test_several_read_only_columns_are_told_each_on_its_field(live):
    live(Order, pgtrigger.ReadOnly(name="fixed"))
    Order.objects.create()
    with pytest.raises(ValidationError) as caught, converted():
        Order.objects.update(total=1, note="x")
    assert [*caught.value.message_dict] == ["total", "note"]


def test_a_decorator(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Delete))

    @converted()
    def delete(depth):
        """Deletes."""
        if depth:
            delete(depth - 1)
        return Order.objects.all().delete()

    assert delete(0) == (0, {})
    assert delete.__doc__ == "Deletes."
    Order.objects.create()
    with pytest.raises(ValidationError, match="Cannot delete"):
        delete(2)
    assert Order.objects.count() == 1


def test_one_context_entered_twice(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Delete))
    Order.objects.create()
    context = converted()
    with context:
        with pytest.raises(ValidationError), context:
            Order.objects.all().delete()
        Order.objects.create()
    assert Order.objects.count() == 2


def test_the_block_is_rolled_back_as_a_whole(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Delete))
    with pytest.raises(ValidationError), converted():
        Order.objects.create()
        Order.objects.all().delete()
    assert not Order.objects.exists()


def test_without_a_savepoint_the_callers_is_the_one_that_is_rolled_back(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Delete))
    Order.objects.create()
    with pytest.raises(ValidationError), transaction.atomic(), converted(atomic=False):
        Order.objects.all().delete()
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        ValidationError("x"),
        DatabaseError("x"),
        IntegrityError(),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_other_errors_pass_as_they_are(db, error):
    with pytest.raises(type(error)) as caught, converted():
        raise error
    assert caught.value is error


def test_errors_of_the_database_that_no_trigger_raised_pass(live):
    live(Maker, pgtrigger.Protect(name="keep", operation=Delete))
    with pytest.raises(IntegrityError), converted():
        run("INSERT INTO shop_maker VALUES ('dup', 'NL'), ('dup', 'NL')")


def test_what_somebody_raises_because_of_a_violation_is_theirs(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Insert))
    with pytest.raises(LookupError), converted():
        try:
            Order.objects.create()
        except IntegrityError as error:
            raise LookupError from error


def test_an_error_that_was_overlooked_is_not_told_as_a_violation(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Insert))
    with pytest.raises(transaction.TransactionManagementError), converted():
        with contextlib.suppress(IntegrityError):
            Order.objects.create()
        Order.objects.count()


def test_the_drivers_own_error_is_understood(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Insert))
    with pytest.raises(ValidationError, match="Cannot insert"), converted():
        connection.connection.execute(STATEMENTS[Insert])


def test_a_deferred_trigger_is_told_when_the_outermost_block_commits(autocommit_live):
    autocommit_live(Maker, deferred())
    with pytest.raises(ValidationError) as caught, converted():
        Maker.objects.create(code="a", country="XX")
        assert Maker.objects.exists()
    assert caught.value.message_dict == {"country": ["no XX"]}
    assert not Maker.objects.exists()


def test_within_a_transaction_it_is_told_at_once_if_that_is_asked_for(live):
    live(Maker, deferred())
    with pytest.raises(ValidationError, match="no XX"), converted(immediate=True):
        Maker.objects.create(code="a", country="XX")
    assert not Maker.objects.exists()
    with refused("no XX", IntegrityError):  # otherwise it is left to the transaction
        with converted():
            Maker.objects.create(code="b", country="XX")
        run("SET CONSTRAINTS ALL IMMEDIATE")


def test_what_is_deferred_stays_so_afterwards(live):
    live(Maker, deferred())
    with converted(immediate=True):
        Maker.objects.create(code="a")
    with refused("no XX", IntegrityError):
        Maker.objects.update(country="XX")
        assert Maker.objects.get().country == "XX"
        run("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.django_db(databases=["default", "sqlite"])
def test_other_databases_are_left_alone():
    with statements("sqlite") as found, converted(using="sqlite", immediate=True):
        pass
    assert found == []
    with pytest.raises(ValueError, match="x"), converted(using="sqlite"):
        raise ValueError("x")


def test_in_autocommit_there_is_nothing_deferred(committed):
    with statements() as found, converted(atomic=False, immediate=True):
        Maker.objects.create(code="a")
    assert len(found) == 1


def test_what_is_to_be_rolled_back_is_not_checked(live):
    live(Order, pgtrigger.Protect(name="keep", operation=Insert))
    with converted(immediate=True):
        with contextlib.suppress(IntegrityError):
            Order.objects.create()
    assert not Order.objects.exists()


def test_asynchronous_code(autocommit_live):
    autocommit_live(Order, pgtrigger.Protect(name="keep", operation=Delete))
    order = Order.objects.create()

    async def in_a_block():
        async with converted():
            await order.adelete()

    @converted()
    async def decorated():
        await Order.objects.all().adelete()

    @converted()
    async def well():
        return 1

    async def failing():
        async with converted():
            raise ValueError("mine")

    for function in (in_a_block, decorated):
        with pytest.raises(ValidationError, match="Cannot delete"):
            async_to_sync(function)()
    assert async_to_sync(well)() == 1
    with pytest.raises(ValueError, match="mine"):
        async_to_sync(failing)()
    assert Order.objects.count() == 1
