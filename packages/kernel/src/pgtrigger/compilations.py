"""Compiling a trigger once in a run of a command, which checks it and then compares it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from pgtrigger.compiler import CompiledTrigger
from pgtrigger.declaration import Model
from pgtrigger.trigger import Trigger

_Known = dict[tuple[int, Model], tuple[Trigger, CompiledTrigger]]
_known: Final[ContextVar[_Known | None]] = ContextVar("pgtrigger_compilations", default=None)


@contextmanager
def remembered() -> Generator[None]:
    """Within it, a trigger compiles to the same for a model: nobody changes declarations."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def compile_once(trigger: Trigger, model: Model) -> CompiledTrigger:
    """Compile a trigger for a model, or recall it. Errors as of `Trigger.compile`."""
    known = _known.get()
    if known is None:
        return trigger.compile(model)
    key = id(trigger), model
    if key not in known:
        # With the trigger, so that its identity is not another one's meanwhile.
        known[key] = trigger, trigger.compile(model)
    return known[key][1]
