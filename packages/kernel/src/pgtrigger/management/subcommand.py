"""What the kernel's own subcommands share: the database, the schemas, the URIs."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any, ClassVar

from django.core.management.base import BaseCommand
from django.db.utils import DEFAULT_DB_ALIAS

from pgtrigger import conf
from pgtrigger.runtime import schema


def _duration(text: str) -> str:
    try:
        return conf.duration(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


class DatabaseSubcommand:
    """A subcommand that works on one database, with a search path of the caller's choice."""

    name: ClassVar[str]
    help: ClassVar[str]
    takes_uris: ClassVar[bool] = True
    takes_all_schemas: ClassVar[bool] = False
    waits_for_locks: ClassVar[bool] = True

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
        if self.takes_all_schemas:
            parser.add_argument(
                "--all-schemas",
                action="store_true",
                help="Look for leftovers beyond the search path, in all schemas.",
            )
        if self.waits_for_locks:
            parser.add_argument(
                "--lock-timeout",
                type=_duration,
                metavar="DURATION",
                help='How long to wait for a lock, such as "2s" or milliseconds; '
                "PGTRIGGER_LOCK_TIMEOUT by default.",
            )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        """Run in the search path that was asked for."""
        database = options["database"] or DEFAULT_DB_ALIAS
        chosen: dict[str, Any] = {}
        if self.takes_all_schemas:
            chosen["all_schemas"] = bool(options.get("all_schemas"))
        if self.waits_for_locks:
            chosen["lock_timeout"] = options.get("lock_timeout")
        with schema(*(options["schemas"] or ()), databases=[database]):
            self.run(command, *(options.get("uris") or ()), database=database, **chosen)

    def run(self, command: BaseCommand, *uris: str, database: str, **options: Any) -> None:
        """Do the work on a database."""
        raise NotImplementedError
