"""A declaration that does what a trigger of the database does, or the reasons why there is none.

PostgreSQL manual: "CREATE TRIGGER", "CREATE FUNCTION"; "PL/pgSQL", "Trigger Functions".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pgtrigger import sql
from pgtrigger.columns import columns_of
from pgtrigger.declaration import MAX_NAME_LENGTH, Model
from pgtrigger.errors import FunctionSyntaxError
from pgtrigger.handwritten import FoundTrigger
from pgtrigger.inspection import layout
from pgtrigger.plpgsql import Function, parse

_UNUSABLE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_INDENT: Final = 8
_FIRINGS: Final = {"A": "pgtrigger.Always", "R": "pgtrigger.Replica"}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A trigger of the database as a declaration.

    Args:
        found: the trigger.
        name: the name of the declaration.
        arguments: those of `pgtrigger.Trigger`, as Python source; empty where it cannot be
            declared.
        reasons: why it cannot be declared.
        notes: what to know about the declaration.
    """

    found: FoundTrigger
    name: str
    arguments: dict[str, str]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The source: a comment, and the call."""
        yield from layout.comment(f"{self.found.definition}", 4)
        if self.reasons:
            yield from layout.comment("It cannot be declared:", 4)
            for reason in self.reasons:
                yield from layout.comment(f"- {reason}.", 4)
            return
        for note in self.notes:
            yield from layout.comment(f"Note: {note}.", 4)
        yield "    pgtrigger.Trigger("
        for key, value in self.arguments.items():
            yield f"{' ' * _INDENT}{key}={value},"
        yield "    ),"


def draft(found: FoundTrigger, model: Model | None, taken: Collection[str]) -> Draft:
    """Say a trigger of the database as a declaration.

    Args:
        found: the trigger.
        model: the model of its table, if there is one.
        taken: names that other declarations of the table have.
    """
    name = declared_name(found.name, taken)
    reasons = [*_reasons(found)]
    columns, unknown = _columns(found, model)
    if unknown:
        reasons.append(
            f"it fires on updates of {', '.join(unknown)}, which is no column of a field of "
            f"{model._meta.label if model else 'the model'}"
        )
    function = None
    if not reasons:
        try:
            function = parse(found.source)
        except FunctionSyntaxError as error:
            reasons.append(f"its function cannot be read: {error}".removesuffix("."))
    arguments: dict[str, str] = {}
    if function is not None:
        declare, body = _body(function)
        reasons += [f"its function begins with {option}" for option in function.options]
        arguments = _arguments(found, name, columns, declare, body)
    return Draft(
        found=found,
        name=name,
        arguments={} if reasons else arguments,
        reasons=tuple(reasons),
        notes=tuple(_notes(found, name)),
    )


def declared_name(name: str, taken: Collection[str]) -> str:
    """A name that a declaration may have: as it is, if it may, and numbered if it is taken.

    >>> declared_name("set stamp!", {"set_stamp_"})
    'set_stamp__2'
    """
    used = {other.lower() for other in taken}
    valid = _UNUSABLE.sub("_", name)[:MAX_NAME_LENGTH] or "trigger"
    chosen, number = valid, 1
    while chosen.lower() in used:
        number += 1
        tail = f"_{number}"
        chosen = valid[: MAX_NAME_LENGTH - len(tail)] + tail
    return chosen


def _reasons(found: FoundTrigger) -> Iterator[str]:
    function = f"{sql.quote_relation(found.function, found.function_schema)}()"
    if found.language != "plpgsql":
        yield f"its function {function} is written in {found.language}"
    if found.arguments:
        yield f"its function {function} is called with {found.arguments} arguments (TG_ARGV)"
    if found.definer:
        yield f"its function {function} is SECURITY DEFINER: it runs as its owner"
    if found.settings:
        yield f"its function {function} runs with settings: SET {', '.join(found.settings)}"
    if found.volatility != "v":
        kind = {"s": "STABLE", "i": "IMMUTABLE"}[found.volatility]
        yield f"its function {function} is {kind}: it does not see changes of its own statement"
    if found.from_table:
        yield "it is a constraint trigger FROM another table"
    if found.for_each_row and (found.old_table or found.new_table):
        yield "it fires for each row and has transition tables"


def _notes(found: FoundTrigger, name: str) -> Iterator[str]:
    if name != found.name:
        yield f'"{found.name}" is no name for a declaration, or is taken'
    if found.uses > 1:
        yield (
            f"{sql.quote_relation(found.function, found.function_schema)}() is called by "
            f"{found.uses} triggers; this has a copy of it"
        )
    if "tg_name" in sql.words_used(found.source):
        yield "its function reads TG_NAME, which becomes the Postgres id of the declaration"
    if re.search(rf"\b{re.escape(found.function)}\s*\.", found.source):
        yield (
            f"its function may name itself, as {found.function}.…; that of the declaration has "
            f"another name"
        )
    if found.constraint and not found.deferrable:
        yield "it is a constraint trigger that cannot be deferred, which is an ordinary one"
    if found.state == "D":
        yield "it is disabled; the declaration is enabled when it is installed"


def _columns(found: FoundTrigger, model: Model | None) -> tuple[list[str], list[str]]:
    """What ``UpdateOf`` names the columns by, and those that it cannot name."""
    if model is None:
        return [*found.update_of], []
    fields = {field.column: field.name for field in columns_of(model)}
    return (
        [fields[column] for column in found.update_of if column in fields],
        [column for column in found.update_of if column not in fields],
    )


def _body(function: Function) -> tuple[list[tuple[str, str]], str]:
    """The declared variables, and the statements."""
    source = function.source
    if function.lexemes[0].text == "<":  # a label, by which its variables may be called
        end = function.lexemes[-1]
        whole = source[: end.end].strip()
        return [], whole if end.text == ";" else f"{whole};"
    declare = [
        (sql.identifier(variable.name), variable.kind) for variable in function.block.variables
    ]
    head = [text for kind, text in sql.tokens(source[: function.begin]) if kind == "comment"]
    text = source[function.begin : function.end].rstrip()
    return declare, "\n".join([*head, text.strip("\r\n")]) if head else text.strip("\r\n")


def _arguments(
    found: FoundTrigger,
    name: str,
    columns: list[str],
    declare: list[tuple[str, str]],
    body: str,
) -> dict[str, str]:
    arguments: dict[str, Any] = {"name": layout.string(name)}
    if not found.for_each_row:
        arguments["level"] = "pgtrigger.Statement"
    arguments["when"] = f"pgtrigger.{found.when.title().replace(' ', '')}"
    arguments["operation"] = _operation(found, columns)
    if found.condition:
        condition = [layout.string(found.condition)]
        arguments["condition"] = layout.call(
            "pgtrigger.Condition", condition, _INDENT, len("condition=,")
        )
    if found.old_table or found.new_table:
        tables = (("old", found.old_table), ("new", found.new_table))
        given = [f"{key}={layout.string(table)}" for key, table in tables if table]
        arguments["referencing"] = layout.call(
            "pgtrigger.Referencing", given, _INDENT, len("referencing=,")
        )
    if found.deferrable:
        arguments["timing"] = f"pgtrigger.{'Deferred' if found.deferred else 'Immediate'}"
    if found.state in _FIRINGS:
        arguments["firing"] = _FIRINGS[found.state]
    if declare:
        pairs = [f"({layout.string(key)}, {layout.string(kind)})" for key, kind in declare]
        arguments["declare"] = layout.items(pairs, _INDENT, len("declare=,"))
    arguments["func"] = layout.block(body, _INDENT)
    return arguments


def _operation(found: FoundTrigger, columns: list[str]) -> str:
    around = len("operation=,")
    parts: list[str] = []
    for name in found.operations:
        if name == "UPDATE" and columns:
            names = [layout.string(column) for column in columns]
            several = len(found.operations) > 1
            room = (_INDENT + 4, 2) if several else (_INDENT, around)
            parts.append(layout.call("pgtrigger.UpdateOf", names, *room))
        else:
            parts.append(f"pgtrigger.{name.title()}")
    return parts[0] if len(parts) == 1 else layout.alternatives(parts, _INDENT, around)
