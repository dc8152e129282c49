"""The hooks of pgtrigger that this package implements."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.checks import CheckMessage

from pgtrigger.declaration import Model
from pgtrigger.hookspecs import Subcommand, hookimpl
from pgtrigger.trigger import Trigger
from pgtrigger_history import subcommands
from pgtrigger_history.checks import problems
from pgtrigger_history.triggers import History


@hookimpl
def pgtrigger_register_trigger_types() -> Iterable[type[Trigger]]:
    """``pgtrigger.History``."""
    return [History]


@hookimpl
def pgtrigger_register_subcommands() -> Iterable[type[Subcommand]]:
    """``manage.py pgtrigger history``."""
    return [subcommands.History]


@hookimpl
def pgtrigger_check(model: Model, trigger: Trigger) -> Iterable[CheckMessage]:
    """Tell of events that cannot be written, and of tables that are not recorded."""
    return problems(model, trigger) if isinstance(trigger, History) else ()
