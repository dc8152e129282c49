"""Contract, section 11: migrations, in temporary projects with a database of their own."""

import pytest
from django.apps.registry import Apps
from django.db import NotSupportedError, connection, connections, models
from django.db.migrations.state import ProjectState

import pgtrigger
from contract.evolution import APPS, Evolution
from contract.helpers import Router, definitions, noop, one, protects, refused
from contract.models import CannotDelete

TWO = {("strict_m", "guard"), ("loose_m", "guard")}


@pytest.fixture
def evolution(tmp_path, empty_database):
    return Evolution(tmp_path, empty_database)


def m(triggers, fields="value = models.IntegerField(default=0)", name="M", bases="models.Model"):
    """The source of a model."""
    return f"""
class {name}({bases}):
    {fields}

    class Meta:
        triggers = [{triggers}]
"""


def guard(condition="pgtrigger.Q(old__value=1)", operation="pgtrigger.Delete", name="guard"):
    return f'pgtrigger.Protect(name="{name}", operation={operation}, condition={condition})'


# --- Adding, changing and removing -----------------------------------------------------------


@pytest.mark.slow
def test_triggers_come_change_and_go_with_their_migrations_and_back(evolution):
    evolution.evolve(m(guard()))
    assert set(evolution.triggers()) == TWO
    for app in APPS:
        evolution.sql(f"INSERT INTO {app}_m (value) VALUES (1), (2)")
        assert evolution.refuses(f"DELETE FROM {app}_m", "Cannot delete rows from")

    evolution.evolve(m(guard("pgtrigger.Q(old__value=2)") + "," + guard(name="second")))
    first = evolution.triggers()
    assert len(first) == 4
    assert "2" in first["strict_m", "guard"]

    evolution.evolve(m(""))
    assert evolution.triggers() == {}
    assert evolution.functions() == []

    second, start = evolution.migrate_to("0002", "0001")
    assert second == first
    assert set(start) == TWO
    assert "1" in start["strict_m", "guard"]
    for app in APPS:
        assert evolution.refuses(f"DELETE FROM {app}_m WHERE value = 1", "Cannot delete rows from")
        assert not evolution.refuses(f"DELETE FROM {app}_m WHERE value = 2", "Cannot delete")
    assert evolution.migrate_to("zero") == [{}]
    assert evolution.functions() == []


def test_triggers_are_added_to_an_existing_model(evolution):
    evolution.evolve(m(""))
    assert evolution.triggers() == {}
    report = evolution.evolve(m(guard()))
    assert [path.split("/")[-1][:4] for path in report["new"]] == ["0002", "0002"]
    assert set(evolution.triggers()) == TWO
    evolution.evolve(m(guard()), files=0)


CHANGES = [
    guard(),
    guard(operation="pgtrigger.Update"),
    guard("~pgtrigger.Q(old__value=1)", operation="pgtrigger.Update"),
    guard()[:-1] + ", level=pgtrigger.Statement)",
    """pgtrigger.Trigger(
        name="guard", when=pgtrigger.Before, operation=pgtrigger.Delete, func="RETURN OLD;"
    )""",
]


@pytest.mark.slow
def test_each_change_of_a_trigger_is_one_migration(evolution):
    seen = []
    for trigger in CHANGES:
        evolution.evolve(m(trigger))
        assert set(evolution.triggers()) == TWO
        assert evolution.triggers() not in seen
        seen.append(evolution.triggers())
    assert evolution.migrate_to("0004", "0003", "0002", "0001") == seen[-2::-1]


def test_a_field_and_a_trigger_that_uses_it_come_together_and_go_together(evolution):
    both = (
        "value = models.IntegerField(default=0); extra = models.CharField(max_length=9, default='')"
    )
    evolution.evolve(m(""))
    evolution.evolve(m(guard('pgtrigger.Q(old__extra="x")'), both))
    assert set(evolution.triggers()) == TWO
    evolution.evolve(m(guard()))
    (back,) = evolution.migrate_to("0002")
    assert "extra" in back["loose_m", "guard"]


