"""pgtrigger.checks.composition: keys that cannot be matched, and conditions that nobody asks."""

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps

import pgtrigger
from pgtrigger.checks import check_triggers
from shop.database import noop, refused, run
from shop.models import Line, Product

Q = pgtrigger.Q
JOINS = pgtrigger.Func("PERFORM 1 FROM {cond_joined_values}; RETURN NULL;")


def composer(func=JOINS, **more):
    given = {
        "name": "composed",
        "level": pgtrigger.Statement,
        "when": pgtrigger.After,
        "operation": pgtrigger.Update,
        "func": func,
    }
    return pgtrigger.Composer(**given | more)


def messages(trigger, model=Product):
    with trigger.register(model):
        return [m for m in check_triggers(None) if m.obj is model]


def keyed(kind):
    class Key(models.Field):
        def db_type(self, connection):
            return kind

    with isolate_apps("shop"):

        class Keyed(models.Model):
            id = Key(primary_key=True)
            value = models.IntegerField(default=0)

            class Meta:
                app_label = "shop"
                managed = False
                db_table = "shop_keyed"

    run(f"CREATE TABLE shop_keyed (id {kind}, value integer)")
    return Keyed


KINDS = ["json", "xml", "jsonpath", "point", "line", "lseg", "box", "path", "polygon", "circle"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_postgres_cannot_match_is_an_error(db, kind):
    model, trigger = keyed(kind), composer()
    (message,) = messages(trigger, model)
    assert message.id == "pgtrigger.E007"
    assert '"id"' in message.msg
    assert "docs/checks.md#E007" in message.hint
    trigger.install(model)
    run("INSERT INTO shop_keyed VALUES (NULL, 1)")
    with refused("operator does not exist|FULL JOIN is only supported"):
        run("UPDATE shop_keyed SET value = 2")


@pytest.mark.parametrize(
    "kind", ["jsonb", "uuid", "text[]", "tsvector", "xid", "bytea", "int4range", "interval"]
)
def test_a_key_that_postgres_can_match_is_nothing_to_say(db, kind):
    model, trigger = keyed(kind), composer()
    assert messages(trigger, model) == []
    trigger.install(model)
    run("INSERT INTO shop_keyed VALUES (NULL, 1)")
    run("UPDATE shop_keyed SET value = 2")


def test_without_a_match_by_key_any_key_will_do(db):
    model = keyed("json")
    one_table = pgtrigger.Func("PERFORM 1 FROM {cond_new_values}; RETURN NULL;")
    for trigger in (
        composer(one_table, condition=Q(new__value=1)),
        composer(one_table, operation=pgtrigger.Insert),
        pgtrigger.Protect(name="row", operation=pgtrigger.Update, condition=Q(old__value=1)),
    ):
        assert messages(trigger, model) == []
        trigger.install(model)
    run("INSERT INTO shop_keyed VALUES ('1', 2)")
    run("UPDATE shop_keyed SET value = 3")


def test_types_that_match_rows_by_themselves_are_told_too(db):
    kind = pgtrigger.AnyChange("value")
    trigger = pgtrigger.Protect(
        name="a", level=pgtrigger.Statement, operation=pgtrigger.Update, condition=kind
    )
    assert [m.id for m in messages(trigger, keyed("json"))] == ["pgtrigger.E007"]
    amount = pgtrigger.AnyChange("amount")
    trigger = pgtrigger.Protect(
        name="a", level=pgtrigger.Statement, operation=pgtrigger.Update, condition=amount
    )
    assert messages(trigger, Line) == []


COND = Q(new__stock__gt=1, old__stock=1)
FUNCTION = "PERFORM 1 FROM new_values; RETURN NULL;"


@pytest.mark.parametrize(
    "trigger",
    [
        composer(FUNCTION, condition=COND),
        composer(pgtrigger.Func(FUNCTION), condition=COND),
        composer({pgtrigger.Statement: FUNCTION}, condition=COND),
        noop(operation=pgtrigger.Truncate | pgtrigger.Update, condition=COND),
        noop(operation=pgtrigger.Truncate, condition=COND),
    ],
    ids=["text", "func", "dict", "beside", "alone"],
)
def test_a_condition_that_is_not_asked_is_a_warning(trigger):
    (message,) = messages(trigger)
    assert message.id == "pgtrigger.W007"
    assert "docs/checks.md#W007" in message.hint


@pytest.mark.parametrize(
    "trigger",
    [
        composer(condition=COND),
        composer({pgtrigger.Statement: JOINS}, condition=COND),
        composer(FUNCTION),
        composer(FUNCTION, level=pgtrigger.Row, condition=COND),
        noop(
            operation=pgtrigger.Truncate | pgtrigger.Update,
            func="IF TG_OP = 'TRUNCATE' THEN RETURN NULL; END IF; RETURN NEW;",
            condition=COND,
        ),
        pgtrigger.Protect(
            name="a",
            operation=pgtrigger.Truncate | pgtrigger.Delete,
            condition=Q(old__name="it's 5 %"),
        ),
        pgtrigger.Protect(
            name="a",
            operation=pgtrigger.Truncate,
            level=pgtrigger.Statement,
            condition=Q(old__name="it's 5 %"),
        ),
    ],
    ids=["asked", "asked by level", "none", "row", "told apart", "protect", "protect statement"],
)
def test_a_condition_that_is_asked_is_nothing_to_say(trigger):
    assert messages(trigger) == []


def test_a_condition_without_rows_is_asked_of_a_truncation(live):
    condition = pgtrigger.Condition("current_user = 'nobody'")
    kind = {"level": pgtrigger.Statement, "operation": pgtrigger.Truncate}
    trigger = noop(func="RAISE 'fired';", condition=condition, **kind)
    assert messages(trigger) == []
    live(Product, trigger)
    run(f"TRUNCATE {connection.ops.quote_name(Product._meta.db_table)} CASCADE")


@pytest.mark.parametrize("firing", [pgtrigger.Origin, pgtrigger.Always, pgtrigger.Replica], ids=str)
@pytest.mark.parametrize("operation", [pgtrigger.Update, pgtrigger.Truncate], ids=str)
@pytest.mark.parametrize("level", [pgtrigger.Row, pgtrigger.Statement], ids=str)
def test_what_replication_does_not_fire_is_a_warning(firing, operation, level):
    trigger = noop(firing=firing, operation=operation, level=level)
    warns = (operation, level) == (pgtrigger.Update, pgtrigger.Statement)
    ids = ["pgtrigger.W008"] if warns and firing != pgtrigger.Origin else []
    assert [message.id for message in messages(trigger)] == ids
