"""Contract, section 7: the registry."""

import pytest
from django.apps import apps
from django.apps.registry import Apps
from django.db import models
from django.db.migrations.state import ModelState

import pgtrigger
from contract.helpers import Delete, Update, noop, protects
from contract.models import (
    CannotDelete,
    Child,
    Concrete,
    Decorated,
    OtherThingProxy,
    Parent,
    Post,
    Spy,
    Thing,
    ThingProxy,
)

NO_COLON = 'Trigger URI must be in the format of "app_label.model_name:trigger_name"'


# --- registered ------------------------------------------------------------------------------


def test_registered_lists_models_and_triggers():
    found = pgtrigger.registered("contract.CannotDelete:protect_deletes")
    assert type(found) is list
    assert found == [(CannotDelete, CannotDelete._meta.triggers[0])]


def test_registered_takes_several_uris():
    uris = [
        "contract.Post:freeze_published_model_allow_deactivation",
        "contract.CannotDelete:protect_deletes",
    ]
    assert [trigger.get_uri(model) for model, trigger in pgtrigger.registered(*uris)] == uris
    assert [model for model, _ in pgtrigger.registered(*uris)] == [Post, CannotDelete]


def test_registered_without_uris_lists_all():
    everything = pgtrigger.registered()
    uris = [trigger.get_uri(model) for model, trigger in everything]
    assert "contract.Versioned:versioning" in uris
    assert "contract.MemberDeletions:protect_deletes" in uris
    assert len(uris) == len(set(uris))


