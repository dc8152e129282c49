"""Contract, section 12: what existing migration files and packages import and do."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps.registry import Apps
from django.db import connection, connections, models
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import MigrationWriter

import pgtrigger
from contract.helpers import (
    KERNEL_NAMES,
    After,
    Delete,
    Router,
    Update,
    definitions,
    logged,
    logs,
    noop,
    protects,
    refused,
    trigger_functions,
)
from contract.models import Child, IntTarget, Log, OtherThingProxy, Pointer, Thing

pytestmark = pytest.mark.django_db
PROTECT = "RAISE EXCEPTION 'legacy: no % on %', TG_OP, TG_TABLE_NAME;"


def load(operations):
    """The Migration class of a migration file whose operations are written as `operations`."""
    source = f"""
import django.db.models
import pgtrigger
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    operations = [{operations}]
"""
    namespace = {}
    exec(compile(source, "0001_legacy.py", "exec"), namespace)
    return namespace["Migration"]("0001_legacy", "legacy")


CREATE = """
    migrations.CreateModel(
        name="Old",
        fields=[
            ("id", models.BigAutoField(primary_key=True)),
            ("value", models.IntegerField(default=0)),
            ("text", models.CharField(max_length=50, default="")),
        ],
        options={"abstract": False},
    ),
"""


class History:
    """Migrations of the app "legacy", applied one after the other."""

    def __init__(self):
        self.states = [ProjectState()]
        self.migrations = []

    def apply(self, operations):
        migration = load(operations)
        state = self.states[-1].clone()
        with connection.schema_editor(atomic=True) as editor:
            self.states.append(migration.apply(state, editor))
        self.migrations.append(migration)
        return self.states[-1].apps.get_model("legacy", "Old")

    def reverse(self):
        self.states.pop()
        with connection.schema_editor(atomic=True) as editor:
            self.migrations.pop().unapply(self.states[-1].clone(), editor)


@pytest.fixture
def history(db):
    return History()


def add(sql, name="protect", model="old"):
    return f"""
    pgtrigger.migrations.AddTrigger(
        model_name="{model}",
        trigger=pgtrigger.compiler.Trigger(
            name="{name}", sql=pgtrigger.compiler.UpsertTriggerSql({sql})
        ),
    ),
    """


ROW = f"""
    func={PROTECT!r},
    hash="b2c9d6ba2a4d6ba21b6b0eee6a0b0d8d3d6fd9d0",
    operation="DELETE",
    pgid="pgtrigger_protect_0a1b2",
    table="legacy_old",
    when="BEFORE",
