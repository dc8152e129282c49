"""``manage.py pgtrigger diff``."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import BaseCommand
from django.db import connections

from pgtrigger.comparison import wanted_triggers
from pgtrigger.differences import differences
from pgtrigger.errors import DatabaseNotSupportedError
from pgtrigger.management.output import style_of
from pgtrigger.management.selection import chosen
from pgtrigger.management.subcommand import DatabaseSubcommand

_ROLES = {"+": "SUCCESS", "-": "ERROR", "@": "MIGRATE_HEADING"}


class Diff(DatabaseSubcommand):
    """Show how the database differs from the declarations, as a unified diff."""

    name: ClassVar[str] = "diff"
    help: ClassVar[str] = "Show how triggers in a database differ from their declarations."

    def run(self, command: BaseCommand, *uris: str, database: str, **options: Any) -> None:
        connection = connections[database]
        if connection.vendor != "postgresql":
            raise DatabaseNotSupportedError(f'Database "{database}" is not PostgreSQL.')
        apps = options.get("apps") or ()
        wanted = wanted_triggers(chosen(*uris, labels=apps), database)
        for line in differences(connection, wanted, whole=not uris and not apps):
            command.stdout.write(style_of(command, _ROLES.get(line[:1]))(line))
