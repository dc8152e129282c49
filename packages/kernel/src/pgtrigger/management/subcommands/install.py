"""``manage.py pgtrigger install``."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.installation import install
from pgtrigger.management.subcommand import DatabaseSubcommand


class Install(DatabaseSubcommand):
    """Install triggers, by the smallest change."""

    name: ClassVar[str] = "install"
    help: ClassVar[str] = "Install triggers, by the smallest change."

    def run(self, command: BaseCommand, *uris: str, database: str, **options: Any) -> None:
        install(*uris, database=database, **options)
