"""pgtrigger.migrations autodetector: which operations makemigrations finds, without a database."""

import pytest
from django.db import migrations, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ModelState, ProjectState

import pgtrigger
from pgtrigger.errors import DeclarationError
from pgtrigger.migrations import AddTrigger, AddTriggers, AlterTrigger, RemoveTrigger
from pgtrigger.migrations._autodetector import TriggerAutodetector, with_triggers
from pgtrigger.migrations._ordering import BULK
from shop.database import noop

Autodetector = with_triggers(MigrationAutodetector)


class Yes(MigrationQuestioner):
    """Renames whatever may have been renamed."""

    def ask_rename_model(self, old, new):
        return True

    def ask_rename(self, *args):
        return True


def model(name="Thing", triggers=(), app="app", fields=(), bases=(models.Model,), **options):
    given = [] if options.get("proxy") else [("id", models.BigAutoField(primary_key=True)), *fields]
    return ModelState(app, name, given, {"triggers": [*triggers], **options}, bases)


def project(*model_states, real_apps=()):
    state = ProjectState(real_apps={*real_apps})
    for model_state in model_states:
        state.add_model(model_state.clone())
    return state


def compiled(*model_states):
    """The state as migrations have it: with compiled triggers."""
    state = project(*model_states)
    for key, model_state in state.models.items():
        rendered = state.apps.get_model(*key)
        declared = model_state.options.get("triggers", [])
        model_state.options["triggers"] = [t.compile(rendered) for t in declared]
    return state


def changes(before, after, **kwargs):
    """The operations by app."""
    found = Autodetector(before, after, Yes())._detect_changes(**kwargs)
    return {app: [o for m in ms for o in m.operations] for app, ms in found.items()}


def names(operations):
    return [
        (type(o).__name__, getattr(o, "trigger_name", getattr(o, "name", None))) for o in operations
    ]


@pytest.fixture(autouse=True)
def no_database(django_db_blocker):
    with django_db_blocker.block():
        yield


def test_a_new_model_brings_its_triggers_after_it(settings):
    found = changes(project(), project(model(triggers=[noop("a"), noop("b")])))
    assert names(found["app"]) == [
        ("CreateModel", "Thing"),
        ("AddTrigger", "a"),
        ("AddTrigger", "b"),
    ]
    assert "triggers" not in found["app"][0].options
    assert found["app"][1].trigger.name == "a"


def test_unchanged_triggers_are_nothing():
    thing = model(triggers=[noop("a", func="RETURN NEW;")])
    assert changes(compiled(thing), project(thing)) == {}
    spaced = model(triggers=[noop("a", func="  RETURN\n  NEW; ")])
    assert changes(compiled(thing), project(spaced)) == {}


def test_added_changed_and_removed_triggers_are_one_operation_each():
    before = model(triggers=[noop("a"), noop("b"), noop("c")])
    after = model(triggers=[noop("b", func="RETURN OLD;"), noop("c"), noop("d")])
    found = changes(compiled(before), project(after))
    assert names(found["app"]) == [
        ("RemoveTrigger", "a"),
        ("AlterTrigger", "b"),
        ("AddTrigger", "d"),
    ]
    assert [type(o) for o in found["app"]] == [RemoveTrigger, AlterTrigger, AddTrigger]


def test_a_trigger_on_a_new_field_comes_after_the_field():
    condition = pgtrigger.Q(new__size=1)
    before, after = (
        model(),
        model(
            triggers=[noop("a", condition=condition)],
            fields=[("size", models.IntegerField(default=0))],
        ),
    )
    assert [type(o).__name__ for o in changes(compiled(before), project(after))["app"]] == [
        "AddField",
        "AddTrigger",
    ]
    assert [type(o).__name__ for o in changes(compiled(after), project(before))["app"]] == [
        "RemoveTrigger",
        "RemoveField",
    ]


def test_a_deleted_model_gives_its_triggers_back_when_it_is_reversed():
    thing = model(triggers=[noop("a"), noop("b")])
    found = changes(compiled(thing), project())
    assert names(found["app"]) == [
        ("RemoveTrigger", "a"),
        ("RemoveTrigger", "b"),
        ("DeleteModel", "Thing"),
    ]


def test_a_renamed_model_has_its_triggers_altered_in_place():
    fields = [("size", models.IntegerField())]
    before = model("Old", [noop("a"), noop("b")], fields=fields)
    after = model("New", [noop("a")], fields=fields)
    found = changes(compiled(before), project(after))["app"]
    assert [type(o).__name__ for o in found] == ["RenameModel", "AlterTrigger", "RemoveTrigger"]
    assert all(o.model_name == "new" for o in found[1:])


