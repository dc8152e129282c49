"""pgtrigger.registry: declared triggers are found by URI, and clash only where they would."""

import time

import pytest
from django.apps import apps
from django.apps.registry import Apps
from django.db import models

import pgtrigger
from pgtrigger.errors import DuplicateTriggerError, TriggerNotFoundError, TriggerUriError
from pgtrigger.registry import Registry, declare, declared, registry, retract
from shop.database import noop
from shop.models import Order, Product, ProductProxy


@pytest.fixture
def empty():
    return Registry()


def made_models(number, prefix="M"):
    """Models of an Apps of their own."""
    own = Apps()
    metas = [type("Meta", (), {"app_label": "shop", "apps": own}) for _ in range(number)]
    return [
        type(f"{prefix}{i}", (models.Model,), {"__module__": "shop.models", "Meta": meta})
        for i, meta in enumerate(metas)
    ]


@pytest.fixture(scope="module")
def many():
    return made_models(2000)


def test_thousands_of_models_may_share_a_trigger_name(empty, many):
    for model in many:
        empty.add(model, noop())
    pgids = {trigger.get_pgid(model) for model, trigger in empty.find()}
    functions = {trigger.compile(model).function for model, trigger in empty.find()}
    assert len(pgids) < 2000  # five digits do collide, which is why this is a test
    assert len(functions) == 2000
    assert len(empty.find()) == 2000


def seconds(models_, triggers):
    registry = Registry()
    begin = time.perf_counter()
    for model in models_:
        for trigger in triggers:
            registry.add(model, trigger)
    registry.find("shop.M0:a0")
    return time.perf_counter() - begin


def test_registering_takes_constant_time(many):
    triggers = [noop(f"a{i}") for i in range(4)]
    seconds(many[:10], triggers)
    few = min(seconds(many[:250], triggers) for _ in range(3))
    lots = min(seconds(many, triggers) for _ in range(2))
    assert lots < few * 8 * 3  # eight times as many; quadratic would be sixty-four times


def test_finding_one_does_not_look_at_all(empty, many):
    class Loud(pgtrigger.Trigger):
        when, operation, func = pgtrigger.Before, pgtrigger.Update, "RETURN NEW;"
        asked = 0

        def get_uri(self, model):
            type(self).asked += 1
            return super().get_uri(model)

    for model in many[:100]:
        empty.add(model, Loud(name="loud"))
    Loud.asked = 0
    assert empty.find("shop.M7:loud")[0][0] is many[7]
    assert Loud.asked == 0


def test_a_postgres_id_of_the_same_table_clashes(empty):
    class Fixed(pgtrigger.Trigger):
        when, operation, func = pgtrigger.Before, pgtrigger.Update, "RETURN NEW;"

        def get_pgid(self, model):
            return "pgtrigger_fixed"

    first = Fixed(name="first")
    empty.add(Product, first)
    with pytest.raises(DuplicateTriggerError, match=r'already in use by "shop\.Product:first"'):
        empty.add(Product, Fixed(name="second"))
    # Another name on another table cannot be an accident either.
    with pytest.raises(DuplicateTriggerError, match='"pgtrigger_fixed"'):
        empty.add(Order, Fixed(name="third"))
    empty.add(Order, Fixed(name="first"))
    empty.remove(Product, first)
    with pytest.raises(TriggerNotFoundError):
        empty.find("shop.Product:first")


def test_a_refused_trigger_leaves_no_trace(empty):
    empty.add(Product, noop())
    before = empty.version
    with pytest.raises(DuplicateTriggerError):
        empty.add(ProductProxy, noop())
    assert empty.version == before
    assert [model for model, _ in empty.find()] == [Product]


def test_removing_a_refused_trigger_leaves_the_one_that_has_the_name(empty):
    first, second = noop(), noop()
    empty.add(Product, first)
    with pytest.raises(DuplicateTriggerError):
        empty.add(Product, second)
    empty.remove(Product, second)
    assert empty.find() == [(Product, first)]


def test_what_was_removed_can_be_added_again(empty):
    trigger = noop()
    empty.add(Product, trigger)
    empty.remove(Product, trigger)
    empty.remove(Product, trigger)  # not registered: nothing happens
    assert empty.find() == []
    empty.add(ProductProxy, trigger)
    assert [trigger.get_uri(model) for model, trigger in empty.find()] == ["shop.ProductProxy:noop"]


def test_the_version_grows_with_every_change(empty):
    trigger, versions = noop(), [empty.version]
    empty.add(Product, trigger)
    versions.append(empty.version)
    empty.remove(Product, trigger)
    versions.append(empty.version)
    assert versions == sorted({*versions})


@pytest.mark.parametrize("uri", ["", "shop.Product", "a:b:c", "shop.Product.noop"])
def test_a_uri_in_another_format_is_refused(empty, uri):
    with pytest.raises(TriggerUriError, match=f"got {uri!r}"):
        empty.find(uri)


def test_the_format_of_all_uris_is_checked_before_the_first_is_looked_up(empty):
    with pytest.raises(TriggerUriError):
        empty.find("not.There:x", "malformed")


class TestWhileModelsLoad:
    @pytest.fixture(autouse=True)
    def not_ready(self, monkeypatch):
        monkeypatch.setattr(apps, "models_ready", False)

    def test_no_postgres_id_is_asked_for(self, empty, monkeypatch):
        class Silent(pgtrigger.Trigger):
            when, operation, func = pgtrigger.Before, pgtrigger.Update, "RETURN NEW;"

            def get_pgid(self, model):
                raise AssertionError("asked too early")

        empty.add(Product, Silent(name="a"))
        assert len(empty.find()) == 1

    def test_clashing_ids_are_found_when_all_are_loaded(self, empty):
        class Fixed(pgtrigger.Trigger):
            when, operation, func = pgtrigger.Before, pgtrigger.Update, "RETURN NEW;"

            def get_pgid(self, model):
                return "pgtrigger_fixed"

        empty.add(Product, Fixed(name="a"))
        empty.add(Product, Fixed(name="b"))
        with pytest.raises(DuplicateTriggerError, match="already in use"):
            empty.collect([])

    def test_what_is_removed_again_is_forgotten(self, empty):
        trigger = noop()
        empty.add(Product, trigger)
        empty.remove(Product, trigger)
        empty.collect([])
        assert empty.find() == []


def test_collecting_takes_what_models_declare(empty):
    trigger = noop()
    with trigger.register(Product):
        empty.collect([Product, Order])
        assert empty.find() == [(Product, trigger)]


def test_meta_can_be_left_alone(settings):
    with noop().register(Product):
        assert len(declared(Product)) == 1
        settings.PGTRIGGER_MODEL_META = False
        assert declared(Product) == ()


def test_declaring_and_retracting_tell_whether_they_changed_anything():
    trigger = noop()
    assert declare(Product, trigger) is True
    assert declare(Product, trigger) is False
    assert registry.find("shop.Product:noop") == [(Product, trigger)]
    assert retract(Product, trigger) is True
    assert retract(Product, trigger) is False
