"""Ignoring triggers, setting the search path, and moving deferred checks, from Python.

PostgreSQL manual: "SET CONSTRAINTS", "The Schema Search Path".
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from asgiref.sync import sync_to_async
from django.db import connections, models

from pgtrigger import catalog, clauses, sql
from pgtrigger.comparison import allowed
from pgtrigger.compiler import EVERYTHING, IGNORE_SETTING
from pgtrigger.errors import (
    DatabaseNotSupportedError,
    DeclarationError,
    NotDeferrableError,
    NotInTransactionError,
    TriggerNotFoundError,
    TriggerUriError,
)
from pgtrigger.registry import Registration, is_glob, registered, registry
from pgtrigger.session import Context, Session
from pgtrigger.trigger import Trigger
from pgtrigger.wanted import Layer, current


class _Selection(NamedTuple):
    """Which triggers to ignore: those that satisfy all that is given."""

    uris: tuple[str, ...]
    model: type[models.Model] | None
    trigger: Trigger | type[Trigger] | None

    def pairs(self) -> list[Registration]:
        """The registered triggers. Raises `TriggerNotFoundError` when there are none."""
        found = registered(*self.uris)
        if self.model is not None:
            table = self.model._meta.db_table
            found = [pair for pair in found if pair[0]._meta.db_table == table]
        if isinstance(self.trigger, type):
            found = [pair for pair in found if isinstance(pair[1], self.trigger)]
        elif self.trigger is not None:
            found = [pair for pair in found if pair[1] is self.trigger]
        if not found and self.is_partial:
            raise TriggerNotFoundError(f"No registered trigger is among those to ignore: {self}")
        return found

    def names(self) -> frozenset[str]:
        """What the setting holds. Raises `DeclarationError` for what cannot be ignored."""
        pairs = self.pairs()
        ignorable = [(model, trigger) for model, trigger in pairs if trigger.ignorable]
        # What is named by itself is refused; what several are named for is left out.
        for model, trigger in pairs:
            uri = trigger.get_uri(model)
            if not trigger.ignorable and (
                uri in self.uris or trigger is self.trigger or (self.is_partial and not ignorable)
            ):
                raise DeclarationError(
                    f'Trigger "{uri}" cannot be ignored: it is declared with ignorable=False.'
                )
        names = frozenset(registry.ignore_name(model, trigger) for model, trigger in ignorable)
        return names if self.is_partial else names | {EVERYTHING}

    @property
    def is_partial(self) -> bool:
        """Whether it is not simply everything."""
        return self != _EVERYTHING

    def __str__(self) -> str:
        given = [*map(repr, self.uris)]
        if self.model is not None:
            given.append(f"model={self.model._meta.label}")
        if self.trigger is not None:
            given.append(f"trigger={getattr(self.trigger, '__name__', self.trigger)}")
        return ", ".join(given)


_EVERYTHING: Final = _Selection((), None, None)


@functools.lru_cache(maxsize=32)
def _names_of_many(version: int, selection: _Selection) -> frozenset[str]:
    # Entering a context must not walk over thousands of triggers each time.
    return selection.names()


@functools.lru_cache(maxsize=64)
def _array(names: frozenset[str]) -> str:
    # Where everything is meant, the text begins with that. The names are for functions that
    # django-pgtrigger has installed.
    return sql.array(sorted(names, key=lambda name: (name != EVERYTHING, name)))


def _is_type(value: Any, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base)


class ignore(Context):  # noqa: N801  # used like a function
    """Keep triggers from firing for the SQL of the current thread or task.

    A context manager, an async one, and a decorator. Nested contexts add up. A deferred trigger is
    ignored if the transaction commits within the context.

    Args:
        *uris: such as ``"shop.Order:protect"``; or globs, such as ``"shop.*:protect"``. Without
            any, and without ``model`` and ``trigger``, all registered triggers.
        model: those on the table of this model.
        trigger: those of this type, such as `Composer`, or this very one.
        databases: the aliases; all PostgreSQL databases by default.

    Raises (when the context is entered):
        TriggerUriError, TriggerNotFoundError: a URI that does not exist, or nothing to ignore.
        DeclarationError: a trigger that is declared with ``ignorable=False`` is named. Among many
            it is left out.

    Raises (at once):
        TypeError: ``model`` is no model, or ``trigger`` neither a trigger nor a type of triggers.

    Example::

        with pgtrigger.ignore("shop.Order:protect"):
            Order.objects.all().delete()
    """

    def __init__(
        self,
        *uris: str,
        model: type[models.Model] | None = None,
        trigger: Trigger | type[Trigger] | None = None,
        databases: Iterable[str] | None = None,
    ) -> None:
        aliases = None if databases is None else [*databases]
        if model is not None and not _is_type(model, models.Model):
            raise TypeError(f"ignore(model=…) takes a model class; got {model!r}.")
        if trigger is not None and not (isinstance(trigger, Trigger) or _is_type(trigger, Trigger)):
            raise TypeError(
                f"ignore(trigger=…) takes a trigger or a type of triggers; got {trigger!r}."
            )
        selection = _Selection(uris, model, trigger)
        many = not uris or any(map(is_glob, uris))

        def layers() -> list[Layer]:
            names = _names_of_many(registry.version, selection) if many else selection.names()
            return [
                Layer(
                    IGNORE_SETTING,
                    lambda outer: names if outer is None else outer | names,
                    _array,
                    databases=aliases,
                )
            ]

        super().__init__(layers)

    @staticmethod
    def session(databases: Iterable[str] | None = None) -> Session:
        """Within it, leaving `ignore` runs no SQL, even in a failed transaction."""
        return Session(databases)


def is_ignored(uri: str, database: str | None = None) -> bool:
    """Whether the current task ignores a trigger: on one database, or on any.

    Raises `TriggerUriError` or `TriggerNotFoundError` for a URI that does not exist.
    """
    if is_glob(uri):
        raise TriggerUriError(f"is_ignored() takes the URI of one trigger; got the glob {uri!r}.")
    ((model, trigger),) = registered(uri)
    name = registry.ignore_name(model, trigger)
    aliases = [database] if database else [*connections]
    return any(name in (current.get().value(IGNORE_SETTING, alias) or ()) for alias in aliases)


class schema(Context):  # noqa: N801  # used like a function
    """Set the search path for the SQL of the current thread or task.

    A nested context appends to the path. The earlier path comes back, also one set by hand.

    Args:
        *schemas: names, each quoted as it needs; ``"$user"`` is Postgres' own.
        databases: the aliases; all PostgreSQL databases by default.

    Example::

        with pgtrigger.schema("tenant_a", "public"):
            Order.objects.count()
    """

    def __init__(self, *schemas: str, databases: Iterable[str] | None = None) -> None:
        aliases = None if databases is None else [*databases]

        def append(outer: tuple[str, ...] | None) -> tuple[str, ...]:
            return tuple(dict.fromkeys([*(outer or ()), *schemas]))

        def layers() -> list[Layer]:
            layer = Layer("search_path", append, _path, databases=aliases, for_reads=True)
            return [layer] if schemas else []

        super().__init__(layers)

    @staticmethod
    def session(databases: Iterable[str] | None = None) -> Session:
        """Within it, leaving `schema` runs no SQL, even in a failed transaction."""
        return Session(databases)


def _path(schemas: Iterable[str]) -> str:
    return ", ".join(sql.identifier(name) for name in schemas)


def constraints(timing: clauses.Timing, *uris: str, databases: Iterable[str] | None = None) -> None:
    """Move the check of deferrable triggers, for the rest of the transaction.

    Args:
        timing: `Immediate` or `Deferred`.
        *uris: the triggers; all that have a ``timing`` without any.
        databases: the aliases; by default those that are in a transaction.

    Raises:
        NotDeferrableError: a trigger without ``timing``.
        NotInTransactionError: a database is not in a transaction.
        DatabaseNotSupportedError: a named database is not PostgreSQL.

    PostgreSQL manual: "SET CONSTRAINTS".
    """
    pairs = registered(*uris)
    if uris:
        for model, trigger in pairs:
            if trigger.timing is None:
                raise NotDeferrableError(
                    f'Trigger "{trigger.get_uri(model)}" is not deferrable: it is declared '
                    f"without timing."
                )
    pairs = [(model, trigger) for model, trigger in pairs if trigger.timing is not None]
    for connection in _in_transaction(databases):
        names = _constraints(pairs, connection.alias)
        if names:
            with connection.cursor() as cursor:
                cursor.execute(f"SET CONSTRAINTS {', '.join(names)} {timing}")


async def aconstraints(
    timing: clauses.Timing, *uris: str, databases: Iterable[str] | None = None
) -> None:
    """`constraints` for asynchronous code, on the connection of its ORM calls."""
    await sync_to_async(constraints)(timing, *uris, databases=databases)


def _in_transaction(databases: Iterable[str] | None) -> list[Any]:
    if databases is None:
        found = [
            connection
            for connection in connections.all(initialized_only=True)
            if connection.vendor == "postgresql" and connection.in_atomic_block
        ]
        if not found:
            raise NotInTransactionError(
                "constraints() has an effect only within a transaction, and the current thread "
                "is not in a transaction: call it within transaction.atomic()."
            )
        return found
    found = []
    for alias in databases:
        connection = catalog.postgres(alias)
        if connection is None:
            raise DatabaseNotSupportedError(f'Database "{alias}" is not PostgreSQL.')
        if not connection.in_atomic_block:
            raise NotInTransactionError(
                f'constraints() has an effect only within a transaction, and database "{alias}" '
                f"is not in a transaction: call it within transaction.atomic(using={alias!r})."
            )
        found.append(connection)
    return found


def _constraints(pairs: Iterable[Registration], alias: str) -> list[str]:
    # A table that names its schema may lie outside the search path, and its constraints with it.
    return [
        sql.quote_relation(trigger.get_pgid(model), sql.relation(model._meta.db_table)[0])
        for model, trigger in pairs
        if allowed(model, alias)
    ]
