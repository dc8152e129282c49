"""The triggers that use a column, which Postgres would not let change or would drop with it.

PostgreSQL manual: "Dependency Tracking", ``pg_depend``, ``pg_get_triggerdef``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pgtrigger import ddl, sql

# Triggers of ours whose WHEN or UPDATE OF uses a column; Postgres refuses to change its type, and
# drops them together with it.
_DEPENDENTS: Final = """
    SELECT DISTINCT t.tgname, pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled, td.description
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass
           AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
           AND d.classid = 'pg_catalog.pg_trigger'::regclass
      JOIN pg_catalog.pg_trigger t ON t.oid = d.objid
      LEFT JOIN pg_catalog.pg_description td ON td.objoid = t.oid
           AND td.classoid = 'pg_catalog.pg_trigger'::regclass AND td.objsubid = 0
     WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attname = %s
       AND NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgname LIKE %s
     ORDER BY t.tgname
"""


class Dependent:
    """A trigger that uses a column, with all it takes to create it again."""

    def __init__(self, db_table: str, row: tuple[str, str, Any, str | None]) -> None:
        self.db_table = db_table
        self.pgid, self.definition, state, self.comment = row
        self.state = state.decode() if isinstance(state, bytes) else state

    def drop_sql(self) -> list[str]:
        """Make room for the change of the column."""
        return [f"DROP TRIGGER {sql.quote(self.pgid)} ON {sql.quote_relation(self.db_table)}"]

    def create_sql(self) -> list[str]:
        """Bring it back as it was."""
        name = f"{sql.quote(self.pgid)} ON {sql.quote_relation(self.db_table)}"
        statements = [self.definition]
        if self.comment:
            statements.append(f"COMMENT ON TRIGGER {name} IS {sql.string(self.comment)}")
        if self.state != "O":
            statements += ddl.state_sql([self.pgid], self.db_table, self.state)
        return statements


def dependents_of(connection: Any, db_table: str, column: str) -> list[Dependent]:
    """The triggers of ours whose definition uses a column."""
    with connection.cursor() as cursor:
        cursor.execute(_DEPENDENTS, [sql.quote_relation(db_table), column, r"pgtrigger\_%"])
        return [Dependent(db_table, row) for row in cursor.fetchall()]


def altered_columns(field: Any) -> Iterator[tuple[str, str]]:
    """The columns whose type follows a field: its own, and those of foreign keys to it."""
    if field.many_to_many or field.column is None:
        return
    yield field.model._meta.db_table, field.column
    for relation in field.model._meta.related_objects:
        foreign_key = relation.field
        targets = getattr(foreign_key, "foreign_related_fields", ())
        if foreign_key.concrete and field.name in {target.name for target in targets}:
            yield from altered_columns(foreign_key)
