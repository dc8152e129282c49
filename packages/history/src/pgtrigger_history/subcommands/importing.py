"""``manage.py pgtrigger history import``."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError

from pgtrigger.management.progress import reporting, say
from pgtrigger_history.importing import Importing
from pgtrigger_history.sources import OPERATIONS, Source
from pgtrigger_history.subcommands.action import Action
from pgtrigger_history.trackings import Tracking


class Import(Action):
    """Bring the events of another package along."""

    name: ClassVar[str] = "import"
    help: ClassVar[str] = "Import the events that django-pghistory or django-simple-history has."
    works_in_batches = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--from",
            required=True,
            choices=[source.value for source in Source],
            dest="source",
            help="The package that has made the table.",
        )
        parser.add_argument("--table", required=True, help="The table that has the events.")
        parser.add_argument(
            "--context-table",
            metavar="TABLE",
            help='The table of the contexts of django-pghistory, "pghistory_context".',
        )
        parser.add_argument(
            "--operation",
            action="append",
            default=[],
            type=_operation,
            metavar="LABEL=OPERATION",
            dest="operations",
            help='What events of a label tell of, such as "paid=UPDATE"; repeatable.',
        )

    def work(
        self,
        command: BaseCommand,
        trackings: list[Tracking],
        database: str,
        options: Mapping[str, Any],
    ) -> None:
        own = [tracking for tracking in trackings if tracking.owner is None]
        if not options["targets"] or len(own) != 1:
            raise CommandError(
                "Name one tracked model, or one model of events. "
                f"There are: {', '.join(tracking.event_model._meta.label for tracking in own)}."
            )
        (tracking,) = own
        label = tracking.event_model._meta.label
        work = Importing(
            tracking,
            Source(options["source"]),
            table=options["table"],
            context_table=options["context_table"],
            operations=dict(options["operations"]),
            database=database,
            batch_size=options["batch_size"],
        )
        for place, columns in zip((options["table"], label), work.unmatched(), strict=True):
            if columns:
                say(command, options, f"Only {place} has: {', '.join(columns)}.")
        done = 0
        with reporting(command, options, label, work.total(), "events") as report:
            for count in work.batches():
                done += count
                report(done, "imported")
        say(command, options, f"{label}: {done:,} events imported")


def _operation(text: str) -> tuple[str, str]:
    label, _, operation = text.rpartition("=")
    if not label or operation.upper() not in OPERATIONS:
        raise ArgumentTypeError(
            f"{text!r} is not LABEL=OPERATION, with one of {', '.join(OPERATIONS)}."
        )
    return label, operation.upper()
