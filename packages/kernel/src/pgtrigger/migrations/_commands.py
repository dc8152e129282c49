"""makemigrations and migrate know about triggers. Django manual: "Migrations"."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final

from django.db import connections

from pgtrigger.compilations import remembered
from pgtrigger.locks import migrating
from pgtrigger.migrations._autodetector import with_triggers
from pgtrigger.migrations._extending import extend

_running: Final[ContextVar[bool]] = ContextVar("pgtrigger_command", default=False)


def is_running() -> bool:
    """Whether makemigrations or migrate runs: what they are to change is not yet at fault."""
    return _running.get()


def extend_command(kind: type[Any]) -> None:
    """Let the class of a command find changed triggers, and one ``migrate`` wait for another."""
    kind.autodetector = with_triggers(kind.autodetector)
    extend(kind, "execute", _remembering)
    if kind.__module__.rpartition(".")[2] == "migrate":
        extend(kind, "handle", _in_turn)


def _remembering(original: Any) -> Any:
    def execute(self: Any, *args: Any, **options: Any) -> Any:
        token = _running.set(True)
        try:
            with remembered():
                return original(self, *args, **options)
        finally:
            _running.reset(token)

    return execute


def _in_turn(original: Any) -> Any:
    def handle(self: Any, *args: Any, **options: Any) -> Any:
        alias: Any = options.get("database")
        if alias not in connections or options.get("plan") or options.get("check_unapplied"):
            return original(self, *args, **options)
        with migrating(connections[alias]):
            return original(self, *args, **options)

    return handle
