"""What is in the database: all triggers of ours, their functions and state, in one query.

PostgreSQL manual: "System Catalogs", ``pg_trigger``, ``pg_proc`` and ``pg_description``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DEFAULT_DB_ALIAS

from pgtrigger import sql
from pgtrigger.compiler import CompiledTrigger

INSTALLED: Final = "INSTALLED"
OUTDATED: Final = "OUTDATED"
UNINSTALLED: Final = "UNINSTALLED"
UNALLOWED: Final = "UNALLOWED"
PRUNE: Final = "PRUNE"

# The window counts before the filter, so that it sees triggers outside the search path too.
# Clones on partitions belong to the trigger of the partitioned table.
_QUERY: Final = """
    SELECT n.nspname, c.relname, t.tgname, t.tgenabled, td.description,
           pn.nspname, p.proname, pd.description, t.uses, pg_catalog.pg_table_is_visible(c.oid),
           t.tgconstraint <> 0
      FROM (SELECT oid, tgrelid, tgname, tgenabled, tgfoid, tgparentid, tgconstraint,
                   count(*) FILTER (WHERE tgparentid = 0) OVER (PARTITION BY tgfoid) AS uses
              FROM pg_catalog.pg_trigger WHERE NOT tgisinternal) t
      JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
      JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
      LEFT JOIN pg_catalog.pg_description td
             ON td.objoid = t.oid AND td.classoid = 'pg_catalog.pg_trigger'::regclass
            AND td.objsubid = 0
      LEFT JOIN pg_catalog.pg_description pd
             ON pd.objoid = p.oid AND pd.classoid = 'pg_catalog.pg_proc'::regclass
            AND pd.objsubid = 0
     WHERE t.tgparentid = 0
       AND (t.tgname LIKE %s OR t.tgname = ANY(%s::name[]))
       AND (%s::name[] IS NULL OR c.relname = ANY(%s::name[]))
       AND (n.nspname = ANY(%s::name[]) OR pg_catalog.pg_table_is_visible(c.oid))
     ORDER BY n.nspname, c.relname, t.tgname
"""

_LOCATE: Final = """
    SELECT wanted.name, n.nspname
      FROM unnest(%s::text[]) AS wanted(name)
      JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(wanted.name)
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
"""


@dataclass(frozen=True, kw_only=True)
class InstalledTrigger:
    """One Postgres trigger as the database has it.

    Args:
        schema, table, pgid: where it is and what it is called.
        state: ``O`` (enabled), ``D`` (disabled), ``A`` (always) or ``R`` (replica).
        comment: its comment, which holds the hash of what was installed.
        function_schema, function, function_comment: the same of the function it calls.
        function_uses: how many triggers call that function.
        visible: whether the search path finds its table without a schema.
        constraint: whether it is a constraint trigger, which Postgres cannot replace.
    """

    schema: str
    table: str
    pgid: str
    state: str
    comment: str
    function_schema: str
    function: str
    function_comment: str
    function_uses: int
    visible: bool
    constraint: bool = False

    @property
    def enabled(self) -> bool:
        """Whether it fires for ordinary sessions."""
        return self.state in ("O", "A")

    @property
    def db_table(self) -> str:
        """The quoted table, with its schema."""
        return sql.quote_relation(self.table, self.schema)


class Catalog:
    """The installed triggers that a search path can see, found by table and Postgres id."""

    def __init__(self, triggers: Iterable[InstalledTrigger]) -> None:
        self.triggers = tuple(triggers)
        self._tables: dict[tuple[str | None, str], dict[str, InstalledTrigger]] = {}
        for trigger in self.triggers:
            keys: list[str | None] = [trigger.schema]
            if trigger.visible:
                keys.append(None)
            for key in keys:
                self._tables.setdefault((key, trigger.table), {})[trigger.pgid] = trigger

    def of_table(self, db_table: str) -> Mapping[str, InstalledTrigger]:
        """The triggers of a table, by Postgres id."""
        return self._tables.get(sql.relation(db_table), {})

    def status(self, compiled: CompiledTrigger, db_table: str) -> tuple[str, bool | None]:
        """``(status, enabled)`` of a compiled trigger on a table."""
        table = self.of_table(db_table)
        found = [table[pgid] for pgid in compiled.pgids if pgid in table]
        if not found:
            return UNINSTALLED, None
        current = len(found) == len(compiled.pgids) and all(
            function_is_current(trigger, compiled) and definition_is_current(trigger, compiled)
            for trigger in found
        )
        return INSTALLED if current else OUTDATED, all(trigger.enabled for trigger in found)


def function_is_current(found: InstalledTrigger, compiled: CompiledTrigger) -> bool:
    """Whether an installed trigger calls the function that its declaration compiles to."""
    return found.function == compiled.function and found.function_comment == compiled.hash


def definition_is_current(found: InstalledTrigger, compiled: CompiledTrigger) -> bool:
    """Whether an installed trigger is defined as its declaration compiles to.

    A change of only the body leaves the comment of the trigger as it was, because writing it
    would lock the table; so just the second half of the hash counts here.
    """
    return found.function == compiled.function and found.comment.endswith(compiled.definition_hash)


def read(
    connection: BaseDatabaseWrapper,
    *,
    tables: Iterable[str] | None = None,
    schemas: Iterable[str] = (),
    pgids: Iterable[str] = (),
) -> Catalog:
    """Read the installed triggers in one query.

    Args:
        connection: a PostgreSQL connection.
        tables: ``db_table`` of the tables that matter; all visible ones by default.
        schemas: schemas to look into besides those of the search path.
        pgids: Postgres ids to look for besides those that begin with ``pgtrigger_``.
    """
    relations = None if tables is None else [name for _, name in map(sql.relation, tables)]
    parameters = [r"pgtrigger\_%", [*pgids], relations, relations, [*schemas]]
    with connection.cursor() as cursor:
        cursor.execute(_QUERY, parameters)
        rows = cursor.fetchall()
    return Catalog(
        InstalledTrigger(
            schema=row[0],
            table=row[1],
            pgid=row[2],
            state=row[3].decode() if isinstance(row[3], bytes) else row[3],
            comment=row[4] or "",
            function_schema=row[5],
            function=row[6],
            function_comment=row[7] or "",
            function_uses=row[8],
            visible=row[9],
            constraint=row[10],
        )
        for row in rows
    )


def schemas_of(connection: BaseDatabaseWrapper, tables: Iterable[str]) -> dict[str, str]:
    """The schema in which the search path finds each ``db_table``; missing tables are left out."""
    quoted = {sql.quote_relation(table): table for table in tables}
    with connection.cursor() as cursor:
        cursor.execute(_LOCATE, [[*quoted]])
        return {quoted[name]: schema for name, schema in cursor.fetchall()}


def identify(connection: BaseDatabaseWrapper, db_table: str) -> int | None:
    """The object identifier of a table, which stays when the table is renamed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.to_regclass(%s)::oid", [sql.quote_relation(db_table)])
        (oid,) = cursor.fetchone()
    return None if oid is None else int(oid)


def name_of(connection: BaseDatabaseWrapper, relation: int) -> str | None:
    """The quoted name, with its schema, of a table with this object identifier."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s",
            [relation],
        )
        row = cursor.fetchone()
    return sql.quote_relation(row[1], row[0]) if row else None


def postgres(database: str | None) -> BaseDatabaseWrapper | None:
    """The connection object of a database, or None if it is not PostgreSQL."""
    connection = connections[database or DEFAULT_DB_ALIAS]
    return connection if connection.vendor == "postgresql" else None
