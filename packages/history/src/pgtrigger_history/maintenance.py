"""Changing events on purpose: pruning, redaction, and Django's ``flush``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.postgresql.operations import DatabaseOperations

from pgtrigger.migrations import extend
from pgtrigger.session import Context, local_settings
from pgtrigger_history.protection import MAINTENANCE


def maintenance(databases: Iterable[str] | None = None) -> Context:
    """Let the owner of the tables change and delete events, within a block.

    Args:
        databases: the aliases; all PostgreSQL databases by default.
    """
    return local_settings(databases=databases, **{MAINTENANCE.replace(".", "__"): "on"})


def allow_flush() -> None:
    """Let ``manage.py flush`` and TransactionTestCase empty the tables of events, as all others."""
    extend(DatabaseOperations, "execute_sql_flush", _flushing)


def _flushing(original: Any) -> Any:
    def execute_sql_flush(self: Any, sql_list: Any) -> Any:
        with maintenance():
            return original(self, sql_list)

    return execute_sql_flush
