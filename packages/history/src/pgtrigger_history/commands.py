"""A context for each management command."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand

from pgtrigger.migrations import extend
from pgtrigger_history.context import context


def make_contexts() -> None:
    """Make each management command a context, if ``PGTRIGGER_HISTORY_COMMANDS`` says so."""
    extend(BaseCommand, "execute", _in_context)


def _in_context(original: Any) -> Any:
    def execute(self: Any, *args: Any, **options: Any) -> Any:
        if not getattr(settings, "PGTRIGGER_HISTORY_COMMANDS", False):
            return original(self, *args, **options)
        with context(command=type(self).__module__.rpartition(".")[2]):
            return original(self, *args, **options)

    return execute
