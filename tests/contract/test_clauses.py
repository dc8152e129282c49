"""Contract, sections 2 and 3: clauses, and what they become in the catalog."""

import pytest
from django.db import transaction

import pgtrigger
from contract.helpers import (
    After,
    Before,
    Delete,
    Insert,
    Truncate,
    Update,
    definitions,
    logged,
    logs,
    noop,
    one,
    refused,
    run,
)
from contract.models import ColumnNames, Log, Thing, ThingView

pytestmark = pytest.mark.django_db
LOG = f"INSERT INTO {Log._meta.db_table}(new)"


def definition(**kwargs):
    """The CREATE TRIGGER statement that Postgres shows for a trigger on Thing."""
    noop(**kwargs).install(Thing)
    (found,) = definitions(Thing._meta.db_table).values()
    return found


@pytest.mark.parametrize("operation", [Insert, Update, Delete, Insert | Update | Delete], ids=str)
@pytest.mark.parametrize("when", [Before, After], ids=["before", "after"])
@pytest.mark.parametrize(
    ("level", "each"),
    [(pgtrigger.Row, "FOR EACH ROW"), (pgtrigger.Statement, "FOR EACH STATEMENT")],
)
def test_level_when_and_operation_reach_the_database(level, each, when, operation):
    found = definition(level=level, when=when, operation=operation)
    keyword = "BEFORE" if when is Before else "AFTER"
    # Postgres names the events in an order of its own.
    assert f" {keyword} " in found
    assert each in found
    events = found.split(f" {keyword} ")[1].split(" ON ")[0]
    assert set(events.split(" OR ")) == set(str(operation).split(" OR "))


def test_the_default_level_is_row():
    assert "FOR EACH ROW" in definition()


def test_truncate_fires():
    logs("emptied", level=pgtrigger.Statement, operation=Truncate).install(Thing)
    run("TRUNCATE contract_thing CASCADE")
    assert logged() == ["emptied"]


@pytest.mark.parametrize("timing", [pgtrigger.Immediate, pgtrigger.Deferred], ids=["imm", "def"])
def test_timing_makes_a_deferrable_constraint_trigger(timing):
    found = definition(when=After, timing=timing)
    assert "CREATE CONSTRAINT TRIGGER" in found
    initially = "DEFERRED" if timing is pgtrigger.Deferred else "IMMEDIATE"
    assert one(
        "SELECT tgdeferrable AND tginitdeferred = %s FROM pg_trigger"
        " WHERE tgname LIKE 'pgtrigger_noop%%'",
        [initially == "DEFERRED"],
    )


def test_without_timing_a_trigger_is_not_deferrable():
    assert "CONSTRAINT" not in definition(when=After)


def test_update_of_fires_only_when_the_column_is_set():
    logs(operation=pgtrigger.UpdateOf("int_field")).install(Thing)
    thing = Thing.objects.create()
    Thing.objects.filter(pk=thing.pk).update(char_field="x")
    assert logged() == []
    Thing.objects.filter(pk=thing.pk).update(int_field=0)
    assert logged() == ["fired"]


def test_update_of_beside_another_operation():
    logs(operation=pgtrigger.UpdateOf("int_field", "flag") | Insert).install(Thing)
    thing = Thing.objects.create()
    Thing.objects.filter(pk=thing.pk).update(char_field="x")
    Thing.objects.filter(pk=thing.pk).update(flag=False)
    assert logged() == ["fired"] * 2


def test_update_of_takes_column_names():
    logs(operation=pgtrigger.UpdateOf("Renamed", "odd name")).install(ColumnNames)
    row = ColumnNames.objects.create()
    ColumnNames.objects.filter(pk=row.pk).update(spaced="x")
    assert logged() == ["fired"]


def test_update_of_needs_a_column():
    with pytest.raises(ValueError, match="Must provide at least one"):
        pgtrigger.UpdateOf()


def test_referencing_needs_a_table():
    with pytest.raises(ValueError, match='Must provide either "old" and/or "new"'):
        pgtrigger.Referencing()


