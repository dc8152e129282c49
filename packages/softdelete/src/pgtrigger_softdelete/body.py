"""The function of a soft delete: what it does to its own row, its children, and their parents."""

from __future__ import annotations

from collections.abc import Sequence

import pgtrigger
from pgtrigger import sql
from pgtrigger.columns import column_name, columns_of, concrete_field, equal
from pgtrigger.conditions import Rows
from pgtrigger.declaration import Model
from pgtrigger_softdelete.mark import Mark
from pgtrigger_softdelete.relations import Child
from pgtrigger_softdelete.statements import (
    LOCATE,
    OWN_TABLE,
    Statement,
    on_child_table,
    on_own_table,
)

# The row that a statement of the function is about, beside the row that the trigger is about.
TARGET = "target"

ORPHAN_VARIABLES = [("gone", "RECORD"), ("is_gone", "BOOLEAN"), ("was_orphaned", "BOOLEAN")]


def own_row(model: Model, mark: Mark, cascade_field: str | None) -> str:
    """Mark the row that is being deleted, unless it has been before."""
    live = mark.live_row_sql(model, TARGET)

    def marking(row: str, found: str) -> str:
        sets = _mark_sets(model, mark, row, cascade_field, "NULL")
        return f"AS {TARGET} SET {sets} WHERE {found} AND {live}"

    return on_own_table(
        model._meta.db_table,
        # The row is locked and stays where it is, so it needs not be looked for.
        Statement(
            "UPDATE ONLY",
            lambda row: marking(row, f"{TARGET}.ctid OPERATOR(pg_catalog.=) {row}.ctid"),
            "OLD",
        ),
        Statement("UPDATE", lambda row: marking(row, _same_row(model, row)), "OLD"),
    )


# Where rows of one table are children of each other, one statement may delete both, and Postgres
# refuses to delete a row that a trigger has changed meanwhile. So the children's turn comes when
# the statement is through: the trigger that they follow is deferred until its end, but not until
# that of the update by which a single row is marked.
OWN_VARIABLES = [("marking", "TEXT")]
_MARKING = "'pgtrigger_softdelete.marking'"


def unfollowed(own: str) -> str:
    """Mark a row without having its children follow at once."""
    return (
        f"marking := coalesce(pg_catalog.current_setting({_MARKING}, true), '');\n"
        f"PERFORM pg_catalog.set_config({_MARKING}, TG_RELID::pg_catalog.text, true);\n"
        f"{own}\nPERFORM pg_catalog.set_config({_MARKING}, marking, true);"
    )


def follow_now(pgid: str) -> str:
    """At the end of a statement, have the children of all its rows follow.

    Args:
        pgid: the name of the deferred trigger that they follow.
    """
    move = f"'SET CONSTRAINTS %I.%I {{}}', TG_TABLE_SCHEMA, {sql.string(pgid)}"
    return (
        "IF TG_LEVEL OPERATOR(pg_catalog.=) 'STATEMENT' THEN\n"
        f"    IF coalesce(pg_catalog.current_setting({_MARKING}, true), '') "
        "OPERATOR(pg_catalog.<>) TG_RELID::pg_catalog.text THEN\n"
        f"        EXECUTE pg_catalog.format({move.format('IMMEDIATE')});\n"
        f"        EXECUTE pg_catalog.format({move.format('DEFERRED')});\n"
        "    END IF;\n    RETURN NULL;\nEND IF;"
    )


def state_changes(model: Model, mark: Mark) -> str:
    """True for an update by which a row becomes deleted, or live again."""
    return f"({mark.deleted_sql(model, 'OLD')}) <> ({mark.deleted_sql(model, 'NEW')})"


def returns_alone(model: Model, mark: Mark, cascade_field: str) -> str:
    """True for an update by which a row that went with its parent becomes live without it."""
    column = sql.quote(column_name(concrete_field(model, cascade_field)))
    return (
        f"NEW.{column} IS NOT NULL AND {mark.deleted_sql(model, 'OLD')} "
        f"AND {mark.live_row_sql(model, 'NEW')}"
    )


def forget_parent(model: Model, cascade_field: str) -> str:
    """Let a row forget with which parent it went."""
    column = sql.quote(column_name(concrete_field(model, cascade_field)))
    return f"NEW.{column} := NULL;\nRETURN NEW;"


