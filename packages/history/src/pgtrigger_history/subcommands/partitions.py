"""``manage.py pgtrigger history partitions``."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.management.output import write_json, write_table
from pgtrigger.management.progress import say
from pgtrigger_history.partitioning import Partition, Partitioning
from pgtrigger_history.partitions import AHEAD, is_partitioned
from pgtrigger_history.subcommands.action import Action, bytes_text, day_text
from pgtrigger_history.trackings import Tracking

_COLUMNS = ("PARTITION", "FROM", "BEFORE", "ROWS", "SIZE")


class Partitions(Action):
    """Make partitions for the time to come, and remove old ones."""

    name: ClassVar[str] = "partitions"
    help: ClassVar[str] = "Make the partitions of event tables, remove old ones, and list them."
    waits_for_locks = True
    writes_json = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--ahead",
            type=_count,
            default=AHEAD,
            metavar="PERIODS",
            help=f"How many periods after the present one get a partition; {AHEAD} by default.",
        )
        parser.add_argument(
            "--retain",
            type=_count,
            metavar="PERIODS",
            help="Drop what is older than so many periods before the present one, with its events; "
            "nothing is dropped by default.",
        )
        parser.add_argument(
            "--detach", action="store_true", help="Detach the old partitions instead of dropping."
        )
        parser.add_argument(
            "--list", action="store_true", help="Only list the partitions; change nothing."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")

    def work(
        self,
        command: BaseCommand,
        trackings: list[Tracking],
        database: str,
        options: Mapping[str, Any],
    ) -> None:
        shown: list[tuple[Tracking, Partition]] = []
        for tracking in trackings:
            if not options["targets"] and not is_partitioned(tracking.event_model):
                continue
            work = Partitioning(
                tracking, database=database, lock_timeout=options.get("lock_timeout")
            )
            if not options["list"]:
                _make(command, work, options)
                _remove(command, work, options)
            shown += [(tracking, partition) for partition in work.partitions()]
        if options["json"]:
            write_json(command, [_as_json(database, *each) for each in shown])
            return
        rows = [_row(partition) for _, partition in shown]
        widths = [max(map(len, texts)) for texts in zip(*rows, strict=True)]
        write_table(command, _COLUMNS, rows, widths=widths)


def _make(command: BaseCommand, work: Partitioning, options: Mapping[str, Any]) -> None:
    label = work.tracking.event_model._meta.label
    for period in work.missing(options["ahead"]):
        said = f"{label}: {period.start:%Y-%m-%d} to {period.end:%Y-%m-%d}"
        if options["dry_run"]:
            say(command, options, f"{said}: to make")
        else:
            moved = work.make(period)
            say(command, options, f"{said}: made, {moved:,} events moved from the default one")


def _remove(command: BaseCommand, work: Partitioning, options: Mapping[str, Any]) -> None:
    if options["retain"] is None:
        return
    verb, done = ("detach", "detached") if options["detach"] else ("drop", "dropped")
    for partition in work.beyond(options["retain"]):
        if options["dry_run"]:
            say(command, options, f"{partition.name}: to {verb}")
        else:
            work.remove(partition, detach=options["detach"])
            say(command, options, f"{partition.name}: {done}")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a number of periods.")
    return int(text)


def _row(partition: Partition) -> list[str]:
    rows = "" if partition.rows < 0 else f"{partition.rows:,}"
    if partition.default:
        return [partition.name, "default", "", rows, bytes_text(partition.size)]
    start, end = (day_text(moment, "unlimited") for moment in (partition.start, partition.end))
    return [partition.name, start, end, rows, bytes_text(partition.size)]


def _as_json(database: str, tracking: Tracking, partition: Partition) -> dict[str, Any]:
    return {
        "database": database,
        "model": tracking.event_model._meta.label,
        "schema": partition.schema,
        "partition": partition.name,
        "default": partition.default,
        "from": partition.start and partition.start.isoformat(),
        "before": partition.end and partition.end.isoformat(),
        "rows": None if partition.rows < 0 else partition.rows,
        "bytes": partition.size,
    }
