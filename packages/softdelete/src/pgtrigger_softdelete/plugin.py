"""The hooks of pgtrigger that this package implements."""

from __future__ import annotations

from collections.abc import Iterable

from pgtrigger.hookspecs import hookimpl
from pgtrigger.trigger import Trigger
from pgtrigger_softdelete.triggers import SoftDelete


@hookimpl
def pgtrigger_register_trigger_types() -> Iterable[type[Trigger]]:
    """``pgtrigger.SoftDelete``."""
    return [SoftDelete]