# A child, with its own mark and ``cascade_field``, if it has them.
Follower = tuple[Child, Mark | None, str | None]


def follow(model: Model, mark: Mark, children: Sequence[Follower], hint: str) -> str:
    """What the children do when their parent is deleted, and when it is restored.

    Args:
        model: the parent.
        mark: the mark of its deleted rows.
        children: those who follow it.
        hint: for those that refuse.
    """
    deletions = [_follow_deletion(model, *child, hint) for child in children]
    restorations = [
        _follow_restoration(model, child, its_mark, its_field)
        for child, its_mark, its_field in children
        if child.action == "soft" and its_mark and its_field
    ]
    branches = "\n".join(deletions)
    text = f"{LOCATE}\nIF {mark.deleted_sql(model, 'NEW')} THEN\n{sql.indent(branches)}\n"
    if restorations:
        branches = "\n".join(restorations)
        text += f"ELSE\n{sql.indent(branches)}\n"
    return f"{text}END IF;"


def _follow_deletion(
    model: Model, child: Child, mark: Mark | None, cascade_field: str | None, hint: str
) -> str:
    table = child.model._meta.db_table
    live = f" AND {mark.live_row_sql(child.model, TARGET)}" if mark else ""
    match child.action:
        case "refuse":
            statement = Statement(
                "SELECT EXISTS (SELECT FROM",
                lambda row: f"AS {TARGET} WHERE {_refers(child, row)}{live})",
                "NEW",
                into="is_referred",
            )
            refusal = pgtrigger.raise_violation(
                "pgtrigger: Cannot delete rows from %s table: rows of %s refer to them",
                "TG_TABLE_NAME",
                sql.string(sql.relation(table)[1]),
                hint=hint,
            )
            return on_child_table(table, statement, f"IF is_referred THEN\n{refusal}\nEND IF;")
        case "set_null":
            column = sql.quote(child.columns[0])
            statement = Statement(
                "UPDATE",
                lambda row: f"AS {TARGET} SET {column} = NULL WHERE {_refers(child, row)}",
                "NEW",
            )
        case _:
            assert mark is not None  # relations.chosen() refuses this of "soft"

            def after(row: str) -> str:
                sets = _mark_sets(child.model, mark, TARGET, cascade_field, _parent(model, row))
                return f"AS {TARGET} SET {sets} WHERE {_refers(child, row)}{live}"

            statement = Statement("UPDATE", after, "NEW")
    return on_child_table(table, statement)


def _follow_restoration(model: Model, child: Child, mark: Mark, cascade_field: str) -> str:
    column = sql.quote(column_name(concrete_field(child.model, cascade_field)))
    sets = f"{mark.column(child.model)} = {mark.live_sql(child.model)}, {column} = NULL"
    deleted = mark.deleted_sql(child.model, TARGET)
    return on_child_table(
        child.model._meta.db_table,
        Statement(
            "UPDATE",
            lambda row: (
                f"AS {TARGET} SET {sets} WHERE {_refers(child, row)} AND {deleted} "
                f"AND {TARGET}.{column} OPERATOR(pg_catalog.=) {_parent(model, row)}"
            ),
            "NEW",
        ),
    )


def orphan(model: Model, mark: Mark, action: str, cascade_field: str | None, hint: str) -> str:
    """What a row does when the database deletes it because its parent is really gone.

    The database takes for granted that its cascade succeeds. Keeping the row would leave it with a
    foreign key to nothing, so nothing is kept before each such key has been looked at.
    """
    gone = pgtrigger.raise_violation(
        "pgtrigger: Cannot delete rows from %s table: rows of %s that are only marked as deleted "
        "refer to them",
        "gone.parent",
        "TG_TABLE_NAME",
        hint=hint,
        errcode="23503",
    )
    if action == "delete":
        gone = "RETURN OLD;"
    elif action == "set_null":
        sets = _mark_sets(model, mark, "($1)", cascade_field, "NULL")
        before = sql.string(f" AS {TARGET} SET {sets}, ")
        after = sql.string(f" WHERE {_same_row(model, '($1)')}")
        gone = (
            f"EXECUTE pg_catalog.concat('UPDATE ', {OWN_TABLE}, {before}, gone.nulls, {after}) "
            f"USING OLD;\nwas_orphaned := TRUE;"
        )
    leave = "\nIF was_orphaned THEN\n    RETURN NULL;\nEND IF;" if action == "set_null" else ""
    loop = (
        f"FOR gone IN\n{sql.indent(_CASCADING_KEYS)}\nLOOP\n"
        "    EXECUTE pg_catalog.concat('SELECT ', gone.filled, ' AND NOT EXISTS (SELECT FROM ',\n"
        "        gone.parent, ' AS parent WHERE ', gone.matches, ')')\n"
        "        INTO is_gone USING OLD;\n"
        f"    IF is_gone THEN\n{sql.indent(sql.indent(gone))}\n    END IF;\nEND LOOP;"
    )
    cascades = "pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.>) 1"
    return f"IF {cascades} THEN\n{sql.indent(loop + leave)}\nEND IF;"


