"""Compares what is declared with the catalog, and installs, removes, enables and disables.

PostgreSQL manual: "Advisory Locks", "Explicit Locking".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from django.db import router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

from pgtrigger import catalog, conf, ddl, sql
from pgtrigger.catalog import Catalog, InstalledTrigger
from pgtrigger.compiler import CompiledTrigger
from pgtrigger.errors import InstallationError
from pgtrigger.registry import Registration, registered

logger = logging.getLogger("pgtrigger")

# The key of the advisory lock that serialises installers: any constant that others do not use.
_ADVISORY_LOCK: Final = 0x7067747269676765
_LOCK_NOT_AVAILABLE: Final = "55P03"


class Wanted(NamedTuple):
    """A declared trigger with its compiled form, for one database."""

    uri: str
    db_table: str
    compiled: CompiledTrigger

    def found_in(self, found: Catalog) -> list[InstalledTrigger]:
        """Those of its Postgres triggers that are installed."""
        table = found.of_table(self.db_table)
        return [table[pgid] for pgid in self.compiled.pgids if pgid in table]

    def is_current(self, found: Catalog) -> bool:
        """Whether nothing is to be done."""
        return found.status(self.compiled, self.db_table)[0] == catalog.INSTALLED


class Leftover(NamedTuple):
    """A trigger of ours that no declaration stands for any more."""

    table: str
    pgid: str
    enabled: bool
    database: str


def allowed(model: Any, database: str) -> bool:
    """Whether the database routers let a model's table live in a database."""
    options = (model._meta.concrete_model or model)._meta
    return bool(router.allow_migrate(database, options.app_label, model_name=options.model_name))


def wanted_triggers(pairs: Iterable[Registration], database: str) -> list[Wanted]:
    """Compile the triggers that a database may have."""
    return [
        Wanted(trigger.get_uri(model), model._meta.db_table, trigger.compile(model))
        for model, trigger in pairs
        if allowed(model, database)
    ]


def read_catalog(
    connection: BaseDatabaseWrapper, wanted: Sequence[Wanted], *, whole: bool
) -> Catalog:
    """Read what a database has: the tables of these triggers, or everything that is visible."""
    tables = {w.db_table for w in wanted}
    return catalog.read(
        connection,
        tables=None if whole else tables,
        schemas={schema for schema, _ in map(sql.relation, tables) if schema},
        pgids=[p for w in wanted for p in w.compiled.pgids if not p.startswith("pgtrigger_")],
    )


def leftovers(found: Catalog, wanted: Iterable[Wanted]) -> list[InstalledTrigger]:
    """The visible triggers of ours that none of these declarations stands for."""
    declared = {trigger for w in wanted for trigger in w.found_in(found)}
    return [trigger for trigger in found.triggers if trigger.visible and trigger not in declared]


@contextmanager
def installer(connection: BaseDatabaseWrapper) -> Generator[Any]:
    """A transaction in which this process is the only installer of the database.

    Raises:
        InstallationError: a lock was not to be had within ``PGTRIGGER_LOCK_TIMEOUT``.
    """
    timeout = conf.lock_timeout()
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            before = None
            if timeout is not None:
                cursor.execute("SELECT current_setting('lock_timeout')")
                (before,) = cursor.fetchone()
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [timeout])
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            yield cursor
            if before is not None:
                # The transaction may be somebody else's, and go on.
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
    except OperationalError as error:
        cause = error.__cause__
        code = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        if code != _LOCK_NOT_AVAILABLE:
            raise
        raise InstallationError(
            f'Database "{connection.alias}": a lock was not to be had in time '
            f"(PGTRIGGER_LOCK_TIMEOUT is {timeout}). Nothing was changed. Try again when the long "
            f"transactions on the table have ended. Postgres said: {error}"
        ) from error


def run(cursor: Any, statements: Iterable[str], about: str) -> None:
    """Run statements without parameters, telling which trigger an error is about."""
    for statement in statements:
        try:
            cursor.execute(statement)
        except Exception as error:
            error.add_note(f"pgtrigger was changing {about} with: {statement}")
            raise


def install_triggers(
    connection: BaseDatabaseWrapper, wanted: Sequence[Wanted], *, prune: bool = False
) -> None:
    """Make the database have these triggers, and with ``prune`` no others of ours."""

    def to_do() -> tuple[Catalog, list[Wanted], list[InstalledTrigger]]:
        found = read_catalog(connection, wanted, whole=prune)
        changed = [w for w in wanted if not w.is_current(found)]
        return found, changed, leftovers(found, wanted) if prune else []

    if not any(to_do()[1:]):
        return
    with installer(connection) as cursor:
        # Another process may have been faster.
        found, changed, unwanted = to_do()
        schemas = catalog.schemas_of(connection, {w.db_table for w in changed})
        for uri, db_table, compiled in changed:
            if db_table not in schemas:
                raise InstallationError(
                    f'Trigger "{uri}" cannot be installed: database "{connection.alias}" has no '
                    f'table "{db_table}" in its search path. Run migrate first.'
                )
            _log("Installing", uri, db_table, connection)
            installed = found.of_table(db_table)
            statements = ddl.install_sql(compiled, db_table, installed, schema=schemas[db_table])
            run(cursor, statements, f'trigger "{uri}"')
        _drop_leftovers(cursor, unwanted, connection)


