"""pgtrigger.migrations schema editor: schema changes carry a table's triggers along."""

import pytest
from django.apps.registry import Apps
from django.db import DatabaseError, connection, models, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.state import ModelState, ProjectState

import pgtrigger
from pgtrigger.errors import InstallationError
from pgtrigger.migrations._changes import change_trigger
from pgtrigger.migrations._dependents import altered_columns, dependents_of
from pgtrigger.migrations._schema_editor import (
    TriggerSchemaEditor,
    extend_schema_editor,
    with_triggers,
)
from shop.database import definitions, functions, noop, rows, run, value
from shop.models import Line, Missing

Q = pgtrigger.Q


def made(name="Crate", triggers=(), db_table=None, **fields):
    """A model that no app has."""
    fields = {"size": models.IntegerField(default=0), **fields}
    options = {"app_label": "shop", "apps": Apps(), "triggers": [*triggers]}
    if db_table:
        options["db_table"] = db_table
    meta = type("Meta", (), options)
    return type(name, (models.Model,), {"__module__": "shop.models", "Meta": meta, **fields})


def changed(model, name, field):
    """The field, as it would be in another state of the model."""
    field.set_attributes_from_name(name)
    field.model = model
    return field


@pytest.fixture
def crate(db):
    """A table with a trigger whose WHEN uses a column, and one whose UPDATE OF does."""
    triggers = [
        noop("when", condition=Q(new__size__gt=1)),
        noop("of", operation=pgtrigger.UpdateOf("size")),
        noop("free"),
    ]
    model = made(triggers=triggers)
    with connection.schema_editor() as editor:
        editor.create_model(model)
    assert len(definitions("shop_crate")) == 3
    return model


def pgid(model, number=0):
    return model._meta.triggers[number].get_pgid(model)


def test_a_created_table_brings_its_triggers_and_a_deleted_one_takes_the_functions(crate):
    names = {trigger.compile(crate).function for trigger in crate._meta.triggers}
    assert names <= functions()
    with connection.schema_editor() as editor:
        editor.delete_model(crate)
    assert not names & functions()


def test_collected_sql_has_the_functions_of_a_deleted_table(crate):
    with connection.schema_editor(collect_sql=True) as editor:
        editor.delete_model(crate)
    assert sum(text.startswith("DROP FUNCTION") for text in editor.collected_sql) == 3
    assert len(definitions("shop_crate")) == 3


def test_without_the_setting_for_meta_only_compiled_triggers_are_installed(db, settings):
    settings.PGTRIGGER_MODEL_META = False
    model = made(triggers=[noop("declared")])
    model._meta.triggers.append(noop("compiled").compile(model))
    with connection.schema_editor() as editor:
        editor.create_model(model)
    assert [*definitions("shop_crate")] == [model._meta.triggers[1].pgid]


@pytest.mark.parametrize(
    "field",
    [models.BigIntegerField(default=0), models.SmallIntegerField(default=0)],
    ids=["wider", "narrower"],
)
@pytest.mark.parametrize("mode", ["ENABLE", "DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"])
def test_the_type_of_a_column_that_triggers_use_can_change(crate, field, mode):
    run(f'ALTER TABLE shop_crate {mode} TRIGGER "{pgid(crate)}"')
    before = definitions("shop_crate"), states(), comments()
    with connection.schema_editor() as editor:
        new = changed(crate, "size", type(field)(default=0))
        editor.alter_field(crate, crate._meta.get_field("size"), new)
    assert (definitions("shop_crate"), states(), comments()) == before
    assert value("SELECT pg_typeof(size)::text FROM (SELECT (NULL::shop_crate).size) x") in (
        "bigint",
        "smallint",
    )


def states():
    return dict(
        rows(
            "SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgrelid = 'shop_crate'::regclass"
        )
    )


def comments():
    return dict(
        rows(
            # Not their fingerprints, which change with the type of a column.
            "SELECT tgname, split_part(obj_description(oid, 'pg_trigger'), ':', 1)"
            " FROM pg_trigger WHERE tgrelid = 'shop_crate'::regclass"
        )
    )


