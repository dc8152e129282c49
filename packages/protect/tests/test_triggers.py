"""pgtrigger_protect.triggers: what is refused, by every way to write, and what is let through."""

import itertools

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, IntegrityError, connection

import pgtrigger
from pgtrigger.errors import DeclarationError, FieldLookupError
from pgtrigger_protect import Protect, ReadOnly
from shop.database import refused, rows, run, value
from shop.models import AuditEntry, Event, Gadget, Line, Order, Peculiar, Product

Insert, Update, Delete, Truncate = (
    pgtrigger.Insert,
    pgtrigger.Update,
    pgtrigger.Delete,
    pgtrigger.Truncate,
)
Row, Statement = pgtrigger.Row, pgtrigger.Statement
Condition, Q, F = pgtrigger.Condition, pgtrigger.Q, pgtrigger.F
LEVELS = pytest.mark.parametrize("level", [Row, Statement], ids=str)

SQL = {
    Insert: "INSERT INTO shop_line VALUES (9, 9, 9)",
    Update: "UPDATE shop_line SET amount = amount + 1",
    Delete: "DELETE FROM shop_line",
    Truncate: "TRUNCATE shop_line",
}
COMBINATIONS = [
    combination for size in range(1, 5) for combination in itertools.combinations(SQL, size)
]


def united(operations):
    first, *others = operations
    for other in others:
        first |= other
    return first


@pytest.fixture
def lines(db):
    return Line.objects.bulk_create([Line(order=1, number=n, amount=n) for n in range(4)])


# --- Operations -------------------------------------------------------------------------------


@LEVELS
@pytest.mark.parametrize("operations", COMBINATIONS, ids=str)
def test_each_combination_refuses_its_operations_and_no_others(live, lines, level, operations):
    live(Line, Protect(name="keep", level=level, operation=united(operations)))
    for operation, statement in SQL.items():
        if operation in operations:
            message = f"^pgtrigger: Cannot {operation.name.lower()} rows from shop_line table"
            with refused(message, IntegrityError):
                run(statement)
        else:
            run(statement)


@LEVELS
@pytest.mark.parametrize("operations", [o for o in COMBINATIONS if Insert not in o], ids=str)
def test_each_combination_refuses_only_where_the_condition_holds(live, lines, level, operations):
    condition = Q(old__amount=3)
    live(Line, Protect(name="keep", level=level, operation=united(operations), condition=condition))
    for operation in operations:
        with refused(f"Cannot {operation.name.lower()}", IntegrityError):
            run(SQL[operation])
    for operation in operations:
        with pgtrigger.ignore("shop.Line:keep"):
            Line.objects.filter(amount=3).delete()
        run(SQL[operation])


@LEVELS
def test_an_insert_is_refused_only_where_the_condition_holds(live, lines, level):
    live(Line, Protect(name="keep", level=level, operation=Insert, condition=Q(new__amount__lt=0)))
    Line.objects.create(order=2, number=1, amount=1)
    with refused("Cannot insert", IntegrityError):
        Line.objects.bulk_create([Line(order=2, number=n, amount=n - 3) for n in (2, 3)])
    assert not Line.objects.filter(order=2, number__gt=1).exists()


@LEVELS
@pytest.mark.parametrize(
    "condition",
    [
        Condition("OLD IS DISTINCT FROM NEW"),
        Condition("OLD.* IS DISTINCT FROM NEW.*"),
        Condition("(OLD).amount <> (NEW).amount"),
        Condition("to_jsonb(OLD) <> to_jsonb(NEW)"),
        Q(old__amount__lt=F("new__amount")),
        pgtrigger.AnyChange(),
        pgtrigger.AllChange("amount"),
        ~pgtrigger.AllDontChange("amount"),
        Q(old__amount=3) & Q(new__amount=4),
        Q(new__amount=4) & Condition("OLD.number = 3"),
    ],
    ids=repr,
)
def test_conditions_of_every_kind_hold_at_either_level(live, lines, level, condition):
    live(Line, Protect(name="keep", level=level, operation=Update, condition=condition))
    run("UPDATE shop_line SET amount = amount")
    with refused("Cannot update", IntegrityError):
        run(SQL[Update])