def test_referencing_is_compared_by_value():
    both = pgtrigger.Referencing(old="o", new="n")
    assert both == pgtrigger.Referencing(old="o", new="n")
    assert both != pgtrigger.Referencing(old="o")
    assert both != pgtrigger.Referencing(old="n", new="o")


@pytest.mark.parametrize(
    ("operation", "referencing", "select"),
    [
        (Insert, pgtrigger.Referencing(new="fresh"), "SELECT 'new ' || char_field FROM fresh"),
        (Delete, pgtrigger.Referencing(old="gone"), "SELECT 'old ' || char_field FROM gone"),
        (
            Update,
            pgtrigger.Referencing(old="gone", new="fresh"),
            "SELECT gone.char_field || ' to ' || fresh.char_field FROM gone JOIN fresh USING (id)",
        ),
    ],
    ids=["insert", "delete", "update"],
)
def test_referencing_names_the_transition_tables(operation, referencing, select):
    logs(
        level=pgtrigger.Statement,
        operation=operation,
        referencing=referencing,
        func=f"{LOG} {select}; RETURN NULL;",
    ).install(Thing)
    thing = Thing.objects.create(char_field="a")
    Thing.objects.filter(pk=thing.pk).update(char_field="b")
    thing.delete()
    assert logged() == [{Insert: "new a", Delete: "old b", Update: "a to b"}[operation]]


def test_instead_of_serves_views():
    run("CREATE VIEW contract_thingview AS SELECT id, int_field FROM contract_thing")
    change = "UPDATE contract_thing SET int_field = NEW.int_field * 10 WHERE id = OLD.id"
    pgtrigger.Trigger(
        name="through_the_view",
        when=pgtrigger.InsteadOf,
        operation=Update,
        func=f"{change}; RETURN NEW;",
    ).install(ThingView)
    thing = Thing.objects.create(int_field=1)
    ThingView.objects.filter(pk=thing.pk).update(int_field=2)
    thing.refresh_from_db()
    assert thing.int_field == 20


def test_declare_names_variables():
    logs(
        declare=[("greeting", "TEXT"), ("count", "INT")],
        func=f"greeting = 'hi'; count = 2; {LOG} VALUES (greeting || count); RETURN NULL;",
    ).install(Thing)
    Thing.objects.create().save()
    assert logged() == ["hi2"]


# --- Func ------------------------------------------------------------------------------------


def test_func_knows_meta_fields_and_columns():
    logs(
        func=pgtrigger.Func(
            f"{LOG} VALUES ('{{meta.db_table}} {{meta.label}} {{fields.value.name}}"
            " {columns.value}'); RETURN NULL;"
        )
    ).install(ColumnNames)
    ColumnNames.objects.create().save()
    assert logged() == ["contract_columnnames contract.ColumnNames value Renamed"]


def test_func_is_a_format_string_and_a_plain_string_is_not():
    braces = f"{LOG} VALUES ('{{x}} 100%'); RETURN NULL;"
    logs(func=braces).install(Thing)
    Thing.objects.create().save()
    assert logged() == ["{x} 100%"]
    logs(func=pgtrigger.Func(braces.replace("{", "{{").replace("}", "}}"))).install(Thing)
    Thing.objects.get().save()
    assert logged() == ["{x} 100%"] * 2


@pytest.mark.parametrize("text", ["$$", "$pgtrigger$", "$func$", "it''s", '"', "\\", "é%(s)s%%"])
def test_any_text_may_stand_in_a_function(text):
    noop(
        func=f"/* {text} */ RETURN NEW;" if "''" not in text else f"PERFORM '{text}'; RETURN NEW;"
    ).install(Thing)
    thing = Thing.objects.create()
    thing.int_field = 3
    thing.save()
    thing.refresh_from_db()
    assert thing.int_field == 3


def test_raise_with_a_placeholder():
    noop(func="RAISE EXCEPTION 'row % of %', NEW.id, TG_TABLE_NAME;").install(Thing)
    thing = Thing.objects.create()
    with refused(f"row {thing.pk} of contract_thing"):
        thing.save()
    with transaction.atomic():
        thing.refresh_from_db()
