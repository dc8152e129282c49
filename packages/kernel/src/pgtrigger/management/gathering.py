"""Subcommands that read something from each database, and show it together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger.compilations import remembered
from pgtrigger.errors import DatabaseNotSupportedError
from pgtrigger.management.selection import databases
from pgtrigger.management.subcommand import DatabaseSubcommand
from pgtrigger.runtime import schema

T = TypeVar("T")


class Gathering(DatabaseSubcommand):
    """Reads from one database after the other, in the search path that was asked for."""

    def gather(
        self, read: Callable[[BaseDatabaseWrapper], T], **options: Any
    ) -> list[tuple[str, T]]:
        """What is read from each database, by its alias.

        Raises `DatabaseNotSupportedError` for one that is not PostgreSQL.
        """
        found: list[tuple[str, T]] = []
        with remembered():
            for database in databases(options.get("database")):
                connection = connections[database]
                if connection.vendor != "postgresql":
                    raise DatabaseNotSupportedError(f'Database "{database}" is not PostgreSQL.')
                with schema(*(options.get("schemas") or ()), databases=[database]):
                    found.append((database, read(connection)))
        return found
