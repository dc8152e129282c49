"""``manage.py pgtrigger stats``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger import sql, statistics
from pgtrigger.management.gathering import Gathering
from pgtrigger.management.output import write_json, write_table
from pgtrigger.management.selection import chosen
from pgtrigger.statistics import Calls, Statistics

_COLUMNS = ("CALLS", "TOTAL ms", "SELF ms", "AVERAGE ms", "TRIGGER")


class Stats(Gathering):
    """Show how often triggers are called, and how long they take."""

    name: ClassVar[str] = "stats"
    help: ClassVar[str] = "Show how often triggers are called, and how long they take."
    writes_json = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--sort",
            choices=[*statistics.ORDERS],
            default="total",
            help="What to show first: the most in total, which is the default, or in something "
            "else.",
        )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        pairs = chosen(*(options.get("uris") or ()), labels=options.get("apps") or ())
        found = self.gather(lambda connection: statistics.read(connection, pairs), **options)
        order = options.get("sort") or "total"
        if options.get("json"):
            write_json(command, [_as_json(name, one, order) for name, one in found])
            return
        several = len(found) > 1
        shown = [
            (database if several else "", calls)
            for database, one in found
            for calls in one.sorted_by(order)
        ]
        rows = [[*_numbers(calls), _name(database, calls)] for database, calls in shown]
        widths = [
            max(map(len, texts))
            for texts in zip(_COLUMNS[:-1], *(row[:-1] for row in rows), strict=True)
        ]
        rows = [
            [*(f"{text:>{w}}" for text, w in zip(row[:-1], widths, strict=True)), row[-1]]
            for row in rows
        ]
        write_table(command, _COLUMNS, rows, widths=widths)
        for database, one in found:
            for line in hints(database, one):
                command.stderr.write(line)


def _numbers(calls: Calls) -> list[str]:
    if not calls.installed:
        return ["-"] * 4
    times = (calls.total_ms, calls.self_ms, calls.average_ms)
    return [str(calls.calls), *(f"{milliseconds:.3f}" for milliseconds in times)]


def _name(database: str, calls: Calls) -> str:
    notes = [database] if database else []
    if not calls.installed:
        notes.append("not installed")
    return f"{calls.uri} ({', '.join(notes)})" if notes else calls.uri


def _as_json(database: str, found: Statistics, order: str) -> dict[str, Any]:
    return {
        "database": database,
        "track_functions": found.tracking,
        "since": found.since.isoformat() if found.since else None,
        "triggers": [calls.as_dict() for calls in found.sorted_by(order)],
    }


def hints(database: str, found: Statistics) -> list[str]:
    """What to know about the numbers of a database."""
    if found.counts:
        since = f", since {found.since:%Y-%m-%d %H:%M %Z}".rstrip() if found.since else ""
        return [f'Counted in database "{database}"{since}.']
    name = sql.quote(found.database)
    hint = (
        f'Database "{database}" does not count calls: track_functions is off. As a superuser, run '
        f"ALTER DATABASE {name} SET track_functions = 'pl'; it holds for new connections."
    )
    return [hint]
