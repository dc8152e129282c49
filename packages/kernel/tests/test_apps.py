"""pgtrigger.apps: the wiring."""

import sys

from django.apps import apps as django_apps
from django.core import checks
from django.core.management import get_commands
from django.core.management.commands import makemigrations
from django.db import models
from django.db.models.signals import post_migrate

from pgtrigger import apps
from pgtrigger.lookups import IsDistinctFrom
from pgtrigger.migrations._autodetector import TriggerAutodetector
from pgtrigger.registry import registry


def test_lookups_are_registered_for_all_fields():
    assert models.Field.class_lookups["df"] is IsDistinctFrom


def test_without_a_driver_nothing_is_extended(monkeypatch):
    monkeypatch.setitem(sys.modules, "django.db.backends.postgresql.base", None)
    assert apps._postgres_wrapper() is None


def test_a_command_of_the_project_that_is_loaded_already_is_extended_too(monkeypatch):
    class Command(makemigrations.Command):
        autodetector = type("Own", (), {})

    monkeypatch.setitem(get_commands(), "makemigrations", Command())
    apps._extend("makemigrations")
    assert issubclass(Command.autodetector, TriggerAutodetector)


def test_post_migrate_is_received_once():
    assert len([key for key in post_migrate.receivers if key[0][0] == "pgtrigger"]) == 1


def test_being_ready_twice_is_harmless(monkeypatch):
    before = registry.find(), {*checks.registry.registry.registered_checks}
    django_apps.get_app_config("pgtrigger").ready()
    # Without a driver there is no schema editor to extend.
    monkeypatch.setattr(apps, "_postgres_wrapper", lambda: None)
    django_apps.get_app_config("pgtrigger").ready()
    assert (registry.find(), {*checks.registry.registry.registered_checks}) == before