@LEVELS
def test_a_truncation_that_would_lose_no_protected_row_is_allowed(live, lines, level):
    trigger = Protect(
        name="keep", level=level, operation=Delete | Truncate, condition=Q(old__amount__gt=100)
    )
    live(Line, trigger)
    run(SQL[Truncate])
    Line.objects.create(order=1, number=1, amount=101)
    with refused("Cannot truncate", IntegrityError):
        run(SQL[Truncate])


@LEVELS
@pytest.mark.parametrize("condition", [Q(new__amount=1), Condition("NEW.amount = OLD.amount")])
def test_a_truncation_that_cannot_be_checked_is_refused(live, lines, level, condition):
    trigger = Protect(name="keep", level=level, operation=Update | Truncate, condition=condition)
    live(Line, trigger)
    with refused("Cannot truncate", IntegrityError):
        run(SQL[Truncate])


def test_a_truncation_is_checked_on_conditions_with_any_text(live, db):
    condition = Q(old__note="it's 100% %I {x} \\") | Condition("OLD.\"it's odd\" LIKE '%%x'")
    live(Order, Protect(name="keep", operation=Truncate, condition=condition))
    run('TRUNCATE "user"')
    Order.objects.create(note="it's 100% %I {x} \\")
    with refused("Cannot truncate rows from user table", IntegrityError):
        run('TRUNCATE "user"')


def test_an_update_of_some_columns(live, lines):
    live(Line, Protect(name="keep", operation=pgtrigger.UpdateOf("amount")))
    run("UPDATE shop_line SET number = number + 10")
    with refused("Cannot update", IntegrityError):
        run(SQL[Update])


def test_an_update_of_some_columns_with_a_condition_is_refused_at_statement_level():
    def trigger(**kwargs):
        return Protect(name="keep", operation=pgtrigger.UpdateOf("amount"), **kwargs)

    assert trigger(level=Statement).compile(Line)
    assert trigger(condition=Q(old__amount=1)).compile(Line)
    with pytest.raises(DeclarationError, match=r"pgtrigger\.AnyChange"):
        trigger(level=Statement, condition=Q(old__amount=1)).compile(Line)


@LEVELS
@pytest.mark.parametrize(
    ("operation", "condition"), [(Insert, Q(old__amount=1)), (Delete, Q(new__amount=1))]
)
def test_a_condition_on_a_row_that_is_not_there_is_refused(level, operation, condition):
    with pytest.raises(DeclarationError, match="does not have"):
        Protect(name="keep", level=level, operation=operation, condition=condition).compile(Line)


# --- Fail closed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [Q(old__amount=3, new__amount=4), Q(old__amount__gt=F("new__amount")), pgtrigger.AnyChange()],
    ids=repr,
)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE shop_line SET number = number + 100, amount = amount + 1",
        "UPDATE shop_line SET number = number + 100",
        'UPDATE shop_line SET "order" = 2 WHERE number = 0',
    ],
)
def test_a_row_whose_key_changes_in_the_statement_is_refused(live, lines, condition, statement):
    live(Line, Protect(name="keep", level=Statement, operation=Update, condition=condition))
    with refused("Cannot update", IntegrityError):
        run(statement)


def test_keys_that_are_exchanged_are_compared_by_key(live, lines):
    condition = pgtrigger.AnyChange("amount")
    live(Line, Protect(name="keep", level=Statement, operation=Update, condition=condition))
    with refused("Cannot update", IntegrityError):
        run('UPDATE shop_line SET number = 3 - number, "order" = 5 - "order"')


@LEVELS
def test_one_row_among_many_is_enough(live, db, level):
    Line.objects.bulk_create([Line(order=1, number=n) for n in range(2000)])
    condition = Q(old__number=1234)
    live(Line, Protect(name="keep", level=level, operation=Update | Delete, condition=condition))
    with refused("Cannot update", IntegrityError):
        run(SQL[Update])
    with refused("Cannot delete", IntegrityError):
        run(SQL[Delete])
    run("UPDATE shop_line SET amount = 1 WHERE number <> 1234")


