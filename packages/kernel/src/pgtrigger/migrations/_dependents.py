"""The triggers that use a column, which Postgres would not let change or would drop with it.

PostgreSQL manual: "Dependency Tracking", ``pg_depend``, ``pg_get_triggerdef``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pgtrigger import sql
from pgtrigger.catalog import OURS, OrphanFunction
from pgtrigger.compiler import fingerprint, is_postgres_id, state_sql
from pgtrigger.migrations._changes import declared_on

# Triggers of ours whose WHEN or UPDATE OF uses a column; Postgres refuses to change its type, and
# drops them together with it.
_FUNCTIONS: Final = (
    "SELECT DISTINCT pg_catalog.pg_get_functiondef(tgfoid) FROM pg_catalog.pg_trigger "
    "WHERE tgrelid = pg_catalog.to_regclass(%s) AND NOT tgisinternal AND tgname LIKE %s"
)
_DEPENDENTS: Final = f"""
    SELECT DISTINCT t.tgname, pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled, td.description,
           {fingerprint.TRIGGER_INTACT}, t.tgrelid, n.nspname, pn.nspname, p.proname
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass
           AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
           AND d.classid = 'pg_catalog.pg_trigger'::regclass
      JOIN pg_catalog.pg_trigger t ON t.oid = d.objid
      JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
      JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
      LEFT JOIN pg_catalog.pg_description td ON td.objoid = t.oid
           AND td.classoid = 'pg_catalog.pg_trigger'::regclass AND td.objsubid = 0
     WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attname = %s
       AND NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgname LIKE %s
     ORDER BY t.tgname
"""


class Dependent:
    """A trigger that uses a column of a model's table, with all it takes to create it again."""

    def __init__(self, model: Any, column: str, row: tuple[Any, ...]) -> None:
        self.model, self.column = model, column
        self.pgid, self.definition, state, self.comment, self.intact, *names = row
        self.relation, schema, *function = names
        self.function = OrphanFunction(schema=function[0], function=function[1])
        self.state = state.decode() if isinstance(state, bytes) else state
        self.db_table = sql.quote_relation(model._meta.db_table, schema)

    @property
    def declared(self) -> str:
        """The hash of its declaration."""
        return fingerprint.declared_hash(self.comment)

    def is_named(self, name: str) -> bool:
        """Whether this is a trigger of that declared name."""
        return is_postgres_id(self.pgid, name)

    def drop_sql(self) -> list[str]:
        """Make room for the change of the column."""
        return [f"DROP TRIGGER {sql.quote(self.pgid)} ON {self.db_table}"]

    def create_sql(self) -> list[str]:
        """Bring it back as it was."""
        return self._with_state(self._declared_sql() or self._found_sql())

    def renew_sql(self) -> list[str]:
        """Make it what is declared, where its column has got another name."""
        statements = self._declared_sql()
        return self._with_state([*self.drop_sql(), *statements]) if statements else []

    def _with_state(self, statements: list[str]) -> list[str]:
        if self.state == "O":
            return statements
        return [*statements, *state_sql([self.pgid], self.db_table, self.state)]

    def _declared_sql(self) -> list[str]:
        # As the migrations have it: what Postgres shows has the casts that the old type took, and
        # would go on comparing numbers as text.
        for trigger in declared_on(self.model) if self.intact else ():
            if self.pgid in trigger.pgids and self.declared.endswith(trigger.definition_hash):
                part = trigger.parts[trigger.pgids.index(self.pgid)]
                schema, _ = sql.relation(self.db_table)
                return trigger.part_sql(part, self.db_table, schema)
        return []

    def _found_sql(self) -> list[str]:
        name = f"{sql.quote(self.pgid)} ON {self.db_table}"
        if not self.comment:
            return [self.definition]
        return [self.definition, f"COMMENT ON TRIGGER {name} IS {sql.string(self.comment)}"]


def dependents_of(connection: Any, model: Any, column: str) -> list[Dependent]:
    """The triggers of ours whose definition uses a column."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.catalog_query(_DEPENDENTS), [sql.quote_relation(model._meta.db_table), column, OURS]
        )
        return [Dependent(model, column, row) for row in cursor.fetchall()]


def functions_of(connection: Any, db_table: str) -> list[str]:
    """The statements that replace the functions of a table's triggers by what they are."""
    with connection.cursor() as cursor:
        cursor.execute(sql.catalog_query(_FUNCTIONS), [sql.quote_relation(db_table), OURS])
        return [definition for (definition,) in cursor.fetchall()]


def altered_columns(field: Any) -> Iterator[tuple[Any, str]]:
    """The columns whose type follows a field: its own, and those of foreign keys to it."""
    if field.many_to_many or field.column is None:
        return
    yield field.model, field.column
    for relation in field.model._meta.related_objects:
        foreign_key = relation.field
        targets = getattr(foreign_key, "foreign_related_fields", ())
        if foreign_key.concrete and field.name in {target.name for target in targets}:
            yield from altered_columns(foreign_key)
