"""``manage.py demo``: try to break the rules, and see what the database answers."""

import time

from django.core.management.base import BaseCommand, CommandError
from rich import box
from rich.markup import escape
from rich.table import Table

from flights.attempts import Outcome, attempts, run
from flights.dataset import fingerprints
from flights.preparation import add_arguments, console, prepare


class Command(BaseCommand):
    """The demo. It leaves the database as it was."""

    help = "Try to break the rules that the flights have, and see what the database answers."

    def add_arguments(self, parser):
        add_arguments(parser)

    def handle(self, *, rows, fresh, **options):
        started = time.monotonic()
        prepare(rows, fresh=fresh)

        before = fingerprints()
        outcomes = []
        with console.status("") as status:
            for attempt in attempts():
                status.update(f"{attempt.what} ({attempt.path})")
                outcomes.append(run(attempt))
        unchanged = fingerprints() == before

        console.print(table(outcomes))
        wrong = sum(not outcome.expected for outcome in outcomes)
        refused = sum(bool(outcome.refused_by) for outcome in outcomes)
        console.print(
            f"{len(outcomes)} attempts: {refused} refused, {len(outcomes) - refused} let through, "
            f"{wrong or 'none'} of it unexpected. The tables are "
            f"{'as they were' if unchanged else 'CHANGED'}. {time.monotonic() - started:.1f} s."
        )
        if wrong or not unchanged:
            raise CommandError("The database did not do what its triggers say.")


def table(outcomes: list[Outcome]) -> Table:
    """The outcomes as a table."""
    shown = Table(box=box.SIMPLE_HEAD)
    for name in ("Tried", "Through", "Refused by", "The database answered"):
        shown.add_column(name, overflow="fold")
    shown.add_column("ms", justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for outcome in outcomes:
        shown.add_row(
            outcome.attempt.what,
            outcome.attempt.path,
            outcome.refused_by.removeprefix("flights.") or "-",
            escape(outcome.answer),
            f"{outcome.seconds * 1000:,.1f}",
            "[green]ok[/]" if outcome.expected else "[bold red]WRONG[/]",
        )
    return shown
