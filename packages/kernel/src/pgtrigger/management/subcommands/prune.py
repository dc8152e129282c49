"""``manage.py pgtrigger prune``."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from pgtrigger.installation import prune
from pgtrigger.management.subcommand import DatabaseSubcommand


class Prune(DatabaseSubcommand):
    """Remove triggers of ours that no declaration stands for any more."""

    name = "prune"
    help = "Remove triggers that are no longer in the code."
    takes_uris = False

    def run(self, command: BaseCommand, *uris: str, database: str) -> None:
        prune(database=database)
