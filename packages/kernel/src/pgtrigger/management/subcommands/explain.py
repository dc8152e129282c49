"""``manage.py pgtrigger explain``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.explanation import explain
from pgtrigger.management.output import style_of, write_json
from pgtrigger.management.selection import chosen
from pgtrigger.management.subcommand import DatabaseSubcommand

_WIDTH = 13


class Explain(DatabaseSubcommand):
    """Say in words what triggers do; no database is asked."""

    name: ClassVar[str] = "explain"
    help: ClassVar[str] = "Say in words what triggers do."
    writes_json = True

    def _add_places(self, parser: ArgumentParser) -> None:
        """None: a declaration says the same everywhere."""

    def handle(self, command: BaseCommand, **options: Any) -> None:
        pairs = chosen(*(options.get("uris") or ()), labels=options.get("apps") or ())
        found = [explain(model, trigger) for model, trigger in pairs]
        if options.get("json"):
            write_json(command, [one.as_dict() for one in found])
            return
        for index, one in enumerate(found):
            if index:
                command.stdout.write("")
            command.stdout.write(style_of(command, "MIGRATE_HEADING")(one.uri))
            for label, sentence in one.lines():
                heading = style_of(command, "MIGRATE_LABEL")(f"{label:<{_WIDTH}}")
                command.stdout.write(f"  {heading} {sentence}")
