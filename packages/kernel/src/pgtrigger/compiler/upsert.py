"""Compiled triggers as the migration files of django-pgtrigger 4.x spell them.

Such a file applies unchanged. What it installs is written by our templates: its triggers obey
`pgtrigger.ignore` without the helper function of that package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pgtrigger import sql
from pgtrigger.compiler.compiled import CompiledTrigger, function_name
from pgtrigger.compiler.part import Part

_WHEN = re.compile(r"\s*WHEN\s*\((?P<condition>.*)\)\s*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class UpsertTriggerSql:
    """The clauses of one trigger as plain strings.

    Args:
        func: plpgsql statements.
        operation: such as ``INSERT OR UPDATE``.
        pgid: the trigger's name in Postgres.
        table: its table at the time; the operation that holds this value knows the real one.
        when: ``BEFORE``, ``AFTER`` or ``INSTEAD OF``.
        condition: ``WHEN (…)``, with the keyword.
        level: ``ROW`` or ``STATEMENT``.
        referencing: the ``REFERENCING`` clause, with its keyword.
        declare: the ``DECLARE`` section, with its keyword.
        constraint: ``CONSTRAINT`` for a constraint trigger.
        timing: such as ``DEFERRABLE INITIALLY DEFERRED``.
        hash, execute, ignore_func_name: accepted and not needed.
    """

    func: str
    operation: str
    pgid: str
    table: str
    when: str
    hash: str | None = None
    condition: str | None = None
    level: str | None = "ROW"
    referencing: str | None = None
    declare: str | None = None
    constraint: str | None = None
    timing: str | None = None
    execute: str | None = None
    ignore_func_name: str | None = None

    def part(self) -> Part:
        """The same trigger as a part of ours."""
        condition = _WHEN.fullmatch(self.condition or "")
        timing = (self.timing or "").upper().split()
        return Part(
            pgid=self.pgid,
            when=sql.normalise(self.when).upper(),
            operation=self.operation.strip(),
            level=(self.level or "ROW").upper(),
            condition=condition["condition"].strip() if condition else (self.condition or ""),
            referencing=(self.referencing or "").strip(),
            timing=timing[-1] if timing else "",
        )


def Trigger(*, name: str, sql: UpsertTriggerSql) -> CompiledTrigger:  # noqa: N802  # their name
    """Read a compiled trigger of django-pgtrigger 4.x.

    Args:
        name: the declared name.
        sql: its clauses.
    """
    return CompiledTrigger(
        name=name,
        function=function_name(name, f"{sql.table}:{sql.pgid}"),
        func=sql.func.strip(),
        declare=(sql.declare or "").strip(),
        parts=(sql.part(),),
    )
