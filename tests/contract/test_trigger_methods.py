"""Contract, section 4: methods of a trigger."""

import hashlib
import re

import pytest

import pgtrigger
from contract.helpers import (
    After,
    Before,
    Delete,
    Insert,
    Router,
    Update,
    definitions,
    logged,
    logs,
    noop,
    one,
    protects,
    refused,
    run,
    trigger_functions,
)
from contract.models import (
    Child,
    ColumnNames,
    Concrete,
    Log,
    Parent,
    Partitioned,
    Thing,
    ThingProxy,
)

pytestmark = pytest.mark.django_db
TABLE = "contract_thing"


def is_registered(model, trigger):
    return (model, trigger) in pgtrigger.registered()


def status(trigger, model=Thing):
    return trigger.get_installation_status(model)


# --- register, unregister --------------------------------------------------------------------


def test_register_and_unregister_act_at_once_on_every_model():
    trigger = noop()
    trigger.register(Thing, Concrete)
    assert is_registered(Thing, trigger)
    assert is_registered(Concrete, trigger)
    trigger.unregister(Thing, Concrete)
    assert not is_registered(Thing, trigger)
    assert not is_registered(Concrete, trigger)


def test_register_is_undone_on_exit():
    trigger = noop()
    with trigger.register(Thing, Concrete):
        assert is_registered(Concrete, trigger)
    assert not is_registered(Thing, trigger)
    assert not is_registered(Concrete, trigger)


def test_register_is_undone_after_an_exception():
    trigger = noop()
    with pytest.raises(ZeroDivisionError), trigger.register(Thing):
        raise ZeroDivisionError
    assert not is_registered(Thing, trigger)


def test_unregister_is_undone_on_exit():
    trigger = noop()
    with trigger.register(Thing):
        with trigger.unregister(Thing):
            assert not is_registered(Thing, trigger)
        assert is_registered(Thing, trigger)
    assert not is_registered(Thing, trigger)


def test_undoing_a_registration_is_idempotent():
    trigger = noop()
    undo = trigger.register(Thing)
    with undo:
        trigger.unregister(Thing)
    undo.__exit__(None, None, None)
    assert not is_registered(Thing, trigger)


def test_undoing_an_unregistration_is_idempotent():
    trigger = noop()
    trigger.register(Thing)
    try:
        with trigger.unregister(Thing):
            trigger.register(Thing)
        assert pgtrigger.registered().count((Thing, trigger)) == 1
    finally:
        trigger.unregister(Thing)


# --- install, uninstall, enable, disable -----------------------------------------------------


def test_install_acts_at_once():
    trigger = noop()
    trigger.install(Thing)
    assert list(definitions(TABLE)) == [trigger.get_pgid(Thing)]


def test_install_is_undone_on_exit():
    trigger = noop()
    with trigger.install(Thing):
        assert status(trigger) == ("INSTALLED", True)
    assert status(trigger) == ("UNINSTALLED", None)
    assert definitions(TABLE) == {}


def test_uninstall_acts_at_once_and_is_undone_on_exit():
    trigger = noop()
    trigger.install(Thing)
    trigger.uninstall(Thing)
    assert status(trigger) == ("UNINSTALLED", None)
    trigger.install(Thing)
    with trigger.uninstall(Thing):
        assert definitions(TABLE) == {}
    assert status(trigger) == ("INSTALLED", True)


def test_disable_acts_at_once_and_is_undone_on_exit():
    trigger = protects()
    trigger.install(Thing)
    trigger.disable(Thing)
    assert status(trigger) == ("INSTALLED", False)
    Thing.objects.create().delete()
    trigger.enable(Thing)
    with trigger.disable(Thing):
        Thing.objects.create().delete()
    assert status(trigger) == ("INSTALLED", True)
    thing = Thing.objects.create()
    with refused("Cannot delete rows from"):
        thing.delete()


def test_enable_acts_at_once_and_is_undone_on_exit():
    trigger = protects()
    trigger.install(Thing)
    trigger.disable(Thing)
    with trigger.enable(Thing):
        assert status(trigger) == ("INSTALLED", True)
        thing = Thing.objects.create()
        with refused("Cannot delete rows from"):
            thing.delete()
    assert status(trigger) == ("INSTALLED", False)


def test_undoing_an_installation_is_idempotent():
    trigger = noop()
    undo = trigger.install(Thing)
    with undo:
        trigger.uninstall(Thing)
    undo.__exit__(None, None, None)
    assert status(trigger) == ("UNINSTALLED", None)


