"""Contract, section 6: Composer; and DESIGN, section 5: statement-level conditions."""

import time

import pytest
from django.db.models import F as DjangoF

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
    protects,
    refused,
    run,
    trigger_functions,
)
from contract.models import Awkward, ColumnNames, Log, Pair, Thing
from pgtrigger import AnyChange, Condition, Q, Referencing

pytestmark = pytest.mark.django_db
LOG = f"INSERT INTO {Log._meta.db_table}(new)"


def composer(func="RETURN NULL;", **kwargs):
    return pgtrigger.Composer(
        **{
            "name": "composed",
            "level": pgtrigger.Statement,
            "when": After,
            "operation": Update,
            "func": func,
            **kwargs,
        }
    )


def copies(source, column="char_field", **kwargs):
    """A Composer that logs one column of the rows that `source` gives."""
    return composer(
        pgtrigger.Func(f"{LOG} SELECT {column} FROM {source} ORDER BY 1; RETURN NULL;"), **kwargs
    )


@pytest.fixture
def things():
    return Thing.objects.bulk_create(
        [Thing(int_field=number, char_field=letter) for number, letter in enumerate("abc")]
    )


# --- referencing -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "referencing"),
    [
        (Update, Referencing(old="old_values", new="new_values")),
        (Delete, Referencing(old="old_values")),
        (Insert, Referencing(new="new_values")),
        (Truncate, None),
        (Insert | Update, None),
        (pgtrigger.UpdateOf("int_field"), None),
    ],
    ids=str,
)
def test_referencing_follows_from_the_operation(operation, referencing):
    assert composer(operation=operation).referencing == referencing


@pytest.mark.parametrize("operation", [Update, Delete, Insert], ids=str)
def test_row_level_has_no_referencing(operation):
    assert composer(level=pgtrigger.Row, operation=operation).referencing is None


def test_passing_referencing_is_refused():
    with pytest.raises(ValueError, match="referencing"):
        composer(referencing=Referencing(old="o"))


def test_referencing_reaches_the_database():
    composer().install(Thing)
    (found,) = definitions("contract_thing").values()
    assert "REFERENCING" in found
    assert "OLD TABLE AS old_values" in found
    assert "NEW TABLE AS new_values" in found


# --- func ------------------------------------------------------------------------------------


def test_func_may_be_keyed_by_level():
    funcs = {
        pgtrigger.Row: pgtrigger.Func(f"{LOG} VALUES ('row'); RETURN NULL;"),
        pgtrigger.Statement: f"{LOG} VALUES ('statement'); RETURN NULL;",
    }
    row, statement = composer(funcs, level=pgtrigger.Row), composer(funcs)
    assert row.get_func(Thing) is funcs[pgtrigger.Row]
    assert statement.get_func(Thing) is funcs[pgtrigger.Statement]


@pytest.mark.parametrize("level", ["row", "statement"])
def test_the_function_of_the_level_runs(things, level):
    funcs = {
        pgtrigger.Row: f"{LOG} VALUES ('row'); RETURN NULL;",
        pgtrigger.Statement: f"{LOG} VALUES ('statement'); RETURN NULL;",
    }
    composer(funcs, level=pgtrigger.Row if level == "row" else pgtrigger.Statement).install(Thing)
    Thing.objects.update(flag=False)
    assert logged() == (["row"] * 3 if level == "row" else ["statement"])


@pytest.mark.parametrize(
    ("operation", "text", "message"),
    [
        (Delete, "SELECT FROM new_values;", "references NEW"),
        (Insert, "SELECT FROM old_values;", "references OLD"),
        (Truncate, "SELECT FROM old_values JOIN new_values USING (id);", "references NEW"),
        (Truncate, "SELECT FROM old_values;", "references OLD"),
        (Delete, "SELECT FROM {cond_new_values};", "references NEW"),
        (Insert, "SELECT FROM {cond_old_values};", "references OLD"),
        (Delete, "SELECT FROM {cond_joined_values};", "references NEW"),
        (Insert, "SELECT FROM {cond_joined_values};", "references OLD"),
    ],
)
def test_a_transition_table_that_the_operation_lacks_is_refused(operation, text, message):
    with pytest.raises(ValueError, match=message):
        composer(pgtrigger.Func(text), operation=operation).render_func(Thing)


def test_at_row_level_the_text_is_not_looked_into():
    func = "PERFORM 'new_values'; RETURN NULL;"
    assert func in composer(func, level=pgtrigger.Row, operation=Delete).render_func(Thing)


# --- Templates -------------------------------------------------------------------------------

JOINED = "old_values.char_field || new_values.char_field"


def test_templates_without_a_condition_give_all_rows(things):
    copies("{cond_new_values}", "new_values.char_field").install(Thing)
    Thing.objects.filter(int_field__gt=0).update(char_field="x")
    assert logged() == ["x", "x"]


