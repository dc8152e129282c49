"""pgtrigger.migrations: triggers of apps without migrations, after migrate --run-syncdb."""

import pytest
from django.apps import apps

from pgtrigger.migrations._unmigrated import after_migrate
from shop.database import definitions, noop, statements
from shop.models import Missing, Product, ProductProxy

SHOP = "shop"


def migrated(label=SHOP, using="default"):
    after_migrate(sender=apps.get_app_config(label), using=using)


def test_a_trigger_of_a_proxy_is_installed(db, declared):
    trigger = declared(ProductProxy, noop())
    declared(Product, noop("own"))
    migrated()
    assert [*definitions("shop_product")] == [trigger.get_pgid(ProductProxy)]


def test_nothing_to_install_asks_nothing(db):
    with statements() as found:
        migrated()
        migrated("contenttypes")
    assert found == []


def test_a_table_that_is_not_there_is_left_out(db, declared, monkeypatch):
    declared(Missing, noop())
    monkeypatch.setattr(Missing._meta, "proxy", True)
    migrated()
    assert Missing._meta.db_table == "shop_missing"


def test_another_database_system_is_left_alone(declared):
    declared(ProductProxy, noop())
    migrated(using="sqlite")


def test_the_schema_editors_setting_holds_here_too(db, declared, settings):
    settings.PGTRIGGER_SCHEMA_EDITOR = False
    declared(ProductProxy, noop())
    migrated()
    assert definitions("shop_product") == {}


@pytest.mark.parametrize(("install", "expected"), [(True, 1), (False, 0)])
def test_everything_can_be_installed_after_each_migrate(db, declared, settings, install, expected):
    settings.PGTRIGGER_INSTALL_ON_MIGRATE = install
    declared(Product, noop())
    migrated("pgtrigger")
    assert len(definitions("shop_product")) == expected