def _drop_leftovers(
    cursor: Any, unwanted: Sequence[InstalledTrigger], connection: BaseDatabaseWrapper
) -> None:
    for trigger in unwanted:
        _log("Pruning", trigger.pgid, trigger.table, connection)
    run(cursor, ddl.uninstall_sql(unwanted), "leftover triggers")


def _log(action: str, trigger: str, table: str, connection: BaseDatabaseWrapper) -> None:
    logger.info(
        "pgtrigger: %s %s trigger for %s table on %s database.",
        action,
        trigger,
        table,
        connection.alias,
    )


def change_installed(
    connection: BaseDatabaseWrapper,
    wanted: Sequence[Wanted],
    action: str,
    statements: Callable[[Sequence[InstalledTrigger]], list[str]],
    *,
    prune: bool = False,
) -> None:
    """Run on each trigger that is installed what ``statements`` makes of it."""

    def to_do() -> tuple[list[tuple[Wanted, list[str]]], list[InstalledTrigger]]:
        found = read_catalog(connection, wanted, whole=prune)
        changes = [(w, statements(w.found_in(found))) for w in wanted]
        unwanted = leftovers(found, wanted) if prune else []
        return [change for change in changes if change[1]], unwanted

    if not any(to_do()):
        return
    with installer(connection) as cursor:
        changes, unwanted = to_do()
        for w, texts in changes:
            _log(action, w.uri, w.db_table, connection)
            run(cursor, texts, f'trigger "{w.uri}"')
        _drop_leftovers(cursor, unwanted, connection)


def install(*uris: str, database: str | None = None) -> None:
    """Install triggers: all registered ones, or those of these URIs.

    Args:
        *uris: such as ``"shop.Order:protect"``.
        database: an alias; ``default`` without one. One that is not PostgreSQL is skipped.

    Raises:
        TriggerUriError, TriggerNotFoundError: a URI that does not exist.
        InstallationError: a table that does not exist, or a lock that was not to be had.
    """
    pairs = registered(*uris)
    if connection := catalog.postgres(database):
        wanted = wanted_triggers(pairs, connection.alias)
        install_triggers(connection, wanted, prune=not uris and conf.prune_on_install())


def uninstall(*uris: str, database: str | None = None) -> None:
    """Remove triggers and their functions. Arguments and errors as of `install`."""
    pairs = registered(*uris)
    if connection := catalog.postgres(database):
        wanted = wanted_triggers(pairs, connection.alias)
        prune = not uris and conf.prune_on_install()
        change_installed(connection, wanted, "Uninstalling", ddl.uninstall_sql, prune=prune)


def enable(*uris: str, database: str | None = None) -> None:
    """Let installed triggers fire again, for everybody. Arguments and errors as of `install`."""
    pairs = registered(*uris)
    if connection := catalog.postgres(database):
        wanted = wanted_triggers(pairs, connection.alias)
        change_installed(connection, wanted, "Enabling", ddl.enable_sql)


def disable(*uris: str, database: str | None = None) -> None:
    """Keep installed triggers from firing, for everybody. Arguments and errors as of `install`."""
    pairs = registered(*uris)
    if connection := catalog.postgres(database):
        wanted = wanted_triggers(pairs, connection.alias)
        change_installed(connection, wanted, "Disabling", ddl.disable_sql)


def prunable(database: str | None = None) -> list[Leftover]:
    """The triggers of ours in a database that no declaration stands for any more.

    Returns:
        ``(table, postgres id, enabled, database)`` for each, only of tables that the search path
        finds.
    """
    connection = catalog.postgres(database)
    if connection is None:
        return []
    wanted = wanted_triggers(registered(), connection.alias)
    found = read_catalog(connection, wanted, whole=True)
    return [
        Leftover(trigger.table, trigger.pgid, trigger.enabled, connection.alias)
        for trigger in leftovers(found, wanted)
    ]


def _nothing(triggers: Sequence[InstalledTrigger]) -> list[str]:
    return []


def prune(database: str | None = None) -> None:
    """Remove what `prunable` finds, each trigger with its function."""
    if connection := catalog.postgres(database):
        wanted = wanted_triggers(registered(), connection.alias)
        change_installed(connection, wanted, "Pruning", _nothing, prune=True)
