"""``manage.py pgtrigger inspect``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.inspection import source_of_table
from pgtrigger.management.gathering import Gathering


class Inspect(Gathering):
    """Write declarations for the triggers that a table has already."""

    name: ClassVar[str] = "inspect"
    help: ClassVar[str] = "Write declarations for triggers that were made by hand."
    takes_uris = False
    takes_apps = False
    takes_databases = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "table",
            metavar="TABLE",
            help='A table, as SQL names it, such as "audit.log"; or a model, as "app_label.Model".',
        )
        super().add_arguments(parser)
        parser.add_argument(
            "--all",
            action="store_true",
            help="Also those that have been installed from declarations.",
        )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        found = self.gather(
            lambda connection: source_of_table(
                connection, options["table"], ours=bool(options.get("all"))
            ),
            **options,
        )
        for _, source in found:
            command.stdout.write(source)
