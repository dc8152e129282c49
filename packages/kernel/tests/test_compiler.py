"""pgtrigger.compiler: the compiled trigger as a value, and the SQL that it stands for."""

import copy
import dataclasses
import pickle

import pytest
from django.db.migrations.writer import MigrationWriter
from hypothesis import given
from hypothesis import strategies as st

import pgtrigger
from pgtrigger.compiler import (
    CompiledTrigger,
    Part,
    UpsertTriggerSql,
    drop_triggers_sql,
    function_name,
    postgres_id,
)
from pgtrigger.compiler import Trigger as LegacyTrigger
from pgtrigger.errors import DeclarationError
from shop.database import definitions, logged, logs, noop, run, value
from shop.models import AuditEntry, Product

PART = Part(pgid="pgtrigger_a_12345", when="BEFORE", operation="UPDATE")
SOME = CompiledTrigger(
    name="a", function="pgtrigger_a_123456789012", func="RETURN NEW;", parts=(PART,)
)

FUNCTION_CHANGES = [
    {"func": "RETURN OLD;"},
    {"func": "RETURN 'a  b';"},
    {"declare": "DECLARE a INT;"},
    {"ignorable": False},
    {"function": "pgtrigger_a_999999999999"},
]
PART_CHANGES = [
    {"pgid": "pgtrigger_a_54321"},
    {"when": "AFTER"},
    {"operation": "INSERT OR UPDATE"},
    {"level": "STATEMENT"},
    {"condition": "NEW.a = 'x  y'"},
    {"referencing": "REFERENCING NEW TABLE AS n"},
    {"timing": "DEFERRED"},
]
PART_FORMS = [
    dataclasses.replace(SOME, parts=(dataclasses.replace(PART, **c),)) for c in PART_CHANGES
]


# --- The value --------------------------------------------------------------------------------


def test_the_words_of_a_function_are_read_once_however_often_it_is_written(monkeypatch):
    compiled = dataclasses.replace(SOME, func="PERFORM 1; RETURN NEW;")
    read = []
    tokens = pgtrigger.sql.tokens
    monkeypatch.setattr(pgtrigger.sql, "tokens", lambda text: read.append(text) or tokens(text))
    for _ in range(3):
        compiled.function_sql()
        compiled.function_comment_sql()
        compiled.part_sql(PART, "shop_product")
    assert read.count(compiled.func) == 1


@pytest.mark.parametrize("change", FUNCTION_CHANGES, ids=str)
def test_what_changes_the_function_changes_its_half_of_the_hash(change):
    other = dataclasses.replace(SOME, **change)
    assert other != SOME
    assert other.function_hash != SOME.function_hash
    assert other.hash == other.function_hash + other.definition_hash


@pytest.mark.parametrize("other", PART_FORMS, ids=map(str, PART_CHANGES))
def test_what_changes_a_part_changes_the_other_half_of_the_hash(other):
    assert other != SOME
    assert other.definition_hash != SOME.definition_hash
    # Where the guard stands depends on the parts.
    assert (other.function_hash == SOME.function_hash) is (other.source == SOME.source)


def test_a_body_leaves_the_half_of_the_definition_as_it_was():
    assert dataclasses.replace(SOME, func="x").definition_hash == SOME.definition_hash


def test_the_number_and_order_of_parts_count():
    second = dataclasses.replace(PART, pgid="pgtrigger_a_b")
    one, two = ([PART, second], [second, PART])
    forms = {dataclasses.replace(SOME, parts=tuple(p)) for p in ([PART], one, two, [PART, PART])}
    assert len(forms) == 4


def test_values_do_not_run_into_each_other():
    one = dataclasses.replace(SOME, func="a b", declare="")
    other = dataclasses.replace(SOME, func="a", declare="b")
    assert one.function_hash != other.function_hash
    left = dataclasses.replace(PART, condition="a", referencing="")
    right = dataclasses.replace(PART, condition="", referencing="a")
    assert left.key != right.key