def test_a_renamed_field_alters_the_trigger_that_names_it():
    before = model(
        triggers=[noop("a", condition=pgtrigger.Q(new__old=1))],
        fields=[("old", models.IntegerField())],
    )
    after = model(
        triggers=[noop("a", condition=pgtrigger.Q(new__new=1))],
        fields=[("new", models.IntegerField())],
    )
    found = changes(compiled(before), project(after))["app"]
    assert [type(o).__name__ for o in found] == ["RenameField", "AlterTrigger"]


def test_a_table_that_is_renamed_keeps_its_triggers():
    before, after = model(triggers=[noop("a")]), model(triggers=[noop("a")], db_table="other")
    found = changes(compiled(before), project(after))["app"]
    assert [type(o).__name__ for o in found] == ["AlterModelTable"]


def test_a_proxy_of_another_app_waits_for_that_apps_changes():
    base = model("Base", app="base", fields=[("size", models.IntegerField())])
    proxy = model("Proxy", [noop("a")], bases=("base.base",), proxy=True)
    found = Autodetector(project(), project(base, proxy), Yes())._detect_changes()
    (migration,) = found["app"]
    assert [type(o).__name__ for o in migration.operations] == ["CreateModel", "AddTrigger"]
    assert any(app == "base" for app, _ in migration.dependencies)


def test_a_proxy_of_its_own_app_waits_for_nobody():
    base = model("Base", fields=[("size", models.IntegerField())])
    proxy = model("Proxy", [noop("a")], bases=("app.base",), proxy=True)
    (migration,) = Autodetector(project(), project(base, proxy), Yes())._detect_changes()["app"]
    assert names(migration.operations)[-1] == ("AddTrigger", "a")
    assert migration.dependencies == []


def test_a_state_that_is_not_the_installed_models_own_is_compiled_as_it_is():
    condition = pgtrigger.Q(new__elsewhere=1)  # a field that the installed model does not have
    fields = [("elsewhere", models.IntegerField(default=0))]
    state = model("Order", [noop("a", condition=condition)], app="shop", fields=fields)
    found = changes(project(), project(state))
    assert 'NEW."elsewhere" = 1' in str(found["shop"][-1].trigger)


def test_a_deleted_proxy_takes_its_triggers_along():
    base = model("Base", fields=[("size", models.IntegerField())])
    proxy = model("Proxy", [noop("a")], bases=("app.base",), proxy=True)
    found = changes(compiled(base, proxy), project(base))["app"]
    assert names(found) == [("RemoveTrigger", "a"), ("DeleteModel", "Proxy")]


def test_unmanaged_models_are_served_and_can_be_deleted():
    view = model("View", [noop("a")], managed=False)
    assert names(changes(project(), project(view))["app"])[-1] == ("AddTrigger", "a")
    assert names(changes(compiled(view), project())["app"])[0] == ("RemoveTrigger", "a")


def test_apps_without_migrations_are_left_alone_unless_they_are_to_get_some():
    thing = model(triggers=[noop("a")])
    view = model("View", [noop("b")], managed=False)
    before = project(real_apps=["app"])
    found = changes(before, project(thing, view))
    assert not [o for o in found.get("app", []) if isinstance(o, AddTrigger)]
    found = changes(before, project(thing, view), convert_apps={"app"})
    assert [name for kind, name in names(found["app"]) if kind == "AddTrigger"] == ["a", "b"]


def test_migrations_can_be_turned_off(settings):
    settings.PGTRIGGER_MIGRATIONS = False
    found = changes(project(), project(model(triggers=[noop("a")])))
    assert names(found["app"]) == [("CreateModel", "Thing")]


def test_several_apps_are_compared_in_the_same_order_every_time():
    states = [model(f"M{i}", [noop("b"), noop("a")], app=f"app{i % 2}") for i in range(4)]
    one, other = changes(project(), project(*states)), changes(project(), project(*states[::-1]))
    triggers = {
        app: [o.deconstruct() for o in operations if isinstance(o, AddTrigger)]
        for app, operations in one.items()
    }
    assert triggers == {
        app: [o.deconstruct() for o in operations if isinstance(o, AddTrigger)]
        for app, operations in other.items()
    }


def test_the_states_of_the_caller_are_left_as_they_were():
    before, after = compiled(model(triggers=[noop("a")])), project(model(triggers=[noop("b")]))
    changes(before, after)
    assert [t.name for t in before.models["app", "thing"].options["triggers"]] == ["a"]
    assert [t.name for t in after.models["app", "thing"].options["triggers"]] == ["b"]


def test_names_of_migrations_come_from_the_triggers():
    before, after = compiled(model()), project(model(triggers=[noop("a-b")]))
    (migration,) = Autodetector(before, after, Yes())._detect_changes()["app"]
    assert migration.suggest_name() == "thing_a_b"