FUNCTIONS = {
    "registered": pgtrigger.registered,
    "is_ignored": pgtrigger.is_ignored,
    "ignore": lambda uri: pgtrigger.ignore(uri).__enter__(),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("uri", ["contract.Thing", "noop", ""])
def test_a_uri_without_a_colon_is_a_value_error(function, uri):
    with pytest.raises(ValueError, match="Trigger URI must be") as info:
        function(uri)
    assert NO_COLON in str(info.value)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("uri", ["contract.Thing:nope", "nope.Thing:noop", "contract.Nope:noop"])
def test_an_unknown_uri_is_a_key_error(function, uri):
    with pytest.raises(KeyError) as info:
        function(uri)
    assert f'URI "{uri}" not found in pgtrigger registry' in str(info.value)


@pytest.mark.parametrize("name", ["install", "uninstall", "enable", "disable"])
@pytest.mark.django_db
def test_functions_that_take_uris_refuse_bad_ones(name):
    with pytest.raises(ValueError, match="Trigger URI must be"):
        getattr(pgtrigger, name)("contract.Thing")
    with pytest.raises(KeyError, match="not found in pgtrigger registry"):
        getattr(pgtrigger, name)("contract.Thing:nope")


# --- Duplicates ------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [Thing, ThingProxy], ids=["itself", "proxy"])
def test_one_name_twice_on_one_table_is_refused(second):
    first, again = noop("twice"), protects(name="twice")
    with first.register(Thing):
        with pytest.raises(KeyError, match="already used") as info:
            again.register(second)
        assert "twice" in str(info.value)
        assert (second, again) not in pgtrigger.registered()


def test_one_name_twice_on_one_table_through_two_proxies_is_refused():
    with noop("twice").register(ThingProxy):
        with pytest.raises(KeyError, match="already used"):
            noop("twice").register(OtherThingProxy)
        with pytest.raises(KeyError, match="already used"):
            noop("twice").register(Thing)


def test_a_refused_trigger_is_in_no_meta():
    with noop("twice").register(Thing):
        with pytest.raises(KeyError):
            noop("twice").register(ThingProxy)
        assert not getattr(ThingProxy._meta, "triggers", [])


def test_the_same_object_again_is_fine():
    trigger = noop()
    with trigger.register(Thing):
        trigger.register(Thing)
        assert pgtrigger.registered().count((Thing, trigger)) == 1
        assert Thing._meta.triggers.count(trigger) == 1


def test_one_name_on_two_tables_is_fine():
    with noop().register(Thing), noop().register(Concrete), noop().register(Parent, Child):
        assert len(pgtrigger.registered("contract.Parent:noop", "contract.Child:noop")) == 2


def test_a_name_is_free_again_after_unregistering():
    first = noop("again")
    first.register(Thing)
    first.unregister(Thing)
    with noop("again").register(ThingProxy):
        assert pgtrigger.registered("contract.ThingProxy:again")


class Fixed(pgtrigger.Trigger):
    when = pgtrigger.Before
    operation = Update
    func = "RETURN NEW;"

    def get_pgid(self, model):
        return "pgtrigger_fixed_00000"


def test_two_triggers_with_one_postgres_id_are_refused():
    with Fixed(name="one").register(Thing):
        with pytest.raises(KeyError, match="already in use"):
            Fixed(name="two").register(Concrete)
        with pytest.raises(KeyError, match="already in use"):
            Fixed(name="two").register(Thing)


# --- Where triggers come from ----------------------------------------------------------------


def test_meta_triggers_are_collected_in_ready():
    assert CannotDelete._meta.triggers == [
        trigger for _, trigger in pgtrigger.registered("contract.CannotDelete:protect_deletes")
    ]


def test_models_with_their_own_apps_are_not_registered():
    class Apart(models.Model):
        class Meta:
            app_label = "contract"
            apps = Apps()
            triggers = [protects(Delete)]

    assert "contract.Apart:protects" not in {t.get_uri(m) for m, t in pgtrigger.registered()}
    with pytest.raises(KeyError, match="not found"):
        pgtrigger.registered("contract.Apart:protects")
    assert ModelState.from_model(Apart).options["triggers"]


def test_models_declared_later_are_not_registered_but_migrations_see_them():
    trigger = protects(Delete)
    try:
        late = type(
            "Late",
            (models.Model,),
            {
                "__module__": "contract.models",
                "Meta": type("Meta", (), {"app_label": "contract", "triggers": [trigger]}),
            },
        )
        assert "contract.Late:protects" not in {t.get_uri(m) for m, t in pgtrigger.registered()}
        assert late._meta.original_attrs["triggers"] == [trigger]
        assert ModelState.from_model(late).options["triggers"]
    finally:
        del apps.all_models["contract"]["late"]
        apps.clear_cache()


def test_register_works_while_models_load_and_compiles_nothing_then():
    assert Spy.asked_early == []
    assert {"contract.Decorated:decorator", "contract.Decorated:meta"} <= {
        trigger.get_uri(model) for model, trigger in pgtrigger.registered()
    }


def test_register_adds_to_the_meta_triggers():
    names = [trigger.name for trigger in Decorated._meta.triggers]
    assert sorted(names) == ["decorator", "meta"]
    assert sorted(t.name for t in Decorated._meta.original_attrs["triggers"]) == sorted(names)


def test_register_puts_the_trigger_into_meta_and_unregister_takes_it_out():
    trigger = noop()
    trigger.register(Thing)
    assert trigger in Thing._meta.triggers
    assert trigger in Thing._meta.original_attrs["triggers"]
    assert ModelState.from_model(Thing).options["triggers"]
    trigger.unregister(Thing)
    assert trigger not in getattr(Thing._meta, "triggers", [])
    assert trigger not in Thing._meta.original_attrs.get("triggers", [])


def test_unregister_leaves_the_other_triggers():
    trigger = noop()
    with trigger.register(CannotDelete):
        assert [t.name for t in CannotDelete._meta.triggers] == ["protect_deletes", "noop"]
    assert [t.name for t in CannotDelete._meta.triggers] == ["protect_deletes"]


def test_registering_on_a_child_of_an_abstract_base_leaves_its_siblings_alone():
    from contract.models import ExtendsMeta, InheritsMeta

    with noop().register(InheritsMeta):
        assert [t.name for t in ExtendsMeta._meta.triggers] == ["protect_deletes"]
        assert {t.name for t in InheritsMeta._meta.triggers} == {"protect_deletes", "noop"}


def test_the_decorator_takes_several_triggers_and_returns_the_model():
    first, second = noop("first"), noop("second")
    assert pgtrigger.register(first, second)(Thing) is Thing
    try:
        assert pgtrigger.registered("contract.Thing:first", "contract.Thing:second") == [
            (Thing, first),
            (Thing, second),
        ]
    finally:
        first.unregister(Thing)
        second.unregister(Thing)


def test_many_models_may_share_a_trigger_name():
    """DESIGN, section 5: five hex digits of the Postgres id clash long before 2,000 models."""
    registry = Apps()
    shared = [
        type(
            f"Shared{number}",
            (models.Model,),
            {
                "__module__": "contract.models",
                "Meta": type("Meta", (), {"app_label": "contract", "apps": registry}),
            },
        )
        for number in range(2000)
    ]
    trigger = noop("shared")
    assert len({trigger.get_pgid(model) for model in shared}) < 2000
    with trigger.register(*shared):
        assert len([1 for _, found in pgtrigger.registered() if found is trigger]) == 2000
