"""pgtrigger.migrations operations: in project states, in the database, and when squashed."""

import pytest
from django.db import DatabaseError, connection, connections, migrations, models, transaction
from django.db.migrations.operations.base import OperationCategory
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import OperationWriter
from django.test.utils import CaptureQueriesContext

import pgtrigger
from pgtrigger.errors import DeclarationError
from pgtrigger.migrations import AddTrigger, AddTriggers, AlterTrigger, RemoveTrigger
from shop.database import definitions, functions, noop, rows, run, value
from shop.models import Maker, Missing, Product, Tag

ONE = noop("one").compile(Product)
ONE_CHANGED = noop("one", func="RETURN OLD;").compile(Product)
TWO = noop("two").compile(Product)


def add(trigger=ONE, model="Product"):
    return AddTrigger(model_name=model, trigger=trigger)


def alter(trigger=ONE_CHANGED, model="product"):
    return AlterTrigger(model_name=model, trigger=trigger)


def remove(name="one", model="PRODUCT"):
    return RemoveTrigger(model_name=model, name=name)


@pytest.fixture
def state():
    """A project state with the shop's product and tag, as migrations would have them."""
    state = ProjectState()
    for model in (Product, Tag, Maker):
        made = ModelState.from_model(model)
        made.options.pop("triggers", None)
        state.add_model(made)
    return state


def after(state, *operations):
    state = state.clone()
    for operation in operations:
        operation.state_forwards("shop", state)
    return state


def triggers(state):
    return state.models["shop", "product"].options.get("triggers", [])


def apply(state, operation, *, backwards=False, alias="default", collect_sql=False):
    to_state = after(state, operation)
    with connections[alias].schema_editor(collect_sql=collect_sql) as editor:
        if backwards:
            operation.database_backwards("shop", editor, to_state, state)
        else:
            operation.database_forwards("shop", editor, state, to_state)
    return editor.collected_sql if collect_sql else to_state


# --- States -----------------------------------------------------------------------------------


def test_a_state_has_the_triggers_that_the_operations_leave(state):
    assert triggers(after(state, add(), add(TWO))) == [ONE, TWO]
    assert triggers(after(state, add(), add(TWO), alter())) == [ONE_CHANGED, TWO]
    assert triggers(after(state, add(), add(TWO), remove())) == [TWO]
    assert triggers(after(state, add(), add())) == [ONE]
    assert triggers(state) == []


@pytest.mark.parametrize("operation", [alter(), remove()])
def test_a_trigger_that_is_not_there_is_named(state, operation):
    with pytest.raises(
        DeclarationError, match=r'(?i)app "shop".*model "product".*no trigger "one"'
    ) as e:
        after(state, operation)
    assert type(operation).__name__ in str(e.value)


def test_a_rendered_state_is_rendered_anew(state):
    rendered = state.apps.get_model("shop", "Product")
    changed = after(state, add())
    assert changed.apps.get_model("shop", "Product")._meta.triggers == [ONE]
    assert not getattr(rendered._meta, "triggers", [])


# --- The database -----------------------------------------------------------------------------


def test_adding_altering_and_removing_forwards_and_backwards(db, state):
    added = apply(state, add())
    assert [*definitions("shop_product")] == [ONE.pgid]
    altered = apply(added, alter())
    removed = apply(altered, remove())
    assert definitions("shop_product") == {}
    apply(altered, remove(), backwards=True)
    assert [*definitions("shop_product")] == [ONE.pgid]
    assert removed
    apply(added, alter(), backwards=True)
    assert source() == ONE.source
    apply(state, add(), backwards=True)
    assert definitions("shop_product") == {}
    assert ONE.function not in functions()


def source():
    return value("SELECT prosrc FROM pg_proc WHERE proname = %s", [ONE.function])


def test_a_declared_trigger_is_compiled_when_the_operation_runs(db, state):
    apply(state, add(noop("one")))
    assert [*definitions("shop_product")] == [ONE.pgid]


def test_altering_finds_an_older_form_and_keeps_its_state(db, state):
    added = apply(state, add())
    run(f'ALTER TABLE shop_product DISABLE TRIGGER "{ONE.pgid}"')
    apply(added, alter(noop("one", condition=pgtrigger.AnyChange("stock")).compile(Product)))
    assert "WHEN" in definitions("shop_product")[ONE.pgid]
    assert noop("one", condition=pgtrigger.AnyChange("stock")).get_installation_status(Product) == (
        "INSTALLED",
        False,
    )


