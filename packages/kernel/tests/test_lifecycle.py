"""pgtrigger.lifecycle: what is done to a single trigger is undone once, and only if it was done."""

import pytest

import pgtrigger
from pgtrigger.lifecycle import Undoing
from shop.database import definitions, noop, statements
from shop.models import Order, Product

PAIRS = [("install", "uninstall"), ("enable", "disable")]


@pytest.fixture
def trigger(live):
    return live(Product, noop())


def state(trigger):
    return trigger.get_installation_status(Product)


def test_undoing_happens_once():
    calls = []
    undoing = Undoing(lambda: calls.append(1))
    with undoing:
        assert calls == []
    with undoing:
        pass
    assert calls == [1]
    with Undoing(None):
        pass


@pytest.mark.parametrize(
    ("method", "within"),
    [("uninstall", ("UNINSTALLED", None)), ("disable", ("INSTALLED", False))],
)
def test_the_state_comes_back(trigger, method, within):
    with getattr(trigger, method)(Product):
        assert state(trigger) == within
    assert state(trigger) == ("INSTALLED", True)


@pytest.mark.parametrize("method", ["install", "enable"])
def test_what_was_so_already_stays_so(trigger, method):
    with getattr(trigger, method)(Product):
        pass
    assert state(trigger) == ("INSTALLED", True)


@pytest.mark.parametrize("method", ["uninstall", "enable", "disable"])
def test_what_is_not_installed_stays_uninstalled(trigger, method):
    trigger.uninstall(Product)
    with getattr(trigger, method)(Product):
        assert state(trigger) == ("UNINSTALLED", None)
    assert state(trigger) == ("UNINSTALLED", None)


def test_enabling_is_undone_by_disabling(trigger):
    trigger.disable(Product)
    with trigger.enable(Product):
        assert state(trigger) == ("INSTALLED", True)
    assert state(trigger) == ("INSTALLED", False)


def test_an_outdated_trigger_is_brought_up_to_date(trigger):
    trigger.func = "RETURN NULL;"
    assert state(trigger) == ("OUTDATED", True)
    trigger.install(Product)
    assert state(trigger) == ("INSTALLED", True)


@pytest.mark.parametrize("method", ["install", "uninstall", "enable", "disable"])
def test_where_the_router_refuses_nothing_is_done(trigger, method, monkeypatch):
    from project.routers import Router

    monkeypatch.setitem(Router.routes, "allow_migrate", lambda db, app_label, **hints: False)
    before = definitions("shop_product")
    assert trigger.allow_migrate(Product) is False
    with statements() as found, getattr(trigger, method)(Product):
        assert state(trigger) == ("UNALLOWED", None)
    assert found == []
    assert definitions("shop_product") == before


@pytest.mark.parametrize("method", ["install", "uninstall", "enable", "disable"])
def test_on_another_database_system_nothing_is_done(trigger, method):
    with getattr(trigger, method)(Product, database="sqlite"):
        assert trigger.get_installation_status(Product, database="sqlite") == ("UNINSTALLED", None)


def test_several_models_are_registered_and_only_new_ones_are_undone(trigger):
    with trigger.register(Product, Order):
        assert len(pgtrigger.registered("shop.Product:noop", "shop.Order:noop")) == 2
    assert pgtrigger.registered("shop.Product:noop")
    with pytest.raises(KeyError):
        pgtrigger.registered("shop.Order:noop")


def test_a_declaration_is_retracted_and_comes_back(trigger):
    with trigger.unregister(Product, Order), pytest.raises(KeyError):
        pgtrigger.registered("shop.Product:noop")
    assert pgtrigger.registered("shop.Product:noop")
    with pytest.raises(KeyError):
        pgtrigger.registered("shop.Order:noop")