def test_white_space_outside_literals_does_not_count():
    spaced = dataclasses.replace(
        SOME,
        func="  RETURN\n\t NEW; ",
        parts=[dataclasses.replace(PART, operation="UPDATE ", condition="")],
    )
    assert spaced == SOME
    assert hash(spaced) == hash(SOME)


def test_two_halves_of_twenty_digits_make_the_hash():
    assert len(SOME.function_hash) == len(SOME.definition_hash) == 20
    assert int(SOME.hash, 16) > 0


def test_it_is_equal_only_to_its_kind():
    assert SOME != "a"
    assert SOME != PART
    assert copy.deepcopy(SOME) == SOME


def test_it_survives_pickling():
    assert pickle.loads(pickle.dumps(SOME)) == SOME


def test_the_repr_leaves_defaults_out():
    assert repr(PART) == "Part(pgid='pgtrigger_a_12345', when='BEFORE', operation='UPDATE')"
    assert "ignorable" not in repr(SOME)
    assert "ignorable=False" in repr(dataclasses.replace(SOME, ignorable=False))


@pytest.mark.parametrize("compiled", [SOME, *PART_FORMS], ids=lambda form: form.hash[:6])
def test_a_migration_file_gives_the_same_value_back(compiled):
    assert from_migration(compiled) == compiled
    assert repr(from_migration(compiled)) == repr(compiled)


TEXT = st.text(st.sampled_from("'\"\\%{}$\n é\t#"), max_size=20)


@given(func=TEXT, condition=TEXT, declare=TEXT)
def test_a_migration_file_gives_any_text_back(func, condition, declare):
    parts = [dataclasses.replace(PART, condition=condition)]
    compiled = dataclasses.replace(SOME, func=func, declare=declare, parts=parts)
    found = from_migration(compiled)
    assert (found.func, found.declare, found.parts) == (func, declare, tuple(parts))


def from_migration(compiled):
    text, imports = MigrationWriter.serialize(compiled)
    namespace = {}
    exec("\n".join(imports), namespace)
    return eval(text, namespace)


def test_a_declared_trigger_comes_through_a_migration_file():
    compiled = pgtrigger.Protect(
        name="p",
        operation=pgtrigger.Update | pgtrigger.Truncate,
        condition=pgtrigger.Q(old__note="it's 100%\n'"),
    ).compile(Product)
    assert from_migration(compiled) == compiled


# --- Names ------------------------------------------------------------------------------------


def test_a_function_name_is_never_too_long_and_tells_models_apart():
    one, other = function_name("N" * 47, "a"), function_name("N" * 47, "b")
    assert len(one) == len(other) == 63
    assert one != other
    assert one == one.lower()


def test_a_postgres_id_is_in_lower_case():
    assert postgres_id("Mixed-Name", "x") == postgres_id("mixed-name", "x")
    with pytest.raises(DeclarationError, match="Choose a shorter trigger name"):
        postgres_id("x" * 48, "x")


# --- The guard --------------------------------------------------------------------------------


def test_at_row_level_the_guard_stands_in_the_when_clause():
    compiled = noop(condition=pgtrigger.AnyChange("stock")).compile(Product)
    assert "pgtrigger.ignore" not in compiled.source
    create = compiled.part_sql(compiled.parts[0], "t")[0]
    assert "pgtrigger.ignore" in create
    assert "WHEN ((OLD." in create


@pytest.mark.parametrize(
    "kwargs",
    [
        {"level": pgtrigger.Statement},
        {"operation": pgtrigger.Truncate},
        {"operation": pgtrigger.Delete | pgtrigger.Truncate},
        {"when": pgtrigger.After, "timing": pgtrigger.Deferred},
        {"when": pgtrigger.InsteadOf},
    ],
    ids=str,
)
def test_elsewhere_the_guard_stands_in_the_function(kwargs):
    compiled = noop(**kwargs).compile(Product)
    assert "pgtrigger.ignore" in compiled.source
    assert not any(
        "pgtrigger.ignore" in s for p in compiled.parts for s in compiled.part_sql(p, "t")
    )


