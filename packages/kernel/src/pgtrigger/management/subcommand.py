"""What the kernel's own subcommands share: the database, the schemas, the URIs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand
from django.db.utils import DEFAULT_DB_ALIAS

from pgtrigger.runtime import schema


class DatabaseSubcommand:
    """A subcommand that works on one database, with a search path of the caller's choice."""

    name: ClassVar[str]
    help: ClassVar[str]
    takes_uris: ClassVar[bool] = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what all of them take."""
        if self.takes_uris:
            parser.add_argument(
                "uris",
                nargs="*",
                metavar="URI",
                help='Triggers, such as "app_label.Model:name"; all of them by default.',
            )
        parser.add_argument(
            "-d", "--database", default=DEFAULT_DB_ALIAS, help="The alias of the database."
        )
        parser.add_argument(
            "-s",
            "--schema",
            action="append",
            default=[],
            dest="schemas",
            help="A schema of the search path to work in; repeatable.",
        )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        """Run in the search path that was asked for."""
        database = options["database"] or DEFAULT_DB_ALIAS
        with schema(*(options["schemas"] or ()), databases=[database]):
            self.run(command, *(options.get("uris") or ()), database=database)

    def run(self, command: BaseCommand, *uris: str, database: str) -> None:
        """Do the work on a database."""
        raise NotImplementedError