@LEVELS
def test_a_null_in_the_condition_means_what_it_means_to_postgres(live, level, db):
    Product.objects.create(note=None)
    live(
        Product,
        Protect(name="keep", level=level, operation=Update, condition=~Q(old__note="open")),
    )
    with refused("Cannot update", IntegrityError):
        Product.objects.update(stock=1)


# --- Ways to write ----------------------------------------------------------------------------


def saving(line):
    line.amount += 1
    line.save()


def bulk_updating(line):
    line.amount += 1
    Line.objects.bulk_update([line], ["amount"])


def upserting(line):
    Line.objects.bulk_create(
        [Line(order=line.order, number=line.number, amount=99)],
        update_conflicts=True,
        update_fields=["amount"],
        unique_fields=["order", "number"],
    )


WRITES = {
    "save": saving,
    "update": lambda line: Line.objects.filter(amount=3).update(amount=5),
    "bulk_update": bulk_updating,
    "upsert": upserting,
    "sql": lambda line: run("UPDATE shop_line SET amount = 5 WHERE amount = 3"),
    "merge": lambda line: run(
        "MERGE INTO shop_line USING (VALUES (3)) v(a) ON amount = a"
        " WHEN MATCHED THEN UPDATE SET amount = 5"
    ),
    "with": lambda line: run(
        "WITH x AS (UPDATE shop_line SET amount = 5 WHERE amount = 3 RETURNING 1) SELECT * FROM x"
    ),
    "do": lambda line: run("DO $$ BEGIN UPDATE shop_line SET amount = 5 WHERE amount = 3; END $$"),
}


@LEVELS
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_no_way_to_write_goes_past_it(live, lines, level, write):
    live(Line, Protect(name="keep", level=level, operation=Update, condition=Q(old__amount=3)))
    with refused("Cannot update", IntegrityError):
        write(lines[3])
    assert rows("SELECT amount FROM shop_line WHERE number = 3") == [(3,)]
    with pgtrigger.ignore("shop.Line:keep"):
        write(Line.objects.get(number=3))
    assert rows("SELECT amount FROM shop_line WHERE number = 3") != [(3,)]


@LEVELS
def test_a_row_that_is_moved_between_partitions_is_checked(live, db, level):
    run("CREATE TABLE shop_event (id int PRIMARY KEY, value int) PARTITION BY RANGE (id)")
    for name, low in (("a", 0), ("b", 10)):
        run(
            f"CREATE TABLE shop_event_{name} PARTITION OF shop_event"
            f" FOR VALUES FROM ({low}) TO ({low + 10})"
        )
    run("INSERT INTO shop_event VALUES (1, 1)")
    live(Event, Protect(name="keep", level=level, operation=Update))
    with refused("Cannot update", IntegrityError):
        run("UPDATE shop_event SET id = 11")


def test_a_table_of_another_schema_is_protected(live, db):
    run("CREATE SCHEMA shop_audit")
    run("CREATE TABLE shop_audit.entry (id int PRIMARY KEY, value int)")
    run("INSERT INTO shop_audit.entry VALUES (1, 1)")
    condition = Q(old__value=1)
    live(AuditEntry, Protect(name="keep", operation=Delete | Truncate, condition=condition))
    for statement in ("DELETE FROM shop_audit.entry", "TRUNCATE shop_audit.entry"):
        with refused("from entry table", IntegrityError):
            run(statement)


@LEVELS
def test_a_parents_columns_are_protected_on_the_parent(live, db, level):
    Gadget.objects.create(voltage=110)
    live(Gadget, Protect(name="keep", level=level, operation=Update, condition=Q(old__voltage=110)))
    Gadget.objects.update(stock=5)
    with refused("Cannot update rows from shop_gadget", IntegrityError):
        Gadget.objects.update(voltage=12)


# --- Cost -------------------------------------------------------------------------------------


@pytest.fixture
def calls():
    """`calls()`: how many functions triggers have called in this transaction."""

    def count():
        return value("SELECT coalesce(sum(calls), 0) FROM pg_stat_xact_user_functions")

    return count


