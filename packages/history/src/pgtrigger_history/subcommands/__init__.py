"""``manage.py pgtrigger history``: what keeps event tables in order, one module for each action."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar, Final

from django.core.management.base import BaseCommand

from pgtrigger.management.subcommand import add_django_options
from pgtrigger_history.subcommands.action import Action
from pgtrigger_history.subcommands.backfill import Backfill
from pgtrigger_history.subcommands.importing import Import
from pgtrigger_history.subcommands.partitions import Partitions
from pgtrigger_history.subcommands.prune import Prune
from pgtrigger_history.subcommands.redact import Redact
from pgtrigger_history.subcommands.stats import Stats

ACTIONS: Final[tuple[type[Action], ...]] = (Backfill, Prune, Partitions, Redact, Stats, Import)


class History:
    """Fill, prune, partition, redact, measure and import events."""

    name: ClassVar[str] = "history"
    help: ClassVar[str] = "Keep the tables of events in order."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the actions."""
        chosen = parser.add_subparsers(
            title="actions", dest="action", metavar="ACTION", required=True
        )
        for kind in ACTIONS:
            action = chosen.add_parser(kind.name, help=kind.help, description=kind.help)
            kind().add_arguments(action)
            add_django_options(action)
            action.set_defaults(action=kind.name)

    def handle(self, command: BaseCommand, **options: Any) -> None:
        """Run an action."""
        next(kind for kind in ACTIONS if kind.name == options["action"])().handle(
            command, **options
        )
