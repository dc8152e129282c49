"""Where tables are: the schemas that have them, and names that stay when tables are renamed.

PostgreSQL manual: "System Catalogs", ``pg_class``; "System Information Functions".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import sql

_PLACES: Final = """
    SELECT c.relname, n.nspname
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = ANY(%s::name[]) AND c.relkind IN ('r', 'p', 'v', 'f')
       AND (%s::name IS NULL OR n.nspname = %s) AND NOT pg_catalog.pg_is_other_temp_schema(n.oid)
       AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
     ORDER BY n.nspname
"""
_NAME: Final = (
    "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s"
)
_LOCATE: Final = """
    SELECT wanted.name, n.nspname
      FROM unnest(%s::text[]) AS wanted(name)
      JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(wanted.name)
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
"""


def schemas_of(connection: BaseDatabaseWrapper, tables: Iterable[str]) -> dict[str, str]:
    """The schema in which the search path finds each ``db_table``; missing tables are left out."""
    quoted = {sql.quote_relation(table): table for table in tables}
    with connection.cursor() as cursor:
        cursor.execute(sql.catalog_query(_LOCATE), [[*quoted]])
        return {quoted[name]: schema for name, schema in cursor.fetchall()}


def places(
    connection: BaseDatabaseWrapper, tables: Iterable[str], *, within: str | None = None
) -> dict[str, list[str]]:
    """The schemas that have each ``db_table``, sorted, as far as the role may use them.

    Of a table that names its schema, that one.
    """
    wanted = {table: sql.relation(table) for table in tables}
    names = sorted({name for _, name in wanted.values()})
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql.catalog_query(_PLACES), [names, within, within])
        for name, schema in cursor.fetchall():
            found.setdefault(name, []).append(schema)
    return {
        table: [s for s in found.get(name, ()) if schema in (None, s)]
        for table, (schema, name) in wanted.items()
    }


def identify(connection: BaseDatabaseWrapper, db_table: str) -> int | None:
    """The object identifier of a table, which stays when the table is renamed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.to_regclass(%s)::oid", [sql.quote_relation(db_table)])
        (oid,) = cursor.fetchone()
    return None if oid is None else int(oid)


def name_of(connection: BaseDatabaseWrapper, relation: int) -> str | None:
    """The quoted name, with its schema, of a table with this object identifier."""
    with connection.cursor() as cursor:
        cursor.execute(sql.catalog_query(_NAME), [relation])
        row = cursor.fetchone()
    return sql.quote_relation(row[1], row[0]) if row else None
