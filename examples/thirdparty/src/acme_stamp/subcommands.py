"""``manage.py pgtrigger stamps``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

import pgtrigger
from acme_stamp.triggers import Stamp


class Stamps:
    """Show which columns are written by a stamp, one in a line."""

    name: ClassVar[str] = "stamps"
    help: ClassVar[str] = "Show which columns Postgres stamps with the time, and by which trigger."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--app", help="Only the models of this app.")

    def handle(self, command: BaseCommand, **options: Any) -> None:
        for model, trigger in pgtrigger.registered():
            if not isinstance(trigger, Stamp) or options["app"] not in (
                None,
                model._meta.app_label,
            ):
                continue
            column = trigger.stamped_field(model).column
            command.stdout.write(f"{model._meta.db_table}.{column}  {trigger.get_uri(model)}")
