"""Django system checks. Each id has a section in ``docs/checks.md``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage
from django.db import connections, router

from pgtrigger.checks.absence import check_installed as check_installed
from pgtrigger.checks.composition import check_composition
from pgtrigger.checks.conditions import check_acceptance
from pgtrigger.checks.drift import check_drift as check_drift
from pgtrigger.checks.identifiers import Identifiers
from pgtrigger.checks.inheritance import check_inheritance as check_inheritance
from pgtrigger.checks.messages import error, warning
from pgtrigger.checks.poolers import check_poolers as check_poolers
from pgtrigger.checks.shadows import check_names
from pgtrigger.compilations import compile_once
from pgtrigger.compiler import CompiledTrigger
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError, FieldLookupError, PluginError
from pgtrigger.plugins import Plugins, plugins
from pgtrigger.registry import registered
from pgtrigger.trigger import Trigger


def check_triggers(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check every registered trigger of the given apps, without a database."""
    try:
        loaded = plugins()
        loaded.subcommands()
        return [*check_names(loaded), *_check_declared(app_configs, loaded)]
    except PluginError as failure:
        hint = "Repair or uninstall the distribution that the message names."
        return [error("pgtrigger.E003", str(failure), hint)]


def _check_declared(app_configs: Sequence[Any] | None, loaded: Plugins) -> Iterator[CheckMessage]:
    labels = None if app_configs is None else {config.label for config in app_configs}
    taken = Identifiers()
    for model, trigger in registered():
        asked = labels is None or model._meta.app_label in labels
        compiled = _compile(model, trigger)
        # Names clash across apps.
        if isinstance(compiled, CompiledTrigger):
            found = [*taken.check(model, trigger, compiled)]
            if asked:
                found += _check_trigger(model, trigger, compiled)
                yield from found or loaded.check(model, trigger)
        elif asked:
            yield compiled


def _compile(model: Model, trigger: Trigger) -> CompiledTrigger | CheckMessage:
    try:
        return compile_once(trigger, model)
    except FieldLookupError as failure:
        hint = "Correct the field name in the declaration."
        return error("pgtrigger.E001", str(failure), hint, model)
    except (DeclarationError, ValueError) as failure:
        hint = "Correct the declaration in Meta.triggers."
        return error("pgtrigger.E002", str(failure), hint, model)


def _check_trigger(
    model: Model, trigger: Trigger, compiled: CompiledTrigger
) -> Iterator[CheckMessage]:
    yield from _check_dependencies(model, trigger)
    yield from check_acceptance(model, trigger, compiled)
    yield from check_composition(model, trigger, compiled)
    yield from _check_databases(model, trigger)


def _check_dependencies(model: Model, trigger: Trigger) -> Iterator[CheckMessage]:
    for label in trigger.depends_on:
        try:
            apps.get_model(label)
        except LookupError as failure:
            text = f'Trigger "{trigger.get_uri(model)}" depends on {label!r}: {failure}'
            hint = 'Name installed models in depends_on, as "app_label.Model".'
            yield error("pgtrigger.E004", text, hint, model)


def _check_databases(model: Model, trigger: Trigger) -> Iterator[CheckMessage]:
    aliases = [alias for alias in connections if router.allow_migrate_model(alias, model)]
    if aliases and all(connections[alias].vendor != "postgresql" for alias in aliases):
        text = (
            f'Trigger "{trigger.get_uri(model)}" can never be installed: its model lives only in '
            f"databases that are not PostgreSQL ({', '.join(aliases)})."
        )
        hint = "Remove the trigger, or route the model to PostgreSQL."
        yield warning("pgtrigger.W001", text, hint, model)
