"""pgtrigger.checks.conditions: what the server refuses is said before, and nothing else is."""

import pytest
from django.db import transaction
from django.db.models import Count, Exists

import pgtrigger
from pgtrigger.checks import check_triggers
from pgtrigger.checks.expressions import AGGREGATES, SETS, fault, is_plain
from pgtrigger.checks.expressions import refused as found_in
from shop.database import column, noop, refused
from shop.models import AuditEntry, Maker, Order, Peculiar, Product

Condition, F, Q = pgtrigger.Condition, pgtrigger.F, pgtrigger.Q

AFTER = {"when": pgtrigger.After}
STATEMENT = {"level": pgtrigger.Statement}
TABLES = {**AFTER, **STATEMENT}
LONG = "x" * 63


@pytest.fixture
def messages(declared):
    """`messages(trigger, Model)`: what the checks have to say about it."""

    def check(trigger, model=Product):
        uri = trigger.get_uri(model)
        with trigger.register(model):
            return [m for m in check_triggers(None) if f'"{uri}"' in m.msg]

    return check


REFUSED = {
    "subquery": ("EXISTS (SELECT 1)", {}, "a subquery"),
    "values": ("NEW.stock IN (VALUES (1))", {}, "a subquery"),
    "table": ("NEW.name IN (TABLE shop_maker)", {}, "a subquery"),
    "array": ("ARRAY(select 1) = ARRAY[1]", {}, "a subquery"),
    "aggregate": ("count(NEW.stock) > 1", {}, "the aggregate count"),
    "qualified": ("pg_catalog.max(NEW.stock) > 1", {}, "the aggregate max"),
    "window": ("row_number() OVER () > 1", {}, "a window function"),
    "set": ("generate_series(1, 2) > 1", {}, "the function generate_series, which returns a set"),
    "variable": ("TG_OP = 'UPDATE'", {}, "TG_OP, a variable"),
    "system": ("NEW.ctid IS NULL", {}, "the system column ctid of NEW"),
    "systems": ('(NEW).xmin = "new".tableoid', {}, "the system column tableoid, xmin of NEW"),
    "quoted": ('NEW."ctid" IS NULL', {}, "the system column ctid of NEW"),
    "comment": ("NEW.stock > 1 -- few", {}, "it ends with a -- comment"),
    "combined": (Condition("NEW.stock > 1 -- few") & Condition("TRUE"), {}, "it ends with a --"),
    "block": ("NEW.stock > 1 /* few", {}, "a /* is never closed"),
    "open": ("(NEW.stock > 1", {}, "a ( is never closed"),
    "closed": ("NEW.stock > 1)", {}, "a ) closes what is not open"),
    "crossed": ("ARRAY[(NEW.stock])", {}, "a ] closes what is not open"),
    "semicolon": ("NEW.stock > 1;", {}, "a ; has no place"),
    "parameter": ("NEW.stock > $1", {}, "a $ has no place"),
    "quote": ("NEW.name = 'a", {}, "a ' is never closed"),
    "name": ('NEW."name = 1', {}, 'a " is never closed'),
    "empty": (" /* nothing */ ", {}, "there is nothing in it"),
    "statement": ("EXISTS (SELECT 1)", STATEMENT, "a subquery"),
    "truncate": ("EXISTS (SELECT 1)", {**STATEMENT, "operation": pgtrigger.Truncate}, "a subquery"),
    "q": (Q(new__stock=Count(F("new__stock"))), {}, "the aggregate count"),
    "exists": (Q(Exists(Maker.objects.all())), {}, "a subquery"),
}


@pytest.mark.parametrize(("condition", "more", "what"), REFUSED.values(), ids=REFUSED)
def test_what_the_server_refuses_of_a_condition_is_an_error(db, messages, condition, more, what):
    if isinstance(condition, str):
        condition = Condition(condition)
    trigger = noop(condition=condition, **more)
    (message,) = messages(trigger)
    assert message.id == "pgtrigger.E008"
    assert what in message.msg
    assert message.obj is Product
    assert "docs/checks.md#E008" in message.hint
    with refused():
        trigger.install(Product)


