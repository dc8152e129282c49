"""Conditions and clauses that Postgres refuses when it makes the trigger.

PostgreSQL manual: "CREATE TRIGGER"; "Value Expressions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from django.core.checks import CheckMessage

from pgtrigger import clauses, sql
from pgtrigger.checks.expressions import SYSTEM_COLUMNS, fault, is_plain, refused
from pgtrigger.checks.identifiers import cut
from pgtrigger.checks.messages import error, warning
from pgtrigger.columns import column_name, columns_of
from pgtrigger.compiler import CompiledTrigger, Part
from pgtrigger.declaration import Model
from pgtrigger.trigger import Trigger

# What looks like a column of a row, also within a literal.
_COLUMN: Final = re.compile(r"""\b(?:old|new)\b["\s)]*\.\s*(?:"([^"]*)"|(\w+))""", re.IGNORECASE)


def check_acceptance(
    model: Model, trigger: Trigger, compiled: CompiledTrigger
) -> Iterator[CheckMessage]:
    """Check for what no database accepts although it compiles, and for unknown columns."""
    uri = trigger.get_uri(model)
    conditions = _conditions(model, trigger, compiled)
    found = [
        (
            f"its condition is not one whole SQL expression, because {why}: {text}",
            "Correct the SQL of the pgtrigger.Condition.",
        )
        for text in conditions
        if not is_plain(text) and (why := fault(text))
    ]
    if not found:
        found += [reason for part in compiled.parts for reason in _refused(part)]
    found += _tables(model, trigger)
    for reason, hint in dict.fromkeys(found):
        yield error("pgtrigger.E008", f'Trigger "{uri}": {reason}', hint, model)
    if model._meta.managed and not found:
        for text in conditions:
            yield from _unknown_columns(model, uri, text)


def _conditions(model: Model, trigger: Trigger, compiled: CompiledTrigger) -> list[str]:
    """The conditions as SQL text, also one that the function asks."""
    texts = [part.condition for part in compiled.parts if part.condition]
    if trigger.get_level() == clauses.Statement:
        condition = trigger.get_condition(model)
        texts += [condition.resolve(model)] if condition is not None else []
    return [*dict.fromkeys(texts)]


def _refused(part: Part) -> Iterator[tuple[str, str]]:
    """What is wrong with the condition of one Postgres trigger."""
    if is_plain(part.condition):
        return
    for what in refused(part.condition):
        reason = (
            f"its condition has {what}, which Postgres takes in no WHEN clause: {part.condition}"
        )
        yield reason, "Decide it within the function of the trigger."
    if part.when == "BEFORE" and (read := sql.row_columns(part.condition, "NEW") & SYSTEM_COLUMNS):
        reason = (
            f"its condition reads the system column {', '.join(sorted(read))} of NEW, which a "
            f"row does not have before it is stored: {part.condition}"
        )
        yield reason, "Read it of OLD, or use pgtrigger.After."


def _tables(model: Model, trigger: Trigger) -> Iterator[tuple[str, str]]:
    assert trigger.operation is not None
    for operation in trigger.operation.members:
        tables = trigger.referencing and trigger.get_referencing(model, operation)
        if tables and tables.old and tables.new and cut(tables.old) == cut(tables.new):
            yield (
                f'both its transition tables have the name "{cut(tables.old)}".',
                "Give old and new of pgtrigger.Referencing two names of at most 63 bytes.",
            )


def _unknown_columns(model: Model, uri: str, text: str) -> Iterator[CheckMessage]:
    columns = {column_name(field) for field in columns_of(model)}
    known = columns | SYSTEM_COLUMNS
    if all((quoted or bare.lower()) in known for quoted, bare in _COLUMN.findall(text)):
        return
    for row in ("OLD", "NEW"):
        for name in sorted(sql.row_columns(text, row) - known - {"*"}):
            written = next((c for c in columns if c.lower() == name), None)
            hint = f"Its columns are: {', '.join(sorted(columns))}."
            if written:
                hint = f'Write {row}."{written}": Postgres folds names without quotes.'
            yield warning(
                "pgtrigger.W006",
                f'Trigger "{uri}": its condition reads {row}.{name}, which is no column of '
                f'"{model._meta.db_table}": {text}',
                hint,
                model,
            )
