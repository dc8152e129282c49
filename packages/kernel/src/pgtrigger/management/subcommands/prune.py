"""``manage.py pgtrigger prune``."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.installation import prune
from pgtrigger.management.subcommand import DatabaseSubcommand


class Prune(DatabaseSubcommand):
    """Remove triggers that no declaration stands for any more, and functions without triggers."""

    name: ClassVar[str] = "prune"
    help: ClassVar[str] = "Remove triggers that are no longer in the code."
    takes_uris = False
    takes_all_schemas = True

    def run(self, command: BaseCommand, *uris: str, database: str, **options: Any) -> None:
        prune(database=database, **options)