def test_a_new_operation_on_a_registered_trigger_takes_effect_at_the_next_makemigrations(evolution):
    evolution.evolve(m(guard()))
    evolution.evolve(m(guard()) + "\nM._meta.triggers[0].operation = pgtrigger.Update\n")
    assert "UPDATE" in evolution.triggers()["strict_m", "guard"]


def test_registered_and_inherited_triggers_are_migrated(evolution):
    source = f"""
class Base(models.Model):
    value = models.IntegerField(default=0)

    class Meta:
        abstract = True
        triggers = [{guard()}]

@pgtrigger.register({guard(name="registered")})
class M(Base):
    class Meta(Base.Meta):
        ordering = ["value"]
"""
    evolution.evolve(source)
    assert set(evolution.triggers()) == TWO | {(f"{app}_m", "registered") for app in APPS}


def test_values_with_percent_signs_and_quotes_come_through_migrations(evolution):
    text = "50% %s %(x)s 100%% it''s {y} $$ \\\\ \\\" é".replace("''", "\\'")
    fields = "value = models.CharField(max_length=50, default='')"
    evolution.evolve(m(guard(f"pgtrigger.Q(old__value='{text}')"), fields))
    for app in APPS:
        evolution.sql(
            f"INSERT INTO {app}_m (value) VALUES"
            " ('50% %s %(x)s 100%% it''s {y} $$ \\ \" é'), ('x')"
        )
        assert not evolution.refuses(f"DELETE FROM {app}_m WHERE value = 'x'", "Cannot delete")
        assert evolution.refuses(f"DELETE FROM {app}_m", "Cannot delete rows from")


def test_makemigrations_sees_models_that_are_declared_later(evolution):
    evolution.evolve(m(guard()))
    late = """
import pgtrigger
from django.db import models

class Late(models.Model):
    class Meta:
        app_label = "APP"
        triggers = [pgtrigger.Protect(name="late", operation=pgtrigger.Delete)]
"""
    declare = [["python", late.replace("APP", app)] for app in APPS]
    report = evolution.run(*declare, ["makemigrations"], ["migrate"])
    assert len(report["new"]) == 2
    assert report["again"] == []
    assert set(evolution.triggers()) == TWO | {(f"{app}_late", "late") for app in APPS}


def test_migrations_can_be_turned_off(evolution):
    evolution.evolve(m(""))
    settings = (evolution.directory / "settings.py").read_text()
    evolution.write("settings.py", settings + "PGTRIGGER_MIGRATIONS = False\n")
    evolution.models(m(guard()))
    report = evolution.run(["makemigrations"], ["migrate"])
    assert report["new"] == []
    assert {status for status, _ in report["status"].values()} == {"UNINSTALLED"}


# --- Removing models -------------------------------------------------------------------------


def test_a_removed_model_takes_its_triggers_along_and_brings_them_back(evolution):
    other = "\nclass Other(models.Model):\n    pass\n"
    evolution.evolve(m(guard() + "," + guard(name="second")) + other)
    before = evolution.triggers()
    assert len(before) == 4
    evolution.evolve(other)
    assert evolution.triggers() == {}
    assert evolution.functions() == []
    assert evolution.migrate_to("0001") == [before]
    for app in APPS:
        evolution.sql(f"INSERT INTO {app}_m (value) VALUES (1)")
        assert evolution.refuses(f"DELETE FROM {app}_m", "Cannot delete rows from")


# --- Changing tables and columns -------------------------------------------------------------


