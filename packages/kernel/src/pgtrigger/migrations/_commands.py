"""makemigrations and migrate know about triggers. Django manual: "Migrations"."""

from __future__ import annotations

import functools
from typing import Any

from django.db import connections

from pgtrigger.compilations import remembered
from pgtrigger.locks import migrating
from pgtrigger.migrations._autodetector import with_triggers


def extend_command(kind: type[Any]) -> None:
    """Let the class of a command find changed triggers, and one ``migrate`` wait for another."""
    kind.autodetector = with_triggers(kind.autodetector)
    if not getattr(kind.execute, "extended_by_pgtrigger", False):
        kind.execute = _remembering(kind.execute)
    if kind.__module__.rpartition(".")[2] != "migrate":
        return
    original = kind.handle
    if getattr(original, "extended_by_pgtrigger", False):
        return

    @functools.wraps(original)
    def handle(self: Any, *args: Any, **options: Any) -> Any:
        alias: Any = options.get("database")
        if alias not in connections or options.get("plan") or options.get("check_unapplied"):
            return original(self, *args, **options)
        with migrating(connections[alias]):
            return original(self, *args, **options)

    handle.extended_by_pgtrigger = True  # type: ignore[attr-defined]
    kind.handle = handle


def _remembering(original: Any) -> Any:
    @functools.wraps(original)
    def execute(self: Any, *args: Any, **options: Any) -> Any:
        with remembered():
            return original(self, *args, **options)

    execute.extended_by_pgtrigger = True  # type: ignore[attr-defined]
    return execute