def test_a_trigger_without_a_comment_gets_none(crate):
    run(f'COMMENT ON TRIGGER "{pgid(crate)}" ON shop_crate IS NULL')
    before = comments()
    with connection.schema_editor() as editor:
        new = changed(crate, "size", models.BigIntegerField(default=0))
        editor.alter_field(crate, crate._meta.get_field("size"), new)
    assert comments() == before
    assert before[pgid(crate)] is None


def test_a_trigger_of_somebody_else_is_not_touched(crate):
    run("CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    run(
        "CREATE TRIGGER theirs BEFORE UPDATE OF size ON shop_crate"
        " FOR EACH ROW EXECUTE FUNCTION theirs()"
    )
    assert [d.pgid for d in dependents_of(connection, crate, "size")] == sorted(
        [pgid(crate, 0), pgid(crate, 1)]
    )
    assert dependents_of(connection, crate, "id") == []
    assert dependents_of(connection, Missing, "size") == []


def test_a_trigger_that_no_longer_fits_is_lost_loudly(crate):
    field = changed(crate, "size", models.DateField(null=True))
    with (
        pytest.raises(InstallationError, match="together with the field") as caught,
        transaction.atomic(),
        connection.schema_editor() as editor,
    ):
        run("ALTER TABLE shop_crate ALTER size DROP DEFAULT")
        editor.execute = retyped(editor, editor.execute)
        editor.alter_field(crate, crate._meta.get_field("size"), field)
    assert pgid(crate) in str(caught.value)
    assert len(definitions("shop_crate")) == 3


def retyped(editor, execute):
    """Adds what Django leaves to the user: how to convert a number into a date."""

    def run_it(sql, params=()):
        text = str(sql)
        if " TYPE date" in text:
            sql = "ALTER TABLE shop_crate ALTER size TYPE date USING NULL"
        return execute(sql, params)

    return run_it


def test_a_lost_trigger_may_be_altered_in_the_same_migration(crate):
    new = noop("when", condition=Q(new__size__isnull=True)).compile(crate)
    field = changed(crate, "size", models.DateField(null=True))
    run(f'ALTER TABLE shop_crate DISABLE TRIGGER "{pgid(crate)}"')
    with connection.schema_editor() as editor:
        editor.execute = retyped(editor, editor.execute)
        editor.alter_field(crate, crate._meta.get_field("size"), field)
        assert [*editor.lost_triggers] == [pgid(crate)]
        change_trigger(editor, crate, old=crate._meta.triggers[0], new=new)
        assert editor.lost_triggers == {}
    assert "IS NULL" in definitions("shop_crate")[pgid(crate)]
    assert states()[pgid(crate)] == "D"


def test_a_removed_column_takes_no_trigger_along_silently(crate):
    with pytest.raises(InstallationError) as caught, transaction.atomic():
        with connection.schema_editor() as editor:
            editor.remove_field(crate, crate._meta.get_field("size"))
    assert pgid(crate, 0) in str(caught.value)
    assert pgid(crate, 1) in str(caught.value)
    assert pgid(crate, 2) not in str(caught.value)


def test_a_removed_column_may_take_triggers_along_that_are_removed_too(crate):
    with connection.schema_editor() as editor:
        editor.remove_field(crate, crate._meta.get_field("size"))
        for trigger in crate._meta.triggers[:2]:
            change_trigger(editor, crate, old=trigger, new=None)
    assert [*definitions("shop_crate")] == [pgid(crate, 2)]


def test_a_column_without_triggers_is_removed_as_ever(db):
    model = made(triggers=[noop("free")], note=models.TextField(default=""))
    with connection.schema_editor() as editor:
        editor.create_model(model)
        editor.remove_field(model, model._meta.get_field("note"))
    assert len(definitions("shop_crate")) == 1


def test_a_renamed_column_is_followed(crate):
    field = changed(crate, "width", models.IntegerField(default=0))
    with connection.schema_editor() as editor:
        editor.alter_field(crate, crate._meta.get_field("size"), field)
    found = definitions("shop_crate")
    assert "width" in found[pgid(crate, 0)]
    assert len(found) == 3


