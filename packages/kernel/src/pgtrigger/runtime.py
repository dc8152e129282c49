"""Ignoring triggers, setting the search path, and moving deferred checks, from Python.

PostgreSQL manual: "SET CONSTRAINTS", "The Schema Search Path".
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from django.db import connections

from pgtrigger import catalog, clauses, sql
from pgtrigger.compiler import IGNORE_SETTING
from pgtrigger.errors import (
    DatabaseNotSupportedError,
    DeclarationError,
    NotDeferrableError,
    NotInTransactionError,
)
from pgtrigger.installation import allowed
from pgtrigger.registry import Registration, registered, registry
from pgtrigger.session import Context, Session
from pgtrigger.wanted import Layer, current


@functools.lru_cache(maxsize=1)
def _all_names(version: int) -> frozenset[str]:
    return frozenset(
        registry.ignore_name(model, trigger) for model, trigger in registered() if trigger.ignorable
    )


def _names(uris: tuple[str, ...]) -> frozenset[str]:
    pairs = registered(*uris)
    if not uris:
        return _all_names(registry.version)
    for model, trigger in pairs:
        if not trigger.ignorable:
            raise DeclarationError(
                f'Trigger "{trigger.get_uri(model)}" cannot be ignored: it is declared with '
                f"ignorable=False."
            )
    return frozenset(registry.ignore_name(model, trigger) for model, trigger in pairs)


@functools.lru_cache(maxsize=64)
def _array(names: frozenset[str]) -> str:
    return sql.array(sorted(names))


class ignore(Context):  # noqa: N801  # used like a function
    """Keep triggers from firing for the SQL of the current thread or task.

    A context manager, an async one, and a decorator. Nested contexts add up. A deferred trigger is
    ignored if the transaction commits within the context.

    Args:
        *uris: such as ``"shop.Order:protect"``; all registered triggers without any.
        databases: the aliases; all PostgreSQL databases by default.

    Raises:
        TriggerUriError, TriggerNotFoundError: a URI that does not exist.
        DeclarationError: a trigger that is declared with ``ignorable=False``.

    Example::

        with pgtrigger.ignore("shop.Order:protect"):
            Order.objects.all().delete()
    """

    def __init__(self, *uris: str, databases: Iterable[str] | None = None) -> None:
        aliases = None if databases is None else [*databases]

        def layers() -> list[Layer]:
            names = _names(uris)
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