@pytest.mark.parametrize("level", [pgtrigger.Row, pgtrigger.Statement])
def test_what_cannot_be_ignored_has_no_guard(level):
    compiled = noop(level=level, ignorable=False).compile(Product)
    assert not any("pgtrigger.ignore" in text for text in compiled.install_sql("t"))


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"operation": pgtrigger.Update}, "RETURN NEW;"),
        ({"operation": pgtrigger.Delete}, "RETURN OLD;"),
        (
            {"operation": pgtrigger.Delete | pgtrigger.Insert},
            "IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN RETURN OLD; ELSE RETURN NEW; END IF;",
        ),
        ({"operation": pgtrigger.UpdateOf("stock"), "when": pgtrigger.After}, "RETURN NULL;"),
    ],
)
def test_an_ignored_trigger_lets_the_row_pass_as_it_is(kwargs, expected):
    given = {**kwargs, "operation": kwargs["operation"] | pgtrigger.Truncate}
    assert expected in noop(**given).compile(Product).source


@pytest.mark.parametrize("operation", [pgtrigger.Insert, pgtrigger.Update, pgtrigger.Delete])
def test_an_ignored_row_trigger_beside_truncate_changes_nothing(live, operation):
    trigger = logs(
        when=pgtrigger.Before,
        operation=operation | pgtrigger.Truncate,
        func="INSERT INTO shop_log(text) VALUES ('fired'); RETURN NULL;",
    )
    live(Product, trigger)
    with pgtrigger.ignore("shop.Product:logs"):
        product = Product.objects.create(stock=1)
        Product.objects.update(stock=2)
        assert Product.objects.get().stock == 2
        product.delete()
    assert not Product.objects.exists()
    assert logged() == []


# --- SQL --------------------------------------------------------------------------------------

BODIES = [
    "$pgtrigger$",
    "$pgtrigger1$ $pgtrigger$",
    "$$ it's $$",
    "100% {x} \\ 'quoted' \"names\"",
    "ends with $",
]


@pytest.mark.parametrize("text", BODIES)
def test_a_nasty_body_runs_as_it_was_written(live, text):
    literal = "'" + text.replace("'", "''") + "'"
    live(Product, logs(literal))
    Product.objects.create()
    Product.objects.update(stock=1)
    assert logged() == [text]


@given(body=st.text(st.sampled_from("$pgtrigger1 \n"), max_size=30))
def test_any_body_stays_within_its_quotes(body):
    text = dataclasses.replace(SOME, func=body).function_sql()
    head, _, quoted = text.partition(" AS ")
    tag = quoted[: quoted.index("$", 1) + 1]
    assert quoted.count(tag) == 2
    assert quoted.endswith(tag)
    assert head.startswith("CREATE OR REPLACE FUNCTION")


def test_the_source_is_what_the_database_keeps(live):
    trigger = live(Product, noop(declare=[("a", "INT")], level=pgtrigger.Statement))
    compiled = trigger.compile(Product)
    kept = value("SELECT prosrc FROM pg_proc WHERE proname = %s", [compiled.function])
    assert kept == compiled.source


def test_a_statement_is_qualified_where_the_table_is():
    compiled = noop().compile(AuditEntry)
    for text in compiled.install_sql(AuditEntry._meta.db_table, "shop_audit"):
        assert '"shop_audit".' in text
    for text in compiled.uninstall_sql(AuditEntry._meta.db_table, "shop_audit"):
        assert text.startswith(("DROP TRIGGER IF EXISTS", "DROP FUNCTION IF EXISTS"))
        assert '"shop_audit".' in text


def test_uninstalling_undoes_installing(live):
    trigger = noop(operation=pgtrigger.Update | pgtrigger.Truncate)
    compiled = trigger.compile(Product)
    for text in compiled.install_sql("shop_product"):
        run(text)
    assert {*definitions("shop_product")} == {*compiled.pgids}
    for text in compiled.uninstall_sql("shop_product"):
        run(text)
    assert definitions("shop_product") == {}
    assert drop_triggers_sql(["a"], "t") == ['DROP TRIGGER IF EXISTS "a" ON "t"']


