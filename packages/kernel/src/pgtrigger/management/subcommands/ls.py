"""``manage.py pgtrigger ls``."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger.management.output import write_json, write_table
from pgtrigger.management.showing import ROLES, Showing, texts

# Of the longest status but DRIFTED, and of DISABLED.
_WIDTHS = (11, 8)


class Ls(Showing):
    """Show the status of triggers, one in a line: status, whether it is enabled, and URI."""

    name: ClassVar[str] = "ls"
    help: ClassVar[str] = "Show which triggers are installed, and what is left over."

    def handle(self, command: BaseCommand, **options: Any) -> None:
        found = self.found(**options)
        if options.get("json"):
            write_json(command, [one.as_json() for one in found])
            return
        rows = texts(found)
        width = max(map(len, rows), default=3)
        table = rows
        if command.stdout.isatty():
            table = [[*row, *[""] * (width - len(row))] for row in rows]
        columns = ["STATUS", "ENABLED", "TRIGGER", "PLACE"][:width]
        roles = [ROLES.get(one.row.status) for one in found]
        names = [max((len(row[2]) for row in rows), default=0)] * (width > 3)
        write_table(command, columns, table, roles=roles, widths=(*_WIDTHS, *names))