@pytest.mark.parametrize(
    "make",
    [
        lambda: Protect(name="keep", operation=Update | Delete, condition=Q(old__amount=100)),
        lambda: ReadOnly(name="keep", fields=["number"]),
        lambda: ReadOnly(name="keep", exclude=["amount"], condition=Q(old__order=1)),
    ],
    ids=["Protect", "ReadOnly", "ReadOnly with condition"],
)
def test_rows_that_are_allowed_call_no_function(live, lines, calls, make):
    run("SET LOCAL track_functions = 'all'")
    live(Line, make())
    before = calls()
    run(SQL[Update])
    run("DELETE FROM shop_line WHERE number = 0")
    assert calls() == before


def test_ignored_rows_call_no_function_that_does_next_to_nothing(live, lines, calls):
    run("SET LOCAL track_functions = 'all'")
    live(
        Line,
        pgtrigger.Trigger(name="keep", when=pgtrigger.Before, operation=Update, func="RETURN NEW;"),
    )
    before = calls()
    with pgtrigger.ignore("shop.Line:keep"):
        run(SQL[Update])
    assert calls() == before


def test_the_counter_of_calls_does_count(live, lines, calls):
    run("SET LOCAL track_functions = 'all'")
    live(
        Line,
        pgtrigger.Trigger(name="noop", when=pgtrigger.Before, operation=Update, func="RETURN NEW;"),
    )
    before = calls()
    run(SQL[Update])
    assert calls() == before + 4


# --- ReadOnly ---------------------------------------------------------------------------------


@LEVELS
@pytest.mark.parametrize(
    ("arguments", "allowed", "forbidden"),
    [
        ({"fields": ["name"]}, {"stock": 1, "note": "x"}, {"name": "x"}),
        ({"fields": ["name", "note"]}, {"stock": 1}, {"note": "x"}),
        ({"exclude": ["stock", "updated_at"]}, {"stock": 1}, {"name": "x"}),
        ({"exclude": "stock"}, {"stock": 1}, {"attributes": {"a": 1}}),
        ({}, {"stock": 0}, {"stock": 1}),
        ({}, {"note": None}, {"note": ""}),
        ({"fields": ["attributes"]}, {"name": "x"}, {"attributes": {"a": 2}}),
        ({"fields": ["maker"]}, {"name": "x"}, {"maker_id": "a"}),
        ({"fields": ["price"]}, {"price": None}, {"price": 1}),
        ({"fields": ["name"], "condition": Q(old__stock=5)}, {"name": "x"}, None),
        ({"fields": ["name"], "condition": Q(old__stock=0)}, {"stock": 1}, {"name": "x"}),
    ],
    ids=str,
)
def test_only_read_only_columns_are_refused(live, level, arguments, allowed, forbidden):
    run("INSERT INTO shop_maker VALUES ('a', 'NL')")
    Product.objects.create(stock=0)
    live(Product, ReadOnly(name="fixed", level=level, **arguments))
    if forbidden:
        with refused("Cannot update rows from shop_product table", IntegrityError):
            Product.objects.update(**forbidden)
    Product.objects.update(**allowed)


@LEVELS
def test_generated_columns_and_types_without_equality(live, db, level):
    run("INSERT INTO shop_peculiar (name, document, place) VALUES ('a', '{\"a\": 1}', '(1,2)')")
    live(Peculiar, ReadOnly(name="fixed", level=level))
    run("UPDATE shop_peculiar SET name = name, document = document, place = place")
    for change in ("name = 'b'", "document = '{}'", "place = '(2,1)'", "document = NULL"):
        with refused("Cannot update", IntegrityError):
            run(f"UPDATE shop_peculiar SET {change}")


@LEVELS
@pytest.mark.parametrize("name", ["fields", "exclude"])
def test_an_unknown_field_is_refused(level, name):
    with pytest.raises(FieldLookupError, match='no field "nothing"'):
        ReadOnly(name="fixed", level=level, **{name: ["nothing"]}).compile(Product)


