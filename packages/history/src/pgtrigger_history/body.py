"""The function by which a trigger writes events.

Tables are looked for where the tracked table is, and then on the search path. A static statement
means what the search path finds first, and plpgsql keeps its plan; where that is another table, a
temporary one perhaps, the same statement is executed on the name of the right one.

PostgreSQL manual: "PL/pgSQL", executing dynamic commands; "System Information Functions".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import models

from pgtrigger import sql
from pgtrigger.columns import column_name, equal
from pgtrigger_history.context import SETTING

PLACE: Final = "_pgh_place"
CONTEXT: Final = "_pgh_context"
CONTEXT_ID: Final = "_pgh_context_id"
CONTEXT_TABLE: Final = "pgtrigger_history_context"
_CONTEXT_PLACE: Final = "_pgh_context_place"
# The context that this transaction has stored last.
STORED: Final = "pgtrigger.context_stored"

KEPT: Final = "_pgh_kept"


def variables(context: str, *, moves_rows: bool) -> list[tuple[str, str]]:
    """The variables of the function, as ``(name, type)`` pairs.

    Args:
        context: the variable with the context, or nothing.
        moves_rows: whether the function looks, row by row, where keys have gone.
    """
    found = [(PLACE, "pg_catalog.REGCLASS")]
    if moves_rows:
        found.append((KEPT, "BOOLEAN"))
    if context:
        found.append((CONTEXT, "pg_catalog.TEXT"))
    if context == CONTEXT_ID:
        found += [(CONTEXT_ID, "BIGINT"), (_CONTEXT_PLACE, "pg_catalog.REGCLASS")]
    return found


@dataclass(frozen=True)
class Names:
    """What the values of an event are called where they are read.

    Args:
        old, new: the rows.
        context: the stored context, or the context itself.
    """

    old: str
    new: str
    context: str


@dataclass(frozen=True)
class Recording:
    """A statement that writes events.

    Args:
        columns: those of the event table, quoted.
        values: an expression for each of them.
        source: what they are selected from; nothing for the row of a row-level trigger.
        row: ``OLD`` or ``NEW``, which a row-level trigger has; both, or none.
    """

    columns: Sequence[str]
    values: Callable[[Names], Sequence[str]]
    source: str = ""
    rows: Sequence[str] = ()

    def static(self, table: str, context: str) -> str:
        """On a quoted table name."""
        names = Names("OLD", "NEW", context)
        return f"INSERT INTO {table} {self._rest(names, self.source)};"

    def dynamic(self, context: str, *, source: str = "") -> str:
        """On the table that the variable `PLACE` names.

        Args:
            context: the variable with the context, if the events have one.
            source: an SQL expression for the text of the source, where that is not known.
        """
        using = [*self.rows, *([context] if context else [])]
        places = {value: f"${number}" for number, value in enumerate(using, 1)}
        names = Names(
            f"({places.get('OLD', '')})", f"({places.get('NEW', '')})", places.get(context, "")
        )
        text = sql.string(f" {self._rest(names, '' if source else self.source)}")
        if source:
            text = f"{text}, {source}"
        parameters = f" USING {', '.join(using)}" if using else ""
        return f"EXECUTE pg_catalog.concat('INSERT INTO ', {PLACE}, {text}){parameters};"

    def _rest(self, names: Names, source: str) -> str:
        values = ", ".join(self.values(names))
        columns = f"({', '.join(self.columns)})"
        if self.rows:
            return f"{columns} VALUES ({values})"
        return f"{columns} SELECT {values} FROM {source}"


def find_event_table(db_table: str) -> str:
    """Look for the table of the events."""
    schema, name = sql.relation(db_table)
    quoted = sql.string(sql.quote_relation(db_table))
    if schema:
        return f"{PLACE} := pg_catalog.to_regclass({quoted});"
    return f"{PLACE} := {_at_home(name)};"


def record(db_table: str, recording: Recording, context: str) -> str:
    """Write events to the table that `find_event_table` has found."""
    quoted = sql.quote_relation(db_table)
    return (
        f"IF {PLACE} {sql.EQUAL} pg_catalog.to_regclass({sql.string(quoted)}) THEN\n"
        f"{sql.indent(recording.static(quoted, context))}\nELSE\n"
        f"{sql.indent(_find_elsewhere(db_table, PLACE))}\n"
        f"{sql.indent(recording.dynamic(context))}\nEND IF;"
    )


def record_truncation(
    db_table: str, recording: Recording, context: str, *, alias: str, where: str
) -> str:
    """Write events of the rows that the table of the trigger has.

    Args:
        db_table: that of the events.
        recording: the statement.
        context: the variable with the context, or nothing.
        alias: what the recording calls the table.
        where: which rows; with its keyword, or nothing.
    """
    source = f"TG_RELID::pg_catalog.regclass, {sql.string(f' AS {alias}{where}')}"
    return f"{_find_elsewhere(db_table, PLACE)}\n{recording.dynamic(context, source=source)}"


def unless_key_is_kept(fields: Sequence[models.Field[Any, Any]], statements: str) -> str:
    """Run statements unless a row of the table has the key that the old row had.

    One statement can move the keys of several rows along. What fires after it sees its result.
    """
    same = sql.string(" WHERE " + " AND ".join(equal(f, *_sides(f)) for f in fields) + ")")
    table = "coalesce(pg_catalog.pg_partition_root(TG_RELID), TG_RELID)"
    return (
        "EXECUTE pg_catalog.concat('SELECT EXISTS (SELECT FROM ',\n"
        f"    {table}::pg_catalog.regclass, ' AS kept', {same}) INTO {KEPT} USING OLD;\n"
        f"IF NOT {KEPT} THEN\n{sql.indent(statements)}\nEND IF;"
    )


def _sides(field: models.Field[Any, Any]) -> tuple[str, str]:
    column = sql.quote(column_name(field))
    return f"kept.{column}", f"($1).{column}"


def _at_home(name: str) -> str:
    """The table of a name in the schema of the trigger's table."""
    relation = sql.string(f".{sql.quote(name)}")
    schema = "pg_catalog.quote_ident(TG_TABLE_SCHEMA)"
    return f"pg_catalog.to_regclass(pg_catalog.concat({schema}, {relation}))"