def test_undoing_an_uninstallation_is_idempotent():
    trigger = noop()
    trigger.install(Thing)
    undo = trigger.uninstall(Thing)
    with undo:
        trigger.install(Thing)
    undo.__exit__(None, None, None)
    assert status(trigger) == ("INSTALLED", True)


def test_undoing_disable_and_enable_is_idempotent():
    trigger = noop()
    trigger.install(Thing)
    undo = trigger.disable(Thing)
    with undo:
        trigger.enable(Thing)
    undo.__exit__(None, None, None)
    assert status(trigger) == ("INSTALLED", True)
    trigger.disable(Thing)
    undo = trigger.enable(Thing)
    with undo:
        trigger.disable(Thing)
    undo.__exit__(None, None, None)
    assert status(trigger) == ("INSTALLED", False)


def test_methods_may_be_repeated():
    trigger = noop()
    for method in ("install", "disable", "enable", "uninstall"):
        getattr(trigger, method)(Thing)
        getattr(trigger, method)(Thing)
    assert status(trigger) == ("UNINSTALLED", None)


def test_install_takes_a_model_instance():
    noop().install(Thing.objects.create())
    assert len(definitions(TABLE)) == 1


def test_install_on_a_proxy_reaches_the_concrete_table():
    noop().install(ThingProxy)
    assert len(definitions(TABLE)) == 1


@pytest.mark.django_db(databases=["default", "other"])
def test_methods_take_a_database():
    trigger = noop()
    trigger.install(Thing, database="other")
    assert definitions(TABLE, "default") == {}
    assert len(definitions(TABLE, "other")) == 1
    trigger.disable(Thing, database="other")
    assert trigger.get_installation_status(Thing, database="other") == ("INSTALLED", False)
    trigger.enable(Thing, database="other")
    assert trigger.get_installation_status(Thing, database="other") == ("INSTALLED", True)
    assert trigger.get_installation_status(Thing) == ("UNINSTALLED", None)
    trigger.uninstall(Thing, database="other")
    assert definitions(TABLE, "other") == {}


# --- get_installation_status -----------------------------------------------------------------


def test_status_installed_uninstalled_outdated():
    trigger = noop()
    found, enabled = status(trigger)
    assert (found, enabled) == ("UNINSTALLED", None)
    trigger.install(Thing)
    found, enabled = status(trigger)
    assert found == "INSTALLED"
    assert enabled is True
    trigger.func = "RETURN OLD;"
    found, enabled = status(trigger)
    assert found == "OUTDATED"
    assert enabled is True
    trigger.disable(Thing)
    found, enabled = status(trigger)
    assert found == "OUTDATED"
    assert enabled is False


@pytest.mark.parametrize(
    "change",
    [
        {"operation": Insert},
        {"when": After},
        {"level": pgtrigger.Statement},
        {"condition": pgtrigger.AnyChange("flag")},
        {"func": "RETURN OLD;"},
        {"declare": [("a", "INT")]},
        {"when": After, "timing": pgtrigger.Deferred},
    ],
    ids=lambda change: next(reversed(change)),
)
def test_every_part_of_a_trigger_counts_for_its_status(change):
    noop().install(Thing)
    changed = noop(**change)
    assert status(changed) == ("OUTDATED", True)
    changed.install(Thing)
    assert status(changed) == ("INSTALLED", True)


@pytest.mark.parametrize("mode", ["REPLICA", "ALWAYS"])
def test_enabled_is_exactly_a_boolean_in_every_mode_of_postgres(mode):
    trigger = noop()
    trigger.install(Thing)
    run(f'ALTER TABLE {TABLE} ENABLE {mode} TRIGGER "{trigger.get_pgid(Thing)}"')
    found, enabled = status(trigger)
    assert found == "INSTALLED"
    # Here, where nothing is replicated, a trigger for replicas does not fire.
    assert enabled is (mode == "ALWAYS")


def test_status_is_unallowed_where_the_router_refuses(settings):
    settings.DATABASE_ROUTERS = [Router(lambda db, app_label, model_name: model_name != "thing")]
    assert status(noop()) == ("UNALLOWED", None)
    assert status(noop(), Concrete) == ("UNINSTALLED", None)


def test_the_status_of_a_missing_table_is_no_error():
    assert status(noop(), Partitioned) == ("UNINSTALLED", None)


@pytest.mark.django_db(databases=["default", "sqlite"])
def test_the_status_on_another_database_system_is_no_error():
    found, enabled = noop().get_installation_status(Thing, database="sqlite")
    assert found in {"UNALLOWED", "UNINSTALLED"}
    assert enabled is None