@pytest.mark.parametrize("level", ["Row", "Statement"])
def test_the_type_of_a_column_that_a_condition_uses_can_be_altered(evolution, level):
    trigger = guard()[:-1] + f", level=pgtrigger.{level})"
    evolution.evolve(m(trigger))
    evolution.evolve(m(trigger, "value = models.BigIntegerField(default=0)"))
    for app in APPS:
        evolution.sql(f"INSERT INTO {app}_m (value) VALUES (1)")
        assert evolution.refuses(f"DELETE FROM {app}_m", "Cannot delete rows from")
    (back,) = evolution.migrate_to("0001")
    assert set(back) == TWO
    for app in APPS:
        assert evolution.refuses(f"DELETE FROM {app}_m", "Cannot delete rows from")


def test_a_disabled_trigger_stays_disabled_when_a_column_is_altered(evolution):
    """DESIGN, section 5: enabled as they were."""
    evolution.evolve(m(guard()))
    for app in APPS:
        evolution.sql(f"ALTER TABLE {app}_m DISABLE TRIGGER USER")
    evolution.models(m(guard(), "value = models.BigIntegerField(default=0)"))
    report = evolution.run(["makemigrations"], ["migrate"])
    assert {tuple(status) for status in report["status"].values()} == {("INSTALLED", False)}


RENAMES = {
    "field": (
        'migrations.RenameField("M", "value", "worth")',
        m(guard("pgtrigger.Q(old__worth=1)"), "worth = models.IntegerField(default=0)"),
        "m",
    ),
    "model": ('migrations.RenameModel("M", "N")', m(guard(), name="N"), "n"),
    "table": (
        'migrations.AlterModelTable("M", "APP_moved")',
        m(guard()) + "        db_table = 'APP_moved'\n",
        "moved",
    ),
}


def rename(evolution, operation, source):
    """A rename as its author writes it, and the migrations of the triggers that follow."""
    for app in APPS:
        (first,) = (evolution.directory / app / "migrations").glob("0001*.py")
        evolution.write(
            f"{app}/migrations/0002_rename.py",
            "from django.db import migrations\n"
            "class Migration(migrations.Migration):\n"
            f"    atomic = {app == 'strict'}\n"
            f"    dependencies = [('{app}', '{first.stem}')]\n"
            f"    operations = [{operation.replace('APP', app)}]\n",
        )
    evolution.models(source)
    report = evolution.run(["makemigrations"], ["migrate"])
    assert len(report["new"]) <= 2
    assert report["again"] == []
    assert report["prunable"] == []
    return {tuple(status) for status in report["status"].values()}


@pytest.mark.parametrize(("operation", "source", "table"), RENAMES.values(), ids=RENAMES)
def test_renaming_leaves_exactly_the_declared_triggers(evolution, operation, source, table):
    """DESIGN, section 5: forwards and backwards."""
    evolution.evolve(m(guard()))
    for app in APPS:
        evolution.sql(f"INSERT INTO {app}_m (value) VALUES (1)")
    assert rename(evolution, operation, source) == {("INSTALLED", True)}
    assert set(evolution.triggers()) == {(f"{app}_{table}", "guard") for app in APPS}
    for app in APPS:
        assert evolution.refuses(f"DELETE FROM {app}_{table}", "Cannot delete rows from")
    (back,) = evolution.migrate_to("0001")
    assert set(back) == TWO
    for app in APPS:
        assert evolution.refuses(f"DELETE FROM {app}_m", "Cannot delete rows from")


@pytest.mark.parametrize(("operation", "source", "table"), RENAMES.values(), ids=RENAMES)
def test_renaming_leaves_a_disabled_trigger_disabled(evolution, operation, source, table):
    """DESIGN, section 5: enabled as they were."""
    evolution.evolve(m(guard()))
    for app in APPS:
        evolution.sql(f"ALTER TABLE {app}_m DISABLE TRIGGER USER")
    assert rename(evolution, operation, source) == {("INSTALLED", False)}
    evolution.migrate_to("0001")
    rows = evolution.sql("SELECT tgenabled FROM pg_trigger WHERE NOT tgisinternal")
    assert [state for (state,) in rows] == ["D", "D"]


