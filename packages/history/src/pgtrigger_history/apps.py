"""Wiring, nothing else."""

from __future__ import annotations

from django.apps import AppConfig

from pgtrigger_history import commands, maintenance, signals


class HistoryConfig(AppConfig):
    """The app with the table of contexts and the pages of the admin."""

    name = "pgtrigger_history"
    verbose_name = "History"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        signals.connect()
        maintenance.allow_flush()
        commands.make_contexts()