def test_an_autodetector_is_extended_once():
    assert with_triggers(Autodetector) is Autodetector
    assert with_triggers(MigrationAutodetector) is Autodetector
    assert issubclass(Autodetector, TriggerAutodetector)
    assert issubclass(Autodetector, MigrationAutodetector)


def test_makemigrations_and_migrate_use_it():
    from django.core.management.commands import makemigrations, migrate

    for command in (makemigrations.Command, migrate.Command):
        assert issubclass(command.autodetector, TriggerAutodetector)


def test_a_project_without_triggers_is_compared_as_ever():
    found = changes(
        project(), project(ModelState("app", "Plain", [("id", models.AutoField(primary_key=True))]))
    )
    assert [type(o) for o in found["app"]] == [migrations.CreateModel]


# --- Order ------------------------------------------------------------------------------------


def test_many_additions_are_one_operation():
    things = [model(f"Thing{i}", [noop("a"), noop("b")]) for i in range(BULK // 2)]
    (*created, bulk) = changes(project(), project(*things))["app"]
    assert {type(operation).__name__ for operation in created} == {"CreateModel"}
    assert isinstance(bulk, AddTriggers)
    assert {name: [t.name for t in added] for name, added in bulk.triggers.items()} == {
        f"thing{i}": ["a", "b"] for i in range(BULK // 2)
    }
    assert not [
        operation
        for operation in changes(project(), project(*things[1:]))["app"]
        if isinstance(operation, AddTriggers)
    ]


def test_many_additions_come_before_other_changes():
    things = [model(f"Thing{i}", [noop("a")]) for i in range(BULK)]
    changed = model("Changed", [noop("a", func="RETURN OLD;")])
    before = compiled(model("Changed", [noop("a")]))
    *_, bulk, alter = changes(before, project(changed, *things))["app"]
    assert isinstance(bulk, AddTriggers)
    assert isinstance(alter, AlterTrigger)


def test_a_trigger_lets_go_of_a_field_before_it_is_removed():
    size, weight = (("size", models.IntegerField()), ("weight", models.IntegerField()))
    any_change = noop("a", condition=pgtrigger.AnyChange())
    before = model(triggers=[any_change], fields=[size, weight])
    found = changes(compiled(before), project(model(triggers=[any_change], fields=[size])))
    assert [type(o).__name__ for o in found["app"]] == ["AlterTrigger", "RemoveField"]


def test_a_trigger_that_needs_a_new_field_waits_for_it():
    before = model(triggers=[any_change()], fields=[("old", models.IntegerField())])
    after = model(triggers=[any_change()], fields=[("new", models.TextField(default=""))])
    found = changes(compiled(before), project(after))
    assert [type(o).__name__ for o in found["app"]] == ["RemoveField", "AddField", "AlterTrigger"]


def any_change():
    return noop("a", condition=pgtrigger.AnyChange())


def dependencies(before, after):
    found = Autodetector(before, after, Yes())._detect_changes()
    return {
        app: [{dependency for dependency, _ in m.dependencies} for m in ms]
        for app, ms in found.items()
    }


def test_a_trigger_waits_for_the_models_that_its_function_uses():
    used = model("Used", app="base", fields=[("size", models.IntegerField())])
    assert dependencies(project(), project(used, model(triggers=[noop("a")]))) == {
        "app": [set()],
        "base": [set()],
    }
    waiting = model(triggers=[noop("a", depends_on=["base.Used"])])
    assert dependencies(project(), project(used, waiting)) == {"app": [{"base"}], "base": [set()]}


def test_models_to_wait_for_are_named_with_their_app():
    for wrong in ("base.Used", ["Used"], ["base.Used.x"], [""]):
        with pytest.raises(DeclarationError, match="depends_on"):
            noop("a", depends_on=wrong)


@pytest.mark.parametrize("other", ["zzz", "aaa"])
def test_a_field_stays_until_a_proxy_of_another_app_has_let_go_of_it(other):
    size, weight = (("size", models.IntegerField()), ("weight", models.IntegerField()))

    def proxy():
        return model("Proxy", [any_change()], app=other, bases=("app.thing",), proxy=True)

    before = compiled(model(fields=[size, weight]), proxy())
    after = project(model(fields=[size]), proxy())
    found = dependencies(before, after)
    assert found["app"] == [{other}]
    assert len(found[other]) == 1


@pytest.mark.parametrize("other", ["zzz", "aaa"])
def test_a_table_goes_after_a_proxy_of_another_app(other):
    proxy = model("Proxy", [noop("a")], app=other, bases=("app.thing",), proxy=True)
    before = compiled(model(), proxy)
    found = dependencies(before, project())
    assert found == {"app": [{other}], other: [set()]}