def _find_elsewhere(db_table: str, variable: str) -> str:
    """Look where the whole of a partition is, and then on the search path."""
    quoted, (schema, name) = sql.quote_relation(db_table), sql.relation(db_table)
    found = f"pg_catalog.to_regclass({sql.string(quoted)})"
    if not schema:
        relation = sql.string(f".{sql.quote(name)}")
        root = (
            "SELECT whole.relnamespace::pg_catalog.regnamespace::pg_catalog.text "
            "FROM pg_catalog.pg_class "
            f"AS whole WHERE whole.oid {sql.EQUAL} pg_catalog.pg_partition_root(TG_RELID)"
        )
        found = (
            f"coalesce(pg_catalog.to_regclass(({root}) OPERATOR(pg_catalog.||) {relation}), "
            f"{found})"
        )
    message = sql.string(f"pgtrigger: history of %s.%s needs table {quoted}, which is not there")
    hint = sql.string(
        "Migrate this schema, or put the schema that has the table into the search path."
    )
    return (
        f"IF {variable} IS NULL THEN\n    {variable} := {found};\n"
        f"    IF {variable} IS NULL THEN\n"
        "        RAISE EXCEPTION USING ERRCODE = '42P01', HINT = "
        f"{hint},\n            MESSAGE = pg_catalog.format({message}, TG_TABLE_SCHEMA, "
        "TG_TABLE_NAME);\n"
        "    END IF;\nEND IF;"
    )


# A context is stored once in a transaction. What has been stored is kept in settings that end with
# the transaction, and that a rollback takes back as it does the row.
_KNOWN = (
    f"{CONTEXT} {sql.EQUAL} pg_catalog.current_setting('{STORED}', true)\n"
    f"        AND {_CONTEXT_PLACE}::pg_catalog.oid::pg_catalog.text {sql.EQUAL} "
    f"pg_catalog.current_setting('{STORED}_in', true)"
)
# Only a transaction that has stored something needs to look for it, and it plans anew for that: a
# plan that was made when the table was small would read all of it when it is large.
_FIND = f"""\
IF pg_catalog.current_setting('{STORED}', true) OPERATOR(pg_catalog.<>) '' THEN
    EXECUTE pg_catalog.format(
        'SELECT id FROM %s WHERE transaction {sql.EQUAL} pg_catalog.pg_current_xact_id()'
        ' AND data {sql.EQUAL} $1::pg_catalog.jsonb ORDER BY id LIMIT 1', {_CONTEXT_PLACE}
    ) INTO {CONTEXT_ID} USING {CONTEXT};
END IF;"""
_ADD = (
    "INSERT INTO {table} (transaction, created_at, data) VALUES (pg_catalog.pg_current_xact_id(),"
    " pg_catalog.clock_timestamp(), {data}::pg_catalog.jsonb) RETURNING id"
)


def _add_context() -> str:
    """Store it, in the table that was found."""
    quoted, place = sql.quote(CONTEXT_TABLE), _CONTEXT_PLACE
    static = _ADD.format(table=quoted, data=CONTEXT)
    dynamic = sql.string(_ADD.format(table="%s", data="$1"))
    return (
        f"IF {place} {sql.EQUAL} pg_catalog.to_regclass({sql.string(quoted)}) THEN\n"
        f"    {static} INTO {CONTEXT_ID};\nELSE\n"
        f"    EXECUTE pg_catalog.format({dynamic}, {place})\n"
        f"        INTO {CONTEXT_ID} USING {CONTEXT};\nEND IF;"
    )


def store_context() -> str:
    """Store the context, unless this transaction has done so, and get the key of the row."""
    place = _CONTEXT_PLACE
    return (
        f"{read_context()}\n"
        f"IF {CONTEXT} IS NOT NULL THEN\n"
        f"    {place} := {_at_home(CONTEXT_TABLE)};\n"
        f"{sql.indent(_find_elsewhere(CONTEXT_TABLE, place))}\n"
        f"    IF {_KNOWN} THEN\n"
        f"        {CONTEXT_ID} := "
        f"pg_catalog.current_setting('{STORED}_as', true)::bigint;\n"
        "    ELSE\n"
        f"{sql.indent(sql.indent(_FIND))}\n"
        f"        IF {CONTEXT_ID} IS NULL THEN\n"
        f"{sql.indent(sql.indent(sql.indent(_add_context())))}\n"
        "        END IF;\n"
        f"        PERFORM pg_catalog.set_config('{STORED}', {CONTEXT}, true),\n"
        f"            pg_catalog.set_config('{STORED}_in',\n"
        f"                {place}::pg_catalog.oid::pg_catalog.text, true),\n"
        f"            pg_catalog.set_config('{STORED}_as', {CONTEXT_ID}::pg_catalog.text, true);\n"
        "    END IF;\nEND IF;"
    )


def read_context() -> str:
    """Get the context, or NULL without any."""
    setting = f"pg_catalog.current_setting('{SETTING}', true)"
    return f"{CONTEXT} := CASE WHEN {setting} OPERATOR(pg_catalog.<>) '' THEN {setting} END;"
