"""The smallest statements that bring a table from what it has to what is declared.

An unchanged trigger costs no statement; a changed body replaces the function, which locks nothing;
anything else replaces the trigger, under a lock that lets readers go on. PostgreSQL manual:
"CREATE TRIGGER", "CREATE FUNCTION", "ALTER TABLE", "Explicit Locking".
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from pgtrigger import catalog, sql
from pgtrigger.catalog import InstalledTrigger, OrphanFunction
from pgtrigger.compiler import CompiledTrigger, drop_triggers_sql, state_sql
from pgtrigger.compiler.fingerprint import TriggerComment


class Lock(enum.Enum):
    """The lock that a statement takes on the table; the value is its mode."""

    NONE = ""
    SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

    @property
    def meaning(self) -> str:
        """Who waits for whom."""
        match self:
            case Lock.NONE:
                return "no lock on the table"
            case Lock.SHARE_UPDATE_EXCLUSIVE:
                return "readers and writers go on; VACUUM and other changes of the table wait"
            case Lock.SHARE_ROW_EXCLUSIVE:
                return "readers go on, writers wait"
            case Lock.ACCESS_EXCLUSIVE:
                return "readers and writers wait"
            case _:  # pragma: no cover  # for the type checkers
                assert_never(self)


_LOCKS: Final = {
    "CREATE OR REPLACE TRIGGER ": Lock.SHARE_ROW_EXCLUSIVE,
    "CREATE CONSTRAINT TRIGGER ": Lock.SHARE_ROW_EXCLUSIVE,
    "ALTER TABLE ": Lock.SHARE_ROW_EXCLUSIVE,
    "DROP TRIGGER ": Lock.ACCESS_EXCLUSIVE,
    # It writes comments on triggers.
    "DO ": Lock.SHARE_UPDATE_EXCLUSIVE,
}


def lock_of(statement: str) -> Lock:
    """The lock that one of the statements made here takes on the trigger's table."""
    return next((lock for head, lock in _LOCKS.items() if statement.startswith(head)), Lock.NONE)


def install_sql(
    compiled: CompiledTrigger,
    db_table: str,
    found: Mapping[str, InstalledTrigger],
    *,
    schema: str | None = None,
    replaces: Iterable[str] = (),
    comments: list[TriggerComment] | None = None,
    before: CompiledTrigger | None = None,
) -> list[str]:
    """The smallest statements that make a table have a trigger.

    Args:
        compiled: the trigger.
        db_table: Django's name of the table.
        found: what the table has, by Postgres id.
        schema: the table's schema, if it is known.
        replaces: Postgres ids under which the same trigger was installed before.
        comments: collects those to write, for a caller that writes many at once.
        before: what was declared before, if it is known.
    """
    ours = [found[pgid] for pgid in compiled.pgids if pgid in found]
    # Where somebody has moved the table to another schema, the function has stayed behind.
    home = sql.relation(db_table)[0] or schema
    here = [t for t in ours if home is None or t.function_schema == home]
    former = [found[p] for p in replaces if p in found and p not in compiled.pgids]
    statements: list[str] = []
    if not any(catalog.function_is_current(trigger, compiled) for trigger in here):
        statements.append(compiled.function_sql(schema))
    if statements or not any(t.function_comment == compiled.hash for t in here):
        statements.append(compiled.function_comment_sql(schema))
    sibling = next(iter([*ours, *former]), None)
    for part in compiled.parts:
        current = found.get(part.pgid)
        known = current or sibling
        state = compiled.state
        if known:
            state = state_to_be(compiled, known.state, known.comment, before)
        if (
            current is None
            or current not in here
            or not catalog.definition_is_current(current, compiled)
        ):
            constraint = current is not None and current.constraint
            statements += compiled.part_sql(
                part, db_table, schema, drop=constraint, comments=comments
            )
            # Postgres enables a trigger that it replaces.
            state_now = compiled.state
        else:
            state_now = current.state
        if state != state_now:
            statements += state_sql([part.pgid], db_table, state, schema)
    statements += drop_triggers_sql([t.pgid for t in former], db_table, schema)
    return statements + drop_functions_sql(
        [t for t in [*ours, *former] if t.function != compiled.function or t not in here]
    )


def state_to_be(
    compiled: CompiledTrigger, state: str, declared: str, before: CompiledTrigger | None
) -> str:
    """What is disabled stays so. Otherwise what is declared holds, or else what there is.

    Args:
        compiled: the trigger.
        state: what there is, as ``tgenabled`` has it.
        declared: the hash of what was declared, as the comment has it.
        before: what was declared, if that is known.
    """
    if state == "D" or (state == "O" and not compiled.firing):
        return state
    if compiled.firing:
        return compiled.state
    # Nothing is declared any more, or nothing ever was.
    if before:
        was = before.state == state
    else:
        forms = (replace(compiled, firing=firing) for firing in ("ALWAYS", "REPLICA"))
        was = any(f.state == state and declared.endswith(f.definition_hash) for f in forms)
    return "O" if was else state


def drop_functions_sql(triggers: Sequence[InstalledTrigger]) -> list[str]:
    """The statements that drop the functions of triggers: ours, that nothing else calls."""
    callers: dict[tuple[str, str], list[InstalledTrigger]] = {}
    for trigger in triggers:
        if trigger.function.startswith("pgtrigger_"):
            callers.setdefault((trigger.function_schema, trigger.function), []).append(trigger)
    return drop_orphans_sql(
        OrphanFunction(schema=schema, function=name)
        for (schema, name), known in callers.items()
        if len(known) >= known[0].function_uses
    )


def drop_orphans_sql(functions: Iterable[OrphanFunction]) -> list[str]:
    """The statements that drop functions without triggers."""
    return [
        f"DROP FUNCTION IF EXISTS {sql.quote_relation(orphan.function, orphan.schema)}()"
        for orphan in functions
    ]


def uninstall_sql(triggers: Sequence[InstalledTrigger]) -> list[str]:
    """The statements that remove installed triggers, each with its function."""
    drops = [
        statement
        for trigger in triggers
        for statement in drop_triggers_sql([trigger.pgid], trigger.table, trigger.schema)
    ]
    return drops + drop_functions_sql(triggers)


def as_installed(compiled: CompiledTrigger, db_table: str) -> dict[str, InstalledTrigger]:
    """What the catalog would show of a trigger that has just been installed."""
    schema, table = sql.relation(db_table)
    return {
        part.pgid: InstalledTrigger(
            schema=schema or "",
            table=table,
            pgid=part.pgid,
            state=compiled.state,
            comment=compiled.hash,
            function_schema=schema or "",
            function=compiled.function,
            function_comment=compiled.hash,
            function_uses=len(compiled.pgids),
            visible=True,
            constraint=bool(part.timing),
        )
        for part in compiled.parts
    }


def enable_sql(triggers: Sequence[InstalledTrigger], compiled: CompiledTrigger) -> list[str]:
    """The statements that let disabled triggers fire again, where that is declared."""
    disabled = [trigger for trigger in triggers if not catalog.fires(trigger, compiled)]
    return [s for t in disabled for s in state_sql([t.pgid], t.table, compiled.state, t.schema)]


def disable_sql(triggers: Sequence[InstalledTrigger]) -> list[str]:
    """The statements that keep triggers from firing."""
    firing = [trigger for trigger in triggers if trigger.state != "D"]
    return [s for t in firing for s in state_sql([t.pgid], t.table, "D", t.schema)]