def test_a_constraint_trigger_is_dropped_before_it_is_created():
    compiled = noop(when=pgtrigger.After, timing=pgtrigger.Deferred).compile(Product)
    drop, create, comment = compiled.part_sql(compiled.parts[0], "t")
    assert drop.startswith("DROP TRIGGER IF EXISTS")
    assert "CREATE CONSTRAINT TRIGGER" in create
    assert "DEFERRABLE INITIALLY DEFERRED" in create
    assert "COMMENT ON TRIGGER" in comment
    assert compiled.hash in comment


# --- The legacy spelling ----------------------------------------------------------------------

LEGACY = {
    "func": "RETURN NEW;",
    "hash": "abc",
    "operation": "UPDATE",
    "pgid": "pgtrigger_noop_12345",
    "table": "shop_product",
    "when": "BEFORE",
}


def legacy(**kwargs):
    return LegacyTrigger(name="noop", sql=UpsertTriggerSql(**{**LEGACY, **kwargs}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"level": None}, {}),
        ({"level": "statement"}, {"level": "STATEMENT"}),
        ({"when": "instead  of"}, {"when": "INSTEAD OF"}),
        ({"condition": "WHEN (OLD.a = (1))"}, {"condition": "OLD.a = (1)"}),
        ({"condition": " when\n( OLD.a\n= 1 ) "}, {"condition": "OLD.a\n= 1"}),
        ({"condition": None}, {}),
        ({"condition": ""}, {}),
        (
            {"referencing": " REFERENCING NEW TABLE AS n "},
            {"referencing": "REFERENCING NEW TABLE AS n"},
        ),
        (
            {"constraint": "CONSTRAINT", "timing": "DEFERRABLE INITIALLY deferred"},
            {"timing": "DEFERRED"},
        ),
        ({"execute": "pgtrigger_x()", "ignore_func_name": "public.x"}, {}),
    ],
)
def test_the_legacy_spelling_is_the_same_part(given, expected):
    wanted = dataclasses.replace(
        Part(pgid=LEGACY["pgid"], when="BEFORE", operation="UPDATE"), **expected
    )
    assert legacy(**given).parts == (wanted,)


def test_a_legacy_trigger_equals_one_that_is_spelled_our_way():
    compiled = legacy(declare="DECLARE a INT; ", func="\n  RETURN NEW;\n")
    ours = CompiledTrigger(
        name="noop",
        function=function_name("noop", "shop_product:pgtrigger_noop_12345"),
        func="RETURN NEW;",
        declare="DECLARE a INT;",
        parts=[Part(pgid="pgtrigger_noop_12345", when="BEFORE", operation="UPDATE")],
    )
    assert compiled == ours


def test_a_legacy_trigger_is_squashed_into_our_spelling():
    assert from_migration(legacy(condition="WHEN (OLD.a = 'x')")) == legacy(
        condition="WHEN (OLD.a = 'x')"
    )


def test_a_legacy_trigger_runs(live):
    compiled = legacy(condition="WHEN (NEW.stock > 1)", func="NEW.note = 'fired'; RETURN NEW;")
    for text in compiled.install_sql("shop_product"):
        run(text)
    Product.objects.create(stock=0)
    Product.objects.update(stock=1)
    assert Product.objects.get().note is None
    Product.objects.update(stock=2)
    assert Product.objects.get().note == "fired"


@pytest.mark.parametrize(
    ("func", "in_when"),
    [
        ("NEW.stock = NEW.stock + 1; RETURN NEW;", True),
        ("RETURN NEW;", True),
        ("NEW.updated = 'select'; RETURN NEW;", True),
        ("RAISE EXCEPTION 'no';", False),
        ("INSERT INTO shop_log (text) VALUES ('x'); RETURN NEW;", False),
        ("PERFORM 1; RETURN NEW;", False),
        ("NEW.stock = (SELECT 1); RETURN NEW;", False),
    ],
)
def test_the_guard_stands_where_it_costs_least(func, in_when):
    compiled = pgtrigger.Trigger(
        name="guarded", when=pgtrigger.Before, operation=pgtrigger.Update, func=func
    ).compile(Product)
    assert ("current_setting" in compiled.source) is not in_when
    (part,) = compiled.parts
    assert any("current_setting" in text for text in compiled.part_sql(part, "t")) is in_when