"""


# --- Imports ---------------------------------------------------------------------------------


def test_the_modules_that_files_import():
    import pgtrigger.compiler
    import pgtrigger.core
    import pgtrigger.migrations

    assert pgtrigger.migrations.AddTrigger
    assert pgtrigger.migrations.RemoveTrigger
    assert pgtrigger.compiler.Trigger
    assert pgtrigger.compiler.UpsertTriggerSql


def test_core_has_the_statuses_and_the_longest_name():
    from pgtrigger import core

    for status in ("INSTALLED", "UNINSTALLED", "OUTDATED", "PRUNE", "UNALLOWED"):
        assert getattr(core, status) == status
    assert core.MAX_NAME_LENGTH == 47


@pytest.mark.parametrize("name", KERNEL_NAMES)
def test_core_has_the_classes(name):
    from pgtrigger import core

    assert getattr(core, name) is getattr(pgtrigger, name)


def test_nothing_of_ours_imports_the_legacy_core():
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import django, sys; from django.conf import settings\n"
                "settings.configure(INSTALLED_APPS=['pgtrigger']); django.setup()\n"
                "import pgtrigger; pgtrigger.Protect\n"
                "from django.core.management import call_command; call_command('check')\n"
                "assert 'pgtrigger.core' not in sys.modules"
            ),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["AnyChange", "AnyDontChange", "AllChange", "AllDontChange"])
def test_change_conditions_share_a_base(name):
    from pgtrigger import core

    kind = getattr(pgtrigger, name)
    assert issubclass(kind, core._Change)
    condition = kind("int_field", exclude_auto=True)
    duplicate = copy.deepcopy(condition)
    assert duplicate is not condition
    assert list(condition.fields) == ["int_field"]
    duplicate.fields = ["char_field"]
    assert list(condition.fields) == ["int_field"]
    assert "char_field" in duplicate.resolve(Thing)
    assert "int_field" not in duplicate.resolve(Thing)
    assert not kind().fields
    assert not kind(exclude=["flag"]).fields


# --- Migration files -------------------------------------------------------------------------


def test_a_compiled_trigger_of_an_old_file_is_installed(history):
    old = history.apply(CREATE + add(ROW))
    assert list(definitions("legacy_old")) == ["pgtrigger_protect_0a1b2"]
    row = old.objects.create()
    row.save()
    with refused("legacy: no DELETE on legacy_old"):
        row.delete()


def test_an_old_file_can_be_reversed(history):
    before = trigger_functions()
    old = history.apply(CREATE)
    history.apply(add(ROW))
    history.reverse()
    assert definitions("legacy_old") == {}
    assert trigger_functions() == before
    old.objects.create().delete()


def test_remove_trigger_of_an_old_file(history):
    before = trigger_functions()
    history.apply(CREATE + add(ROW))
    remove = 'pgtrigger.migrations.RemoveTrigger(model_name="old", name="protect")'
    old = history.apply(remove)
    assert definitions("legacy_old") == {}
    assert trigger_functions() == before
    old.objects.create().delete()
    history.reverse()
    assert list(definitions("legacy_old")) == ["pgtrigger_protect_0a1b2"]


def test_an_old_trigger_can_be_ignored_by_its_name(history):
    old = history.apply(CREATE + add(ROW))
    row = old.objects.create()
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('pgtrigger.ignore', '{pgtrigger_protect_0a1b2}', true)")
    row.delete()


def test_a_change_in_an_old_file_replaces_the_trigger(history):
    history.apply(CREATE + add(ROW))
    old = history.apply(
        'pgtrigger.migrations.RemoveTrigger(model_name="old", name="protect"),'
        + add(ROW.replace("DELETE", "UPDATE"))
    )
    row = old.objects.create()
    with refused("legacy: no UPDATE on legacy_old"):
        row.save()
    row.delete()


@pytest.mark.parametrize("execute", ["", "EXECUTE PROCEDURE "])
def test_every_part_of_an_old_trigger_counts(history, execute):
    old = history.apply(
        CREATE
        + add(
            f"""
            func='''
                noted = OLD.text || ' to ' || NEW.text;
                INSERT INTO {Log._meta.db_table}(new) VALUES (noted);
                RETURN NULL;
            ''',
            hash="0" * 40,
            operation="UPDATE OF text",
            pgid="pgtrigger_note_0a1b2",
            table="legacy_old",
            when="AFTER",
            level="ROW",
            condition='WHEN (OLD."value" IS NOT DISTINCT FROM (NEW."value"))',
            declare="DECLARE noted TEXT;",
            execute="{execute}pgtrigger_note_0a1b2()",
            ignore_func_name='"public"._pgtrigger_should_ignore',
            referencing="",
            constraint="",
            timing="",
            """,
            name="note",
        )
    )
    row = old.objects.create(text="a")
    old.objects.filter(pk=row.pk).update(text="b", value=1)
    old.objects.filter(pk=row.pk).update(text="c")
    old.objects.filter(pk=row.pk).update(value=5)
    assert logged() == ["b to c"]


def test_a_statement_level_trigger_of_an_old_file(history):
    old = history.apply(
        CREATE
        + add(
            f"""
            func="INSERT INTO {Log._meta.db_table}(new) SELECT text FROM new_values; RETURN NULL;",
            operation="UPDATE",
            pgid="pgtrigger_stmt_0a1b2",
            table="legacy_old",
            when="AFTER",
            level="STATEMENT",
            referencing="REFERENCING OLD TABLE AS old_values NEW TABLE AS new_values",
            """,
            name="stmt",
        )
    )
    old.objects.bulk_create([old(), old()])
    old.objects.update(text="z")
    assert logged() == ["z", "z"]


def test_a_deferred_trigger_of_an_old_file(history):
    history.apply(
        CREATE
        + add(
            """
            func="RETURN NULL;",
            operation="INSERT",
            pgid="pgtrigger_defer_0a1b2",
            table="legacy_old",
            when="AFTER",
            constraint="CONSTRAINT",
            timing="DEFERRABLE INITIALLY DEFERRED",
            """,
            name="defer",
        )
    )
    (found,) = definitions("legacy_old").values()
    assert "CREATE CONSTRAINT TRIGGER" in found
    assert "DEFERRABLE INITIALLY DEFERRED" in found


def test_only_five_arguments_are_needed(history):
    lines = [line for line in ROW.splitlines() if "hash" not in line]
    old = history.apply(CREATE + add("\n".join(lines)))
    row = old.objects.create()
    with refused("legacy: no DELETE on legacy_old"):
        row.delete()


@pytest.mark.parametrize("missing", ["func", "operation", "pgid", "table", "when"])
def test_the_five_arguments_are_needed(missing):
    import pgtrigger.compiler

    five = {
        "func": "RETURN NULL;",
        "operation": "INSERT",
        "pgid": "pgtrigger_x_0a1b2",
        "table": "t",
        "when": "AFTER",
    }
    assert pgtrigger.compiler.UpsertTriggerSql(**five)
    with pytest.raises(TypeError):
        pgtrigger.compiler.UpsertTriggerSql(**{k: v for k, v in five.items() if k != missing})


def test_a_plain_trigger_in_an_old_file(history):
    old = history.apply(
        CREATE
        + """
        pgtrigger.migrations.AddTrigger(
            model_name="old",
            trigger=pgtrigger.Protect(name="plain", operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__value=1)),
        ),
        """
    )
    kept, gone = old.objects.create(value=1), old.objects.create(value=2)
    gone.delete()
    with refused("Cannot delete rows from legacy_old table"):
        kept.delete()
    remove = 'pgtrigger.migrations.RemoveTrigger(model_name="old", name="plain")'
    history.apply(remove)
    assert definitions("legacy_old") == {}
    history.reverse()
    history.reverse()
    assert "legacy_old" not in connection.introspection.table_names()


def test_triggers_in_the_options_of_create_model_are_harmless(history):
    """Files of the first releases with Meta.triggers carry them in the model's options."""
    history.apply(
        CREATE.replace(
            '{"abstract": False}',
            '{"triggers": [pgtrigger.Protect(name="plain", operation=pgtrigger.Delete)]}',
        )
        + 'pgtrigger.migrations.AddTrigger(model_name="old", trigger=pgtrigger.Protect('
        'name="plain", operation=pgtrigger.Delete)),'
    )
    assert len(definitions("legacy_old")) == 1