def test_collected_sql_needs_no_installed_trigger_and_says_the_same(db, state):
    texts = apply(state, add(), collect_sql=True)
    assert [text for text in texts if not text.startswith("--")] == [
        f"{text};" for text in ONE.install_sql("shop_product")
    ]
    added = after(state, add())
    words = [text.split(" ")[0] for text in apply(added, alter(), collect_sql=True)]
    assert [word for word in words if word != "--"] == ["CREATE", "COMMENT"]
    assert len([t for t in apply(added, remove(), collect_sql=True) if t.startswith("DROP")]) == 2
    assert definitions("shop_product") == {}


def test_on_another_database_system_nothing_happens(state):
    editor = connections["sqlite"].SchemaEditorClass(connections["sqlite"], collect_sql=True)
    operation = add()
    operation.database_forwards("shop", editor, state, after(state, operation))
    operation.database_backwards("shop", editor, after(state, operation), state)
    assert editor.collected_sql == []


def test_where_the_router_refuses_nothing_happens(db, state, monkeypatch):
    from project.routers import Router

    monkeypatch.setitem(Router.routes, "allow_migrate", lambda db, app_label, **hints: False)
    apply(state, add())
    assert definitions("shop_product") == {}


def test_altering_on_a_table_that_is_not_there_says_so(db):
    state = ProjectState()
    state.add_model(ModelState.from_model(Missing))
    one, changed = (noop("one", func=f"RETURN {row};").compile(Missing) for row in ("NEW", "OLD"))
    added = after(state, add(one, "Missing"))
    with pytest.raises(DatabaseError, match="shop_missing"), transaction.atomic():
        apply(added, alter(changed, "Missing"))


# --- Words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "description", "fragment", "category"),
    [
        (add(), "Create trigger one on model Product", "product_one", "ADDITION"),
        (alter(), "Alter trigger one on model product", "alter_product_one", "ALTERATION"),
        (remove("a-b"), "Remove trigger a-b from model PRODUCT", "remove_product_a_b", "REMOVAL"),
    ],
)
def test_an_operation_describes_itself(operation, description, fragment, category):
    assert operation.describe() == description
    assert operation.migration_name_fragment == fragment
    assert operation.category is OperationCategory[category]


@pytest.mark.parametrize("operation", [add(), alter(), remove()])
def test_an_operation_is_written_and_read_again(operation):
    text, imports = OperationWriter(operation, indentation=0).serialize()
    namespace = {}
    exec("\n".join(imports), namespace)
    again = eval(text.rstrip(",\n"), namespace)
    assert type(again) is type(operation)
    assert again.deconstruct() == operation.deconstruct()
    assert "import pgtrigger.migrations" in imports


def test_an_operation_references_its_model_and_all_fields_of_it():
    assert add().references_model("PRODUCT", "shop")
    assert not add().references_model("Tag", "shop")
    assert add().references_field("Product", "anything", "shop")
    assert not add().references_field("Tag", "anything", "shop")


def test_what_an_operation_must_say_itself():
    from pgtrigger.migrations._operations import TriggerOperation

    with pytest.raises(NotImplementedError):
        TriggerOperation().trigger_name  # asking is the test


# --- Squashing --------------------------------------------------------------------------------

ADD_FIELD = migrations.AddField("Product", "size", models.IntegerField(null=True))
OTHER_FIELD = migrations.AddField("Tag", "size", models.IntegerField(null=True))
DELETE = migrations.DeleteModel("Product")
SQL = migrations.RunSQL("SELECT 1")


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([add(), remove()], []),
        ([add(), alter()], [add(ONE_CHANGED)]),
        ([add(), alter(), remove()], []),
        ([add(), add(ONE_CHANGED)], [add(), add(ONE_CHANGED)]),
        ([alter(ONE), alter()], [alter()]),
        ([alter(), remove()], [remove()]),
        ([remove(), add()], [remove(), add()]),
        ([add(), add(TWO), remove()], [add(TWO)]),
        ([add(), add(TWO), alter()], [add(TWO), add(ONE_CHANGED)]),
        ([add(), OTHER_FIELD, remove()], [OTHER_FIELD]),
        ([add(), DELETE], [DELETE]),
        ([alter(), DELETE], [DELETE]),
        ([remove(), DELETE], [remove(), DELETE]),
        ([add(), ADD_FIELD, alter()], [add(), ADD_FIELD, alter()]),
        ([add(), SQL, remove()], [add(), SQL, remove()]),
        ([add(model="Tag"), remove()], [add(model="Tag"), remove()]),
    ],
)
def test_operations_are_squashed(operations, expected):
    found = MigrationOptimizer().optimize(operations, "shop")
    assert [o.deconstruct() for o in found] == [o.deconstruct() for o in expected]


