"""What is in the database: all triggers of ours, their functions and state, in one query.

PostgreSQL manual: "System Catalogs", ``pg_trigger``, ``pg_proc`` and ``pg_description``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DEFAULT_DB_ALIAS

from pgtrigger import sql
from pgtrigger.compiler import CompiledTrigger, fingerprint

INSTALLED: Final = "INSTALLED"
DRIFTED: Final = "DRIFTED"
OUTDATED: Final = "OUTDATED"
UNINSTALLED: Final = "UNINSTALLED"
UNALLOWED: Final = "UNALLOWED"
PRUNE: Final = "PRUNE"

# What the names of our triggers and functions are like.
OURS: Final = r"pgtrigger\_%"

# Clones on partitions belong to the trigger of the partitioned table. Each table and function is
# looked for in the search path, in the schemas that were named, or everywhere. The planner, which
# knows little of catalogs, would take the index on classid, which all triggers share, but for the
# cast.
_TRIGGERS: Final = f"""
    SELECT n.nspname, c.relname, t.tgname, t.tgenabled, td.description,
           {fingerprint.TRIGGER_INTACT}, pn.nspname, p.proname, pd.description,
           {fingerprint.FUNCTION_INTACT},
           (SELECT count(*) FROM pg_catalog.pg_depend d
              JOIN pg_catalog.pg_trigger u ON u.oid = d.objid AND u.tgparentid = 0
             WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = p.oid
               AND d.refobjsubid = 0
               AND d.classid::int8 = 'pg_catalog.pg_trigger'::regclass::oid::int8),
           pg_catalog.pg_table_is_visible(c.oid), t.tgconstraint <> 0
      FROM pg_catalog.pg_trigger t
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
     WHERE NOT t.tgisinternal AND t.tgparentid = 0
       AND (t.tgname LIKE %s OR t.tgname = ANY(%s::name[]))
       AND (%s::name[] IS NULL OR c.relname = ANY(%s::name[]))
       AND (%s OR n.nspname = ANY(%s::name[]) OR (%s AND pg_catalog.pg_table_is_visible(c.oid)))
"""
# Functions of ours that no trigger calls.
_ALL_ORPHANS: Final = """
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, n.nspname, p.proname, NULL, NULL, 0, NULL, NULL
      FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE p.prorettype = 'pg_catalog.trigger'::regtype AND p.proname LIKE %s
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgfoid = p.oid)
"""
# The same in some schemas, by what depends on the schema and on the function: the catalogs have no
# index on the schema of a function, and to look through those of a thousand schemas for each of
# them would take minutes.
_ORPHANS: Final = """
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, n.nspname, p.proname, NULL, NULL, 0, NULL, NULL
      FROM pg_catalog.pg_namespace n
     CROSS JOIN LATERAL (
               SELECT d.objid FROM pg_catalog.pg_depend d
                WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = n.oid
                  AND d.classid::int8 = 'pg_catalog.pg_proc'::regclass::oid::int8
               OFFSET 0) AS there
      JOIN pg_catalog.pg_proc p ON p.oid = there.objid
     WHERE n.nspname = ANY(%s::name[] || CASE WHEN %s THEN pg_catalog.current_schemas(true) END)
       AND (n.nspname = ANY(%s::name[]) OR pg_catalog.pg_function_is_visible(p.oid))
       AND p.prorettype = 'pg_catalog.trigger'::regtype AND p.proname LIKE %s
       AND (SELECT count(*) FROM pg_catalog.pg_depend d
             WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = p.oid
               AND d.classid::int8 = 'pg_catalog.pg_trigger'::regclass::oid::int8) = 0
"""
_ORDER: Final = " ORDER BY 1, 2, 3, 7, 8"


@dataclass(frozen=True, kw_only=True)
class InstalledTrigger:
    """One Postgres trigger as the database has it.

    Args:
        schema, table, pgid: where it is and what it is called.
        state: ``O`` (enabled), ``D`` (disabled), ``A`` (always) or ``R`` (replica).
        comment: what its comment holds of it: the hash of what was installed.
        intact: whether its definition is what was installed.
        function_schema, function: the function it calls.
        function_comment, function_intact: the same of the function.
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
    intact: bool = True
    function_intact: bool = True

    @property
    def enabled(self) -> bool:
        """Whether it fires for ordinary sessions."""
        return self.state in ("O", "A")

    @property
    def db_table(self) -> str:
        """The quoted table, with its schema."""
        return sql.quote_relation(self.table, self.schema)


@dataclass(frozen=True, kw_only=True)
class OrphanFunction:
    """A trigger function of ours that no trigger calls."""

    schema: str
    function: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.function}()"


