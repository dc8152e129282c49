"""The statements of a soft delete's function, in a form for each way to name their table.

A static statement means the table that the search path finds, and plpgsql keeps its plan. Where
that is not the table in question, the same statement is executed on the name of the right one.
PostgreSQL manual: "PL/pgSQL", executing dynamic commands; "System Information Functions".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pgtrigger import sql


def to_regclass(name: str) -> str:
    """The table of a name, which is an SQL expression."""
    return f"pg_catalog.to_regclass({name})"


# The row that the trigger is about, as a dynamic statement sees it.
PARAMETER = "($1)"


@dataclass(frozen=True)
class Statement:
    """A statement on a table that is yet to be named.

    Args:
        before: its text up to the table.
        after: its text after the table, for the name of the row that it is about.
        row: that row in the function: ``OLD`` or ``NEW``.
        into: the variable that takes its result, if it has one.
    """

    before: str
    after: Callable[[str], str]
    row: str
    into: str = ""

    def static(self, table: str) -> str:
        """On a quoted table name."""
        text = f"{self.before} {table} {self.after(self.row)}"
        return f"{self.into} := ({text});" if self.into else f"{text};"

    def dynamic(self, table: str) -> str:
        """On the table that a ``regclass`` expression of the function names."""
        before, after = sql.string(f"{self.before} "), sql.string(f" {self.after(PARAMETER)}")
        into = f" INTO {self.into}" if self.into else ""
        text = f"pg_catalog.concat({before}, {table}, {after})"
        return f"EXECUTE {text}{into} USING {self.row};"


def on_own_table(db_table: str, alone: Statement, statement: Statement) -> str:
    """Run a statement on the table that the trigger fired for, or on the whole of a partition.

    ``alone`` is for a table that is no partition, which is told first and by one condition,
    because each one that plpgsql evaluates is felt in every row.
    """
    schema, name = sql.relation(db_table)
    quoted = sql.quote_relation(db_table)
    here = f"TG_TABLE_NAME OPERATOR(pg_catalog.=) {sql.string(name)}"
    if schema:
        here += f" AND TG_TABLE_SCHEMA OPERATOR(pg_catalog.=) {sql.string(schema)}"
    else:
        here += " AND pg_catalog.pg_table_is_visible(TG_RELID)"
    return (
        f"IF {here} THEN\n{sql.indent(alone.static(quoted))}\n"
        f"ELSIF pg_catalog.pg_partition_root(TG_RELID) OPERATOR(pg_catalog.=) "
        f"{to_regclass(sql.string(quoted))} THEN\n"
        f"{sql.indent(statement.static(quoted))}\nELSE\n"
        f"{sql.indent(statement.dynamic(OWN_TABLE))}\nEND IF;"
    )


OWN_TABLE = "coalesce(pg_catalog.pg_partition_root(TG_RELID), TG_RELID::pg_catalog.regclass)"

# Where the trigger's table is, and for a partition, the whole of it.
LOCATE = (
    f"root := {OWN_TABLE};\n"
    "home := (SELECT own.relnamespace FROM pg_catalog.pg_class AS own "
    "WHERE own.oid OPERATOR(pg_catalog.=) root);"
)
LOCATE_VARIABLES = [
    ("root", "pg_catalog.REGCLASS"),
    ("home", "pg_catalog.REGNAMESPACE"),
    ("child", "pg_catalog.REGCLASS"),
]


def on_child_table(db_table: str, statement: Statement, then: str = "") -> str:
    """Run a statement on a table whose foreign key refers to the trigger's table.

    It is looked for in the schema of that table, and, where it is not there, in all schemas in
    which a table of its name has a foreign key to that table.
    """
    schema, name = sql.relation(db_table)
    quoted = sql.quote_relation(db_table)
    static = _lines(statement.static(quoted), then)
    if schema:
        return static
    in_home = to_regclass(f"pg_catalog.concat(home, '.', {sql.string(sql.quote(name))})")
    return (
        f"child := {in_home};\n"
        f"IF child OPERATOR(pg_catalog.=) {to_regclass(sql.string(quoted))} THEN\n"
        f"{sql.indent(static)}\nELSE\n"
        "    FOR child IN\n"
        f"        SELECT {in_home} WHERE {in_home} IS NOT NULL\n"
        "        UNION\n"
        "        SELECT key.conrelid::pg_catalog.regclass FROM pg_catalog.pg_class AS other\n"
        f"            JOIN pg_catalog.pg_constraint AS key ON key.conrelid {sql.EQUAL} other.oid\n"
        f"        WHERE {in_home} IS NULL AND other.relname {sql.EQUAL} {sql.string(name)}\n"
        f"            AND key.contype {sql.EQUAL} 'f' AND key.conparentid {sql.EQUAL} 0\n"
        f"            AND key.confrelid {sql.EQUAL} root\n"
        "    LOOP\n"
        f"{sql.indent(sql.indent(_lines(statement.dynamic('child'), then)))}\n"
        "    END LOOP;\nEND IF;"
    )


def _lines(*texts: str) -> str:
    return "\n".join(text for text in texts if text)
