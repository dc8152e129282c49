"""``manage.py pgtrigger history stats``."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.management.output import write_json, write_table
from pgtrigger_history.sizes import Size, size_of_contexts, size_of_events
from pgtrigger_history.subcommands.action import Action, bytes_text, day_text
from pgtrigger_history.trackings import Tracking

_COLUMNS = ("ROWS", "TABLE", "INDEXES", "OLDEST", "NEWEST", "PARTITIONS", "MODEL")


class Stats(Action):
    """Show how many events there are, and how much room they take."""

    name: ClassVar[str] = "stats"
    help: ClassVar[str] = "Show how many events there are, and how much room they take."
    writes_json = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--exact",
            action="store_true",
            help="Count the events, which reads the tables; by default the server's estimate.",
        )

    def work(
        self,
        command: BaseCommand,
        trackings: list[Tracking],
        database: str,
        options: Mapping[str, Any],
    ) -> None:
        exact = options["exact"]
        found = [size_of_events(tracking, database, exact=exact) for tracking in trackings]
        found.append(size_of_contexts(database, exact=exact))
        sizes = [size for size in found if size is not None]
        if options["json"]:
            write_json(command, [_as_json(database, size) for size in sizes])
            return
        rows = [_row(size) for size in sizes]
        widths = [max(map(len, texts)) for texts in zip(_COLUMNS, *rows, strict=True)]
        write_table(command, _COLUMNS, rows, widths=widths)


def _row(size: Size) -> list[str]:
    rows = "?" if size.rows is None else f"{'' if size.exact else '~'}{size.rows:,}"
    return [
        rows,
        bytes_text(size.table),
        bytes_text(size.indexes),
        day_text(size.oldest, "-"),
        day_text(size.newest, "-"),
        str(size.partitions or "-"),
        size.name,
    ]


def _as_json(database: str, size: Size) -> dict[str, Any]:
    moments = {
        name: moment and moment.isoformat()
        for name, moment in (("oldest", size.oldest), ("newest", size.newest))
    }
    names = {"name": "model", "table": "table_bytes", "indexes": "index_bytes"}
    known = {names.get(name, name): value for name, value in size._asdict().items()}
    return {"database": database, **known, **moments}
