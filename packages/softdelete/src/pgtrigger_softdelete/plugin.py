"""The hooks of pgtrigger that this package implements."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.checks import CheckMessage

from pgtrigger.declaration import Model
from pgtrigger.hookspecs import hookimpl
from pgtrigger.trigger import Trigger
from pgtrigger_softdelete.checks import contradictions
from pgtrigger_softdelete.triggers import SoftDelete


@hookimpl
def pgtrigger_register_trigger_types() -> Iterable[type[Trigger]]:
    """``pgtrigger.SoftDelete``."""
    return [SoftDelete]


@hookimpl
def pgtrigger_check(model: Model, trigger: Trigger) -> Iterable[CheckMessage]:
    """Warn where foreign keys, constraints and a soft delete contradict each other."""
    return contradictions(model, trigger) if isinstance(trigger, SoftDelete) else ()
