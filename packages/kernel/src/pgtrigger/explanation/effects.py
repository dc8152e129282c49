"""What the function of a trigger does, as far as its text says it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pgtrigger.compiler import CompiledTrigger
from pgtrigger.errors import FunctionSyntaxError
from pgtrigger.plpgsql import Function, Lexeme, Refusal, Statement, is_refusal, parse, refusals

_WRITES: Final = {
    "insert": ("INSERT INTO", "into"),
    "update": ("UPDATE", "update"),
    "delete": ("DELETE FROM", "from"),
    "merge": ("MERGE INTO", "into"),
    "truncate": ("TRUNCATE", "truncate"),
}
_QUERIES: Final = ("perform", "execute", "select", "call", "with")


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What a function does.

    Args:
        readable: whether its text could be read; if not, nothing else is known.
        always_refuses: whether it does nothing but raise an error.
        refusals: the errors that it raises.
        assigned: the columns of the row that it sets.
        writes: the statements that it runs on tables, such as ``INSERT INTO shop_log``.
        calls: whether it runs statements that read, call functions, or are put together.
        returns_null: whether it returns NULL at a place of its body.
    """

    readable: bool = True
    always_refuses: bool = False
    refusals: tuple[Refusal, ...] = ()
    assigned: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    calls: bool = False
    returns_null: bool = False


def effects(compiled: CompiledTrigger, known: dict[str, str]) -> Effects:
    """What the function of a trigger does.

    Args:
        compiled: the trigger.
        known: what expressions such as ``tg_table_name`` are known to be.
    """
    declare = f"{compiled.declare}\n" if compiled.declare else ""
    try:
        # Without the check that passes by ignored triggers, which is told by itself.
        function = parse(f"{declare}BEGIN\n{compiled.func}\nEND;")
    except FunctionSyntaxError:
        return Effects(readable=False)
    statements = [*function.block.walk()]
    return Effects(
        always_refuses=is_refusal(function.block.branches[0][0])
        if function.block.branches[0]
        else False,
        refusals=tuple(refusals(function, known)),
        assigned=tuple(dict.fromkeys(name for s in statements for name in _assigned(s))),
        writes=tuple(dict.fromkeys(text for s in statements for text in _writes(function, s))),
        calls=any(s.keyword in _QUERIES for s in statements),
        returns_null=any(
            s.keyword == "return" and [found.word for found in s.lexemes[1:]] == ["null"]
            for s in statements
        ),
    )


def _assigned(statement: Statement) -> Iterator[str]:
    lexemes = statement.lexemes
    if statement.keyword == "new" and len(lexemes) > 3:
        if lexemes[1].text == ".":
            yield lexemes[2].name
    elif statement.keyword in ("select", "execute"):
        words = [lexeme.word for lexeme in lexemes]
        if "into" in words:
            yield from _targets(lexemes[words.index("into") + 1 :])


def _targets(lexemes: Sequence[Lexeme]) -> Iterator[str]:
    """The columns of NEW after ``SELECT … INTO``."""
    for index in range(len(lexemes) - 2):
        if lexemes[index].word == "from":
            return
        if lexemes[index].word == "new" and lexemes[index + 1].text == ".":
            yield lexemes[index + 2].name


def _writes(function: Function, statement: Statement) -> Iterator[str]:
    if statement.keyword not in (*_WRITES, "with"):
        return
    for index, lexeme in enumerate(statement.lexemes):
        first = index == 0 or statement.lexemes[index - 1].text == "("
        if not first or lexeme.word not in _WRITES:
            continue
        verb, before = _WRITES[lexeme.word]
        rest = statement.lexemes[index:]
        place = next((i for i, found in enumerate(rest) if found.word == before), 0) + 1
        if place < len(rest) and rest[place].word == "only":
            place += 1
        name = [*rest[place : place + 1]]
        while place + 2 < len(rest) and rest[place + 1].text == ".":
            name += rest[place + 1 : place + 3]
            place += 2
        if name:
            yield f"{verb} {function.text_of(name)}"