def test_a_renamed_table_is_followed(crate):
    with connection.schema_editor() as editor:
        editor.alter_db_table(crate, "shop_crate", "shop_box")
    assert len(definitions("shop_box")) == 3


def test_the_type_of_a_key_changes_with_those_that_point_to_it(db):
    def project(key):
        state = ProjectState()
        state.add_model(ModelState("shop", "Target", [("key", key)]))
        to = models.ForeignKey("shop.target", models.CASCADE, primary_key=True)
        triggers = [noop("points", condition=Q(new__to=1))]
        state.add_model(ModelState("shop", "Pointer", [("to", to)], {"triggers": triggers}))
        deep = models.ForeignKey("shop.pointer", models.CASCADE)
        state.add_model(
            ModelState("shop", "Deep", [("id", models.AutoField(primary_key=True)), ("to", deep)])
        )
        return [state.apps.get_model("shop", name) for name in ("Target", "Pointer", "Deep")]

    before = project(models.IntegerField(primary_key=True))
    (target, *_) = project(models.BigIntegerField(primary_key=True))
    key = before[0]._meta.get_field("key")
    assert [(model._meta.db_table, column) for model, column in altered_columns(key)] == [
        ("shop_target", "key"),
        ("shop_pointer", "to_id"),
        ("shop_deep", "to_id"),
    ]
    with connection.schema_editor() as editor:
        for model in before:
            editor.create_model(model)
    found = definitions("shop_pointer")
    with connection.schema_editor() as editor:
        editor.alter_field(before[0], key, target._meta.get_field("key"))
    assert definitions("shop_pointer").keys() == found.keys()
    kind = (
        "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attname = 'to_id' AND attrelid"
    )
    assert value(f"{kind} = 'shop_pointer'::regclass") == "bigint"
    assert value(f"{kind} = 'shop_deep'::regclass") == "bigint"


def test_a_field_without_a_column_has_none_to_alter():
    assert [*altered_columns(Line._meta.get_field("pk"))] == []


# --- Triggers whose turn comes too early ------------------------------------------------------


def test_a_trigger_may_be_altered_before_the_column_that_it_needs(crate):
    later = changed(crate, "later", models.IntegerField(default=0))
    new = noop("when", condition=pgtrigger.Condition('NEW."later" > 1')).compile(crate)
    with connection.schema_editor() as editor:
        change_trigger(editor, crate, old=crate._meta.triggers[0], new=new)
        assert len(editor.postponed) == 1
        editor.add_field(crate, later)
    assert "later" in definitions("shop_crate")[pgid(crate)]


def test_a_trigger_whose_column_never_comes_is_refused(crate):
    new = noop("when", condition=pgtrigger.Condition('NEW."never" > 1')).compile(crate)
    with pytest.raises(Exception, match="never"), transaction.atomic():
        with connection.schema_editor() as editor:
            change_trigger(editor, crate, old=crate._meta.triggers[0], new=new)
    assert "never" not in definitions("shop_crate")[pgid(crate)]


def test_backwards_a_trigger_may_wait_for_an_earlier_migration(crate):
    new = noop("when", condition=pgtrigger.Condition('NEW."earlier" > 1')).compile(crate)
    before = definitions("shop_crate")
    with connection.schema_editor() as editor:
        change_trigger(editor, crate, old=crate._meta.triggers[0], new=new, backwards=True)
    assert definitions("shop_crate") == before


def test_a_table_that_is_gone_by_then_needs_no_trigger(crate):
    new = noop("when", condition=pgtrigger.Condition('NEW."never" > 1')).compile(crate)
    with connection.schema_editor() as editor:
        change_trigger(editor, crate, old=crate._meta.triggers[0], new=new)
        editor.delete_model(crate)