class Catalog:
    """The installed triggers that a search path can see, found by table and Postgres id."""

    def __init__(
        self, triggers: Iterable[InstalledTrigger], functions: Iterable[OrphanFunction] = ()
    ) -> None:
        self.triggers = tuple(triggers)
        self.functions = tuple(functions)
        self._schemas: (
            tuple[dict[str, list[InstalledTrigger]], dict[str, list[OrphanFunction]]] | None
        ) = None
        self._tables: dict[tuple[str | None, str], dict[str, InstalledTrigger]] = {}
        for trigger in self.triggers:
            keys: list[str | None] = [trigger.schema]
            if trigger.visible:
                keys.append(None)
            for key in keys:
                self._tables.setdefault((key, trigger.table), {})[trigger.pgid] = trigger

    def of_table(self, db_table: str, schema: str | None = None) -> Mapping[str, InstalledTrigger]:
        """The triggers of a table, by Postgres id: of the visible one, or of that in a schema."""
        named, table = sql.relation(db_table)
        return self._tables.get((schema or named, table), {})

    def within(self, schema: str) -> Catalog:
        """What there is in one of the schemas."""
        if self._schemas is None:
            triggers: dict[str, list[InstalledTrigger]] = {}
            functions: dict[str, list[OrphanFunction]] = {}
            for trigger in self.triggers:
                triggers.setdefault(trigger.schema, []).append(trigger)
            for function in self.functions:
                functions.setdefault(function.schema, []).append(function)
            self._schemas = triggers, functions
        triggers, functions = self._schemas
        return Catalog(triggers.get(schema, ()), functions.get(schema, ()))

    def status(
        self, compiled: CompiledTrigger, db_table: str, schema: str | None = None
    ) -> tuple[str, bool | None]:
        """``(status, enabled)`` of a compiled trigger on a table."""
        table = self.of_table(db_table, schema)
        found = [table[pgid] for pgid in compiled.pgids if pgid in table]
        if not found:
            return UNINSTALLED, None
        enabled = all(fires(trigger, compiled) for trigger in found)
        if len(found) < len(compiled.pgids) or not all(
            trigger.function == compiled.function
            and trigger.function_comment == compiled.hash
            and trigger.comment.endswith(compiled.definition_hash)
            for trigger in found
        ):
            return OUTDATED, enabled
        intact = all(
            trigger.intact and trigger.function_intact and state_is_current(trigger, compiled)
            for trigger in found
        )
        return INSTALLED if intact else DRIFTED, enabled


def function_is_current(found: InstalledTrigger, compiled: CompiledTrigger) -> bool:
    """Whether an installed trigger calls a function that does what its declaration compiles to."""
    return (
        found.function == compiled.function
        and found.function_intact
        and found.function_comment[: len(compiled.function_hash)] == compiled.function_hash
    )


def definition_is_current(found: InstalledTrigger, compiled: CompiledTrigger) -> bool:
    """Whether an installed trigger is defined as its declaration compiles to.

    A change of only the body leaves the comment of the trigger as it was, because writing it
    would lock the table; so just the second half of the hash counts here.
    """
    return (
        found.function == compiled.function
        and found.intact
        and found.comment.endswith(compiled.definition_hash)
    )


def fires(found: InstalledTrigger, compiled: CompiledTrigger) -> bool:
    """Whether an installed trigger fires in the sessions that its declaration is for."""
    return found.enabled or found.state == compiled.state


def state_is_current(found: InstalledTrigger, compiled: CompiledTrigger) -> bool:
    """Whether it fires in the sessions that are declared, if any are, unless it is disabled."""
    return not compiled.firing or found.state in ("D", compiled.state)


def read(
    connection: BaseDatabaseWrapper,
    *,
    tables: Iterable[str] | None = None,
    schemas: Iterable[str] = (),
    pgids: Iterable[str] = (),
    orphans: bool = False,
    all_schemas: bool = False,
    within: str | None = None,
) -> Catalog:
    """Read the installed triggers in one query.

    Args:
        connection: a PostgreSQL connection.
        tables: ``db_table`` of the tables that matter, also in the schemas that they name; all
            visible ones by default.
        schemas: schemas to look into besides those of the search path.
        pgids: Postgres ids to look for besides those that begin with ``pgtrigger_``.
        orphans: look for functions that no trigger calls, too.
        all_schemas: look into all schemas.
        within: look into this schema only.
    """
    wanted = [sql.relation(table) for table in tables or ()]
    relations = None if tables is None else [name for _, name in wanted]
    named = [within] if within else [*schemas, *(schema for schema, _ in wanted if schema)]
    visible = within is None
    query = _TRIGGERS
    parameters: list[Any] = [OURS, [*pgids], relations, relations, all_schemas, named, visible]
    if orphans and all_schemas:
        query += f" UNION ALL {_ALL_ORPHANS}"
        parameters += [OURS]
    elif orphans:
        query += f" UNION ALL {_ORPHANS}"
        parameters += [named, visible, named, OURS]
    with connection.cursor() as cursor:
        cursor.execute(sql.catalog_query(query + _ORDER), parameters)
        rows = cursor.fetchall()
    return Catalog(
        (_installed(row) for row in rows if row[1] is not None),
        (OrphanFunction(schema=row[6], function=row[7]) for row in rows if row[1] is None),
    )


def _installed(row: Sequence[Any]) -> InstalledTrigger:
    return InstalledTrigger(
        schema=row[0],
        table=row[1],
        pgid=row[2],
        state=row[3].decode() if isinstance(row[3], bytes) else row[3],
        comment=fingerprint.declared_hash(row[4]),
        intact=row[5] is not False,
        function_schema=row[6],
        function=row[7],
        function_comment=fingerprint.declared_hash(row[8]),
        function_intact=row[9] is not False,
        function_uses=row[10],
        visible=row[11],
        constraint=row[12],
    )


def postgres(database: str | None) -> BaseDatabaseWrapper | None:
    """The connection object of a database, or None if it is not PostgreSQL."""
    connection = connections[database or DEFAULT_DB_ALIAS]
    return connection if connection.vendor == "postgresql" else None
