"""Watches over a server connection: its statements, its commits, and what bypasses both.

psycopg manual: "Using COPY", ``cursor_factory``. Django manual: "Database instrumentation".
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from pgtrigger.agreement import agreement_of, around, before_commit, wrapper


def attach(connection: Any, **kwargs: Any) -> None:
    """Watch over a connection; a receiver of Django's ``connection_created``."""
    if connection.vendor != "postgresql":
        return
    agreement_of(connection).forget()
    driver = connection.connection
    driver.cursor_factory = _watched(driver.cursor_factory, weakref.ref(connection))
    if wrapper in connection.execute_wrappers:
        return
    connection.execute_wrappers.insert(0, wrapper)
    connection.commit = functools.partial(_commit, connection, connection.commit)
    connection.rollback = functools.partial(_rollback, connection, connection.rollback)


def _commit(connection: Any, commit: Callable[[], None]) -> None:
    before_commit(connection)
    commit()
    agreement_of(connection).forget()


def _rollback(connection: Any, rollback: Callable[[], None]) -> None:
    rollback()
    agreement_of(connection).forget()


def _watched(factory: Any, connection: Callable[[], Any]) -> Any:
    """A cursor class whose COPY and procedure calls run with the settings that the task wants."""
    # A pool hands a driver's connection out again, whose class is watched already.
    original = getattr(factory, "unwatched", None) or factory
    if not isinstance(original, type):
        return factory

    def within() -> Any:
        django = connection()
        return around(django) if django is not None else _nothing()

    def called(name: str) -> Any:
        method = getattr(original, name)

        @functools.wraps(method)
        def run(self: Any, *args: Any, **kwargs: Any) -> Any:
            with within():
                return method(self, *args, **kwargs)

        return run

    @contextmanager
    def copy(self: Any, *args: Any, **kwargs: Any) -> Generator[Any]:
        theirs: Any = original  # copy() is psycopg 3's
        with within(), theirs.copy(self, *args, **kwargs) as copying:
            yield copying

    names = ("callproc", "copy_expert", "copy_from", "copy_to")
    methods = {name: called(name) for name in names if hasattr(original, name)}
    if hasattr(original, "copy"):
        methods["copy"] = copy
    return type(original.__name__, (original,), {**methods, "unwatched": original})


@contextmanager
def _nothing() -> Generator[None]:
    yield
