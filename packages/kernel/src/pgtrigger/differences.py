"""How what is installed differs from what is declared, as a unified diff.

The server writes conditions anew, with casts and parentheses of its own. So the declared triggers
are made for a moment, on a temporary table that is like the real one, and the server's words for
both are compared. PostgreSQL manual: "System Information Functions", ``pg_get_triggerdef``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import relations, sql
from pgtrigger.catalog import INSTALLED, InstalledTrigger
from pgtrigger.comparison import Wanted, leftovers, read_catalog
from pgtrigger.compiler import state_sql
from pgtrigger.errors import InstallationError, sqlstate
from pgtrigger.layout import lay_out

_DEFINITIONS: Final = """
    SELECT t.tgname, pg_catalog.pg_get_triggerdef(t.oid, true),
           pg_catalog.concat_ws(E'\\n', pg_catalog.array_to_string(p.proconfig, ', '), p.prosrc)
      FROM pg_catalog.pg_trigger t
      JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
     WHERE c.relname = %s AND t.tgname = ANY(%s::name[])
       AND n.oid = CASE WHEN %s THEN pg_catalog.pg_my_temp_schema()
                        ELSE pg_catalog.to_regnamespace(%s)::oid END
"""
_IS_VIEW: Final = """
    SELECT c.relkind = 'v' FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = %s AND n.nspname = %s
"""
_TEMPORARY: Final = "pg_temp"
# insufficient_privilege and read_only_sql_transaction
_REFUSED: Final = frozenset(["42501", "25006"])

Definitions = Mapping[str, tuple[str, str]]


def differences(
    connection: BaseDatabaseWrapper, wanted: Sequence[Wanted], *, whole: bool = False
) -> Iterator[str]:
    """The lines of a unified diff, from what the database has to what is declared.

    Triggers that are installed as declared cost one query for all of them, and no line.

    Args:
        connection: a PostgreSQL connection that may make temporary tables.
        wanted: the declared triggers.
        whole: show triggers that nobody declares as removed.

    Raises:
        InstallationError: a table that does not exist.
    """
    found = read_catalog(connection, wanted, whole=whole)
    changed = [w for w in wanted if w.status(found) != (INSTALLED, True)]
    schemas = relations.schemas_of(connection, {w.db_table for w in changed}) if changed else {}
    for one in changed:
        if one.db_table not in schemas:
            raise InstallationError(
                f'Trigger "{one.uri}" cannot be compared: database "{connection.alias}" has no '
                f'table "{one.db_table}" in its search path. Run migrate first.'
            )
        schema = schemas[one.db_table]
        installed = one.found_in(found)
        there = _installed(connection, installed, one.db_table)
        definitions = _declared(connection, one, schema)
        states = dict.fromkeys(one.compiled.pgids, one.compiled.state)
        if not one.compiled.firing:
            states |= {trigger.pgid: "A" for trigger in installed if trigger.state == "A"}
        declared = _text(definitions, one.db_table, one.compiled.function, states)
        yield from _unified(one.uri, there, declared)
    if whole:
        for left in leftovers(found, wanted):
            there = _installed(connection, [left], left.table)
            yield from _unified(f"{left.table}:{left.pgid}", there, [])


def _unified(name: str, there: list[str], declared: list[str]) -> Iterator[str]:
    yield from difflib.unified_diff(
        there, declared, f"database {name}", f"declaration {name}", lineterm=""
    )


def _installed(connection: Any, triggers: Sequence[InstalledTrigger], db_table: str) -> list[str]:
    definitions: dict[str, tuple[str, str]] = {}
    with connection.cursor() as cursor:
        for one in triggers:
            place = sql.quote(one.schema)
            cursor.execute(sql.catalog_query(_DEFINITIONS), [one.table, [one.pgid], False, place])
            definitions |= _by_pgid(cursor.fetchall())
    states = {one.pgid: one.state for one in triggers}
    return _text(definitions, db_table, triggers[0].function if triggers else "", states)


def _declared(connection: Any, wanted: Wanted, schema: str) -> Definitions:
    try:
        return _as_the_server_writes_it(connection, wanted, schema)
    except DatabaseError as error:
        if sqlstate(error) not in _REFUSED:
            raise
        raise InstallationError(
            f'Trigger "{wanted.uri}" cannot be compared: it takes a temporary table, which '
            f'database "{connection.alias}" does not let this role make. Ask the primary server, '
            f"or grant TEMPORARY. Postgres said: {error}"
        ) from error


def _as_the_server_writes_it(connection: Any, wanted: Wanted, schema: str) -> Definitions:
    compiled = wanted.compiled
    table = sql.relation(wanted.db_table)[1]
    real = sql.quote_relation(wanted.db_table, schema)
    name = sql.quote_relation(table, _TEMPORARY)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(sql.catalog_query(_IS_VIEW), [table, schema])
        (is_view,) = cursor.fetchone()
        if is_view:
            cursor.execute(f"CREATE VIEW {name} AS SELECT * FROM {real}")
        else:
            cursor.execute(f"CREATE TABLE {name} (LIKE {real})")
        cursor.execute(compiled.function_sql(_TEMPORARY))
        for part in compiled.parts:
            for statement in compiled.part_sql(part, name, _TEMPORARY, comments=[]):
                cursor.execute(statement)
        cursor.execute(sql.catalog_query(_DEFINITIONS), [table, [*compiled.pgids], True, None])
        definitions = _by_pgid(cursor.fetchall())
        transaction.set_rollback(True, using=connection.alias)
    return definitions


def _by_pgid(rows: Iterable[tuple[str, str, str]]) -> Definitions:
    return {pgid: (definition, source) for pgid, definition, source in rows}


def _text(
    definitions: Definitions, db_table: str, function: str, states: Mapping[str, str]
) -> list[str]:
    """Function and triggers as lines, on the names that both sides have."""
    if not definitions:
        return []
    table, called = sql.quote_relation(db_table), f"{sql.quote(function)}()"
    source = next(source for _, source in definitions.values())
    lines = [f"CREATE FUNCTION {called}", *source.strip().splitlines()]
    for pgid, (definition, _) in sorted(definitions.items()):
        for line in lay_out(definition).splitlines():
            if line.startswith("    ON "):
                lines.append(f"    ON {table}")
            elif line.startswith("    EXECUTE "):
                lines.append(f"    EXECUTE FUNCTION {called}")
            else:
                lines.append(line)
        if states[pgid] != "O":
            lines += state_sql([pgid], db_table, states[pgid])
    return lines
