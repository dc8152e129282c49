"""Installs, removes, enables, disables and prunes triggers, by the smallest change."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from pgtrigger import catalog, conf
from pgtrigger.comparison import leftovers, read_catalog, wanted_triggers
from pgtrigger.compiler.fingerprint import comment_triggers_sql
from pgtrigger.locks import installer, run
from pgtrigger.planning import Action, Step, Work
from pgtrigger.registry import registered

logger = logging.getLogger("pgtrigger")


class Leftover(NamedTuple):
    """A trigger of ours that no declaration stands for any more."""

    table: str
    pgid: str
    enabled: bool
    database: str


def carry_out(
    work: Work, lock_timeout: str | None = None, *, look_first: bool = True
) -> list[Step]:
    """Do what is to be done, in one transaction, and tell what that was.

    Args:
        work: what is to be done.
        lock_timeout: how long to wait for a lock; ``PGTRIGGER_LOCK_TIMEOUT`` by default.
        look_first: wait for other installers only if there is something to do.

    Raises:
        InstallationError: a table that does not exist, or a lock that was not to be had.
    """
    if look_first and not work.steps():
        return []
    with installer(work.connection, lock_timeout) as cursor:
        # Another process may have been faster.
        steps = work.steps()
        for step in steps:
            logger.info("pgtrigger: %s on %s database.", step, work.database)
            about = f'trigger "{step.name}"' if step.table else f"function {step.name}"
            # Without parameters, so that the server takes all of them in one message.
            run(cursor, ";\n".join(step.changes), about)
        if comments := [comment for step in steps for comment in step.comments]:
            run(cursor, comment_triggers_sql(comments), "the comments of triggers")
    return steps


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
    prune = not uris and conf.prune_on_install()
    _carry_out(Action.INSTALL, uris, database, lock_timeout, prune=prune)


def uninstall(*uris: str, database: str | None = None, lock_timeout: str | None = None) -> None:
    """Remove triggers and their functions. Arguments and errors as of `install`."""
    prune = not uris and conf.prune_on_install()
    _carry_out(Action.UNINSTALL, uris, database, lock_timeout, prune=prune)


def enable(*uris: str, database: str | None = None, lock_timeout: str | None = None) -> None:
    """Let installed triggers fire again, for everybody. Arguments and errors as of `install`."""
    _carry_out(Action.ENABLE, uris, database, lock_timeout)


def disable(*uris: str, database: str | None = None, lock_timeout: str | None = None) -> None:
    """Keep installed triggers from firing, for everybody. Arguments and errors as of `install`."""
    _carry_out(Action.DISABLE, uris, database, lock_timeout)


def _carry_out(
    action: Action,
    uris: Sequence[str],
    database: str | None,
    lock_timeout: str | None,
    *,
    prune: bool = False,
    all_schemas: bool = False,
) -> None:
    pairs = registered(*uris)
    if connection := catalog.postgres(database):
        work = Work(
            database=connection.alias,
            action=action,
            wanted=wanted_triggers(pairs, connection.alias),
            prune=prune,
            all_schemas=all_schemas,
        )
        carry_out(work, lock_timeout)


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


def prune(
    database: str | None = None, *, all_schemas: bool = False, lock_timeout: str | None = None
) -> None:
    """Remove what `prunable` finds, and functions of ours that no trigger calls.

    Arguments as of `prunable` and `install`.
    """
    _carry_out(Action.PRUNE, (), database, lock_timeout, prune=True, all_schemas=all_schemas)
