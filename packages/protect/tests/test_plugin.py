"""pgtrigger_protect.plugin: the types that it offers, and what its check warns of."""

from importlib import metadata

import pytest

import pgtrigger
import pgtrigger_protect
from pgtrigger.checks import check_triggers
from pgtrigger.registry import registry
from pgtrigger_protect.plugin import pgtrigger_check, pgtrigger_register_trigger_types
from shop.models import Product


def test_the_types_are_offered_and_appear_in_pgtrigger():
    assert {*pgtrigger_register_trigger_types()} == {
        pgtrigger_protect.Protect,
        pgtrigger_protect.AppendOnly,
        pgtrigger_protect.ReadOnly,
    }
    assert pgtrigger.Protect is pgtrigger_protect.Protect
    assert pgtrigger.ReadOnly is pgtrigger_protect.ReadOnly


def test_the_distribution_has_one_entry_point():
    (found,) = metadata.distribution("pgtrigger-protect").entry_points.select(group="pgtrigger")
    assert found.value == "pgtrigger_protect.plugin"


def warnings(**kwargs):
    trigger = pgtrigger.ReadOnly(name="fixed", **kwargs)
    return [message.id for message in pgtrigger_check(Product, trigger)]


def test_a_field_that_every_save_changes_cannot_be_read_only():
    assert warnings() == ["pgtrigger_protect.W001"]
    assert warnings(fields=["updated_at", "stock"]) == ["pgtrigger_protect.W001"]
    assert warnings(fields=["created_at"]) == []
    assert warnings(exclude=["updated_at"]) == []


def test_other_types_are_not_this_plugins_concern():
    assert [
        *pgtrigger_check(Product, pgtrigger.Protect(name="a", operation=pgtrigger.Update))
    ] == []


@pytest.mark.parametrize(("fields", "number"), [(None, "W001"), (["nothing"], "E001")])
def test_manage_py_check_shows_it(monkeypatch, fields, number):
    trigger = pgtrigger.ReadOnly(name="fixed", fields=fields)
    monkeypatch.setattr(registry, "_by_uri", {"shop.Product:fixed": (Product, trigger)})
    (message,) = check_triggers(None)
    assert message.id.endswith(number)
    assert message.hint