# --- Many at once -----------------------------------------------------------------------------

TAGGED = noop("one").compile(Tag)
DELETE_TAG = migrations.DeleteModel("Tag")
FIELD = migrations.AddField("product", "more", models.IntegerField(default=0))


def bulk(**triggers):
    return AddTriggers(triggers=triggers or {"Product": [ONE, TWO], "tag": [TAGGED]})


def test_many_are_added_and_removed_at_once(db, state):
    added = apply(state, bulk())
    assert triggers(added) == [ONE, TWO]
    assert [*definitions("shop_product")] == [ONE.pgid, TWO.pgid]
    assert [*definitions("shop_tag")] == [TAGGED.pgid]
    for model, name in ((Product, "one"), (Product, "two"), (Tag, "one")):
        assert noop(name).get_installation_status(model) == ("INSTALLED", True)
    apply(state, bulk(), backwards=True)
    assert definitions("shop_product") == definitions("shop_tag") == {}
    assert ONE.function not in functions()


def test_many_that_are_there_already_take_no_statement(db, state):
    apply(state, bulk())
    run(f'ALTER TABLE shop_product DISABLE TRIGGER "{TWO.pgid}"')
    before = rows("SELECT oid, xmin, tgenabled FROM pg_trigger ORDER BY 1")
    apply(state, bulk())
    assert rows("SELECT oid, xmin, tgenabled FROM pg_trigger ORDER BY 1") == before


def test_many_take_few_messages(db, state):
    with CaptureQueriesContext(connection) as captured:
        apply(state, bulk())
    assert len(captured) < 12


def test_many_are_described_and_written():
    assert bulk().describe() == "Create 3 triggers on 2 models"
    assert bulk().migration_name_fragment == "triggers"
    text, imports = OperationWriter(bulk(), indentation=0).serialize()
    assert "pgtrigger.migrations.AddTriggers(" in text
    assert {"import pgtrigger.migrations", "import pgtrigger.compiler"} <= imports


def test_many_are_shown_as_sql(db, state):
    shown = "\n".join(apply(state, bulk(), collect_sql=True))
    assert shown.count("CREATE OR REPLACE TRIGGER") == 3
    assert definitions("shop_product") == {}


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([bulk(), remove("two")], [bulk(Product=[ONE], tag=[TAGGED])]),
        ([bulk(Product=[ONE]), remove()], []),
        ([bulk(), alter()], [bulk(Product=[ONE_CHANGED, TWO], tag=[TAGGED])]),
        ([bulk(tag=[TAGGED]), add()], [bulk(tag=[TAGGED], Product=[ONE])]),
        ([bulk(Product=[ONE]), add(TWO)], [bulk(Product=[ONE, TWO])]),
        ([bulk(Product=[ONE]), bulk(PRODUCT=[TWO])], [bulk(Product=[ONE, TWO])]),
        ([bulk(), migrations.DeleteModel("Tag")], [bulk(Product=[ONE, TWO]), DELETE_TAG]),
        ([bulk(tag=[TAGGED]), migrations.DeleteModel("Tag")], [DELETE_TAG]),
        ([bulk(tag=[TAGGED]), remove()], [bulk(tag=[TAGGED]), remove()]),
        ([bulk(), SQL, remove()], [bulk(), SQL, remove()]),
        ([bulk(), FIELD, remove()], [bulk(), FIELD, remove()]),
        ([bulk(), FIELD, alter()], [bulk(), FIELD, alter()]),
    ],
    ids=range(12),
)
def test_many_are_squashed(operations, expected):
    found = MigrationOptimizer().optimize(operations, "shop")
    assert [o.deconstruct() for o in found] == [o.deconstruct() for o in expected]
