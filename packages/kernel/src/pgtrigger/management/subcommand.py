"""What the subcommands share: the options that choose triggers, databases and schemas."""

from __future__ import annotations

import copy
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from typing import Any, ClassVar

from django.core.management.base import BaseCommand
from django.db.utils import DEFAULT_DB_ALIAS

from pgtrigger import catalog, conf
from pgtrigger.management.selection import databases
from pgtrigger.runtime import schema

STATUSES = (
    catalog.INSTALLED,
    catalog.OUTDATED,
    catalog.DRIFTED,
    catalog.UNINSTALLED,
    catalog.UNALLOWED,
    catalog.PRUNE,
    "ENABLED",
    "DISABLED",
)


def _duration(text: str) -> str:
    try:
        return conf.duration(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def number(text: str) -> int:
    """A whole number, at least 1: the type of an argument."""
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is not a number, at least 1.")
    return int(text)


def add_django_options(parser: ArgumentParser) -> None:
    """Let Django's own options stand after the subcommand, too, where people write them."""
    django = BaseCommand().create_parser("manage.py", "pgtrigger")
    for action in django._actions:
        if action.option_strings and not {"--help", "--version"} & {*action.option_strings}:
            own = copy.copy(action)
            own.default, own.help = SUPPRESS, SUPPRESS
            parser._add_action(own)


class DatabaseSubcommand:
    """A subcommand that works on databases, with a search path of the caller's choice."""

    name: ClassVar[str]
    help: ClassVar[str]
    takes_uris: ClassVar[bool] = True
    takes_apps: ClassVar[bool] = True
    takes_statuses: ClassVar[bool] = False
    takes_databases: ClassVar[bool] = True
    takes_all_schemas: ClassVar[bool] = False
    waits_for_locks: ClassVar[bool] = False
    writes_json: ClassVar[bool] = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what all of them take."""
        if self.takes_uris:
            parser.add_argument(
                "uris",
                nargs="*",
                metavar="URI",
                help='Triggers, such as "app_label.Model:name", or globs, such as "shop.*:name"; '
                "all of them by default.",
            )
        if self.takes_apps:
            parser.add_argument(
                "--app",
                action="append",
                default=[],
                dest="apps",
                metavar="LABEL",
                help="Only the triggers of this app; repeatable.",
            )
        if self.takes_statuses:
            parser.add_argument(
                "--status",
                action="append",
                default=[],
                dest="statuses",
                choices=STATUSES,
                type=str.upper,
                help="Only triggers that have this status now; repeatable.",
            )
        self._add_places(parser)
        if self.waits_for_locks:
            parser.add_argument(
                "--lock-timeout",
                type=_duration,
                metavar="DURATION",
                help='How long to wait for a lock, such as "2s" or milliseconds; '
                "PGTRIGGER_LOCK_TIMEOUT by default.",
            )
        if self.writes_json:
            parser.add_argument("--json", action="store_true", help="Write JSON.")

    def _add_places(self, parser: ArgumentParser) -> None:
        if self.takes_databases:
            parser.add_argument(
                "-d",
                "--database",
                action="append",
                default=[],
                help='The alias of a database, "default" by default; repeatable, and "all" for '
                "all that are PostgreSQL.",
            )
        else:
            parser.add_argument(
                "-d", "--database", default=DEFAULT_DB_ALIAS, help="The alias of the database."
            )
        schemas = parser.add_mutually_exclusive_group()
        schemas.add_argument(
            "-s",
            "--schema",
            action="append",
            default=[],
            dest="schemas",
            help="A schema of the search path to work in; repeatable.",
        )
        if self.takes_all_schemas:
            schemas.add_argument(
                "--all-schemas",
                action="store_true",
                help="Work in each schema that has a table of these triggers.",
            )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        """Run on each database, in the search path that was asked for."""
        names = ("apps", "lock_timeout", "json")
        chosen = {name: options[name] for name in names if name in options}
        for database in databases(options["database"]):
            with schema(*(options["schemas"] or ()), databases=[database]):
                self.run(command, *(options.get("uris") or ()), database=database, **chosen)

    def run(self, command: BaseCommand, *uris: str, database: str, **options: Any) -> None:
        """Do the work on a database."""
        raise NotImplementedError