# --- Proxies ---------------------------------------------------------------------------------

PEOPLE = """
class Group(models.Model):
    pass

class Person(models.Model):
    active = models.BooleanField(default=True)
    groups = models.ManyToManyField(Group)
"""


@pytest.fixture
def people(evolution):
    """Another app with models to make proxies of."""
    evolution.add_apps("people")
    evolution.models(PEOPLE, "people")
    evolution.run(["makemigrations"], ["migrate"])
    return evolution


def proxy(base, triggers, name="P", more=""):
    return f"""
from people.models import Person

class {name}({more}{base}):
    class Meta:
        proxy = True
        triggers = [{triggers}]
"""


def per_app(name="guard_APP", condition="None"):
    """The two apps put triggers on one table, so each has a name of its own."""
    return guard(condition, name=name)


def test_proxies_of_other_apps_models(people):
    people.evolve(proxy("Person", per_app()))
    assert set(people.triggers()) == {("people_person", f"guard_{app}") for app in APPS}
    people.evolve(proxy("Person", per_app(condition="pgtrigger.Q(old__active=True)")))
    assert "active" in people.triggers()["people_person", "guard_loose"]
    people.evolve("")
    assert people.triggers() == {}
    second, first, start = people.migrate_to("0002", "0001", "zero")
    assert set(second) == set(first) == {("people_person", f"guard_{app}") for app in APPS}
    assert "active" in second["people_person", "guard_loose"]
    assert "active" not in first["people_person", "guard_loose"]
    assert start == {}


def test_proxies_of_automatic_many_to_many_tables(people):
    people.evolve(proxy("Person.groups.through", per_app()))
    expected = {("people_person_groups", f"guard_{app}") for app in APPS}
    assert set(people.triggers()) == expected
    people.sql(
        "INSERT INTO people_person VALUES (1, true); INSERT INTO people_group VALUES (1);"
        "INSERT INTO people_person_groups VALUES (1, 1, 1)"
    )
    assert people.refuses("DELETE FROM people_person_groups", "Cannot delete rows from")
    people.evolve(proxy("Person.groups.through", per_app(condition="pgtrigger.Q(old__id=1)")))
    assert set(people.triggers()) == expected
    people.evolve(proxy("Person.groups.through", ""))
    assert people.triggers() == {}
    (back,) = people.migrate_to("0002")
    assert set(back) == expected


def test_proxies_with_mixins_and_abstract_bases(people):
    source = f"""
class Mixin:
    pass

class Base(models.Model):
    class Meta:
        abstract = True
        triggers = [{per_app()}]

{proxy("Person", per_app("own_APP"), more="Mixin, Base, ")}

class Inheriting(Base, Person):
    class Meta(Base.Meta):
        abstract = False
        proxy = True
        triggers = [{per_app("inherited_APP")}]
"""
    people.evolve(source)
    assert set(people.triggers()) == {
        ("people_person", f"{name}_{app}") for app in APPS for name in ("own", "inherited")
    }
    assert people.migrate_to("zero") == [{}]


USERS = """
from django.contrib.auth.models import User

class UserProxy(User):
    class Meta:
        proxy = True
        triggers = [pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]
"""
USER_GROUPS = """
class UserGroupTriggers(User.groups.through):
    class Meta:
        proxy = True
        triggers = [pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]
"""
ON_AUTH = {("auth_user", "protect_deletes"), ("auth_user_groups", "protect_deletes")}


@pytest.fixture
def with_auth(evolution):
    """Only the app "strict" has models, and no app but ours is asked for migrations."""
    text = (evolution.directory / "settings.py").read_text()
    auth = "'django.contrib.contenttypes', 'django.contrib.auth', 'pgtrigger'"
    evolution.write("settings.py", text.replace('"pgtrigger"', auth))
    return evolution


