"""The hooks of pgtrigger that this package implements."""

from __future__ import annotations

from collections.abc import Iterable

from pgtrigger.hookspecs import hookimpl
from pgtrigger.trigger import Trigger
from pgtrigger_history.triggers import History


@hookimpl
def pgtrigger_register_trigger_types() -> Iterable[type[Trigger]]:
    """``pgtrigger.History``."""
    return [History]
