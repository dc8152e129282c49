"""Django system checks. Each id has a section in ``docs/checks.md``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections, router

from pgtrigger.compilations import compile_once
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError, FieldLookupError, PluginError
from pgtrigger.plugins import plugins
from pgtrigger.registry import registered
from pgtrigger.trigger import Trigger

_PAGE = "See docs/checks.md"


def check_triggers(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check every registered trigger of the given apps, without a database."""
    labels = None if app_configs is None else {config.label for config in app_configs}
    try:
        loaded = plugins()
    except PluginError as error:
        hint = "Repair or uninstall the distribution that the message names."
        return [Error(str(error), hint=f"{hint} {_PAGE}.", id="pgtrigger.E003")]
    messages: list[CheckMessage] = []
    for model, trigger in registered():
        if labels is None or model._meta.app_label in labels:
            found = _check_trigger(model, trigger)
            messages += found or loaded.check(model, trigger)
    return messages


def _check_trigger(model: Model, trigger: Trigger) -> list[CheckMessage]:
    try:
        compile_once(trigger, model)
    except FieldLookupError as error:
        return [_error(model, error, "Correct the field name in the declaration.", "E001")]
    except (DeclarationError, ValueError) as error:
        return [_error(model, error, "Correct the declaration in Meta.triggers.", "E002")]
    for label in trigger.depends_on:
        try:
            apps.get_model(label)
        except LookupError as error:
            reason = f'Trigger "{trigger.get_uri(model)}" depends on {label!r}: {error}'
            hint = 'Name installed models in depends_on, as "app_label.Model".'
            return [_error(model, reason, hint, "E004")]
    aliases = [alias for alias in connections if router.allow_migrate_model(alias, model)]
    if aliases and all(connections[alias].vendor != "postgresql" for alias in aliases):
        uri = trigger.get_uri(model)
        return [
            Warning(
                f'Trigger "{uri}" can never be installed: its model lives only in databases that '
                f"are not PostgreSQL ({', '.join(aliases)}).",
                hint=f"Remove the trigger, or route the model to PostgreSQL. {_PAGE}#W001.",
                obj=model,
                id="pgtrigger.W001",
            )
        ]
    return []


def _error(model: Model, error: Exception | str, hint: str, number: str) -> CheckMessage:
    return Error(str(error), hint=f"{hint} {_PAGE}#{number}.", obj=model, id=f"pgtrigger.{number}")


def check_poolers(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that connections through a pooler are set up for it: ``check --database``."""
    messages: list[CheckMessage] = []
    for alias in databases or ():
        connection: Any = connections[alias]
        if (
            connection.vendor == "postgresql"
            and not connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
            and _is_pooled(connection)
        ):
            messages.append(
                Warning(
                    f'Database "{alias}" is reached through a pooler or proxy, but '
                    f"DISABLE_SERVER_SIDE_CURSORS is not set. If it pools transactions, "
                    f".iterator() fails, and some settings of pgtrigger can reach other clients.",
                    hint=f"Set DISABLE_SERVER_SIDE_CURSORS for it. {_PAGE}#W002.",
                    id="pgtrigger.W002",
                )
            )
    return messages


def _is_pooled(connection: Any) -> bool:
    """Whether the process at the other end is another one than the server has for us."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    info = connection.connection.info
    return bool(info.backend_pid != pid)