def test_proxies_of_users_and_of_their_group_table(with_auth):
    """As the seeds show it."""
    with_auth.models(USERS + USER_GROUPS, "strict")
    report = with_auth.run(["makemigrations", "strict"], ["migrate"])
    assert len(report["new"]) == 1
    assert report["again"] == []
    assert set(with_auth.triggers()) == ON_AUTH
    assert with_auth.migrate_to("zero", apps=["strict"]) == [{}]


def test_a_proxy_of_the_group_table_may_come_in_a_later_migration(with_auth):
    """What was migrated step by step can be migrated at once, on a new database."""
    with_auth.models(USERS, "strict")
    with_auth.run(["makemigrations", "strict"])
    with_auth.models(USERS + USER_GROUPS, "strict")
    report = with_auth.run(["makemigrations", "strict"], ["migrate"])
    assert len(report["new"]) == 1
    assert set(with_auth.triggers()) == ON_AUTH


# --- Apps without migrations -----------------------------------------------------------------


def test_run_syncdb_installs_meta_triggers(evolution):
    evolution.add_apps("unmigrated", migrated=False)
    evolution.models(m(guard()), "unmigrated")
    report = evolution.run(["migrate", "--run-syncdb"])
    assert report["status"] == {"unmigrated.M:guard": ("INSTALLED", True)}


def test_other_backends_that_subclass_djangos_are_served(evolution):
    evolution.write("backend/__init__.py", "")
    evolution.write(
        "backend/base.py",
        """
        from django.db.backends.postgresql import base, schema

        class SchemaEditor(schema.DatabaseSchemaEditor):
            def create_model(self, model):
                super().create_model(model)

        class DatabaseWrapper(base.DatabaseWrapper):
            SchemaEditorClass = SchemaEditor
        """,
    )
    evolution.add_apps("unmigrated", migrated=False, engine="backend")
    evolution.models(m(guard()), "unmigrated", *APPS)
    report = evolution.run(["makemigrations"], ["migrate", "--run-syncdb"])
    assert set(map(tuple, report["status"].values())) == {("INSTALLED", True)}
    assert len(report["status"]) == 3
    evolution.evolve(m(guard(), "value = models.BigIntegerField(default=0)"))


def model(name="Made", **fields):
    """A model of its own app registry."""
    return type(
        name,
        (models.Model,),
        {
            "__module__": "contract.models",
            "value": models.IntegerField(default=0),
            **fields,
            "Meta": type(
                "Meta",
                (),
                {
                    "app_label": "contract",
                    "apps": Apps(),
                    "triggers": [
                        pgtrigger.Protect(
                            name="protects",
                            operation=pgtrigger.Delete,
                            condition=pgtrigger.Q(old__value=1),
                        )
                    ],
                },
            ),
        },
    )


@pytest.mark.django_db
def test_create_model_installs_meta_triggers():
    made = model()
    with connection.schema_editor() as editor:
        editor.create_model(made)
    row = made.objects.create(value=1)
    with refused("Cannot delete rows from contract_made table"):
        row.delete()


@pytest.mark.django_db
def test_the_contracts_own_tables_got_their_triggers_that_way():
    statuses = {
        trigger.get_uri(found): trigger.get_installation_status(found)
        for found, trigger in pgtrigger.registered()
        if found.__module__ == "contract.models" and not found._meta.proxy
    }
    assert statuses
    assert set(statuses.values()) == {("INSTALLED", True)}


@pytest.mark.django_db(databases=["sqlite"], transaction=True)
def test_create_model_installs_nothing_on_other_database_systems():
    with connections["sqlite"].schema_editor(collect_sql=True) as editor:
        editor.create_model(model())
    assert not [sql for sql in editor.collected_sql if "trigger" in sql.lower()]


@pytest.mark.django_db
def test_create_model_installs_nothing_where_the_router_refuses(settings):
    settings.DATABASE_ROUTERS = [Router(lambda db, app_label, name: name != "made")]
    with connection.schema_editor() as editor:
        editor.create_model(model())
    assert definitions("contract_made") == {}


