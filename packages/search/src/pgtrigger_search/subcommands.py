"""``manage.py pgtrigger reindex``."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from django.core.management.base import BaseCommand
from django.db import connections

from pgtrigger.declaration import Model
from pgtrigger.errors import DatabaseNotSupportedError, DeclarationError, TriggerNotFoundError
from pgtrigger.management.progress import is_quiet, reporting, say
from pgtrigger.management.subcommand import DatabaseSubcommand, number
from pgtrigger.registry import registered
from pgtrigger.runtime import schema
from pgtrigger_search.reindexing import Key, Reindexing
from pgtrigger_search.triggers import UpdateSearchVector


class Reindex(DatabaseSubcommand):
    """Compute the search vectors of existing rows, in batches."""

    name: ClassVar[str] = "reindex"
    help: ClassVar[str] = "Compute the search vectors of existing rows."
    takes_uris = False
    takes_apps = False
    takes_databases = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "uris",
            nargs="*",
            metavar="TARGET",
            help='A model or a trigger, such as "app_label.Model" or "app_label.Model:name"; '
            "all search vectors by default.",
        )
        super().add_arguments(parser)
        parser.add_argument(
            "--batch-size",
            type=number,
            default=1000,
            metavar="ROWS",
            help="How many rows to look at in one transaction; 1000 by default.",
        )
        parser.add_argument(
            "--after",
            nargs="+",
            default=[],
            metavar="VALUE",
            help="The primary key behind which to begin, a value for each of its columns.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Only count the rows whose vector is wrong."
        )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        database = options["database"]
        if connections[database].vendor != "postgresql":
            raise DatabaseNotSupportedError(f'Database "{database}" is not PostgreSQL.')
        pairs = [
            (model, trigger)
            for model, trigger in search_triggers(*options["uris"])
            if trigger.allow_migrate(model, database)
        ]
        if options["after"] and len(pairs) != 1:
            raise DeclarationError(
                f"--after is a key of one table; name one trigger, not {len(pairs)}."
            )
        with schema(*options["schemas"], databases=[database]):
            for model, trigger in pairs:
                work = Reindexing(
                    model,
                    trigger,
                    database=database,
                    batch_size=options["batch_size"],
                    after=options["after"],
                    dry_run=options["dry_run"],
                )
                run(command, work, options)


def run(command: BaseCommand, work: Reindexing, options: Mapping[str, Any]) -> None:
    """Do the work, and tell how far it is."""
    uri = work.trigger.get_uri(work.model)
    verb = "to update" if work.dry_run else "updated"
    rows = wrong = 0
    total = 0 if is_quiet(options) else work.total()
    with reporting(command, options, uri, total, "rows") as report:
        for batch in work.batches():
            rows, wrong = rows + batch.rows, wrong + batch.wrong
            report(rows, f"{wrong:,} {verb}, up to {key_text(batch.last)}")
    say(command, options, f"{uri}: {rows:,} rows, {wrong:,} {verb}")


def key_text(key: Key) -> str:
    """A primary key, as a shell takes it for ``--after``."""
    return " ".join(shlex.quote(str(value)) for value in key)


def search_triggers(*targets: str) -> list[tuple[Model, UpdateSearchVector]]:
    """The search vectors of these models and triggers, or all of them.

    Raises `TriggerNotFoundError` for a target that has none.
    """
    known = {
        trigger.get_uri(model): (model, trigger)
        for model, trigger in registered()
        if isinstance(trigger, UpdateSearchVector)
    }
    found: dict[str, tuple[Model, UpdateSearchVector]] = {}
    for target in targets or ("*",):
        pattern = target if ":" in target or not targets else f"{target}:*"
        uris = [uri for uri in known if fnmatchcase(uri, pattern)]
        if targets and not uris:
            raise TriggerNotFoundError(
                f'"{target}" is neither an UpdateSearchVector trigger nor a model that has one. '
                f"There are: {', '.join(known) or 'none'}."
            )
        found |= {uri: known[uri] for uri in uris}
    return [*found.values()]
