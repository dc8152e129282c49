"""The triggers of a table as the database has them, whoever made them, in full.

PostgreSQL manual: "System Catalogs", ``pg_trigger`` and ``pg_proc``; ``pg_get_triggerdef``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import sql
from pgtrigger.catalog import OURS
from pgtrigger.errors import TableNotFoundError

# The bits of pg_trigger.tgtype, which the manual leaves to the sources: catalog/pg_trigger.h.
_ROW, _BEFORE, _INSTEAD = 1, 2, 64
_EVENTS: Final = {4: "INSERT", 8: "DELETE", 16: "UPDATE", 32: "TRUNCATE"}

_QUERY: Final = """
    SELECT t.tgname, n.nspname, c.relname, c.oid, pg_catalog.pg_get_triggerdef(t.oid), t.tgtype,
           ARRAY(SELECT a.attname::text
                   FROM pg_catalog.unnest(t.tgattr::int2[]) WITH ORDINALITY AS k(number, position)
                   JOIN pg_catalog.pg_attribute a
                     ON a.attrelid = t.tgrelid AND a.attnum = k.number
                  ORDER BY k.position),
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                  ORDER BY a.attnum),
           t.tgconstraint <> 0, t.tgdeferrable, t.tginitdeferred, t.tgconstrrelid <> 0,
           t.tgoldtable::text, t.tgnewtable::text, t.tgnargs, t.tgenabled::text,
           p.oid, pn.nspname, p.proname, p.prosrc, l.lanname,
           p.prosecdef, COALESCE(p.proconfig, '{}'), p.provolatile::text,
           (SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger u
             WHERE u.tgfoid = p.oid AND u.tgparentid = 0)
      FROM pg_catalog.pg_trigger t
      JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
      JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     WHERE NOT t.tgisinternal AND t.tgparentid = 0
       AND CASE WHEN %s::oid IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
                ELSE c.oid = %s::oid END
       AND (%s OR t.tgname NOT LIKE %s)
     ORDER BY n.nspname, c.relname, t.tgname
"""


@dataclass(frozen=True, kw_only=True)
class FoundTrigger:
    """A trigger of the database and its function.

    Args:
        name, schema, table, relation: what it is called, and where it is.
        definition: as ``pg_get_triggerdef`` writes it.
        kind: the bits of ``tgtype``.
        update_of: the columns of ``UPDATE OF``.
        columns: those of the table.
        constraint, deferrable, deferred: whether and how it is a constraint trigger.
        from_table: whether it names another table, as foreign keys do.
        old_table, new_table: its transition tables.
        arguments: how many the function is called with.
        state: ``O`` (enabled), ``D`` (disabled), ``A`` (always) or ``R`` (replica).
        function_oid, function_schema, function, source, language: its function.
        definer, settings, volatility, uses: as whom and with what settings the function runs, what
            it promises, and how many triggers call it.
    """

    name: str
    schema: str
    table: str
    relation: int
    definition: str
    kind: int
    update_of: tuple[str, ...]
    columns: tuple[str, ...]
    constraint: bool
    deferrable: bool
    deferred: bool
    from_table: bool
    old_table: str | None
    new_table: str | None
    arguments: int
    state: str
    function_oid: int
    function_schema: str
    function: str
    source: str
    language: str
    definer: bool
    settings: tuple[str, ...]
    volatility: str
    uses: int

    @property
    def for_each_row(self) -> bool:
        """Whether it fires for rows rather than for the statement."""
        return bool(self.kind & _ROW)

    @property
    def when(self) -> str:
        """``BEFORE``, ``AFTER`` or ``INSTEAD OF``."""
        if self.kind & _INSTEAD:
            return "INSTEAD OF"
        return "BEFORE" if self.kind & _BEFORE else "AFTER"

    @property
    def operations(self) -> tuple[str, ...]:
        """The events that fire it, in the order of ``CREATE TRIGGER``'s manual page."""
        names = [name for bit, name in _EVENTS.items() if self.kind & bit]
        return tuple(sorted(names, key=["INSERT", "UPDATE", "DELETE", "TRUNCATE"].index))

    @property
    def condition(self) -> str:
        """The expression of its ``WHEN``, as the server writes it; nothing without one."""
        pieces = [*sql.tokens(self.definition)]
        words = [token.text if token.kind == "word" else "" for token in pieces]
        if "WHEN" not in words:
            return ""
        start = words.index("WHEN") + 1
        end = len(words) - 1 - words[::-1].index("EXECUTE")
        text = "".join(token.text for token in pieces[start:end]).strip()
        return text[1:-1]  # the parentheses of the clause

    @property
    def db_table(self) -> str:
        """The table, as SQL names it."""
        return sql.quote_relation(self.table, self.schema)


def relation_named(connection: BaseDatabaseWrapper, name: str) -> int:
    """The object identifier of a table.

    Args:
        connection: a PostgreSQL connection.
        name: as SQL names it, with or without its schema, or as it is.

    Raises:
        TableNotFoundError: there is no such table in the search path, or in that schema.
    """
    with connection.cursor() as cursor:
        for quoted in (sql.quote_relation(name), *_as_written(name)):
            cursor.execute("SELECT pg_catalog.to_regclass(%s)::oid", [quoted])
            (found,) = cursor.fetchone()
            if found is not None:
                return int(found)
    raise TableNotFoundError(
        f'Database "{connection.alias}" has no table "{name}" in its search path. Name it as '
        f"app_label.Model or as SQL does, such as audit.log; --schema adds a schema to the search "
        f"path."
    )


def _as_written(name: str) -> Iterable[str]:
    """A name as SQL reads it: its parts, folded to lower case where they are not quoted."""
    parts: list[str] = []
    for kind, text in sql.tokens(name):
        if kind == "quoted":
            parts.append(text)
        elif kind == "word":
            parts.append(sql.quote(text.lower()))
        elif text != "." and kind != "space":
            return
    if 1 <= len(parts) <= 2:
        yield ".".join(parts)


def read(
    connection: BaseDatabaseWrapper, relation: int | None = None, *, ours: bool = False
) -> list[FoundTrigger]:
    """Read the triggers of a table in one query.

    Args:
        connection: a PostgreSQL connection.
        relation: the object identifier of the table; all that the search path finds by default.
        ours: those that have been installed from declarations, too.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql.catalog_query(_QUERY), [relation, relation, ours, OURS])
        return [_found(row) for row in cursor.fetchall()]


def _found(row: Iterable[Any]) -> FoundTrigger:
    values: list[Any] = [tuple(value) if isinstance(value, list) else value for value in row]
    names = [field.name for field in fields(FoundTrigger)]
    return FoundTrigger(**dict(zip(names, values, strict=True)))