@pytest.mark.django_db
def test_the_schema_editor_alters_columns_that_conditions_use():
    made = model()
    with connection.schema_editor() as editor:
        editor.create_model(made)
    old, new = made._meta.get_field("value"), models.BigIntegerField(default=0)
    new.set_attributes_from_name("value")
    new.model = made
    with connection.schema_editor() as editor:
        editor.alter_field(made, old, new)
    assert one(
        "SELECT data_type FROM information_schema.columns"
        " WHERE table_name = 'contract_made' AND column_name = 'value'"
    ) == ("bigint")
    assert len(definitions("contract_made")) == 1


@pytest.mark.django_db
def test_the_schema_editor_can_be_turned_off_at_run_time(settings):
    made = model()
    with connection.schema_editor() as editor:
        editor.create_model(made)
    settings.PGTRIGGER_SCHEMA_EDITOR = False
    old, new = made._meta.get_field("value"), models.BigIntegerField(default=0)
    new.set_attributes_from_name("value")
    new.model = made
    with (
        pytest.raises(NotSupportedError, match="used in a trigger definition"),
        connection.schema_editor() as editor,
    ):
        editor.alter_field(made, old, new)


# --- Operations ------------------------------------------------------------------------------


def forwards(operation, using="default", **editor_options):
    """Applies an operation to the model CannotDelete, whose table is there."""
    state = ProjectState()
    state.add_model(models_state(CannotDelete))
    after = state.clone()
    operation.state_forwards("contract", after)
    with connections[using].schema_editor(**editor_options) as editor:
        operation.database_forwards("contract", editor, state, after)
    return editor


def models_state(found):
    from django.db.migrations.state import ModelState

    return ModelState.from_model(found)


def add_trigger(trigger):
    import pgtrigger.migrations

    return pgtrigger.migrations.AddTrigger(
        model_name="cannotdelete", trigger=trigger.compile(CannotDelete)
    )


@pytest.mark.django_db
def test_an_operation_installs_on_its_database():
    forwards(add_trigger(protects(pgtrigger.Update)))
    assert len(definitions("contract_cannotdelete")) == 2


@pytest.mark.django_db(databases=["sqlite"], transaction=True)
def test_operations_do_nothing_on_other_database_systems():
    editor = forwards(add_trigger(noop()), "sqlite", collect_sql=True)
    assert editor.collected_sql == []


@pytest.mark.django_db
def test_operations_do_nothing_where_the_router_refuses(settings):
    settings.DATABASE_ROUTERS = [Router(lambda db, app_label, name: name != "cannotdelete")]
    forwards(add_trigger(noop()))
    assert len(definitions("contract_cannotdelete")) == 1


@pytest.mark.django_db(databases=["other"])
def test_operations_touch_only_their_database():
    forwards(add_trigger(noop()), "other")
    assert len(definitions("contract_cannotdelete", "other")) == 2


@pytest.mark.django_db
def test_operations_reduce_when_migrations_are_squashed():
    """DESIGN, section 5."""
    from django.db.migrations import CreateModel, DeleteModel
    from django.db.migrations.optimizer import MigrationOptimizer

    import pgtrigger.migrations

    create = CreateModel("CannotDelete", [("id", models.BigAutoField(primary_key=True))])
    remove = pgtrigger.migrations.RemoveTrigger("cannotdelete", "noop")
    first, second = add_trigger(noop()), add_trigger(noop(func="RETURN OLD;"))

    def optimize(*operations):
        return MigrationOptimizer().optimize(list(operations), "contract")

    assert optimize(first, remove) == []
    assert optimize(first, remove, second) == [second]
    assert optimize(create, first, DeleteModel("CannotDelete")) == []
    assert optimize(create, first) == [create, first]