def test_old_operations_can_be_written_into_new_files():
    migration = load(CREATE + add(ROW))
    again = {}
    exec(MigrationWriter(migration).as_string(), again)
    (_, written) = again["Migration"]("0001_legacy", "legacy").operations
    assert written.deconstruct() == migration.operations[1].deconstruct()


def test_operations_describe_themselves():
    migration = load(
        add(ROW) + 'pgtrigger.migrations.RemoveTrigger(model_name="old", name="protect")'
    )
    for operation in migration.operations:
        assert "protect" in operation.describe()
        assert "old" in operation.describe()
        assert operation.migration_name_fragment


@pytest.mark.django_db(databases=["default", "sqlite"], transaction=True)
def test_old_operations_do_nothing_on_other_database_systems():
    migration = load(CREATE + add(ROW))
    sqlite = connections["sqlite"]
    with sqlite.schema_editor(atomic=False, collect_sql=True) as editor:
        migration.apply(ProjectState(), editor)
    assert not [sql for sql in editor.collected_sql if "trigger" in sql.lower()]


def test_old_operations_do_nothing_where_the_router_refuses(history, settings):
    history.apply(CREATE)
    settings.DATABASE_ROUTERS = [Router(lambda db, app_label, model_name: model_name != "old")]
    history.apply(add(ROW))
    assert definitions("legacy_old") == {}
    history.apply('pgtrigger.migrations.RemoveTrigger(model_name="old", name="protect")')


# --- What packages build on top --------------------------------------------------------------


class Event(pgtrigger.Composer):
    """As a history package does it: the function depends on the model."""

    def get_func(self, model):
        if self.level is pgtrigger.Row:
            return pgtrigger.Func(
                f"INSERT INTO {Log._meta.db_table}(old, new)"
                " VALUES ('{meta.model_name}', NEW.{columns.int_field}); RETURN NULL;"
            )
        return pgtrigger.Func(
            f"INSERT INTO {Log._meta.db_table}(old, new)"
            " SELECT '{meta.model_name}', new_values.{columns.int_field} FROM {cond_new_values};"
            " RETURN NULL;"
        )


@pytest.mark.parametrize("level", [pgtrigger.Row, pgtrigger.Statement], ids=["row", "statement"])
def test_composer_subclasses_may_return_a_func(live, level):
    live(
        Thing,
        Event(
            name="event",
            level=level,
            when=After,
            operation=Update,
            condition=pgtrigger.AnyChange("int_field"),
        ),
    )
    Thing.objects.bulk_create([Thing(int_field=1), Thing(int_field=2)])
    Thing.objects.update(int_field=2)
    assert list(Log.objects.values_list("old", "new")) == [("thing", "2")]
    with pgtrigger.ignore("contract.Thing:event"):
        Thing.objects.update(int_field=3)
    assert Log.objects.count() == 1


def test_triggers_on_proxies(live):
    live(OtherThingProxy, logs())
    Thing.objects.create().save()
    assert logged() == ["fired"]


def test_triggers_on_through_tables(live):
    through = Pointer.others.through
    live(through, protects(Delete))
    pointer, target = Pointer.objects.create(), IntTarget.objects.create()
    pointer.others.add(target)
    with refused(f"Cannot delete rows from {through._meta.db_table} table"):
        pointer.others.remove(target)
    with pgtrigger.ignore("contract.Pointer_others:protects"):
        pointer.others.clear()


def test_triggers_on_multi_table_children(live):
    live(Child, logs(condition=pgtrigger.AnyChange()))
    child = Child.objects.create()
    child.on_parent = 5
    child.save()
    assert logged() == []
    child.on_child = 5
    child.save()
    assert logged() == ["fired"]


def test_triggers_on_models_built_with_type():
    built = type(
        "Built",
        (models.Model,),
        {
            "__module__": "contract.models",
            "value": models.IntegerField(default=0),
            "Meta": type(
                "Meta",
                (),
                {"app_label": "contract", "apps": Apps(), "triggers": [protects(Delete)]},
            ),
        },
    )
    with connection.schema_editor() as editor:
        editor.create_model(built)
    row = built.objects.create()
    with refused("Cannot delete rows from contract_built table"):
        row.delete()
    trigger = noop("later", condition=pgtrigger.AnyChange("value"))
    with trigger.register(built), trigger.install(built):
        assert len(definitions("contract_built")) == 2
