"""Transitions as values: from which states, to which states, when and for whom."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

import pgtrigger
from pgtrigger.conditions import Condition
from pgtrigger.errors import DeclarationError


class Wildcard(enum.Enum):
    """The type of `ANY`."""

    ANY = "any state"

    def __repr__(self) -> str:
        return "pgtrigger_fsm.ANY"


ANY: Final = Wildcard.ANY
"""Every state, NULL included, as the source or target of a transition."""

States = tuple[Any, ...] | Wildcard
Permission = str | Callable[[Any, Any], bool]

_COLLECTIONS = (list, tuple, set, frozenset)


@dataclass(frozen=True)
class Transition:
    """A change of state that an `FSM` allows.

    Args:
        source: the state it starts from, a list or set of such states, or `ANY`. A state is a
            value of the field, an enum member, for a foreign key an object or its key, or None
            for NULL.
        target: the state it leads to, in the same forms.
        name: what it is called in Python, in graphs and on buttons; several may share one.
        condition: it is open only where this holds: a `pgtrigger.Condition`, a `pgtrigger.Q` or
            another boolean expression, such as ``pgtrigger.F("new__approved")``.
        permission: who may do it, for the Python side: the name of a permission, or a function
            that is called with the object and the user. Postgres knows nothing of it.

    Raises:
        DeclarationError: no state at all, `ANY` in a list, or an argument of another type.

    >>> Transition("draft", ["published", "archived"], name="finish").targets
    ('published', 'archived')
    """

    source: Any
    target: Any
    _: KW_ONLY
    name: str | None = None
    condition: Condition | None = None
    permission: Permission | None = None

    def __post_init__(self) -> None:
        for side in ("source", "target"):
            try:
                object.__setattr__(self, side, states_of(getattr(self, side)))
            except DeclarationError as error:
                raise self._refused(f'its "{side}" {error}') from error
        name: Any = self.name
        if name is not None and (not isinstance(name, str) or not name):
            raise self._refused(f'its "name" is text; got {self.name!r}')
        if self.permission is not None and not (
            isinstance(self.permission, str) or callable(self.permission)
        ):
            raise self._refused(
                f'its "permission" is the name of a permission or a function of the object and '
                f"the user; got {self.permission!r}"
            )
        object.__setattr__(self, "condition", self._condition(self.condition))

    def _condition(self, given: Any) -> Condition | None:
        if given is None or isinstance(given, Condition):
            return given
        if hasattr(given, "resolve_expression"):
            return pgtrigger.Q(given)
        raise self._refused(
            f'its "condition" is a pgtrigger.Condition, a pgtrigger.Q or another expression; '
            f"got {given!r}"
        )

    def _refused(self, why: str) -> DeclarationError:
        return DeclarationError(f"Transition from {self.source!r} to {self.target!r}: {why}.")

    @property
    def sources(self) -> States:
        """The states it starts from, or `ANY`."""
        return _listed(self.source)

    @property
    def targets(self) -> States:
        """The states it leads to, or `ANY`."""
        return _listed(self.target)

    @property
    def stays(self) -> bool:
        """Whether all that it does is to stay in one state."""
        return self.sources is not ANY and len(self.sources) == 1 and self.sources == self.targets


def states_of(given: Any) -> Any:
    """A state or `ANY` as they are; several as a tuple. Raises `DeclarationError` for none."""
    if not isinstance(given, _COLLECTIONS):
        return given
    # The order of a set differs between runs, and would make a new migration each time.
    states = sorted(given, key=repr) if isinstance(given, set | frozenset) else given
    if not states or ANY in states:
        raise DeclarationError(
            f"is a state, a list of states, or pgtrigger_fsm.ANY by itself; got {given!r}"
        )
    return tuple(states)


def _listed(side: Any) -> States:
    return side if side is ANY or isinstance(side, tuple) else (side,)


def transitions_of(given: Iterable[Any]) -> tuple[Transition, ...]:
    """Read declared transitions: `Transition` values, or pairs of source and target.

    Raises `DeclarationError` for anything else.
    """
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise DeclarationError(
            f'"transitions" is a list of (source, target) pairs or Transition(…); got {given!r}.'
        )
    return tuple(map(_transition, given))


def _transition(given: Any) -> Transition:
    if isinstance(given, Transition):
        return given
    if isinstance(given, tuple | list) and len(given) == 2:
        return Transition(*given)
    raise DeclarationError(
        f'"transitions" holds pairs of (source, target), or Transition(source, target, name=…, '
        f"condition=…, permission=…); got {given!r}."
    )
