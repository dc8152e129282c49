"""What a function raises, as far as its text says it.

PostgreSQL manual: "PL/pgSQL", "Reporting Errors and Messages".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pgtrigger.plpgsql.tree import Function, Lexeme, Statement

_LEVELS: Final = ("debug", "log", "info", "notice", "warning")
_DEFAULT: Final = "P0001"
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_PLACE: Final = re.compile(r"%%|%(?:\d+\$)?-?\d*[sIL]?")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An error that a function raises.

    Args:
        sqlstate: its code, or the name of its condition.
        message: its text; what is known only when it is raised stands in angle brackets.
        hint: its hint, in the same way.
    """

    sqlstate: str
    message: str
    hint: str = ""


def unquoted(literal: str) -> str:
    """The text that a string literal stands for."""
    if literal.startswith("$"):
        return literal.partition("$")[2].partition("$")[2].rpartition("$")[0].rpartition("$")[0]
    prefix, _, rest = literal.partition("'")
    text = rest[:-1].replace("''", "'")
    if prefix.lower() != "e":
        return text
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), text)


def is_refusal(statement: Statement) -> bool:
    """Whether a statement always ends the function by an error."""
    return statement.keyword == "raise" and (
        len(statement.lexemes) == 1 or statement.lexemes[1].word not in _LEVELS
    )


def refusals(function: Function, known: dict[str, str] | None = None) -> list[Refusal]:
    """The errors that a function raises by itself, each once.

    Args:
        function: the function.
        known: what SQL expressions without white space in lower case, such as ``tg_table_name``,
            are known to be.
    """
    found: dict[Refusal, None] = {}
    for statement in function.block.walk():
        # RAISE alone raises again what was caught.
        if is_refusal(statement) and len(statement.lexemes) > 1:
            found[_Raise(function, known or {}).read(statement.lexemes[1:])] = None
    return [*found]


class _Raise:
    def __init__(self, function: Function, known: dict[str, str]) -> None:
        self.function, self.known = function, known

    def read(self, lexemes: Sequence[Lexeme]) -> Refusal:
        pieces = [*lexemes]
        if pieces[0].word == "exception":
            del pieces[0]
        before, options = _cut_at_using(pieces)
        given = dict(self._options(options))
        state = _DEFAULT
        message = ""
        if before and before[0].kind == "string":
            first, *arguments = _split(before)
            message = self._filled(unquoted(first[0].text), arguments, any_place="%")
        elif before and before[0].word == "sqlstate" and len(before) > 1:
            state = unquoted(before[1].text)
        elif before:
            state = before[0].text
        return Refusal(
            sqlstate=self._text(given["errcode"]) if "errcode" in given else state,
            message=self._text(given["message"]) if "message" in given else message,
            hint=self._text(given["hint"]) if "hint" in given else "",
        )

    def _options(self, lexemes: Sequence[Lexeme]) -> Iterator[tuple[str, list[Lexeme]]]:
        for option in _split(lexemes):
            value = [*option[1:]]
            while value and value[0].text in (":", "="):
                del value[0]
            if value:
                yield option[0].word, value

    def _text(self, lexemes: Sequence[Lexeme]) -> str:
        """What an expression comes to, as far as its text says it."""
        if [lexeme.text for lexeme in lexemes[:2]] == ["pg_catalog", "."]:
            lexemes = lexemes[2:]
        if len(lexemes) == 1 and lexemes[0].kind == "string":
            return unquoted(lexemes[0].text)
        if lexemes[0].word == "format" and lexemes[1].text == "(" and lexemes[-1].text == ")":
            template, *arguments = _split(lexemes[2:-1])
            if len(template) == 1 and template[0].kind == "string":
                return self._filled(unquoted(template[0].text), arguments, any_place="")
        text = self.function.text_of(lexemes)
        return self.known.get("".join(text.lower().split()), f"<{text}>")

    def _filled(self, template: str, arguments: Sequence[list[Lexeme]], *, any_place: str) -> str:
        """A template of ``RAISE``, whose places are plain percent signs, or of ``format()``."""
        values = iter(arguments)

        def fill(match: re.Match[str]) -> str:
            if match[0] == "%%":
                return "%"
            value = next(values, None)
            rest = match[0][1:] if any_place else ""
            return (self._text(value) if value else match[0]) + rest

        return _PLACE.sub(fill, template)


def _cut_at_using(lexemes: Sequence[Lexeme]) -> tuple[list[Lexeme], list[Lexeme]]:
    for index, lexeme in enumerate(lexemes):
        if lexeme.word == "using":
            return [*lexemes[:index]], [*lexemes[index + 1 :]]
    return [*lexemes], []


def _split(lexemes: Sequence[Lexeme]) -> list[list[Lexeme]]:
    """The parts between commas that stand in no parentheses."""
    parts: list[list[Lexeme]] = [[]]
    depth = 0
    for lexeme in lexemes:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(lexeme.text, 0)
        if lexeme.text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(lexeme)
    return [part for part in parts if part]
