"""The hooks of pgtrigger that this package implements."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.checks import CheckMessage, Warning

from pgtrigger.declaration import Model
from pgtrigger.hookspecs import hookimpl
from pgtrigger.trigger import Trigger
from pgtrigger_protect.triggers import AppendOnly, Protect, ReadOnly


@hookimpl
def pgtrigger_register_trigger_types() -> Iterable[type[Trigger]]:
    """``pgtrigger.Protect``, ``pgtrigger.AppendOnly`` and ``pgtrigger.ReadOnly``."""
    return [Protect, AppendOnly, ReadOnly]


@hookimpl
def pgtrigger_check(model: Model, trigger: Trigger) -> Iterable[CheckMessage]:
    """Warn of what no save could get past."""
    if not isinstance(trigger, ReadOnly):
        return
    for field in trigger.read_only_fields(model):
        if getattr(field, "auto_now", False):
            yield Warning(
                f'Trigger "{trigger.get_uri(model)}" makes "{field.name}" read-only, which Django '
                f"changes at every save (auto_now), so no row of the model can be saved again.",
                hint=f'Exclude "{field.name}" from the trigger. See docs/checks.md.',
                obj=model,
                id="pgtrigger_protect.W001",
            )