# The foreign keys of the trigger's own table by which the database deletes. Those of a partition
# are copies; what a partitioned parent has besides, for each of its partitions, is left out.
_CASCADING_KEYS = """\
SELECT key.confrelid::pg_catalog.regclass::pg_catalog.text AS parent,
    pg_catalog.string_agg(
        pg_catalog.format('($1).%I IS NOT NULL', ours.attname), ' AND ') AS filled,
    pg_catalog.string_agg(
        pg_catalog.format('parent.%I OPERATOR(%s) ($1).%I', theirs.attname,
            (SELECT pg_catalog.format('%I.%s', place.nspname, equal.oprname)
            FROM pg_catalog.pg_operator AS equal JOIN pg_catalog.pg_namespace AS place
                ON place.oid OPERATOR(pg_catalog.=) equal.oprnamespace
            WHERE equal.oid OPERATOR(pg_catalog.=) pair.equal),
            ours.attname), ' AND ') AS matches,
    pg_catalog.string_agg(pg_catalog.format('%I = NULL', ours.attname), ', ') AS nulls
FROM pg_catalog.pg_constraint AS key
    CROSS JOIN LATERAL ROWS FROM (
        pg_catalog.unnest(key.conkey), pg_catalog.unnest(key.confkey),
        pg_catalog.unnest(key.conpfeqop)
    ) AS pair(our, their, equal)
    JOIN pg_catalog.pg_attribute AS ours
        ON ours.attrelid OPERATOR(pg_catalog.=) key.conrelid
        AND ours.attnum OPERATOR(pg_catalog.=) pair.our
    JOIN pg_catalog.pg_attribute AS theirs
        ON theirs.attrelid OPERATOR(pg_catalog.=) key.confrelid
        AND theirs.attnum OPERATOR(pg_catalog.=) pair.their
WHERE key.conrelid OPERATOR(pg_catalog.=) TG_RELID
    AND key.contype OPERATOR(pg_catalog.=) 'f' AND key.confdeltype OPERATOR(pg_catalog.=) 'c'
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint AS whole
        WHERE whole.oid OPERATOR(pg_catalog.=) key.conparentid
            AND whole.conrelid OPERATOR(pg_catalog.=) key.conrelid
    )
GROUP BY key.oid, key.confrelid"""


def may_be_orphaned(model: Model) -> bool:
    """Whether a row has a parent at all."""
    return any(field.is_relation for field in columns_of(model))


def _mark_sets(model: Model, mark: Mark, row: str, cascade_field: str | None, parent: str) -> str:
    sets = f"{mark.column(model)} = {mark.value_sql(model, Rows(old=row, new=row))}"
    if cascade_field is None:
        return sets
    column = sql.quote(column_name(concrete_field(model, cascade_field)))
    return f"{sets}, {column} = {parent}"


def _same_row(model: Model, row: str) -> str:
    return " AND ".join(
        equal(field, *(f"{side}.{sql.quote(column_name(field))}" for side in (TARGET, row)))
        for field in model._meta.pk_fields
    )


def _refers(child: Child, row: str) -> str:
    column, referred = map(sql.quote, child.columns)
    return equal(child.key, f"{TARGET}.{column}", f"{row}.{referred}")


def _parent(model: Model, row: str) -> str:
    columns = [f"{row}.{sql.quote(column_name(field))}" for field in model._meta.pk_fields]
    key = f"{columns[0]}::pg_catalog.text"
    if len(columns) > 1:
        key = f"pg_catalog.jsonb_build_array({', '.join(columns)})"
    return f"pg_catalog.concat({sql.string(f'{model._meta.label}:')}, {key})"
