"""``manage.py pgtrigger uninstall``."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.installation import uninstall
from pgtrigger.management.subcommand import DatabaseSubcommand


class Uninstall(DatabaseSubcommand):
    """Remove triggers and their functions."""

    name: ClassVar[str] = "uninstall"
    help: ClassVar[str] = "Remove triggers and their functions."

    def run(self, command: BaseCommand, *uris: str, database: str, **options: Any) -> None:
        uninstall(*uris, database=database, **options)
