"""pgtrigger.checks: each fault of a declaration is one message, by id, before any database."""

import datetime

import pytest
from django.apps import apps
from django.core import checks

import pgtrigger
from pgtrigger import checks as ours
from pgtrigger.checks import check_poolers, check_triggers
from pgtrigger.errors import PluginError
from pgtrigger.plugins import Plugins
from pgtrigger.registry import registry
from project.routers import Router
from shop.database import noop
from shop.models import Product

Q = pgtrigger.Q


@pytest.fixture(autouse=True)
def no_database(django_db_blocker):
    with django_db_blocker.block():
        yield


@pytest.fixture
def messages(monkeypatch):
    """`messages(trigger)`: what the checks have to say about it."""

    def check(trigger, model=Product):
        monkeypatch.setattr(registry, "_by_uri", {"x": (model, trigger)})
        return check_triggers(None)

    return check


def test_a_sound_trigger_is_nothing_to_say(messages):
    assert messages(noop(condition=Q(new__stock=1))) == []


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        ({"condition": Q(new__nothing=1)}, "E001"),
        ({"condition": pgtrigger.AnyChange("nothing")}, "E001"),
        ({"operation": pgtrigger.UpdateOf("nothing")}, "E001"),
        ({"func": pgtrigger.Func("{columns.nothing}")}, "E001"),
        ({"condition": Q(stock=1)}, "E002"),
        ({"condition": Q(new__tags=1)}, "E002"),
        ({"condition": Q(new__stock="text")}, "E002"),
        ({"condition": Q(new__stock=b"no number")}, "E002"),
        ({"condition": Q(new__stock__nothing=1)}, "E002"),
        ({"condition": Q(new__created_at__gt="nonsense")}, "E002"),
        ({"condition": Q(new__attributes=datetime.date)}, "E002"),
        ({"condition": Q(new__stock__df=object)}, "E002"),
        ({"condition": Q(new__stock=pgtrigger.F("new__stock__nothing"))}, "E002"),
        ({"func": pgtrigger.Func("{nothing}")}, "E002"),
        ({"func": pgtrigger.Func("{fields.stock:zz}")}, "E002"),
        ({"func": None}, "E002"),
        ({"level": pgtrigger.Statement, "condition": Q(new__stock=1)}, "E002"),
        ({"operation": pgtrigger.Insert, "condition": Q(old__stock=1)}, "E002"),
        ({"depends_on": ["shop.Maker", "shop.Nothing"]}, "E004"),
        ({"depends_on": ["nowhere.Maker"]}, "E004"),
    ],
    ids=str,
)
def test_a_fault_is_one_error_with_its_id_and_a_hint(messages, arguments, number):
    (message,) = messages(noop(**arguments))
    assert isinstance(message, checks.Error)
    assert message.id == f"pgtrigger.{number}"
    assert message.obj is Product
    assert f"docs/checks.md#{number}" in message.hint


def test_a_trigger_that_no_postgres_will_ever_have_is_a_warning(messages, monkeypatch):
    monkeypatch.setitem(Router.routes, "allow_migrate", lambda db, app_label, **h: db == "sqlite")
    (message,) = messages(noop())
    assert isinstance(message, checks.Warning)
    assert message.id == "pgtrigger.W001"
    assert '"shop.Product:noop"' in message.msg
    assert "(sqlite)" in message.msg


def test_a_model_that_lives_nowhere_is_nothing_to_say(messages, monkeypatch):
    monkeypatch.setitem(Router.routes, "allow_migrate", lambda db, app_label, **hints: False)
    assert messages(noop()) == []


def test_only_the_apps_that_are_asked_about_are_checked(messages, declared):
    messages(noop(condition=Q(new__nothing=1)))
    assert check_triggers([apps.get_app_config("contract")]) == []
    assert len(check_triggers([apps.get_app_config("shop")])) == 1


def test_a_plugin_that_cannot_be_used_is_an_error(messages, monkeypatch):
    def broken():
        raise PluginError("dist-one is broken")

    monkeypatch.setattr(ours, "plugins", broken)
    (message,) = messages(noop())
    assert (message.id, message.msg) == ("pgtrigger.E003", "dist-one is broken")


def test_a_check_of_a_plugin_that_fails_is_an_error_that_names_it(messages, monkeypatch):
    def broken(self, *args):
        raise PluginError("dist-one fails in its hook")

    monkeypatch.setattr(Plugins, "check", broken)
    (message,) = messages(noop())
    assert (message.id, message.msg) == ("pgtrigger.E003", "dist-one fails in its hook")


def test_two_plugins_with_one_subcommand_are_an_error(messages, monkeypatch):
    def broken(self, *args):
        raise PluginError("dist-one and dist-two both add the subcommand")

    monkeypatch.setattr(Plugins, "subcommands", broken)
    (message,) = messages(noop())
    assert message.id == "pgtrigger.E003"


def test_several_faults_of_one_trigger_are_all_said(messages):
    trigger = noop(
        condition=pgtrigger.Condition("count(NEW.stock) > 1"), depends_on=["shop.Nothing"]
    )
    assert [m.id for m in messages(trigger)] == ["pgtrigger.E004", "pgtrigger.E008"]


def test_django_runs_them():
    assert check_triggers in checks.registry.registry.get_checks()


def test_without_a_database_no_connection_is_looked_at():
    assert check_poolers(None) == []


@pytest.mark.django_db
def test_a_connection_without_a_pooler_and_other_databases_are_nothing_to_say(django_db_blocker):
    with django_db_blocker.unblock():
        assert check_poolers(None, databases=["default", "sqlite"]) == []
