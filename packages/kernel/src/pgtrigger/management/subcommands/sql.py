"""``manage.py pgtrigger sql``."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.comparison import wanted_triggers
from pgtrigger.layout import script
from pgtrigger.management.selection import chosen
from pgtrigger.management.subcommand import DatabaseSubcommand


class Sql(DatabaseSubcommand):
    """Show the SQL that installs triggers; needs no database."""

    name: ClassVar[str] = "sql"
    help: ClassVar[str] = "Show the SQL that triggers stand for."

    def run(self, command: BaseCommand, *uris: str, database: str, **options: Any) -> None:
        for wanted in wanted_triggers(chosen(*uris, labels=options.get("apps") or ()), database):
            statements = wanted.compiled.install_sql(wanted.db_table)
            command.stdout.write(f"-- {wanted.uri}\n{script(statements)}\n")
