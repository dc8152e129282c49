"""Settings that hold for the SQL of the current task: the mechanism under ignore and schema.

What a task wants is kept in a context variable, so threads, asyncio tasks and ``sync_to_async``
each see their own.
"""

from __future__ import annotations

import asyncio
import functools
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, ParamSpec, Self, TypeVar, cast

from pgtrigger.errors import DeclarationError
from pgtrigger.wanted import Entry, Layer, Wanted, current

P = ParamSpec("P")
R = TypeVar("R")

# What Postgres takes for a custom setting since version 14.
_SETTING: Final = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)*")


class Context:
    """Holds layers for the SQL of the current task: ``with``, ``async with``, or a decorator.

    Entering and leaving run no SQL: the next statement makes the server agree.

    Args:
        layers: makes the layers, when the context is entered.
    """

    def __init__(self, layers: Callable[[], Iterable[Layer]]) -> None:
        self._layers = layers

    def __enter__(self) -> Self:
        before = current.get()
        entry = Entry(self, tuple(self._layers()), _place())
        current.set(Wanted((*before.layers, *entry.layers), (*before.entries, entry)))
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
        current.set(Wanted(layers, entries))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__(*exc_info)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if asyncio.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapped_coroutine(*args: Any, **kwargs: Any) -> Any:
                async with Context(self._layers):
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", wrapped_coroutine)

        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            with Context(self._layers):
                return function(*args, **kwargs)

        return wrapped


def _place() -> tuple[int, int]:
    """The thread and the task that the caller is in."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), id(task)


class Session(Context):
    """Contexts within it run no SQL when they are left. They never do, so it changes nothing.

    It is there for code that is written for django-pgtrigger.
    """

    def __init__(self, databases: Iterable[str] | None = None) -> None:
        super().__init__(lambda: ())


def local_settings(*, databases: Iterable[str] | None = None, **settings: str) -> Context:
    """Make custom settings visible to trigger functions for the SQL of the current task.

    Args:
        databases: the aliases; all PostgreSQL databases by default.
        **settings: text by name; a double underscore stands for the dot of a custom setting.

    Raises:
        DeclarationError: what cannot be the name of a setting.

    Example::

        with session.local_settings(myapp__reason="import"):
            order.save()  # its triggers read current_setting('myapp.reason', true)
    """
    aliases = None if databases is None else [*databases]
    texts = {name.replace("__", "."): value for name, value in settings.items()}
    for name in texts:
        if not _SETTING.fullmatch(name):
            raise DeclarationError(
                f'"{name}" cannot be the name of a setting in Postgres: it is one or more words '
                f"of letters, digits and _, with dots between them."
            )

    def layer(name: str, value: str) -> Layer:
        return Layer(name, lambda _outer: value, str, databases=aliases)

    return Context(lambda: [layer(name, value) for name, value in texts.items()])