ACCEPTED = {
    "literal": "NEW.name = 'NEW.nothing'",
    "words": "NEW.name = 'SELECT; count(' AND NEW.stock > 1 /* TG_OP ( */ -- $1\n",
    "dollar": "NEW.name <> $$it's ($$",
    "brackets": "ARRAY[(NEW.stock)] <> ARRAY[1]",
    "functions": "greatest(NEW.stock, 1) > least(1, 2) AND length(NEW.name) > 1",
    "zones": "NEW.created_at::timestamp WITH TIME ZONE > now()",
    "rows": "NEW IS DISTINCT FROM OLD AND (NEW.*) IS DISTINCT FROM OLD.*",
    "quoted": '"new"."stock" > (OLD).stock',
    "old system": "OLD.ctid IS NOT NULL AND OLD.xmin IS NOT NULL",
    "modulo": "NEW.stock % 2 = 1",
    "json": "NEW.attributes ->> 'count' = 'x' AND NEW.attributes ? 'a'",
    "user": "current_user = 'somebody'",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_the_server_accepts_is_nothing_to_say(db, messages, text):
    trigger = noop(condition=Condition(text))
    assert messages(trigger) == []
    trigger.install(Product)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('OLD."a" IS DISTINCT FROM NEW."b" AND (NEW.a = \'it;s (\')', True),
        ("NEW.a = 'it''s' AND f(NEW.b)", True),
        ("NEW.a > 1) OR (NEW.a < 2", False),
        ("NEW.a = E'\\'' OR count(NEW.a) > 1 OR NEW.a = ''", False),
        ("NEW.a = 'it", False),
        ("COUNT(NEW.a) > 1", False),
        ("""NEW."it's odd" = 1 AND count(NEW.a) > 1 AND NEW."it's odd" = 2""", False),
        ('NEW."ctid" IS NULL', False),
        ("  ", False),
    ],
)
def test_what_is_plain_has_no_fault_that_a_closer_look_would_find(text, plain):
    assert is_plain(text) == plain
    if plain:
        assert fault(text) is None
        assert [*found_in(text)] == []


@pytest.mark.parametrize("text", [c for c, *_ in REFUSED.values() if isinstance(c, str)])
def test_nothing_that_the_server_refuses_is_plain(text):
    assert not is_plain(text)


def test_the_server_knows_the_names_as_nothing_but_aggregates_and_functions_of_sets(db):
    query = (
        "SELECT proname FROM pg_catalog.pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
        " GROUP BY proname HAVING "
    )
    assert {*column(query + "bool_and(prokind = 'a')")} >= AGGREGATES
    assert {*column(query + "bool_and(proretset)")} >= SETS


@pytest.mark.parametrize(
    ("model", "text", "more", "accepted"),
    [
        (Peculiar, "NEW.loud = 'A'", {}, False),
        (Peculiar, "\"new\".loud = 'A'", {}, False),
        (Peculiar, "(NEW).loud = 'A'", {}, False),
        (Peculiar, "NEW IS NOT NULL", {}, False),
        (Peculiar, "OLD.loud = 'A'", {}, True),
        (Peculiar, "(NEW).name = 'a'", {}, True),
        (Peculiar, "NEW.loud = 'A'", AFTER, True),
        (Product, '"old".stock = 1', {"operation": pgtrigger.Insert}, False),
        (Product, "(NEW).stock = 1", {"operation": pgtrigger.Delete}, False),
        (Product, "NEW.stock = 1", {"operation": pgtrigger.Insert}, True),
        (Product, "'OLD.a' = NEW.name -- OLD\n", {"operation": pgtrigger.Insert}, True),
        (Product, '"new".stock = 1', STATEMENT, False),
        (Product, "current_user = 'x'", STATEMENT, True),
        (Product, "NEW.ctid IS NULL", AFTER, True),
    ],
    ids=str,
)
def test_a_row_that_is_not_there_and_a_column_that_is_computed_later(
    db, messages, model, text, more, accepted
):
    trigger = noop(condition=Condition(text), **more)
    found = messages(trigger, model) or [
        m for m in check_of(trigger, model) if m.id == "pgtrigger.E002"
    ]
    if accepted:
        assert found == []
        trigger.install(model)
        return
    assert [m.id for m in found] == ["pgtrigger.E002"]
    # Past our own refusal, the server refuses it, too.
    plain = noop(**more)
    with refused(), transaction.atomic():
        install_with(plain, model, text)


