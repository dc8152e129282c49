"""Makes the database ready: migrated, and with the flights in it."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError

from django.core.management import call_command
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flights import dataset
from flights.models import Flight, FlightEvent

FEWEST = 1_000  # with fewer, some attempts find no flight to try with

# Without a terminal a table is as wide as it needs, and there is no progress bar.
console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def add_arguments(parser: ArgumentParser) -> None:
    """Add what `prepare` takes to a command."""
    parser.add_argument(
        "--rows", type=_rows, default=dataset.FLIGHTS, help="number of flights to load"
    )
    parser.add_argument("--fresh", action="store_true", help="load the flights anew")


def _rows(text: str) -> int:
    if text.isdecimal() and FEWEST <= int(text) <= dataset.FLIGHTS:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a number from {FEWEST} to {dataset.FLIGHTS}")


def prepare(rows: int = dataset.FLIGHTS, *, fresh: bool = False) -> None:
    """Migrate, and load the flights unless there are some.

    Args:
        rows: number of flights to load.
        fresh: load them anew, and lose whatever was changed.
    """
    started = time.monotonic()
    call_command("migrate", verbosity=0, interactive=False)
    console.print(f"Migrated in {time.monotonic() - started:.1f} s.")
    if not fresh and Flight.objects.exists() and not FlightEvent.objects.exists():
        console.print("The flights are older than the record of their history.")
        fresh = True
    if fresh:
        dataset.unload()
    elif there := Flight.objects.count():
        much = f"{there:,} of {dataset.FLIGHTS:,} flights are"
        console.print(f"{much} loaded already; --fresh loads them anew.")
        return
    started = time.monotonic()
    _load(rows)
    console.print(f"{rows:,} flights loaded in {time.monotonic() - started:.1f} s.")


def _load(rows: int) -> None:
    if not console.is_terminal:
        dataset.load(rows)
        return
    columns = TextColumn("Loading flights"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("load", total=rows)
        dataset.load(rows, advance=lambda number: progress.advance(task, number))
