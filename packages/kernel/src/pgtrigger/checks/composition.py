"""What is different at statement level: matching rows, asking the condition, replication.

PostgreSQL manual: "Table Expressions", joined tables; "Logical Replication", "Architecture".
"""

from __future__ import annotations

from collections.abc import Iterator

from django.core.checks import CheckMessage

from pgtrigger import clauses, sql
from pgtrigger.checks.messages import error, warning
from pgtrigger.columns import has_equality
from pgtrigger.compiler import CompiledTrigger
from pgtrigger.composer import TABLES, Composer, full_join
from pgtrigger.conditions import Condition
from pgtrigger.declaration import Model
from pgtrigger.trigger import Trigger


def check_composition(
    model: Model, trigger: Trigger, compiled: CompiledTrigger
) -> Iterator[CheckMessage]:
    """Check that rows can be matched, that a condition is asked, and that it fires at all."""
    if trigger.get_level() == clauses.Statement:
        yield from _check_key(model, trigger, compiled)
        yield from _check_firing(model, trigger)
    condition = trigger.get_condition(model)
    # What types compose by themselves has its own tests; here it is about functions of users.
    if condition is not None and trigger.func:
        yield from _check_condition(model, trigger, compiled, condition)


def _check_key(model: Model, trigger: Trigger, compiled: CompiledTrigger) -> Iterator[CheckMessage]:
    if full_join(model) not in compiled.func:
        return
    for field in model._meta.pk_fields:
        if not has_equality(field):
            text = (
                f'Trigger "{trigger.get_uri(model)}" matches the rows before and after an update '
                f'on the primary key, but Postgres cannot match values of "{field.name}", whose '
                f"type has no equality: every update of the table will fail."
            )
            hint = (
                "Declare the trigger at row level, or make another field the primary key of the "
                "model."
            )
            yield error("pgtrigger.E007", text, hint, model)


def _check_firing(model: Model, trigger: Trigger) -> Iterator[CheckMessage]:
    assert trigger.operation is not None
    rows = trigger.operation.names - {"TRUNCATE"}
    if rows and trigger.firing in (clauses.Always, clauses.Replica):
        text = (
            f'Trigger "{trigger.get_uri(model)}" with firing={trigger.firing!r} is at statement '
            f"level, where logical replication fires no trigger for the rows that it changes."
        )
        hint = (
            "Declare it at row level. Silence this if it is meant for sessions that set "
            "session_replication_role themselves."
        )
        yield warning("pgtrigger.W008", text, hint, model)


def _check_condition(
    model: Model, trigger: Trigger, compiled: CompiledTrigger, condition: Condition
) -> Iterator[CheckMessage]:
    assert trigger.operation is not None
    uri, text, hint = trigger.get_uri(model), "", ""
    if trigger.get_level() == clauses.Statement:
        asked = condition.resolve_rows(model, TABLES) in compiled.func
        if isinstance(trigger, Composer) and not asked:
            text = "at statement level it runs for all rows"
            hint = (
                "Select from {cond_new_values}, {cond_old_values} or {cond_joined_values} in a "
                "pgtrigger.Func, or remove the condition."
            )
    elif "TRUNCATE" in trigger.operation.names and "tg_op" not in sql.words_used(compiled.func):
        text = "a truncation has no rows, and runs it whatever they are"
        hint = "Tell TG_OP = 'TRUNCATE' apart in the function, or make it a trigger of its own."
    if hint:
        said = f'Trigger "{uri}" has a condition that is not asked: {text}.'
        yield warning("pgtrigger.W007", said, hint, model)
