"""What this distribution adds to pgtrigger: its entry point names this module."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.checks import CheckMessage, Error
from django.db import models

from acme_stamp.subcommands import Stamps
from acme_stamp.triggers import Stamp
from pgtrigger import Subcommand, Trigger, hookimpl


@hookimpl
def pgtrigger_register_trigger_types() -> Iterable[type[Trigger]]:
    return [Stamp]


@hookimpl
def pgtrigger_register_subcommands() -> Iterable[type[Subcommand]]:
    return [Stamps]


@hookimpl
def pgtrigger_check(model: type[models.Model], trigger: Trigger) -> Iterable[CheckMessage]:
    if not isinstance(trigger, Stamp):
        return
    field = trigger.stamped_field(model)
    if not isinstance(field, models.DateField):  # a DateTimeField is one too
        yield Error(
            f'Trigger "{trigger.get_uri(model)}" writes a time into "{field.name}", which is a '
            f"{type(field).__name__}.",
            hint="Name a DateTimeField or a DateField.",
            obj=model,
            id="acme_stamp.E001",
        )
