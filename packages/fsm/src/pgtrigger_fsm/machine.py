"""A machine as Python sees it: its states, and what is open for an object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from django.db import models

from pgtrigger.declaration import Model
from pgtrigger.registry import registered
from pgtrigger_fsm.errors import MachineNotFoundError
from pgtrigger_fsm.states import StateField
from pgtrigger_fsm.transitions import Transition, Wildcard
from pgtrigger_fsm.triggers import FSM


class Machine(NamedTuple):
    """A declared `FSM`, and the model that it is declared on."""

    model: Model
    trigger: FSM

    @property
    def state(self) -> StateField:
        """The field with the state."""
        return self.trigger.state_field(self.model)

    def states(self) -> list[Any]:
        """The values that the declaration and the field's choices name, each once."""
        state = self.state
        named = [*(self.trigger.get_initial() or ())]
        for transition in self.trigger.get_transitions():
            for side in (transition.sources, transition.targets):
                named += () if isinstance(side, Wildcard) else side
        values: list[Any] = []
        for value in [*map(state.value, named), *(state.choices() or ())]:
            if value not in values:
                values.append(value)
        return values

    def starts(self) -> list[Any]:
        """The states in which rows begin: the initial ones, else the field's default, if any."""
        initial = self.trigger.get_initial()
        if initial is not None:
            return [*map(self.state.value, initial)]
        return self.state.defaults()

    def transitions_from(self, source: Any) -> Iterator[Transition]:
        """What is declared from a state: one transition for each state that it leads to."""
        state = self.state
        for transition in self.trigger.get_transitions():
            sources, targets = transition.sources, transition.targets
            if not isinstance(sources, Wildcard) and source not in map(state.value, sources):
                continue
            if isinstance(targets, Wildcard):
                leads_to = [value for value in self.states() if value != source]
            else:
                leads_to = [*map(state.value, targets)]
            for target in leads_to:
                yield replace(transition, source=source, target=target)


def machines_of(model: Model) -> list[Machine]:
    """The machines of a model's table and of those of its parents."""
    tables = {
        kind._meta.concrete_model
        for kind in model.__mro__
        if issubclass(kind, models.Model) and hasattr(kind, "_meta")
    }
    return [
        Machine(declared, trigger)
        for declared, trigger in registered()
        if isinstance(trigger, FSM) and declared._meta.concrete_model in tables
    ]


def machine_of(model: Model, field: str | None = None, trigger: str | None = None) -> Machine:
    """Find the machine of a model.

    Args:
        model: a model with machines.
        field: the field with the state, where there are several.
        trigger: the trigger's name, where there are several for one field.

    Raises:
        MachineNotFoundError: there is none, or more than one.
    """
    machines = machines_of(model)
    found = [
        machine
        for machine in machines
        if field in (None, machine.trigger.field) and trigger in (None, machine.trigger.name)
    ]
    if len(found) == 1:
        return found[0]
    given = {"field": field, "trigger": trigger}
    asked = "".join(f" with {key}={value!r}" for key, value in given.items() if value)
    there = ", ".join(f"{m.trigger.name} (field {m.trigger.field})" for m in machines)
    raise MachineNotFoundError(
        f"Model {model._meta.label} has {len(found) or 'no'} machines{asked}; name one of them "
        f"by its field or its trigger. There are: {there or 'none'}."
    )
