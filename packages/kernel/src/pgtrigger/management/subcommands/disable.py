"""``manage.py pgtrigger disable``."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.installation import disable
from pgtrigger.management.subcommand import DatabaseSubcommand


class Disable(DatabaseSubcommand):
    """Keep installed triggers from firing, for everybody."""

    name: ClassVar[str] = "disable"
    help: ClassVar[str] = "Keep installed triggers from firing, for everybody."

    def run(self, command: BaseCommand, *uris: str, database: str, **options: Any) -> None:
        disable(*uris, database=database, **options)