def check_of(trigger, model):
    with trigger.register(model):
        return [m for m in check_triggers(None) if m.obj is model]


def install_with(trigger, model, text):
    class Unchecked(pgtrigger.Trigger):
        def _when_expression(self, model, operation, condition):
            return text

    Unchecked(**vars(trigger)).install(model)


@pytest.mark.parametrize(
    ("referencing", "faulty"),
    [
        (pgtrigger.Referencing(old="rows", new="rows"), True),
        (pgtrigger.Referencing(old=LONG + "a", new=LONG + "b"), True),
        (pgtrigger.Referencing(old="rows", new="Rows"), False),
        (pgtrigger.Referencing(old="rows"), False),
    ],
    ids=str,
)
def test_transition_tables_of_one_name(db, messages, referencing, faulty):
    trigger = noop(referencing=referencing, **TABLES)
    found = messages(trigger)
    if faulty:
        assert [m.id for m in found] == ["pgtrigger.E008"]
        assert "both its transition tables have the name" in found[0].msg
        with refused("name cannot be the same"):
            trigger.install(Product)
    else:
        assert found == []
        trigger.install(Product)


def test_one_table_of_a_single_operation_clashes_with_nothing(db, messages):
    tables = pgtrigger.Referencing(old="rows", new="rows")
    trigger = noop(referencing=tables, **TABLES | {"operation": pgtrigger.Insert})
    assert messages(trigger) == []
    trigger.install(Product)


def test_a_trigger_on_what_may_be_a_view_is_nothing_to_say(messages):
    # Django makes a table of the model, unless a migration makes a view of its name.
    assert messages(noop(when=pgtrigger.InsteadOf)) == []


@pytest.mark.parametrize(
    ("model", "text", "hint"),
    [
        (Product, "(NEW).nothing = 1 AND NEW.stock = 1", "Its columns are: "),
        (Product, "'OLD.nothing' = NEW.\"no\"", "Its columns are: "),
        (Product, "OLD.nothing = 1", "Its columns are: attributes, created_at"),
        (Order, "NEW.Total > 1", 'Write NEW."Total"'),
        (Order, 'NEW."total" > 1', 'Write NEW."Total"'),
    ],
)
def test_a_column_that_the_model_does_not_have_is_a_warning(db, messages, model, text, hint):
    trigger = noop(condition=Condition(text))
    (message,) = messages(trigger, model)
    assert message.id == "pgtrigger.W006"
    assert hint in message.hint
    with refused("does not exist"):
        trigger.install(model)


def test_a_column_is_looked_for_at_statement_level_too_and_not_in_tables_of_others(messages):
    func = pgtrigger.Func("PERFORM 1 FROM {cond_new_values}; RETURN NULL;")
    kind = {"func": func, "operation": pgtrigger.Update, **TABLES}
    trigger = pgtrigger.Composer(name="a", condition=Condition("NEW.nothing = 1"), **kind)
    assert [m.id for m in messages(trigger)] == ["pgtrigger.W006"]
    assert messages(trigger, AuditEntry) == []
    known = pgtrigger.Composer(name="a", condition=Condition("NEW.stock IN (SELECT 1)"), **kind)
    assert messages(known) == []


def test_each_condition_of_a_type_is_looked_at_once(db, messages):
    class Several(pgtrigger.Trigger):
        when = pgtrigger.Before
        operation = pgtrigger.Insert | pgtrigger.Update | pgtrigger.Truncate
        func = "RETURN NULL;"

        def get_condition_for(self, model, operation):
            return Condition("NEW.stock > 1;" if operation == "INSERT" else "NEW.stock > 1)")

    first, second = messages(Several(name="several"))
    assert "a ; has no place" in first.msg
    assert "a ) closes" in second.msg
