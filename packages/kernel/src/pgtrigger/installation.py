"""Compares what is declared with the catalog, and installs, removes, enables and disables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import catalog, conf, ddl, sql
from pgtrigger.catalog import Catalog, InstalledTrigger, OrphanFunction
from pgtrigger.compiler import CompiledTrigger
from pgtrigger.errors import InstallationError
from pgtrigger.locks import installer, run
from pgtrigger.registry import Registration, registered

logger = logging.getLogger("pgtrigger")

Unwanted = InstalledTrigger | OrphanFunction


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
    connection: BaseDatabaseWrapper,
    wanted: Sequence[Wanted],
    *,
    whole: bool,
    all_schemas: bool = False,
) -> Catalog:
    """Read what a database has: the tables of these triggers, or everything that is visible."""
    tables = {w.db_table for w in wanted}
    return catalog.read(
        connection,
        tables=None if whole else tables,
        schemas={schema for schema, _ in map(sql.relation, tables) if schema},
        pgids=[p for w in wanted for p in w.compiled.pgids if not p.startswith("pgtrigger_")],
        orphans=whole,
        all_schemas=all_schemas,
    )


def leftovers(
    found: Catalog, wanted: Iterable[Wanted], *, all_schemas: bool = False
) -> list[InstalledTrigger]:
    """The triggers of ours that none of these declarations stands for.

    Of the tables that the search path finds; in all schemas, a table has the declarations of
    every table of its name.
    """
    declared = {(*sql.relation(w.db_table), pgid) for w in wanted for pgid in w.compiled.pgids}
    return [
        trigger
        for trigger in found.triggers
        if (trigger.visible or all_schemas)
        and (None, trigger.table, trigger.pgid) not in declared
        and (trigger.schema, trigger.table, trigger.pgid) not in declared
    ]


def install_triggers(
    connection: BaseDatabaseWrapper,
    wanted: Sequence[Wanted],
    *,
    prune: bool = False,
    lock_timeout: str | None = None,
    tables_may_be_missing: bool = False,
) -> None:
    """Make the database have these triggers, and with ``prune`` no others of ours."""

    def to_do() -> tuple[Catalog, list[Wanted], list[Unwanted]]:
        found = read_catalog(connection, wanted, whole=prune)
        changed = [w for w in wanted if not w.is_current(found)]
        return found, changed, _unwanted(found, wanted) if prune else []

    if not any(to_do()[1:]):
        return
    with installer(connection, lock_timeout) as cursor:
        # Another process may have been faster.
        found, changed, unwanted = to_do()
        schemas = catalog.schemas_of(connection, {w.db_table for w in changed})
        for uri, db_table, compiled in changed:
            if db_table not in schemas:
                if tables_may_be_missing:
                    continue
                raise InstallationError(
                    f'Trigger "{uri}" cannot be installed: database "{connection.alias}" has no '
                    f'table "{db_table}" in its search path. Run migrate first.'
                )
            _log("Installing", uri, db_table, connection)
            installed = found.of_table(db_table)
            statements = ddl.install_sql(compiled, db_table, installed, schema=schemas[db_table])
            run(cursor, statements, f'trigger "{uri}"')
        _drop(cursor, unwanted, connection)


def orphans(found: Catalog, wanted: Iterable[Wanted]) -> list[OrphanFunction]:
    """The functions that no trigger calls, nor will when these declarations are installed."""
    declared = {w.compiled.function for w in wanted}
    return [function for function in found.functions if function.function not in declared]


def _unwanted(
    found: Catalog, wanted: Iterable[Wanted], *, all_schemas: bool = False
) -> list[Unwanted]:
    """What nobody declares."""
    return [*leftovers(found, wanted, all_schemas=all_schemas), *orphans(found, wanted)]


def _drop(cursor: Any, unwanted: Sequence[Unwanted], connection: BaseDatabaseWrapper) -> None:
    triggers = [one for one in unwanted if isinstance(one, InstalledTrigger)]
    functions = [one for one in unwanted if isinstance(one, OrphanFunction)]
    for trigger in triggers:
        _log("Pruning", trigger.pgid, trigger.table, connection)
    for function in functions:
        logger.info("pgtrigger: Pruning function %s on %s database.", function, connection.alias)
    run(cursor, ddl.uninstall_sql(triggers), "leftover triggers")
    run(cursor, ddl.drop_orphans_sql(functions), "leftover functions")


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
    all_schemas: bool = False,
    lock_timeout: str | None = None,
) -> None:
    """Run on each trigger that is installed what ``statements`` makes of it."""

    def to_do() -> tuple[list[tuple[Wanted, list[str]]], list[Unwanted]]:
        found = read_catalog(connection, wanted, whole=prune, all_schemas=all_schemas)
        changes = [(w, statements(w.found_in(found))) for w in wanted]
        unwanted = _unwanted(found, wanted, all_schemas=all_schemas) if prune else []
        return [change for change in changes if change[1]], unwanted

    if not any(to_do()):
        return
    with installer(connection, lock_timeout) as cursor:
        changes, unwanted = to_do()
        for w, texts in changes:
            _log(action, w.uri, w.db_table, connection)
            run(cursor, texts, f'trigger "{w.uri}"')
        _drop(cursor, unwanted, connection)


def install(*uris: str, database: str | None = None, lock_timeout: str | None = None) -> None:
    """Install triggers: all registered ones, or those of these URIs.

    Args:
        *uris: such as ``"shop.Order:protect"``.
        database: an alias; ``default`` without one. One that is not PostgreSQL is skipped.
        lock_timeout: how long to wait for a lock, such as ``"2s"``; ``PGTRIGGER_LOCK_TIMEOUT`` by
            default.

    Raises:
        TriggerUriError, TriggerNotFoundError: a URI that does not exist.
        InstallationError: a table that does not exist, or a lock that was not to be had.
    """
    pairs = registered(*uris)
    if connection := catalog.postgres(database):
        wanted = wanted_triggers(pairs, connection.alias)
        prune = not uris and conf.prune_on_install()
        install_triggers(connection, wanted, prune=prune, lock_timeout=lock_timeout)


def uninstall(*uris: str, database: str | None = None, lock_timeout: str | None = None) -> None:
    """Remove triggers and their functions. Arguments and errors as of `install`."""
    prune = not uris and conf.prune_on_install()
    _change("Uninstalling", ddl.uninstall_sql, uris, database, lock_timeout, prune=prune)


def enable(*uris: str, database: str | None = None, lock_timeout: str | None = None) -> None:
    """Let installed triggers fire again, for everybody. Arguments and errors as of `install`."""
    _change("Enabling", ddl.enable_sql, uris, database, lock_timeout)


def disable(*uris: str, database: str | None = None, lock_timeout: str | None = None) -> None:
    """Keep installed triggers from firing, for everybody. Arguments and errors as of `install`."""
    _change("Disabling", ddl.disable_sql, uris, database, lock_timeout)


def _change(
    action: str,
    statements: Callable[[Sequence[InstalledTrigger]], list[str]],
    uris: Sequence[str],
    database: str | None,
    lock_timeout: str | None,
    *,
    prune: bool = False,
    all_schemas: bool = False,
) -> None:
    pairs = registered(*uris)
    if connection := catalog.postgres(database):
        change_installed(
            connection,
            wanted_triggers(pairs, connection.alias),
            action,
            statements,
            prune=prune,
            all_schemas=all_schemas,
            lock_timeout=lock_timeout,
        )


def prunable(database: str | None = None, *, all_schemas: bool = False) -> list[Leftover]:
    """The triggers of ours in a database that no declaration stands for any more.

    Args:
        database: an alias; ``default`` without one.
        all_schemas: look beyond the tables that the search path finds.

    Returns:
        ``(table, postgres id, enabled, database)`` for each.
    """
    connection = catalog.postgres(database)
    if connection is None:
        return []
    wanted = wanted_triggers(registered(), connection.alias)
    found = read_catalog(connection, wanted, whole=True, all_schemas=all_schemas)
    return [
        Leftover(trigger.table, trigger.pgid, trigger.enabled, connection.alias)
        for trigger in leftovers(found, wanted, all_schemas=all_schemas)
    ]


def _nothing(triggers: Sequence[InstalledTrigger]) -> list[str]:
    return []


def prune(
    database: str | None = None, *, all_schemas: bool = False, lock_timeout: str | None = None
) -> None:
    """Remove what `prunable` finds, and functions of ours that no trigger calls.

    Arguments as of `prunable` and `install`.
    """
    _change("Pruning", _nothing, (), database, lock_timeout, prune=True, all_schemas=all_schemas)
