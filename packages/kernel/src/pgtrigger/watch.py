"""Watches over a server connection: its statements, its commits, and what bypasses both.

psycopg manual: "Using COPY", ``cursor_factory``. Django manual: "Database instrumentation".
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error

from pgtrigger.agreement import Agreement, agreement_of
from pgtrigger.supervision import around, before_commit, supervise, wrapper
from pgtrigger.wanted import current


def attach(connection: Any, **kwargs: Any) -> None:
    """Watch over a connection; a receiver of Django's ``connection_created``."""
    if connection.vendor != "postgresql":
        return
    agreement_of(connection).forget()
    driver = connection.connection
    for kind in ("cursor_factory", "server_cursor_factory"):
        if hasattr(driver, kind):
            factory = _watched(getattr(driver, kind), weakref.ref(connection))
            setattr(driver, kind, factory)
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
    """A cursor class that is looked after also where nothing passes Django's wrappers."""
    # A pool hands a driver's connection out again, whose class is watched already.
    original = getattr(factory, "unwatched", None) or factory
    if not isinstance(original, type):
        return factory

    django = connection()
    agreement = agreement_of(django) if django is not None else Agreement()
    del django  # which the class must not keep alive

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

    def executing(name: str, *, many: bool = False) -> Any:
        method = getattr(original, name)

        @functools.wraps(method)
        def run(self: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
            # Django's wrappers have looked after it already, or nothing is wanted.
            if agreement.is_supervised or not (current.get().layers or agreement.before):
                return method(self, statement, *args, **kwargs)
            execute = functools.partial(method, self, statement, *args, **kwargs)
            django = connection()
            if django is None:
                return execute()
            try:
                return supervise(django, statement, execute, None if many else self)
            except Error as error:
                # Who calls the driver expects its own errors; so does Django's health check.
                cause = error.__cause__
                if cause is not None and isinstance(cause, django.Database.Error):
                    raise cause from None
                raise

        return run

    def stream(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        theirs: Any = original  # stream() is psycopg 3's
        with within():
            yield from theirs.stream(self, *args, **kwargs)

    @contextmanager
    def copy(self: Any, *args: Any, **kwargs: Any) -> Generator[Any]:
        theirs: Any = original  # copy() is psycopg 3's
        with within(), theirs.copy(self, *args, **kwargs) as copying:
            yield copying

    names = ("callproc", "copy_expert", "copy_from", "copy_to")
    methods = {name: called(name) for name in names if hasattr(original, name)}
    methods |= {
        name: executing(name, many=name == "executemany")
        for name in ("execute", "executemany")
        if hasattr(original, name)
    }
    if hasattr(original, "copy"):
        methods |= {"copy": copy, "stream": stream}
    return type(original.__name__, (original,), {**methods, "unwatched": original})


@contextmanager
def _nothing() -> Generator[None]:
    yield
