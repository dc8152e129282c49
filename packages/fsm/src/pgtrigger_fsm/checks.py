"""What the system checks have to say about a machine. Each id has a section in docs/checks.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.checks import CheckMessage, Warning

from pgtrigger_fsm.machine import Machine

_PAGE = "See docs/checks.md."


def check_machine(machine: Machine) -> Iterator[CheckMessage]:
    """Warn of states that cannot be stored or reached, and of a default that is refused."""
    model, trigger = machine
    named = f'FSM "{trigger.get_uri(model)}"'
    if strange := [*_strange(machine)]:
        yield Warning(
            f'{named} has states that "{trigger.field}" cannot have: {_listed(machine, strange)}.',
            hint=f"Add them to the choices of the field, or correct the transitions. {_PAGE}",
            obj=model,
            id="pgtrigger_fsm.W001",
        )
    if unreached := [*_unreached(machine)]:
        yield Warning(
            f"{named} has states that no transition leads to from "
            f"{_listed(machine, machine.starts())}: {_listed(machine, unreached)}.",
            hint=f"Declare a transition to them, make them initial, or leave them out. {_PAGE}",
            obj=model,
            id="pgtrigger_fsm.W002",
        )
    if refused := [*_refused_defaults(machine)]:
        yield Warning(
            f'{named} refuses the default of "{trigger.field}", which is no initial state: '
            f"{_listed(machine, refused)}.",
            hint=f'Add it to "initial", or give the field another default. {_PAGE}',
            obj=model,
            id="pgtrigger_fsm.W003",
        )


def _listed(machine: Machine, states: Iterable[Any]) -> str:
    return ", ".join(machine.state.text(state) for state in states)


def _strange(machine: Machine) -> Iterator[Any]:
    state = machine.state
    choices, longest = state.choices(), state.target.max_length
    for value in machine.states():
        if value is None:
            if not state.field.null:
                yield value
        elif (choices is not None and value not in choices) or (
            longest and isinstance(value, str) and len(value) > longest
        ):
            yield value


def _unreached(machine: Machine) -> Iterator[Any]:
    waiting = machine.starts()
    if not waiting:
        return  # nobody knows where it begins
    reached: list[Any] = []
    while waiting:
        state = waiting.pop()
        if state not in reached:
            reached.append(state)
            waiting += [transition.target for transition in machine.transitions_from(state)]
    yield from (state for state in machine.states() if state not in reached)


def _refused_defaults(machine: Machine) -> Iterator[Any]:
    if machine.trigger.get_initial() is not None:
        yield from (s for s in machine.state.defaults() if s not in machine.starts())
