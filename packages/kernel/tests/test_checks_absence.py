"""pgtrigger.checks.absence: in a process that has the app, there is nothing to say."""

from django.core import checks
from django.test import override_settings

from pgtrigger.checks import check_installed
from shop.database import noop
from shop.models import Product

APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop", "contract"]


def test_the_app_takes_the_check_back():
    assert check_installed not in checks.registry.registry.get_checks()
    assert check_installed() == []


def test_without_the_app_the_models_with_triggers_are_named(declared):
    with override_settings(INSTALLED_APPS=APPS):
        declared(Product, noop())
        (message,) = check_installed()
    assert message.id == "pgtrigger.E005"
    assert message.msg.startswith("Triggers are declared on ")
    assert "and " in message.msg
    assert " more" in message.msg
    assert 'Add "pgtrigger" to INSTALLED_APPS' in message.hint
    assert "docs/checks.md#E005" in message.hint
