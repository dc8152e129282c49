"""What the actions share: which models of which database, and in which schemas."""

from __future__ import annotations

import datetime
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.core.management.base import BaseCommand
from django.db import connections

from pgtrigger.errors import DatabaseNotSupportedError
from pgtrigger.management.selection import databases
from pgtrigger.management.subcommand import DatabaseSubcommand, number
from pgtrigger.runtime import schema
from pgtrigger_history.selection import chosen_trackings
from pgtrigger_history.trackings import Tracking

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


class Action(DatabaseSubcommand):
    """Something that is done with the events of tracked models."""

    takes_uris = False
    takes_apps = False
    takes_targets: ClassVar[bool] = True
    works_in_batches: ClassVar[bool] = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        if self.takes_targets:
            parser.add_argument(
                "targets",
                nargs="*",
                metavar="TARGET",
                help='Tracked models, such as "app_label.Model", models of events, triggers, or '
                "globs of these; all by default.",
            )
        super().add_arguments(parser)
        if self.works_in_batches:
            parser.add_argument(
                "--batch-size",
                type=number,
                default=1000,
                metavar="ROWS",
                help="How many rows to deal with in one transaction; 1000 by default.",
            )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        """Do it on each database, in the search path that was asked for."""
        for database in databases(options["database"]):
            if connections[database].vendor != "postgresql":
                raise DatabaseNotSupportedError(f'Database "{database}" is not PostgreSQL.')
            with schema(*(options["schemas"] or ()), databases=[database]):
                targets = options.get("targets") or ()
                self.work(command, chosen_trackings(*targets, database=database), database, options)

    def work(
        self,
        command: BaseCommand,
        trackings: list[Tracking],
        database: str,
        options: Mapping[str, Any],
    ) -> None:
        """Do it with the chosen trackings of a database."""
        raise NotImplementedError


def day_text(moment: datetime.datetime | None, otherwise: str) -> str:
    """A day, for people; something else where there is none."""
    return f"{moment:%Y-%m-%d}" if moment else otherwise


def bytes_text(size: int) -> str:
    """A number of bytes, for people."""
    amount, unit = float(size), 0
    while amount >= 10240 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:,.0f} {_UNITS[unit]}"
