"""The databases that ``check --database`` names and that can be asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.utils import OperationalError

from pgtrigger import catalog


def reachable(databases: Sequence[str] | None) -> Iterator[Any]:
    """The connections of those that are PostgreSQL and answer.

    Django's checks say nothing of a server that does not answer; nor do ours.
    """
    for alias in databases or ():
        connection = catalog.postgres(alias)
        if connection is not None:
            try:
                connection.ensure_connection()
            except OperationalError:
                continue
            yield connection
