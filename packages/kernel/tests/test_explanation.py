"""pgtrigger.explanation: what a trigger does, in words."""

import datetime

import pytest
from django.db import models
from django.db.models.functions import Now
from django.db.models.lookups import Exact

import pgtrigger
from pgtrigger.conditions import Change
from pgtrigger.explanation import condition_words, explain
from shop.models import Event, Maker, Order, Product

F, Q = pgtrigger.F, pgtrigger.Q


class Odd(Change):
    comparison, connector = "IS DISTINCT FROM", "AND"


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (pgtrigger.Condition("OLD.stock\n  > 1"), "OLD.stock > 1"),
        (pgtrigger.AnyChange(), "any column changes"),
        (pgtrigger.AnyChange("name"), "name changes"),
        (pgtrigger.AnyChange("name", "note", "stock"), "name, note or stock changes"),
        (pgtrigger.AnyChange(exclude=["name"]), "any column but name changes"),
        (
            pgtrigger.AnyChange(exclude=["name"], exclude_auto=True),
            "any column but name and those set automatically changes",
        ),
        (pgtrigger.AllChange("name", "note"), "name and note all change"),
        (pgtrigger.AllChange(), "every column changes"),
        (pgtrigger.AnyDontChange("name", "note"), "name or note stays as it is"),
        (pgtrigger.AllDontChange("name", "note"), "name and note all stay as they are"),
        (Odd("name"), 'OLD."name" IS DISTINCT FROM NEW."name"'),
        (Q(old__name="a"), "the old name is 'a'"),
        (Q(new__stock__gte=3), "the new stock is at least 3"),
        (Q(old__stock__lt=F("new__stock")), "the old stock is less than the new stock"),
        (Q(old__name__df=F("new__name")), "name changes"),
        (Q(new__name__ndf=F("old__name")), "name stays as it is"),
        (Q(old__name__df=F("new__note")), "the old name is distinct from the new note"),
        (Q(old__note__isnull=True), "the old note is NULL"),
        (Q(old__note__isnull=False), "the old note is not NULL"),
        (Q(old__name__in=["a", "b", "c"]), "the old name is 'a', 'b' or 'c'"),
        (Q(old__stock__in={2, 1}), "the old stock is 1 or 2"),
        (Q(old__stock__range=(1, 5)), "the old stock is between 1 and 5"),
        (Q(old__name__istartswith="x"), "the old name begins, in any case, with 'x'"),
        (Q(old__maker=Maker(code="m")), "the old maker is 'm'"),
        (Q(old__created_at__gt=datetime.datetime(2024, 1, 2)), "the old created_at is more than '2024-01-02 00:00:00'::timestamp"),
        (Q(old__name="a", new__stock=1), "the new stock is 1 and the old name is 'a'"),
        (Q(old__name="a") | Q(old__name="b"), "the old name is 'a' or the old name is 'b'"),
        (Q(Q(old__name="a") | Q(old__name="b"), old__stock=1), "(the old name is 'a' or the old name is 'b') and the old stock is 1"),
        (~Q(old__name="a"), "not (the old name is 'a')"),
        (Q(old__name="a") & ~Q(old__stock=1), "the old name is 'a' and not (the old stock is 1)"),
        (Q(old__name="a") ^ Q(old__stock=1), "an odd number of these holds: the old name is 'a'; the old stock is 1"),
        (Q(), "always"),
        # What has no words is shown as the SQL that it comes to.
        (Q(old__name__regex="^a"), "OLD.\"name\"::text ~ '^a'"),
        (Q(old__created_at__lt=Now()), 'OLD."created_at" < (STATEMENT_TIMESTAMP())'),
        (Q(old__attributes__size=1), "(OLD.\"attributes\" -> 'size') = '1'::jsonb"),
        (Q(old__name__in=[Now()]), None),
        (Q(Exact(F("old__stock"), 3)), None),
        (Q(pgtrigger.AnyChange("name")), "name changes"),
        (pgtrigger.AnyChange("name") & Q(old__stock=1), "name changes and (the old stock is 1)"),
        (pgtrigger.AnyChange("name") | pgtrigger.Condition("OLD.id > 1"), "name changes or (OLD.id > 1)"),
        (~pgtrigger.AnyChange("name"), "not (name changes)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_condition_is_said_in_words(condition, words):
    if words is None:
        words = " ".join(condition.resolve(Product).split())
    assert condition_words(condition, Product) == words


def test_another_class_of_conditions_can_say_its_words():
    class Weekend(pgtrigger.Condition):
        sql = "extract(isodow FROM now()) > 5"

    assert condition_words(Weekend(), Product) == "extract(isodow FROM now()) > 5"

    @condition_words.register
    def _(condition: Weekend, model):
        return "it is weekend"

    assert condition_words(pgtrigger.AnyChange("name") & Weekend(), Product) == (
        "name changes and it is weekend"
    )


def said(model, trigger, label):
    """The sentences of a label."""
    found, current = [], ""
    for name, sentence in explain(model, trigger).lines():
        current = name or current
        if current == label:
            found.append(sentence)
    return found


def trigger(**kwargs):
    given = {"name": "t", "when": pgtrigger.Before, "operation": pgtrigger.Update}
    return pgtrigger.Trigger(**{**given, "func": "RETURN NEW;", **kwargs})


@pytest.mark.parametrize(
    ("kwargs", "sentences"),
    [
        ({}, ["before an UPDATE, for each row", "on all rows"]),
        (
            {"operation": pgtrigger.UpdateOf("total", "user") | pgtrigger.Insert, "condition": Q(new__total=1)},
            ['before an INSERT or UPDATE that sets total or user, for each row', "on rows where the new total is 1"],
        ),
        (
            {"operation": pgtrigger.Delete | pgtrigger.Truncate},
            ["before a DELETE, for each row", "on all rows", "before a TRUNCATE, once for the statement", "however many rows there are"],
        ),
        (
            {"level": pgtrigger.Statement, "when": pgtrigger.After, "condition": pgtrigger.Condition("current_user = 'x'")},
            ["after an UPDATE, once for the statement", "when current_user = 'x'"],
        ),
        ({"when": pgtrigger.InsteadOf}, ["in place of an UPDATE, for each row", "on all rows"]),
    ],
    ids=["row", "columns", "truncate", "statement", "view"],
)  # fmt: skip
def test_it_says_when_and_on_which_rows_it_fires(kwargs, sentences):
    assert said(Order, trigger(**kwargs), "Fires") == sentences


def test_a_statement_level_condition_is_said_to_be_for_the_function():
    composer = pgtrigger.Protect(
        name="t",
        level=pgtrigger.Statement,
        operation=pgtrigger.Delete,
        condition=Q(old__total__gt=1),
    )
    assert said(Order, composer, "Fires") == [
        "after a DELETE, once for the statement",
        "its function looks whether there are rows where the old total is more than 1",
    ]


def test_a_condition_that_a_type_compiles_to_something_else_is_shown_as_sql():
    class Stricter(pgtrigger.Trigger):
        def _when_expression(self, model, operation, condition):
            return "OLD.id >\n 7"

    stricter = Stricter(
        name="t",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=Q(old__total=1),
        func="RETURN NEW;",
    )
    assert said(Order, stricter, "Fires")[1] == "on rows where OLD.id > 7"


@pytest.mark.parametrize(
    ("kwargs", "sentences"),
    [
        ({}, ["refuses nothing, and sets no column, as far as its text says"]),
        ({"func": "NEW.total := 1; NEW.user = 2; RETURN NEW;"}, ["sets total and user of the row"]),
        ({"func": "SELECT 1, 2 INTO NEW.total, NEW.\"it's odd\" FROM x WHERE new.id = 1; RETURN NEW;"}, ["sets total and it's odd of the row", "runs queries or calls other functions"]),
        ({"func": "INSERT INTO a.b(c) VALUES (1); UPDATE ONLY \"D\" SET e = 1; DELETE FROM f; RETURN NULL;"}, ['runs INSERT INTO a.b, UPDATE "D" and DELETE FROM f', "can skip the row: it has RETURN NULL"]),
        ({"func": "WITH x AS (DELETE FROM g RETURNING 1) INSERT INTO h SELECT * FROM x; RETURN NEW;"}, ["runs DELETE FROM g", "runs queries or calls other functions"]),
        ({"func": "IF x THEN RAISE EXCEPTION 'no %', TG_OP; END IF; RETURN NEW;"}, ['can refuse with django.db.DatabaseError (SQLSTATE P0001): "no UPDATE"']),
        ({"func": "RAISE unique_violation USING MESSAGE = TG_TABLE_NAME || 'x', HINT = TG_TABLE_NAME;"}, ["refuses with django.db.IntegrityError (SQLSTATE unique_violation): \"<TG_TABLE_NAME || 'x'>\"", 'advises: "user"']),
        ({"func": "IF x THEN"}, ["its function cannot be read; `manage.py pgtrigger lint` says why"]),
    ],
    ids=["nothing", "assigns", "into", "writes", "with", "can", "refuses", "unreadable"],
)  # fmt: skip
def test_it_says_what_the_function_does(kwargs, sentences):
    assert said(Order, trigger(**kwargs), "Does") == sentences


def test_after_the_operation_return_null_skips_nothing():
    after = trigger(when=pgtrigger.After, func="RETURN NULL;")
    assert said(Order, after, "Does") == [
        "refuses nothing, and sets no column, as far as its text says"
    ]


def test_it_says_the_words_of_a_refusal():
    keep = pgtrigger.Protect(name="keep", operation=pgtrigger.Delete)
    [refusal] = explain(Order, keep).refusals
    assert refusal.sqlstate == "23001"
    assert refusal.message == "pgtrigger: Cannot delete rows from user table"
    assert refusal.hint == (
        'Where this is meant to happen, run it within pgtrigger.ignore("shop.Order:keep").'
    )
    assert said(Order, keep, "Type") == [
        "Protect: Refuse an operation, on the rows that meet a condition."
    ]


@pytest.mark.parametrize(
    ("kwargs", "ignoring"),
    [
        ({}, 'pgtrigger.ignore("shop.Order:t") passes it by'),
        ({"ignorable": False}, "nobody can ignore it: ignorable=False"),
    ],
)
def test_it_says_whether_it_can_be_ignored(kwargs, ignoring):
    assert said(Order, trigger(**kwargs), "Ignoring") == [ignoring]


@pytest.mark.parametrize(
    ("timing", "deferring", "locks"),
    [
        (None, "it is not deferrable: it fires with the statement", 2),
        (
            pgtrigger.Immediate,
            'it fires at the end of each statement; pgtrigger.constraints(pgtrigger.Deferred, "shop.Order:t") changes that',
            3,
        ),
        (
            pgtrigger.Deferred,
            'it fires when the transaction commits; pgtrigger.constraints(pgtrigger.Immediate, "shop.Order:t") changes that',
            3,
        ),
    ],
)
def test_it_says_whether_it_is_deferred_and_what_installing_locks(timing, deferring, locks):
    found = trigger(when=pgtrigger.After, timing=timing)
    assert said(Order, found, "Deferring") == [deferring]
    lines = said(Order, found, "Installing")
    assert lines[0] == "takes SHARE ROW EXCLUSIVE on user: reading goes on, writing waits"
    assert len(lines) == locks


def test_it_names_what_there_is_in_postgres():
    found = trigger(operation=pgtrigger.Delete | pgtrigger.Truncate)
    compiled = found.compile(Order)
    assert said(Order, found, "In Postgres") == [
        f"triggers {', '.join(compiled.pgids)} on user",
        f"function {compiled.function}()",
    ]


def test_a_schema_that_the_model_names_is_known():
    class Entry(models.Model):
        class Meta:
            app_label = "shop"
            managed = False
            db_table = '"audit"."entry"'
            apps = type(Event._meta.apps)()

    said_here = explain(Entry, trigger(func="RAISE '%', TG_TABLE_SCHEMA;")).refusals[0].message
    assert said_here == "audit"


def test_the_locks_that_it_tells_of_are_those_that_are_taken(live):
    from shop.database import column

    def locks():
        return {
            *column(
                "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = %s::regclass",
                ["shop_product"],
            )
        }

    live(Product, trigger())
    assert "ShareRowExclusiveLock" in locks()
    assert "AccessExclusiveLock" not in locks()
    after = live(Product, trigger(name="d", when=pgtrigger.After, timing=pgtrigger.Deferred))
    assert "AccessExclusiveLock" not in locks()
    after.condition = Q(new__stock=1)
    after.install(Product)
    assert "AccessExclusiveLock" in locks()
