"""``manage.py pgtrigger``: shows and repairs what is in the database."""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from pgtrigger.errors import PgTriggerError
from pgtrigger.hookspecs import Subcommand
from pgtrigger.management.subcommand import add_django_options
from pgtrigger.management.subcommands import SUBCOMMANDS
from pgtrigger.plugins import plugins


def subcommands() -> dict[str, type[Subcommand]]:
    """The kernel's subcommands and those of the plugins.

    Raises `PluginError` when a plugin takes a name of the kernel's.
    """
    return {**SUBCOMMANDS, **plugins().subcommands(taken=SUBCOMMANDS)}


class Command(BaseCommand):
    """Show, install, remove, enable, disable and prune triggers."""

    help = "Show and repair the triggers in a database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        chosen = parser.add_subparsers(
            title="subcommands", dest="subcommand", metavar="SUBCOMMAND", required=True
        )
        for name, kind in subcommands().items():
            subparser = chosen.add_parser(name, help=kind.help, description=kind.help)
            kind().add_arguments(subparser)
            add_django_options(subparser)
            subparser.set_defaults(subcommand=name)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Show no colours where NO_COLOR asks for that (https://no-color.org)."""
        if os.environ.get("NO_COLOR") and not options.get("force_color"):
            options["no_color"] = True
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        self._log_to_stderr(options["verbosity"])
        subcommands()[options["subcommand"]]().handle(self, **options)

    def run_from_argv(self, argv: list[str]) -> None:
        """Show errors of ours to people as one line, not as a traceback."""
        try:
            super().run_from_argv(argv)
        except PgTriggerError as error:
            self.stderr.write(self.style.ERROR(f"{type(error).__name__}: {error}"))
            sys.exit(1)

    def _log_to_stderr(self, verbosity: int) -> None:
        logger = logging.getLogger("pgtrigger")
        if (
            not verbosity
            or logger.hasHandlers()
            or not getattr(self, "_called_from_command_line", False)
        ):
            return
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.INFO)
