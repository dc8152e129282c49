"""``manage.py pgtrigger history backfill``."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.management.progress import reporting, say
from pgtrigger_history.backfilling import Backfilling
from pgtrigger_history.subcommands.action import Action
from pgtrigger_history.trackings import Tracking


class Backfill(Action):
    """Record the rows that were there before they were tracked."""

    name: ClassVar[str] = "backfill"
    help: ClassVar[str] = "Write an event for each row of a tracked model that has none."
    works_in_batches = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Only count the rows.")

    def work(
        self,
        command: BaseCommand,
        trackings: list[Tracking],
        database: str,
        options: Mapping[str, Any],
    ) -> None:
        for tracking in trackings:
            label = tracking.event_model._meta.label
            work = Backfilling(tracking, database=database, batch_size=options["batch_size"])
            total = work.total()
            if options["dry_run"]:
                say(command, options, f"{label}: {total:,} rows to record")
                continue
            found = recorded = 0
            with reporting(command, options, label, total, "rows") as report:
                for batch in work.batches():
                    found, recorded = found + batch.found, recorded + batch.recorded
                    report(found, f"{recorded:,} recorded")
            say(command, options, f"{label}: {recorded:,} rows recorded")
