"""The text of a plpgsql function as a tree: its blocks, statements and variables.

It tells what a function declares, returns and raises without a server. It checks no syntax beyond
that. PostgreSQL manual: "PL/pgSQL", structure, declarations and control structures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pgtrigger import sql

_SILENT = ("space", "comment")


class Lexeme(NamedTuple):
    """A token that is neither white space nor a comment, and where it stands."""

    kind: str
    text: str
    line: int
    start: int
    end: int

    @property
    def word(self) -> str:
        """The word in lower case; nothing if it is no word."""
        return self.text.lower() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """The identifier that it is, as the catalog has it; nothing if it is none."""
        if self.kind == "quoted":
            return self.text[1:-1].replace('""', '"')
        return self.word


@dataclass(frozen=True)
class Variable:
    """A declared variable: its name, and the text that follows it."""

    name: str
    kind: str
    line: int


@dataclass(frozen=True)
class Statement:
    """A statement and what it contains.

    Args:
        keyword: its first word in lower case; ``block`` for a block.
        lexemes: of a simple statement all but the semicolon, of others the head.
        branches: the statements within: of an ``IF`` one list for each branch, of a block those
            of the body and of each handler.
        otherwise: whether an ``IF`` or ``CASE`` has an ``ELSE``.
        variables: what a block declares.
    """

    keyword: str
    lexemes: tuple[Lexeme, ...]
    line: int
    branches: tuple[tuple[Statement, ...], ...] = ()
    otherwise: bool = False
    variables: tuple[Variable, ...] = ()

    def walk(self) -> Iterator[Statement]:
        """This statement and all within it, in the order of the text."""
        yield self
        for branch in self.branches:
            for statement in branch:
                yield from statement.walk()


@dataclass(frozen=True)
class Function:
    """The text of a function, taken apart.

    Args:
        source: the text, as ``pg_proc.prosrc`` has it.
        block: its outermost block.
        lexemes: all of its tokens.
        labels: the names of blocks and loops.
        options: lines such as ``#variable_conflict use_column``, which stand before the block.
        begin, end: the positions after the word ``BEGIN`` and before the last ``END``.
    """

    source: str
    block: Statement
    lexemes: tuple[Lexeme, ...]
    labels: frozenset[str]
    options: tuple[str, ...]
    begin: int
    end: int

    def text_of(self, lexemes: Iterable[Lexeme]) -> str:
        """The source text of adjacent tokens."""
        pieces = [*lexemes]
        return self.source[pieces[0].start : pieces[-1].end] if pieces else ""


def lexemes(source: str) -> list[Lexeme]:
    """The tokens of a text that mean something.

    >>> [found.text for found in lexemes("a := 1; -- one")]
    ['a', ':', '=', '1', ';']
    """
    found: list[Lexeme] = []
    line, position = 1, 0
    for kind, text in sql.tokens(source):
        if kind not in _SILENT:
            found.append(Lexeme(kind, text, line, position, position + len(text)))
        line += text.count("\n")
        position += len(text)
    return found
