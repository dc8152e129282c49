"""Settings that hold for the SQL of the current task: the mechanism under ignore and schema.

What a task wants is kept in a context variable, so threads, asyncio tasks and ``sync_to_async``
each see their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any, Self

from django.db import DatabaseError

from pgtrigger.agreement import synchronise_open_transactions
from pgtrigger.wanted import Entry, Layer, Wanted, current


class Context:
    """Holds layers for the SQL of the current task: ``with``, ``async with``, or a decorator.

    Args:
        layers: makes the layers, when the context is entered.
    """

    def __init__(self, layers: Callable[[], Iterable[Layer]]) -> None:
        self._layers = layers

    def __enter__(self) -> Self:
        before = current.get()
        entry = Entry(self, tuple(self._layers()), _place())
        current.set(
            Wanted((*before.layers, *entry.layers), before.sessions, (*before.entries, entry))
        )
        if entry.layers:
            try:
                synchronise_open_transactions()
            except BaseException:
                current.set(before)
                raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        before = current.get()
        entry = next((each for each in reversed(before.entries) if each.context is self), None)
        if entry is None:
            return  # entered elsewhere
        if entry.place != _place():
            # An event loop closes what was dropped, such as a generator, in a task of its own.
            for layer in entry.layers:
                layer.end()
        # Not the earlier state as it was: contexts may overlap.
        layers = tuple(layer for layer in before.layers if layer not in entry.layers)
        entries = tuple(each for each in before.entries if each is not entry)
        current.set(Wanted(layers, before.sessions, entries))
        if entry.layers and not before.sessions:
            _synchronise_after(exc_info)

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


def _synchronise_after(exc_info: tuple[object, ...]) -> None:
    # A server that is gone must not hide what the block has raised.
    with contextlib.suppress(*([DatabaseError] if any(exc_info) else [])):
        synchronise_open_transactions()


def _place() -> tuple[int, int]:
    """The thread and the task that the caller is in."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), id(task)


class Session(Context):
    """Contexts within it run no SQL when they are left; the next statement makes up for it."""

    def __init__(self, databases: Iterable[str] | None = None) -> None:
        super().__init__(lambda: ())

    def __enter__(self) -> Self:
        before = current.get()
        current.set(Wanted(before.layers, before.sessions + 1, before.entries))
        return self

    def __exit__(self, *exc_info: object) -> None:
        before = current.get()
        current.set(Wanted(before.layers, before.sessions - 1, before.entries))
        if not before.sessions - 1:
            _synchronise_after(exc_info)


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
