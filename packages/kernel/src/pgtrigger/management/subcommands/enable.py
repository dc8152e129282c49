"""``manage.py pgtrigger enable``."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.installation import enable
from pgtrigger.management.subcommand import DatabaseSubcommand


class Enable(DatabaseSubcommand):
    """Let installed triggers fire again, for everybody."""

    name: ClassVar[str] = "enable"
    help: ClassVar[str] = "Let installed triggers fire again, for everybody."

    def run(self, command: BaseCommand, *uris: str, database: str, **options: Any) -> None:
        enable(*uris, database=database, **options)