@pytest.mark.parametrize(
    ("source", "column", "expected"),
    [
        ("{cond_new_values}", "new_values.char_field", ["z", "z"]),
        ("{cond_old_values}", "old_values.char_field", ["a", "b"]),
        ("{cond_joined_values}", JOINED, ["az", "bz"]),
    ],
)
@pytest.mark.parametrize(
    "condition",
    [
        Q(old__int_field__lt=2),
        Q(old__int_field__lt=2, new__char_field="z"),
        Condition("OLD.int_field < 2"),
        Condition("OLD.\"int_field\" < 2 AND NEW.char_field = 'z'"),
        Condition("OLD.int_field < 2 AND OLD.* IS DISTINCT FROM NEW.*"),
        Q(new__char_field="z") & ~Q(old__int_field=2),
    ],
)
def test_templates_give_the_rows_that_meet_a_condition(things, condition, source, column, expected):
    copies(source, column, condition=condition).install(Thing)
    Thing.objects.update(char_field="z")
    assert logged() == expected


def test_old_values_of_a_delete(things):
    copies(
        "{cond_old_values}",
        "old_values.char_field",
        operation=Delete,
        condition=Condition("OLD.int_field > 0"),
    ).install(Thing)
    Thing.objects.all().delete()
    assert logged() == ["b", "c"]


def test_new_values_of_an_insert():
    copies(
        "{cond_new_values}",
        "new_values.char_field",
        operation=Insert,
        condition=Q(new__int_field__gt=0),
    ).install(Thing)
    Thing.objects.bulk_create([Thing(int_field=n, char_field=str(n)) for n in range(3)])
    assert logged() == ["1", "2"]


@pytest.mark.parametrize(
    ("source", "operation", "table"),
    [
        ("{cond_new_values}", Insert, "new_values"),
        ("{cond_old_values}", Delete, "old_values"),
        ("{cond_joined_values}", Update, "new_values"),
    ],
)
def test_templates_without_condition_for_each_operation(things, source, operation, table):
    copies(source, f"{table}.char_field", operation=operation).install(Thing)
    if operation is Insert:
        Thing.objects.create(char_field="a")
    elif operation is Delete:
        Thing.objects.filter(char_field="a").delete()
    else:
        Thing.objects.filter(char_field="a").update(flag=False)
    assert logged() == ["a"]


def test_change_conditions_over_transition_tables(things):
    copies("{cond_joined_values}", JOINED, condition=AnyChange("char_field")).install(Thing)
    run("UPDATE contract_thing SET char_field = CASE int_field WHEN 1 THEN 'q' ELSE char_field END")
    assert logged() == ["bq"]


def test_whole_row_conditions_over_transition_tables():
    Awkward.objects.bulk_create([Awkward(name="a"), Awkward(name="b")])
    copies("{cond_new_values}", "new_values.name", condition=AnyChange()).install(Awkward)
    run("UPDATE contract_awkward SET name = 'a'")
    assert logged() == ["a"]


def test_conditions_with_text_that_looks_like_a_row(things):
    """Compiled against the transition tables, never by replacing text (DESIGN, section 5)."""
    condition = Q(new__char_field="OLD.x NEW.y 100% {z}")
    copies("{cond_new_values}", "new_values.char_field", condition=condition).install(Thing)
    Thing.objects.filter(int_field=1).update(char_field="OLD.x NEW.y 100% {z}")
    assert logged() == ["OLD.x NEW.y 100% {z}"]


def test_templates_join_on_composite_keys():
    Pair.objects.bulk_create([Pair(tenant=1, number=n, value=n) for n in range(3)])
    Pair.objects.create(tenant=2, number=0, value=7)
    copies(
        "{cond_joined_values}",
        "old_values.value::text || new_values.value",
        condition=Q(old__value__df=pgtrigger.F("new__value")),
    ).install(Pair)
    Pair.objects.filter(number__lt=2).update(value=DjangoF("number"))
    assert logged() == ["70"]


def test_templates_know_meta_fields_and_columns():
    ColumnNames.objects.create(value=4)
    composer(
        pgtrigger.Func(
            f"{LOG} SELECT '{{meta.db_table}} {{fields.value.name}} ' || "
            'new_values."{columns.value}" FROM {cond_new_values}; RETURN NULL;'
        )
    ).install(ColumnNames)
    ColumnNames.objects.update(value=5)
    assert logged() == ["contract_columnnames value 5"]


def test_a_row_level_composer_is_an_ordinary_trigger(things):
    composer(
        f"{LOG} VALUES (NEW.char_field); RETURN NULL;",
        level=pgtrigger.Row,
        condition=Q(old__int_field=1),
    ).install(Thing)
    Thing.objects.update(char_field="z")
    assert logged() == ["z"]


