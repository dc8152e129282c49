"""Conditions and clauses that Postgres refuses when it makes the trigger.

PostgreSQL manual: "CREATE TRIGGER"; "Value Expressions".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.core.checks import CheckMessage

from pgtrigger import clauses, sql
from pgtrigger.checks.identifiers import cut
from pgtrigger.checks.messages import error, warning
from pgtrigger.columns import column_name, columns_of
from pgtrigger.compiler import CompiledTrigger, Part
from pgtrigger.declaration import Model
from pgtrigger.trigger import Trigger

_SYSTEM: Final = frozenset(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"])
# Variables of the function, which a WHEN clause does not see. PostgreSQL manual: "PL/pgSQL",
# trigger functions.
_VARIABLES: Final = frozenset(
    [
        "tg_name",
        "tg_when",
        "tg_level",
        "tg_op",
        "tg_relid",
        "tg_relname",
        "tg_table_name",
        "tg_table_schema",
        "tg_nargs",
        "tg_argv",
    ]
)
# Functions that Postgres has only as an aggregate, and those that only return sets.
AGGREGATES: Final = frozenset(
    [
        "array_agg",
        "avg",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bool_and",
        "bool_or",
        "count",
        "every",
        "json_agg",
        "json_object_agg",
        "jsonb_agg",
        "jsonb_object_agg",
        "max",
        "min",
        "mode",
        "percentile_cont",
        "percentile_disc",
        "range_agg",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "string_agg",
        "sum",
        "var_pop",
        "var_samp",
        "variance",
        "xmlagg",
    ]
)
SETS: Final = frozenset(
    [
        "generate_series",
        "generate_subscripts",
        "json_array_elements",
        "json_array_elements_text",
        "json_each",
        "json_each_text",
        "json_object_keys",
        "jsonb_array_elements",
        "jsonb_array_elements_text",
        "jsonb_each",
        "jsonb_each_text",
        "jsonb_object_keys",
        "jsonb_path_query",
        "regexp_matches",
        "regexp_split_to_table",
        "string_to_table",
        "unnest",
    ]
)
_BRACKETS: Final = {")": "(", "]": "["}


def check_acceptance(
    model: Model, trigger: Trigger, compiled: CompiledTrigger
) -> Iterator[CheckMessage]:
    """Check for what no database accepts although it compiles, and for unknown columns."""
    uri = trigger.get_uri(model)
    conditions = _conditions(model, trigger)
    found = [
        (
            f"its condition is not one whole SQL expression, because {fault}: {text}",
            "Correct the SQL of the pgtrigger.Condition.",
        )
        for text in conditions
        if (fault := _fault(text))
    ]
    if not found:
        found += [reason for part in compiled.parts for reason in _refused(model, part)]
    found += _tables(model, trigger)
    for reason, hint in dict.fromkeys(found):
        yield error("pgtrigger.E008", f'Trigger "{uri}": {reason}', hint, model)
    if model._meta.managed and not found:
        for text in conditions:
            yield from _unknown_columns(model, uri, text)


def _conditions(model: Model, trigger: Trigger) -> list[str]:
    """The conditions of all operations as SQL text, also those that the function checks."""
    assert trigger.operation is not None
    conditions: list[Any] = [
        trigger.get_condition_for(model, operation.name)
        for operation in trigger.operation.members
        if operation != clauses.Truncate or trigger.get_level() == clauses.Statement
    ]
    return [*dict.fromkeys(c.resolve(model) for c in conditions if c is not None)]


def _fault(text: str) -> str | None:
    """Why a condition is not one whole expression."""
    opened: list[str] = []
    found = [token for token in sql.tokens(text) if token.kind != "space"]
    for kind, piece in found:
        if kind == "comment" and piece.startswith("/*") and not piece.endswith("*/"):
            return "a /* is never closed"
        if kind != "other":
            continue
        if piece in ("'", '"'):
            return f"a {piece} is never closed"
        if piece in (";", "$"):
            return f"a {piece} has no place in one"
        if piece in ("(", "["):
            opened.append(piece)
        if piece in _BRACKETS and (not opened or opened.pop() != _BRACKETS[piece]):
            return f"a {piece} closes what is not open"
    # Such a comment takes what follows along.
    if found and found[-1].text.startswith("--") and not text.rstrip(" ").endswith("\n"):
        return "it ends with a -- comment"
    if all(token.kind == "comment" for token in found):
        return "there is nothing in it"
    return f"a {opened[-1]} is never closed" if opened else None


def _refused(model: Model, part: Part) -> Iterator[tuple[str, str]]:
    """What is wrong with the clauses of one Postgres trigger."""
    if part.when == "INSTEAD OF" and model._meta.managed:
        yield (
            "pgtrigger.InsteadOf is for views, and Django makes a table of this model.",
            "Use pgtrigger.Before, or declare managed = False if the model stands for a view.",
        )
    words = [t for t in sql.tokens(part.condition) if t.kind not in ("space", "comment")]
    for index, token in enumerate(words):
        before = words[index - 1].text if index else ""
        after = words[index + 1].text if index + 1 < len(words) else ""
        name = token.text.lower()
        if token.kind != "word" or (before == "." and not _is_builtin(words[:index])):
            continue
        what = _what_no_condition_has(name, before, after)
        if what:
            reason = (
                f"its condition has {what}, which Postgres takes in no WHEN clause: "
                f"{part.condition}"
            )
            yield reason, "Decide it within the function of the trigger."
    if part.when == "BEFORE" and (read := sql.row_columns(part.condition, "NEW") & _SYSTEM):
        reason = (
            f"its condition reads the system column {', '.join(sorted(read))} of NEW, which a "
            f"row does not have before it is stored: {part.condition}"
        )
        yield reason, "Read it of OLD, or use pgtrigger.After."


def _is_builtin(words: list[sql.Token]) -> bool:
    return len(words) > 1 and words[-2].text.lower() == "pg_catalog"


def _what_no_condition_has(name: str, before: str, after: str) -> str:
    if name in ("select", "table") or (name == "values" and before == "("):
        return "a subquery"
    if name == "over" and before == ")":
        return "a window function"
    if name in _VARIABLES:
        return f"{name.upper()}, a variable of the function"
    if after == "(" and name in AGGREGATES:
        return f"the aggregate {name}"
    if after == "(" and name in SETS:
        return f"the function {name}, which returns a set"
    return ""


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
    for row in ("OLD", "NEW"):
        for name in sorted(sql.row_columns(text, row) - columns - _SYSTEM - {"*"}):
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
