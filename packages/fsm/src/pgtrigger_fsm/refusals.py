"""The conditions under which a row is refused. What is unknown counts as refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pgtrigger.conditions import VARIABLES, Condition, Rows
from pgtrigger.declaration import Model
from pgtrigger_fsm.states import StateField, state_field
from pgtrigger_fsm.transitions import States, Transition, Wildcard


class OfState(Condition):
    """Base of the conditions on the state of a row."""

    def __init__(self, field: str) -> None:
        self.field = field

    def resolve(self, model: Model | None) -> str:
        assert model is not None
        return self.resolve_rows(model, VARIABLES)


class NotInitial(OfState):
    """True for a new row in a state that is none of the initial ones."""

    def __init__(self, field: str, initial: Sequence[Any]) -> None:
        super().__init__(field)
        self.initial = initial

    def resolve_rows(self, model: Model, rows: Rows) -> str:
        state = state_field(model, self.field)
        return f"({_both(state, rows, None, _literals(state, self.initial))}) IS NOT TRUE"


class NotOpen(OfState):
    """True for a change of state that is none of the transitions.

    Args:
        field: the field with the state.
        transitions: those that are allowed.
        stays: whether the state may stay as it is without a transition.
    """

    def __init__(self, field: str, transitions: Iterable[Transition], *, stays: bool) -> None:
        super().__init__(field)
        self.transitions, self.stays = [*transitions], stays

    def resolve_rows(self, model: Model, rows: Rows) -> str:
        state = state_field(model, self.field)
        allowed = [
            _both(state, rows, sources, targets)
            for sources, targets in _grouped(state, self.transitions)
        ]
        for transition in self.transitions:
            if transition.condition is not None:
                sides = (
                    _literals(state, side) for side in (transition.sources, transition.targets)
                )
                change = _both(state, rows, *sides)
                allowed.append(f"{change} AND ({transition.condition.resolve_rows(model, rows)})")
        refused = f"({' OR '.join(f'({text})' for text in allowed)}) IS NOT TRUE"
        if not self.stays:
            return refused
        old, new = state.column(rows.old), state.column(rows.new)
        return f"{old} IS DISTINCT FROM {new} AND {refused}"


Literals = tuple[str, ...] | None  # None stands for any state


def _literals(state: StateField, states: States | Sequence[Any]) -> Literals:
    if isinstance(states, Wildcard):
        return None
    return tuple(dict.fromkeys(state.literal(member) for member in states))


def _grouped(
    state: StateField, transitions: Iterable[Transition]
) -> Iterable[tuple[Literals, Literals]]:
    """The transitions without condition, with as few comparisons as it takes."""
    targets_of: dict[str | None, Literals] = {}
    for transition in transitions:
        if transition.condition is None:
            targets = _literals(state, transition.targets)
            for source in _literals(state, transition.sources) or (None,):
                targets_of[source] = _united(targets_of.get(source, ()), targets)
    sources_of: dict[Literals, tuple[str | None, ...]] = {}
    for source, targets in targets_of.items():
        sources_of[targets] = (*sources_of.get(targets, ()), source)
    for targets, sources in sources_of.items():
        named = tuple(source for source in sources if source is not None)
        yield (None if None in sources else named), targets


def _united(first: Literals, second: Literals) -> Literals:
    if first is None or second is None:
        return None
    return tuple(dict.fromkeys([*first, *second]))


def _both(state: StateField, rows: Rows, sources: Literals, targets: Literals) -> str:
    sides = [(rows.old, sources), (rows.new, targets)]
    parts = [state.among(row, literals) for row, literals in sides if literals is not None]
    return " AND ".join(parts) or "TRUE"