def test_a_changed_comment_makes_a_trigger_outdated():
    """The comment carries the hash (DESIGN, section 5)."""
    trigger = noop()
    trigger.install(Thing)
    run(f"COMMENT ON TRIGGER \"{trigger.get_pgid(Thing)}\" ON {TABLE} IS 'elsewhere'")
    assert status(trigger) == ("OUTDATED", True)
    trigger.install(Thing)
    assert status(trigger) == ("INSTALLED", True)


# --- get_pgid, get_uri -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "Mixed-Case", "n" * 47])
def test_pgid_is_made_of_the_name_and_the_sha1_of_the_uri(name):
    trigger = noop(name)
    uri = f"contract.Thing:{name}"
    assert trigger.get_uri(Thing) == uri
    digest = hashlib.sha1(uri.encode(), usedforsecurity=False).hexdigest()[:5]
    assert trigger.get_pgid(Thing) == f"pgtrigger_{name}_{digest}".lower()
    trigger.install(Thing)
    assert list(definitions(TABLE)) == [f"pgtrigger_{name}_{digest}".lower()]


def test_pgid_is_asked_each_time():
    trigger = noop("first")
    before = trigger.get_pgid(Thing)
    trigger.name = "second"
    assert trigger.get_pgid(Thing) != before
    assert trigger.get_pgid(Thing).startswith("pgtrigger_second_")


def test_a_pgid_above_63_characters_is_a_value_error():
    trigger = noop()
    trigger.name = "n" * 47
    assert len(trigger.get_pgid(Thing)) == 63
    trigger.name = "n" * 48
    with pytest.raises(ValueError, match="63"):
        trigger.get_pgid(Thing)


def test_uris_name_the_model_they_are_asked_for():
    assert noop().get_uri(ThingProxy) == "contract.ThingProxy:noop"
    assert noop().get_uri(Child) == "contract.Child:noop"
    assert noop().get_pgid(ThingProxy) != noop().get_pgid(Thing)


def test_validate_name():
    trigger = noop()
    trigger.validate_name()
    trigger.name = "n" * 48
    with pytest.raises(ValueError, match="> 47"):
        trigger.validate_name()
    trigger.name = "a b"
    with pytest.raises(ValueError, match="alphanumeric"):
        trigger.validate_name()


# --- What subclasses override ----------------------------------------------------------------


def test_get_methods_return_what_was_declared():
    condition, func = pgtrigger.AnyChange("flag"), pgtrigger.Func("RETURN NEW;")
    trigger = noop(condition=condition, func=func, declare=[("a", "INT")])
    assert trigger.get_condition(Thing) is condition
    assert trigger.get_func(Thing) is func
    assert trigger.get_declare(Thing) == [("a", "INT")]
    assert not noop().get_condition(Thing)
    assert not noop().get_declare(Thing)


def test_get_func_template_kwargs():
    kwargs = noop().get_func_template_kwargs(ColumnNames)
    assert kwargs["meta"] is ColumnNames._meta
    assert kwargs["columns"].value == "Renamed"
    assert kwargs["fields"].value.name == "value"


class Everything(pgtrigger.Trigger):
    """Overrides all that subclasses override."""

    name = "everything"
    when = After
    operation = Update

    def get_condition(self, model):
        return pgtrigger.AnyChange(model._meta.fields[1].name)

    def get_declare(self, model):
        return [("message", "TEXT")]

    def get_func(self, model):
        return pgtrigger.Func(
            "message = '{greeting} {meta.model_name}';"
            f"INSERT INTO {Log._meta.db_table}(new) VALUES (message); RETURN NULL;"
        )

    def get_func_template_kwargs(self, model):
        return {**super().get_func_template_kwargs(model), "greeting": "hello"}

    def get_pgid(self, model):
        return f"pgtrigger_own_{model._meta.model_name}"


def test_subclasses_override_the_get_methods():
    trigger = Everything()
    trigger.install(Thing)
    assert list(definitions(TABLE)) == ["pgtrigger_own_thing"]
    thing = Thing.objects.create()
    thing.flag = False
    thing.save()
    thing.int_field = 1
    thing.save()
    assert logged() == ["hello thing"]
    assert trigger.get_installation_status(Thing) == ("INSTALLED", True)
    trigger.uninstall(Thing)
    assert definitions(TABLE) == {}


def test_a_trigger_with_its_own_pgid_can_be_ignored(live):
    live(Thing, Everything())
    thing = Thing.objects.create()
    with pgtrigger.ignore("contract.Thing:everything"):
        Thing.objects.update(int_field=1)
    assert logged() == []
    thing.save()
    assert logged() == ["hello thing"]


