"""The hooks of pgtrigger that this package implements."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.checks import CheckMessage

from pgtrigger.declaration import Model
from pgtrigger.hookspecs import Subcommand, hookimpl
from pgtrigger.trigger import Trigger
from pgtrigger_fsm.checks import check_machine
from pgtrigger_fsm.machine import Machine
from pgtrigger_fsm.subcommands import GraphMachine
from pgtrigger_fsm.triggers import FSM


@hookimpl
def pgtrigger_register_trigger_types() -> Iterable[type[Trigger]]:
    """``pgtrigger.FSM``."""
    return [FSM]


@hookimpl
def pgtrigger_register_subcommands() -> Iterable[type[Subcommand]]:
    """``manage.py pgtrigger graph``."""
    return [GraphMachine]


@hookimpl
def pgtrigger_check(model: Model, trigger: Trigger) -> Iterable[CheckMessage]:
    """Warn of states that cannot be, or that cannot be reached."""
    if isinstance(trigger, FSM):
        yield from check_machine(Machine(model, trigger))