def test_a_new_trigger_that_does_not_fit_is_refused_at_once(crate):
    new = noop("new", condition=pgtrigger.Condition('NEW."never" > 1')).compile(crate)
    with pytest.raises(Exception, match="never"), transaction.atomic():
        with connection.schema_editor() as editor:
            change_trigger(editor, crate, old=None, new=new)


def test_a_renamed_column_gives_triggers_the_form_that_fits_again(crate):
    """As when the renaming of a field is reversed: first the trigger, then the column."""
    earlier = made(
        triggers=[noop("when", condition=Q(new__width__gt=1))], width=models.IntegerField()
    )
    old, new = crate._meta.triggers[0].compile(crate), earlier._meta.triggers[0].compile(earlier)
    with connection.schema_editor() as editor:
        change_trigger(editor, crate, old=old, new=new, backwards=True)
        field = changed(earlier, "width", models.IntegerField(default=0))
        editor.alter_field(earlier, crate._meta.get_field("size"), field)
    assert earlier._meta.triggers[0].get_installation_status(earlier) == ("INSTALLED", True)


def renaming(crate, *triggers):
    """Renames the column of the crate, as a model with these triggers sees it afterwards."""
    later = made(triggers=triggers, width=models.IntegerField())
    field = changed(later, "width", models.IntegerField(default=0))
    with connection.schema_editor() as editor:
        editor.alter_field(later, crate._meta.get_field("size"), field)


def test_a_trigger_that_fits_only_an_earlier_migration_does_not_stop_a_renaming(crate):
    renaming(crate, noop("when", condition=pgtrigger.Condition('NEW."never" > 1')))
    assert "width" in definitions("shop_crate")[pgid(crate)]


def test_a_trigger_that_fits_nowhere_does_stop_it(crate):
    with pytest.raises(DatabaseError, match="syntax error"), transaction.atomic():
        renaming(crate, noop("when", func="THIS IS NO PLPGSQL"))


# --- The class --------------------------------------------------------------------------------


def test_the_editor_can_be_turned_off(settings):
    assert isinstance(connection.schema_editor(), TriggerSchemaEditor)
    settings.PGTRIGGER_SCHEMA_EDITOR = False
    assert not isinstance(connection.schema_editor(), TriggerSchemaEditor)


def test_a_backend_is_extended_once():
    before = DatabaseWrapper.schema_editor
    extend_schema_editor(DatabaseWrapper)
    assert DatabaseWrapper.schema_editor is before


def test_a_class_of_another_backend_keeps_its_name():
    class Special(DatabaseWrapper.SchemaEditorClass):
        pass

    extended = with_triggers(Special)
    assert issubclass(extended, Special)
    assert (extended.__name__, extended.__module__) == ("Special", Special.__module__)
    assert with_triggers(extended) is extended


def test_an_error_of_the_block_is_the_one_that_is_raised(crate):
    class Mine(Exception):
        pass

    with pytest.raises(Mine), transaction.atomic(), connection.schema_editor() as editor:
        editor.remove_field(crate, crate._meta.get_field("size"))
        raise Mine


def test_a_trigger_may_name_the_type_of_a_table_that_is_made_next(db):
    first = made("First", [noop(declare=[("next", "shop_second")]), noop("other")])
    with connection.schema_editor() as editor:
        editor.create_model(first)
        editor.create_model(made("Second"))
    assert len(definitions("shop_first")) == 2


def test_a_type_that_nobody_makes_is_an_error_when_the_schema_editor_is_done(db):
    first = made("First", [noop(declare=[("next", "shop_second")])])
    with pytest.raises(DatabaseError, match='type "shop_second" does not exist'):
        with transaction.atomic(), connection.schema_editor() as editor:
            editor.create_model(first)
    assert value("SELECT to_regclass('shop_first')") is None


def test_what_postgres_cannot_read_is_an_error_at_once(db):
    first = made("First", [noop(func="NEW.size = NEW.size + ; RETURN NEW;")])
    with transaction.atomic(), connection.schema_editor() as editor:
        with pytest.raises(DatabaseError, match="syntax error"):
            editor.create_model(first)
        run("DROP TABLE shop_first")