def test_fields_or_exclude_but_not_both():
    with pytest.raises(DeclarationError, match=r"only one of.*fields=\['a'\] and exclude=\['b'\]"):
        ReadOnly(name="fixed", fields=["a"], exclude=["b"])


def test_a_type_may_name_its_fields():
    class Fixed(ReadOnly):
        fields = ["name"]

    assert [field.name for field in Fixed(name="a").read_only_fields(Product)] == ["name"]
    assert [f.name for f in Fixed(name="a", fields=["stock"]).read_only_fields(Product)] == [
        "stock"
    ]


# --- What is said -----------------------------------------------------------------------------


def diagnostics(statement):
    with refused(error=IntegrityError) as caught:
        run(statement)
    return caught.value.__cause__.diag


def test_the_columns_that_were_to_change_are_named(live, db):
    Order.objects.create()
    live(Order, ReadOnly(name="fixed"))
    found = diagnostics('UPDATE "user" SET "Total" = 5, "it\'s odd" = \'x\'')
    assert found.column_name == "Total, it's odd"
    assert found.message_primary == (
        "pgtrigger: Cannot update rows from user table: Total, it's odd is read-only"
    )


def test_at_statement_level_all_read_only_columns_are_named(live, db):
    Order.objects.create()
    live(Order, ReadOnly(name="fixed", level=Statement, fields=["total", "note"]))
    assert diagnostics('UPDATE "user" SET "Total" = 5').column_name == "Total, it's odd"


@LEVELS
@pytest.mark.parametrize("ignorable", [True, False])
@pytest.mark.parametrize("kind", [Protect, ReadOnly])
def test_the_hint_tells_the_way_out_if_there_is_one(live, lines, level, ignorable, kind):
    live(Line, kind(name="keep", level=level, operation=Update, ignorable=ignorable))
    hint = diagnostics(SQL[Update]).message_hint
    assert "shop.Line:keep" in hint
    assert ("pgtrigger.ignore" in hint) is ignorable


@LEVELS
@pytest.mark.parametrize("kind", [Protect, ReadOnly])
def test_another_code_can_be_chosen(live, lines, level, kind, settings):
    settings.PGTRIGGER_ERRCODE = "P0001"
    live(Line, kind(name="keep", level=level, operation=Update))
    with refused(error=DatabaseError) as caught:
        run(SQL[Update])
    assert caught.value.__cause__.diag.sqlstate == "P0001"
    assert not isinstance(caught.value, IntegrityError)


def test_a_code_that_is_none_is_refused(settings):
    settings.PGTRIGGER_ERRCODE = "oops"
    with pytest.raises(ImproperlyConfigured):
        Protect(name="keep", operation=Update).compile(Line)


@LEVELS
def test_a_function_of_ones_own_may_refuse_in_other_words(live, lines, level):
    func = "RAISE EXCEPTION 'no way'; RETURN NULL;"
    live(Line, Protect(name="keep", level=level, operation=Update | Truncate, func=func))
    for operation in (Update, Truncate):
        with refused("no way"):
            run(SQL[operation])


@LEVELS
def test_a_subclass_may_refuse_in_other_words(live, lines, level):
    class Sealed(Protect):
        def refusal(self, model):
            return pgtrigger.raise_violation(f"{model._meta.verbose_name} is sealed")

    live(Line, Sealed(name="keep", level=level, operation=Update, condition=Q(old__amount=3)))
    with refused("line is sealed", IntegrityError):
        run(SQL[Update])


@LEVELS
def test_after_is_a_moment_too(live, lines, level):
    trigger = Protect(
        name="keep", level=level, when=pgtrigger.After, operation=Update, condition=Q(old__amount=3)
    )
    live(Line, trigger)
    with refused("Cannot update", IntegrityError):
        run(SQL[Update])


def test_a_deferred_protection_is_checked_at_the_end(live, lines):
    live(
        Line,
        Protect(name="keep", when=pgtrigger.After, timing=pgtrigger.Deferred, operation=Update),
    )
    with refused("Cannot update", IntegrityError):
        run(SQL[Update])
        run("SET CONSTRAINTS ALL IMMEDIATE")
    assert connection.in_atomic_block
