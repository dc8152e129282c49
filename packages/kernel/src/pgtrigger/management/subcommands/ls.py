"""``manage.py pgtrigger ls``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger import catalog, installation
from pgtrigger.catalog import DRIFTED, INSTALLED, OUTDATED, PRUNE, UNALLOWED, UNINSTALLED
from pgtrigger.management.subcommand import DatabaseSubcommand
from pgtrigger.registry import registered

_STYLES = {
    INSTALLED: "SUCCESS",
    DRIFTED: "ERROR",
    OUTDATED: "WARNING",
    UNINSTALLED: "ERROR",
    PRUNE: "WARNING",
}


class Ls(DatabaseSubcommand):
    """Show the status of triggers, one in a line: status, whether it is enabled, and URI."""

    name: ClassVar[str] = "ls"
    help: ClassVar[str] = "Show which triggers are installed, and what is left over."
    takes_all_schemas = True
    waits_for_locks = False

    def run(self, command: BaseCommand, *uris: str, database: str, **options: Any) -> None:
        width = max(map(len, (INSTALLED, OUTDATED, UNINSTALLED, UNALLOWED, PRUNE)))
        for status, enabled, name in rows(*uris, database=database, **options):
            state = {True: "ENABLED", False: "DISABLED", None: "N/A"}[enabled]
            # The style is the identity unless stdout is a terminal.
            style = getattr(command.style, _STYLES.get(status, ""), str)
            command.stdout.write(f"{style(f'{status:<{width}}')} {state:<8} {name}")


def rows(
    *uris: str, database: str, all_schemas: bool = False
) -> Iterator[tuple[str, bool | None, str]]:
    """Status, enablement and name of the triggers, from one query."""
    pairs = registered(*uris)
    connection = catalog.postgres(database)
    wanted = {w.uri: w for w in installation.wanted_triggers(pairs, database)}
    found = None
    if connection is not None:
        found = installation.read_catalog(
            connection, [*wanted.values()], whole=not uris, all_schemas=all_schemas
        )
    for model, trigger in pairs:
        uri = trigger.get_uri(model)
        if uri not in wanted:
            yield UNALLOWED, None, uri
        elif found is None:
            yield UNINSTALLED, None, uri
        else:
            yield *found.status(wanted[uri].compiled, wanted[uri].db_table), uri
    if found is not None and not uris:
        for left in installation.leftovers(found, wanted.values(), all_schemas=all_schemas):
            table = left.table if left.visible else f"{left.schema}.{left.table}"
            yield PRUNE, left.enabled, f"{table}:{left.pgid}"
        for function in installation.orphans(found, wanted.values()):
            yield PRUNE, None, str(function)
