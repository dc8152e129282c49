"""``manage.py pgtrigger history redact``."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from pgtrigger.management.progress import reporting, say
from pgtrigger_history.redaction import redact
from pgtrigger_history.subcommands.action import Action
from pgtrigger_history.trackings import Tracking
from pgtrigger_history.user_redaction import UserRedaction


class Redact(Action):
    """Take one person's data out of events and contexts."""

    name: ClassVar[str] = "redact"
    help: ClassVar[str] = "Take one person's data out of events and contexts."
    takes_targets = False
    works_in_batches = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("--model", metavar="MODEL", help='A tracked model, such as "app_label.Model".')
        add("--key", nargs="+", metavar="VALUE", help="The primary key of an object of it.")
        add("--fields", type=_names, metavar="NAMES", help="Its fields, with commas between them.")
        add("--value", help="What the fields are to be; NULL by default.")
        add("--user", help="The primary key of a user to replace in contexts.")
        add("--replacement", metavar="VALUE", help="By what; null by default.")
        add(
            "--remove",
            type=_names,
            default=[],
            metavar="NAMES",
            help='More values to remove from the contexts of the user, such as "ip,url".',
        )
        add("--dry-run", action="store_true", help="Only count what would be changed.")

    def work(
        self,
        command: BaseCommand,
        trackings: list[Tracking],
        database: str,
        options: Mapping[str, Any],
    ) -> None:
        given = [options[name] is not None for name in ("model", "key", "fields")]
        if any(given) != all(given) or not (any(given) or options["user"]):
            raise CommandError("Give --model, --key and --fields, or --user, or all of them.")
        if options["model"]:
            _redact_object(command, trackings, database, options)
        if options["user"]:
            _redact_user(command, database, options)


def _redact_object(
    command: BaseCommand, trackings: list[Tracking], database: str, options: Mapping[str, Any]
) -> None:
    models = {tracking.model._meta.label: tracking.model for tracking in trackings}
    label, key = options["model"], options["key"]
    if label not in models:
        raise CommandError(f'"{label}" is not tracked. Tracked are: {", ".join(sorted(models))}.')
    with transaction.atomic(using=database):
        count = redact(
            models[label],
            key[0] if len(key) == 1 else key,
            fields=dict.fromkeys(options["fields"], options["value"]),
            using=database,
        )
        if options["dry_run"]:
            transaction.set_rollback(True, using=database)
    verb = "to redact" if options["dry_run"] else "redacted"
    say(command, options, f"{label} {' '.join(key)}: {count:,} events {verb}")


def _redact_user(command: BaseCommand, database: str, options: Mapping[str, Any]) -> None:
    work = UserRedaction(
        options["user"],
        replacement=options["replacement"],
        remove=options["remove"],
        database=database,
        batch_size=options["batch_size"],
    )
    total, title, done = work.total(), f"user {options['user']}", 0
    if options["dry_run"]:
        say(command, options, f"{title}: {total:,} contexts to redact")
        return
    with reporting(command, options, title, total, "contexts") as report:
        for count in work.batches():
            done += count
            report(done, "redacted")
    say(command, options, f"{title}: {done:,} contexts redacted")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