# --- render… ---------------------------------------------------------------------------------


def test_render_declare():
    assert noop(declare=[("a", "T"), ("b", "U")]).render_declare(Thing) == "DECLARE a T; b U;"
    assert noop().render_declare(Thing) == ""


def test_render_func():
    assert "RETURN NEW;" in noop().render_func(Thing)
    func = pgtrigger.Func("PERFORM NEW.{columns.value}; RETURN NEW;")
    assert "Renamed" in noop(func=func).render_func(ColumnNames)


def test_render_condition():
    rendered = noop(condition=pgtrigger.Q(old__int_field=1)).render_condition(Thing)
    assert 'OLD."int_field" = 1' in rendered
    assert "int_field" not in noop().render_condition(Thing)


def test_render_execute():
    assert re.search(r"pgtrigger_noop_\w+\W*\(\)", noop().render_execute(Thing))


def test_format_sql_keeps_the_meaning():
    formatted = noop().format_sql("SELECT   1,  'a  b'")
    assert isinstance(formatted, str)
    assert re.sub(r"\s+", " ", formatted.replace("'a  b'", "?")).strip() == "SELECT 1, ?"
    assert "'a  b'" in formatted


# --- compile ---------------------------------------------------------------------------------


def test_compile_gives_a_hash_that_only_depends_on_the_trigger():
    assert noop().compile(Thing).hash == noop().compile(Thing).hash
    assert noop().compile(Thing).hash != noop(func="RETURN OLD;").compile(Thing).hash
    assert noop().compile(Thing).hash != noop("other").compile(Thing).hash


def test_compiled_triggers_are_compared_by_value():
    assert noop().compile(Thing) == noop().compile(Thing)
    assert noop().compile(Thing) != noop(operation=Insert).compile(Thing)


def test_white_space_outside_literals_does_not_count():
    """DESIGN, section 5."""
    plain = noop(func="PERFORM 'a b'; RETURN NEW;")
    spaced = noop(func="\n    PERFORM   'a b';\n\n    RETURN NEW;\n")
    literal = noop(func="PERFORM 'a  b'; RETURN NEW;")
    dollars = noop(func="PERFORM $x$a b$x$; RETURN NEW;")
    dollars_spaced = noop(func="PERFORM $x$a  b$x$; RETURN NEW;")
    assert plain.compile(Thing) == spaced.compile(Thing)
    assert plain.compile(Thing) != literal.compile(Thing)
    assert dollars.compile(Thing) != dollars_spaced.compile(Thing)
    plain.install(Thing)
    assert status(spaced) == ("INSTALLED", True)
    assert status(literal) == ("OUTDATED", True)


@pytest.mark.django_db(databases=[])
def test_compile_needs_no_database():
    trigger = noop(condition=pgtrigger.Q(old__char_field="it's 100%") & pgtrigger.Q(new__flag=True))
    assert trigger.compile(Thing).hash


# --- allow_migrate ---------------------------------------------------------------------------


def test_allow_migrate_asks_the_router(settings):
    assert noop().allow_migrate(Thing, "default") is True
    router = Router(lambda db, app_label, model_name: model_name != "thing")
    settings.DATABASE_ROUTERS = [router]
    assert noop().allow_migrate(Thing, "default") is False
    assert noop().allow_migrate(ThingProxy, "default") is False
    assert noop().allow_migrate(Concrete, "default") is True
    assert {db for db, *_ in router.asked} == {"default"}


def test_a_router_that_refuses_makes_install_do_nothing(settings):
    settings.DATABASE_ROUTERS = [Router(lambda *_: False)]
    noop().install(Thing)
    assert definitions(TABLE) == {}


# --- Multi-table inheritance -----------------------------------------------------------------


def test_a_child_has_its_own_table():
    trigger = protects(operation=Delete | Update)
    trigger.install(Child)
    child = Child.objects.create()
    Parent.objects.update(on_parent=3)
    with refused("Cannot update rows from contract_child table"):
        Child.objects.update(on_child=3)
    with refused("Cannot delete rows from contract_child table"):
        child.delete()


def test_uninstall_leaves_no_function():
    before = trigger_functions()
    trigger = noop(when=Before)
    trigger.install(Thing)
    assert len(trigger_functions()) == len(before) + 1
    trigger.uninstall(Thing)
    assert trigger_functions() == before
    assert one("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pgtrigger_noop%'") == 0


def test_a_logging_trigger_with_a_name_in_capitals_works():
    logs(name="LOUD").install(Thing)
    Thing.objects.create().save()
    assert logged() == ["fired"]
