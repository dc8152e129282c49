"""Connections through a pooler, which need a setting of Django's. See ``docs/poolers.md``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage

from pgtrigger.checks.databases import reachable
from pgtrigger.checks.messages import warning


def check_poolers(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that connections through a pooler are set up for it: ``check --database``."""
    messages: list[CheckMessage] = []
    for connection in reachable(databases):
        if not connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS") and _is_pooled(
            connection
        ):
            text = (
                f'Database "{connection.alias}" is reached through a pooler or proxy, but '
                f"DISABLE_SERVER_SIDE_CURSORS is not set. If it pools transactions, "
                f".iterator() fails, and some settings of pgtrigger can reach other clients."
            )
            messages.append(
                warning("pgtrigger.W002", text, "Set DISABLE_SERVER_SIDE_CURSORS for it.")
            )
    return messages


def _is_pooled(connection: Any) -> bool:
    """Whether the process at the other end is another one than the server has for us."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    info = connection.connection.info
    return bool(info.backend_pid != pid)
