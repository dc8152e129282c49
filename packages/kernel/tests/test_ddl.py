"""pgtrigger.ddl: the smallest statements that lead from what is there to what is declared."""

import dataclasses

import pytest

import pgtrigger
from pgtrigger import ddl
from pgtrigger.compiler import state_sql
from shop.database import noop
from shop.models import Product

TABLE = "shop_product"
BOTH = noop(operation=pgtrigger.Update | pgtrigger.Truncate).compile(Product)
SINGLE = noop().compile(Product)
CONSTRAINT = noop(when=pgtrigger.After, timing=pgtrigger.Immediate).compile(Product)


def heads(statements):
    """The first words of statements."""
    words = {
        "CREATE OR REPLACE FUNCTION",
        "COMMENT ON FUNCTION",
        "CREATE OR REPLACE TRIGGER",
        "CREATE CONSTRAINT TRIGGER",
        "DO $pgtrigger$DECLARE command text; BEGIN FOR command IN SELECT pg_catalog.format('COMMENT ON TRIGGER",
        "DROP TRIGGER",
        "DROP FUNCTION",
        "ALTER TABLE",
    }
    found = [next(word for word in words if text.startswith(word)) for text in statements]
    return [word.rpartition("'")[2] for word in found]


def installed(compiled, **changes):
    found = ddl.as_installed(compiled, TABLE)
    return {pgid: dataclasses.replace(trigger, **changes) for pgid, trigger in found.items()}


def change(old, new, **changes):
    found = installed(old, **changes) if old else {}
    replaces = old.pgids if old else ()
    return heads(ddl.install_sql(new, TABLE, found, replaces=replaces))


@pytest.mark.parametrize("compiled", [SINGLE, BOTH, CONSTRAINT])
def test_an_unchanged_trigger_takes_no_statement(compiled):
    assert change(compiled, compiled) == []


NEW_TRIGGER = ["CREATE OR REPLACE TRIGGER", "COMMENT ON TRIGGER"]
NEW_FUNCTION = ["CREATE OR REPLACE FUNCTION", "COMMENT ON FUNCTION"]


def test_a_new_trigger_takes_its_function_and_each_of_its_parts():
    assert change(None, SINGLE) == NEW_FUNCTION + NEW_TRIGGER
    assert change(None, BOTH) == NEW_FUNCTION + NEW_TRIGGER * 2


def test_a_new_body_takes_only_the_function():
    for compiled in (SINGLE, BOTH, CONSTRAINT):
        assert change(compiled, dataclasses.replace(compiled, func="RETURN OLD;")) == NEW_FUNCTION


def test_a_new_condition_takes_the_trigger_and_a_comment_but_not_the_function():
    new = noop(condition=pgtrigger.AnyChange()).compile(Product)
    assert change(SINGLE, new) == ["COMMENT ON FUNCTION", *NEW_TRIGGER]


def test_a_constraint_trigger_is_dropped_and_created():
    new = noop(when=pgtrigger.After, timing=pgtrigger.Deferred).compile(Product)
    statements = change(CONSTRAINT, new)
    assert statements == [
        "COMMENT ON FUNCTION",
        "DROP TRIGGER",
        "CREATE CONSTRAINT TRIGGER",
        "COMMENT ON TRIGGER",
    ]


@pytest.mark.parametrize("state", ["D", "A", "R"])
@pytest.mark.parametrize("timing", [None, pgtrigger.Deferred])
def test_a_replaced_trigger_keeps_its_state(state, timing):
    new = noop(when=pgtrigger.After, timing=timing).compile(Product)
    texts = ddl.install_sql(new, TABLE, installed(SINGLE, state=state))
    assert heads(texts)[-1] == "ALTER TABLE"
    assert {"D": "DISABLE TRIGGER", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}[state] in texts[-1]


def test_a_new_part_takes_the_state_of_the_others():
    texts = ddl.install_sql(BOTH, TABLE, installed(SINGLE, state="D"))
    assert sum("DISABLE TRIGGER" in text for text in texts) == 2


def test_a_part_that_is_no_longer_declared_is_dropped():
    assert change(BOTH, SINGLE)[-3:] == [*NEW_TRIGGER, "DROP TRIGGER"]


@pytest.mark.parametrize(
    ("old", "new"), [(SINGLE, BOTH), (BOTH, SINGLE), (SINGLE, CONSTRAINT), (CONSTRAINT, BOTH)]
)
def test_where_the_guard_moves_the_function_is_replaced(old, new):
    assert old.source != new.source
    assert change(old, new)[:2] == NEW_FUNCTION


def test_a_renamed_trigger_leaves_no_old_one_and_no_old_function():
    old = noop("before").compile(Product)
    texts = ddl.install_sql(
        SINGLE, TABLE, installed(old, state="D"), schema="public", replaces=old.pgids
    )
    assert heads(texts) == [
        *NEW_FUNCTION,
        *NEW_TRIGGER,
        "ALTER TABLE",
        "DROP TRIGGER",
        "DROP FUNCTION",
    ]
    assert old.pgid in texts[-2]
    assert old.function in texts[-1]


def test_a_lost_comment_is_written_again():
    assert change(SINGLE, SINGLE, comment="") == NEW_TRIGGER
    assert change(SINGLE, SINGLE, function_comment="") == NEW_FUNCTION


def test_a_function_goes_with_its_last_trigger():
    found = [*installed(BOTH).values()]
    assert heads(ddl.uninstall_sql(found)) == ["DROP TRIGGER", "DROP TRIGGER", "DROP FUNCTION"]
    assert heads(ddl.uninstall_sql(found[:1])) == ["DROP TRIGGER"]
    assert ddl.uninstall_sql([]) == []


def test_a_function_of_somebody_else_stays():
    found = [*installed(SINGLE, function="their_function").values()]
    assert heads(ddl.uninstall_sql(found)) == ["DROP TRIGGER"]


def test_only_what_would_change_is_enabled_or_disabled():
    states = {state: [*installed(SINGLE, state=state).values()] for state in ("O", "D", "A", "R")}
    assert [state for state, found in states.items() if ddl.enable_sql(found, SINGLE)] == ["D", "R"]
    assert [state for state, found in states.items() if ddl.disable_sql(found)] == ["O", "A", "R"]
    (text,) = ddl.enable_sql(states["D"], SINGLE)
    assert text == f'ALTER TABLE "shop_product" ENABLE TRIGGER "{SINGLE.pgid}"'


def test_names_are_quoted():
    (text,) = state_sql(['a"b'], "with.dots", "A", 'sche"ma')
    assert text == 'ALTER TABLE "sche""ma"."with.dots" ENABLE ALWAYS TRIGGER "a""b"'
