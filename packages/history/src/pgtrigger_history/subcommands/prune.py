"""``manage.py pgtrigger history prune``."""

from __future__ import annotations

import datetime
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.management.progress import reporting, say
from pgtrigger_history.ages import moment_of_age
from pgtrigger_history.pruning import ContextPruning, Pruning
from pgtrigger_history.subcommands.action import Action
from pgtrigger_history.trackings import Tracking


class Prune(Action):
    """Remove old events."""

    name: ClassVar[str] = "prune"
    help: ClassVar[str] = "Remove old events, and the contexts that nothing refers to any more."
    works_in_batches = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--older-than",
            type=_moment,
            required=True,
            metavar="AGE",
            dest="before",
            help='What to remove: such as "90d", "12w", "6m" (months), "2y", or an ISO date.',
        )
        parser.add_argument(
            "--keep-last",
            action=BooleanOptionalAction,
            default=True,
            help="Whether the last old event of each object stays, so that as_of knows it; it does "
            "by default.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only count the events.")

    def work(
        self,
        command: BaseCommand,
        trackings: list[Tracking],
        database: str,
        options: Mapping[str, Any],
    ) -> None:
        same: dict[str, Any] = {
            name: options[name] for name in ("before", "batch_size", "dry_run")
        } | {"database": database}
        for tracking in trackings:
            work = Pruning(tracking, keep_last=options["keep_last"], **same)
            if not options["dry_run"]:
                for partition in work.partitions():
                    work.drop(partition)
                    say(command, options, f"{partition.name}: dropped")
            _run(command, options, tracking.event_model._meta.label, work)
            if not options["dry_run"]:
                for partition in work.drop_empty():
                    say(command, options, f"{partition.name}: dropped, it was empty")
        contexts = ContextPruning(**same)
        if contexts.there():
            _run(command, options, "contexts", contexts)


def _run(
    command: BaseCommand, options: Mapping[str, Any], title: str, work: Pruning | ContextPruning
) -> None:
    verb = "to remove" if options["dry_run"] else "removed"
    seen = removed = 0
    with reporting(command, options, title, work.total(), "rows") as report:
        for batch in work.batches():
            seen, removed = seen + batch.seen, removed + batch.removed
            report(seen, f"{removed:,} {verb}")
    say(command, options, f"{title}: {removed:,} {verb}")


def _moment(text: str) -> datetime.datetime:
    try:
        return moment_of_age(text, datetime.datetime.now(datetime.UTC))
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(
            f'{text!r} is no age such as "90d", "12w", "6m" or "2y", and no ISO date: {error}.'
        ) from None
