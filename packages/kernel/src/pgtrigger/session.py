"""Settings that hold for the SQL of the current task: the mechanism under ignore and schema.

What a task wants is kept in a context variable, so threads, asyncio tasks and ``sync_to_async``
each see their own.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable
from typing import Any, Self

from pgtrigger.agreement import synchronise_open_transactions
from pgtrigger.wanted import Layer, Wanted, current


class Context:
    """Holds layers for the SQL of the current task: ``with``, ``async with``, or a decorator.

    Args:
        layers: makes the layers, when the context is entered.
    """

    def __init__(self, layers: Callable[[], Iterable[Layer]]) -> None:
        self._layers = layers
        self._entered: list[tuple[Layer, ...]] = []

    def __enter__(self) -> Self:
        before = current.get()
        own = tuple(self._layers())
        self._entered.append(own)
        current.set(Wanted((*before.layers, *own), before.sessions))
        if own:
            synchronise_open_transactions()
        return self

    def __exit__(self, *exc_info: object) -> None:
        own = self._entered.pop()
        before = current.get()
        # Not the earlier state as it was: contexts may overlap.
        rest = tuple(layer for layer in before.layers if layer not in own)
        current.set(Wanted(rest, before.sessions))
        if own and not before.sessions:
            synchronise_open_transactions()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__(*exc_info)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if asyncio.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapped_coroutine(*args: Any, **kwargs: Any) -> Any:
                async with Context(self._layers):
                    return await function(*args, **kwargs)

            return wrapped_coroutine

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with Context(self._layers):
                return function(*args, **kwargs)

        return wrapped


class Session(Context):
    """Contexts within it run no SQL when they are left; the next statement makes up for it."""

    def __init__(self, databases: Iterable[str] | None = None) -> None:
        super().__init__(lambda: ())

    def __enter__(self) -> Self:
        before = current.get()
        current.set(Wanted(before.layers, before.sessions + 1))
        return self

    def __exit__(self, *exc_info: object) -> None:
        before = current.get()
        current.set(Wanted(before.layers, before.sessions - 1))
        if not before.sessions - 1:
            synchronise_open_transactions()


def local_settings(*, databases: Iterable[str] | None = None, **settings: str) -> Context:
    """Make custom settings visible to trigger functions for the SQL of the current task.

    Args:
        databases: the aliases; all PostgreSQL databases by default.
        **settings: text by name; a double underscore stands for the dot of a custom setting.

    Example::

        with session.local_settings(myapp__reason="import"):
            order.save()  # its triggers read current_setting('myapp.reason', true)
    """
    aliases = None if databases is None else [*databases]

    def layer(name: str, value: str) -> Layer:
        return Layer(name.replace("__", "."), lambda _outer: value, str, databases=aliases)

    return Context(lambda: [layer(name, value) for name, value in settings.items()])
