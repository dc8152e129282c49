"""Subcommands that compare what is declared with the databases."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand
from django.db import connections

from pgtrigger.catalog import DRIFTED, INSTALLED, OUTDATED, PRUNE, UNINSTALLED
from pgtrigger.comparison import Row, compare, state_word
from pgtrigger.compilations import remembered
from pgtrigger.management.jobs import work_in
from pgtrigger.management.selection import chosen, databases
from pgtrigger.management.subcommand import DatabaseSubcommand, number
from pgtrigger.runtime import schema

ROLES = {
    INSTALLED: "SUCCESS",
    DRIFTED: "ERROR",
    OUTDATED: "WARNING",
    UNINSTALLED: "ERROR",
    PRUNE: "WARNING",
}


class Found(NamedTuple):
    """A row of a comparison, and the database it is of."""

    database: str
    row: Row

    def as_json(self) -> dict[str, Any]:
        """The names and values of JSON output."""
        return {"database": self.database, **self.row._asdict()}


class Showing(DatabaseSubcommand):
    """Compares declarations with databases, several at a time."""

    takes_statuses = True
    takes_all_schemas = True
    writes_json = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what all of them take."""
        super().add_arguments(parser)
        parser.add_argument(
            "--jobs", type=number, default=1, metavar="N", help="Look into N databases at a time."
        )

    def found(self, **options: Any) -> list[Found]:
        """What the databases have of the triggers that were asked for."""
        uris, apps = options.get("uris") or (), options.get("apps") or ()
        statuses = {*(options.get("statuses") or ())}
        pairs = chosen(*uris, labels=apps)

        def look(database: str) -> list[Row]:
            with schema(*(options.get("schemas") or ()), databases=[database]):
                return compare(
                    connections[database],
                    pairs,
                    whole=not uris and not apps,
                    all_schemas=bool(options.get("all_schemas")),
                )

        found = []
        with remembered():
            jobs = options.get("jobs") or 1
            for outcome in work_in(databases(options.get("database")), look, jobs=jobs):
                if outcome.error:
                    raise outcome.error
                found += [Found(outcome.place, row) for row in outcome.result or ()]
        order = {alias: number for number, alias in enumerate(connections)}
        # As they are declared, whichever database has answered first.
        found.sort(key=lambda one: order[one.database])
        return [one for one in found if not statuses or statuses & one.row.words]


def place(one: Found, *, several: bool) -> str:
    """Where a row is from, if that has to be said: database and schema."""
    return ".".join(part for part in (several and one.database, one.row.schema) if part)


def texts(found: list[Found]) -> list[list[str]]:
    """Rows in columns: status, whether it fires, name, and the place where that can differ."""
    several = len({one.database for one in found}) > 1
    rows = []
    for one in found:
        row = [one.row.status, state_word(one.row.enabled), one.row.name]
        if where := place(one, several=several):
            row.append(where)
        rows.append(row)
    return rows


def no_output(command: BaseCommand, text: str, **options: Any) -> None:
    """Tell people at a terminal that there is nothing to show."""
    if command.stdout.isatty() and not options.get("json"):
        command.stdout.write(text)
