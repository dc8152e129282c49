"""pgtrigger.compilations: a command compiles each trigger once, and the next one anew."""

import pytest
from django.core.management.commands import makemigrations, migrate

from pgtrigger.compilations import compile_once, remembered
from pgtrigger.errors import DeclarationError
from shop.database import noop
from shop.models import Order, Product


def test_a_trigger_is_compiled_once_for_a_model():
    trigger = noop()
    with remembered():
        first = compile_once(trigger, Product)
        assert compile_once(trigger, Product) is first
        assert compile_once(trigger, Order) is not first
        assert compile_once(noop(), Product) is not first


def test_what_is_changed_between_commands_is_compiled_anew():
    trigger = noop()
    with remembered():
        before = compile_once(trigger, Product)
    trigger.func = "RETURN OLD;"
    assert compile_once(trigger, Product) != before
    with remembered():
        assert compile_once(trigger, Product) != before


def test_an_error_is_raised_each_time():
    trigger = noop(func=None)
    with remembered():
        for _ in range(2):
            with pytest.raises(DeclarationError):
                compile_once(trigger, Product)


@pytest.mark.parametrize("module", [makemigrations, migrate])
def test_the_commands_remember_for_one_run(module):
    found = []

    class Command(module.Command):
        requires_system_checks = []

        def handle(self, *args, **options):
            trigger = noop()
            found.append(compile_once(trigger, Product) is compile_once(trigger, Product))

    Command().execute(no_color=False, force_color=False, skip_checks=True)
    trigger = noop()
    assert found == [True]
    assert compile_once(trigger, Product) is not compile_once(trigger, Product)
