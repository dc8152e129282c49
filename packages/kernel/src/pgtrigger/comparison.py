"""What is declared beside what a database has: statuses, and what is left over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import catalog, relations, sql
from pgtrigger.catalog import (
    PRUNE,
    UNALLOWED,
    UNINSTALLED,
    Catalog,
    InstalledTrigger,
    OrphanFunction,
)
from pgtrigger.compilations import compile_once
from pgtrigger.compiler import CompiledTrigger
from pgtrigger.registry import Registration

Unwanted = InstalledTrigger | OrphanFunction


class Wanted(NamedTuple):
    """A declared trigger with its compiled form, for one database."""

    uri: str
    db_table: str
    compiled: CompiledTrigger

    def found_in(self, found: Catalog, schema: str | None = None) -> list[InstalledTrigger]:
        """Those of its Postgres triggers that are installed."""
        table = found.of_table(self.db_table, schema)
        return [table[pgid] for pgid in self.compiled.pgids if pgid in table]

    def status(self, found: Catalog, schema: str | None = None) -> tuple[str, bool | None]:
        """``(status, enabled)``, in the search path or in one schema."""
        return found.status(self.compiled, self.db_table, schema)

    def belongs_in(self, schema: str) -> bool:
        """Whether its table may be in a schema: it names that one or none."""
        return sql.relation(self.db_table)[0] in (None, schema)


class Row(NamedTuple):
    """What a database has of one trigger.

    Args:
        status: such as ``INSTALLED``; ``PRUNE`` for what nobody declares.
        enabled: whether it fires; None where it is not there.
        name: the URI, or ``table:postgres_id`` of a leftover, or a function.
        schema: the schema it was looked for in, where all of them were.
    """

    status: str
    enabled: bool | None
    name: str
    schema: str | None = None

    @property
    def words(self) -> frozenset[str]:
        """What ``--status`` can ask for."""
        return status_words(self.status, self.enabled)

    @property
    def as_declared(self) -> bool:
        """Whether nothing is to be done about it."""
        if self.status == UNALLOWED:
            return True
        return self.status == catalog.INSTALLED and self.enabled is True


def state_word(enabled: bool | None) -> str:
    """How ``ls`` writes whether a trigger fires."""
    return {True: "ENABLED", False: "DISABLED", None: "N/A"}[enabled]


def status_words(status: str, enabled: bool | None) -> frozenset[str]:
    """The words that hold for a trigger: its status, and whether it fires."""
    return frozenset([status, state_word(enabled)])


def allowed(model: Any, database: str) -> bool:
    """Whether the database routers let a model's table live in a database."""
    options = (model._meta.concrete_model or model)._meta
    return bool(router.allow_migrate(database, options.app_label, model_name=options.model_name))


def wanted_triggers(pairs: Iterable[Registration], database: str) -> list[Wanted]:
    """Compile the triggers that a database may have."""
    return [
        Wanted(trigger.get_uri(model), model._meta.db_table, compile_once(trigger, model))
        for model, trigger in pairs
        if allowed(model, database)
    ]


def read_catalog(
    connection: BaseDatabaseWrapper,
    wanted: Sequence[Wanted],
    *,
    whole: bool,
    all_schemas: bool = False,
    within: str | None = None,
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
        within=within,
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


def orphans(found: Catalog, wanted: Iterable[Wanted]) -> list[OrphanFunction]:
    """The functions that no trigger calls, nor will when these declarations are installed."""
    declared = {w.compiled.function for w in wanted}
    return [function for function in found.functions if function.function not in declared]


def unwanted(
    found: Catalog, wanted: Collection[Wanted], *, all_schemas: bool = False
) -> list[Unwanted]:
    """What nobody declares."""
    return [*leftovers(found, wanted, all_schemas=all_schemas), *orphans(found, wanted)]


def compare(
    connection: BaseDatabaseWrapper,
    pairs: Sequence[Registration],
    *,
    whole: bool = False,
    all_schemas: bool = False,
) -> list[Row]:
    """Compare declarations with a database: one query, and one more for all schemas.

    Args:
        connection: of any database; one that is not PostgreSQL has nothing installed.
        pairs: the declarations; all that are registered if ``whole``.
        whole: look for leftovers, too.
        all_schemas: look into each schema that has a table of these triggers, rather than into
            the search path.
    """
    wanted = wanted_triggers(pairs, connection.alias)
    refused = {trigger.get_uri(model) for model, trigger in pairs} - {w.uri for w in wanted}
    rows = {uri: [Row(UNALLOWED, None, uri)] for uri in refused}
    if connection.vendor != "postgresql":
        rows |= {w.uri: [Row(UNINSTALLED, None, w.uri)] for w in wanted}
        left: list[Row] = []
    else:
        found = read_catalog(connection, wanted, whole=whole, all_schemas=all_schemas)
        places = relations.places(connection, {w.db_table for w in wanted}) if all_schemas else {}
        for w in wanted:
            # A table that is nowhere yet has its triggers uninstalled, in no schema.
            schemas: Sequence[str | None] = places.get(w.db_table) or [None]
            rows[w.uri] = [Row(*w.status(found, schema), w.uri, schema) for schema in schemas]
        left = [*_left(found, wanted, all_schemas=all_schemas)] if whole else []
    declared = [row for model, trigger in pairs for row in rows[trigger.get_uri(model)]]
    if all_schemas:
        # All of a schema together.
        declared.sort(key=lambda row: row.schema or "")
    return declared + left


def _left(found: Catalog, wanted: list[Wanted], *, all_schemas: bool) -> Iterator[Row]:
    for left in leftovers(found, wanted, all_schemas=all_schemas):
        schema = left.schema if all_schemas else None
        yield Row(PRUNE, left.enabled, f"{left.table}:{left.pgid}", schema)
    for orphan in orphans(found, wanted):
        yield Row(PRUNE, None, str(orphan), orphan.schema if all_schemas else None)