def test_declare_and_loops_as_in_the_seeds(things):
    composer(
        pgtrigger.Func(
            "FOR val IN SELECT new_values.* FROM {cond_new_values} LOOP "
            f"{LOG} VALUES (val.char_field); END LOOP; RETURN NULL;"
        ),
        declare=[("val", "RECORD")],
        condition=Q(new__int_field__gt=0, old__int_field__lt=2),
    ).install(Thing)
    Thing.objects.update(char_field="z")
    assert logged() == ["z"]


# --- Statement-level Protect -----------------------------------------------------------------


def test_statement_level_protect_without_a_condition(things):
    for operation in (Update, Delete):
        protects(operation, name=f"p{operation}", level=pgtrigger.Statement).install(Thing)
    with refused("Cannot update rows from contract_thing table"):
        Thing.objects.update(flag=False)
    with refused("Cannot delete rows from contract_thing table"):
        Thing.objects.all().delete()


@pytest.mark.parametrize("level", [pgtrigger.Row, pgtrigger.Statement], ids=["row", "statement"])
def test_protect_serves_combined_operations_at_either_level(things, level):
    protects(Insert | Update | Delete, level=level).install(Thing)
    with refused("Cannot insert rows from contract_thing table"):
        Thing.objects.create()
    with refused("Cannot update rows from contract_thing table"):
        Thing.objects.update(flag=False)
    with refused("Cannot delete rows from contract_thing table"):
        Thing.objects.all().delete()


@pytest.mark.parametrize("level", [pgtrigger.Row, pgtrigger.Statement], ids=["row", "statement"])
def test_protect_serves_combined_operations_with_a_condition(things, level):
    trigger = protects(Update | Delete, level=level, condition=Q(old__int_field=1))
    trigger.install(Thing)
    Thing.objects.filter(int_field=0).update(flag=False)
    Thing.objects.filter(int_field=0).delete()
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)
    with refused("Cannot delete rows from"):
        Thing.objects.all().delete()
    assert trigger.get_installation_status(Thing) == ("INSTALLED", True)
    with trigger.disable(Thing):
        assert trigger.get_installation_status(Thing) == ("INSTALLED", False)
        Thing.objects.update(flag=False)
    before = trigger_functions()
    trigger.uninstall(Thing)
    assert definitions("contract_thing") == {}
    assert len(trigger_functions()) == len(before) - 1


def test_conditional_statement_level_protect_lets_other_rows_pass(things):
    protects(
        Update, level=pgtrigger.Statement, condition=Q(old__int_field=1, new__flag=False)
    ).install(Thing)
    Thing.objects.filter(int_field=0).update(flag=False)
    Thing.objects.update(char_field="z")
    with refused("Cannot update rows from contract_thing table"):
        Thing.objects.update(flag=False)


def test_conditional_statement_level_protect_of_inserts():
    protects(Insert, level=pgtrigger.Statement, condition=Q(new__int_field__lt=0)).install(Thing)
    Thing.objects.bulk_create([Thing(int_field=1), Thing(int_field=2)])
    with refused("Cannot insert rows from contract_thing table"):
        Thing.objects.bulk_create([Thing(int_field=1), Thing(int_field=-2)])


def test_a_row_whose_key_changed_in_the_same_statement_counts_as_changed(things):
    """Protection fails closed (DESIGN, section 5)."""
    protects(Update, level=pgtrigger.Statement, condition=AnyChange("char_field")).install(Thing)
    Thing.objects.update(int_field=5)
    with refused("Cannot update rows from contract_thing table"):
        run("UPDATE contract_thing SET id = id + 1000, char_field = 'sneaky'")


def test_statement_level_read_only(things):
    pgtrigger.ReadOnly(name="r", level=pgtrigger.Statement, fields=["char_field"]).install(Thing)
    Thing.objects.update(int_field=5)
    with refused("Cannot update rows from contract_thing table"):
        Thing.objects.update(char_field="z")


def test_before_and_after_both_serve_row_level_composers(things):
    composer("NEW.int_field = 9; RETURN NEW;", level=pgtrigger.Row, when=Before).install(Thing)
    Thing.objects.update(flag=False)
    assert set(Thing.objects.values_list("int_field", flat=True)) == {9}


@pytest.mark.slow
def test_statement_level_protection_stays_linear_after_a_one_row_statement():
    """DESIGN, section 5: neither the planner's defaults nor a cached plan may cost rows squared."""
    protects(
        Update, level=pgtrigger.Statement, condition=Q(old__char_field="no", new__flag=False)
    ).install(Thing)
    Thing.objects.bulk_create([Thing(char_field="a") for _ in range(20_000)])
    one_row = Thing.objects.first()
    for _ in range(7):
        Thing.objects.filter(pk=one_row.pk).update(int_field=1)
    start = time.perf_counter()
    Thing.objects.update(int_field=2)
    assert time.perf_counter() - start < 5
