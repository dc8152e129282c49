"""The tokens of SQL text, which tell names from the insides of literals and comments.

PostgreSQL manual: "Lexical Structure".
"""

from __future__ import annotations

import functools
import os
import re
import textwrap
from collections.abc import Iterator
from typing import Final, NamedTuple


class Token(NamedTuple):
    """A piece of SQL text: ``kind`` is space, comment, string, quoted, word, number or other."""

    kind: str
    text: str


_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<string>
          [eE]'(?:[^'\\]|''|\\.)*'
        | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'
        | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
      )
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d[\w.]*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# White space, and what must be passed over as a whole to tell where a literal begins.
_FOLDED = re.compile(
    r"""
      \s+
    | (?P<kept>
          [eE]'(?:[^'\\]|''|\\.)*'
        | '(?:[^']|'')*'
        | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
        | "(?:[^"]|"")*"
        | [^\W\d][\w$]*
        | \d[\w.]*
      )
    """,
    re.VERBOSE | re.DOTALL,
)
# How the row variables are written, in lower case where they are not quoted.
_ROWS: Final = {"old": "OLD", "new": "NEW", '"old"': "OLD", '"new"': "NEW"}
_WITHIN_A_LINE = re.compile(r"""'[^'\\\n]*'|"[^"\n]*\"""")
_BLOCK_EDGE = re.compile(r"/\*|\*/")


def tokens(text: str) -> Iterator[Token]:
    """Cut SQL into tokens, so that names can be told from the insides of literals and comments.

    >>> [token.text for token in tokens("NEW.a = 'NEW.b'") if token.kind == "word"]
    ['NEW', 'a']
    """
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None  # "other" matches anything.
        assert match.lastgroup is not None
        if match["block"]:
            end = _end_of_block_comment(text, position)
            yield Token("comment", text[position:end])
        else:
            end = match.end()
            yield Token(match.lastgroup, match[0])
        position = end


def _end_of_block_comment(text: str, start: int) -> int:
    depth = 0
    for edge in _BLOCK_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(text)


def normalise(text: str) -> str:
    r"""Fold white space outside literals, dollar quotes and comments, for comparing SQL by value.

    >>> normalise("a  =\n 'x  y' ")
    "a = 'x  y'"
    """
    if "--" not in text and "/*" not in text:
        return _FOLDED.sub(lambda match: match["kept"] or " ", text.strip())
    folded: list[str] = []
    space = False
    for kind, piece in tokens(text):
        if kind == "space":
            space = bool(folded)
            continue
        if space and folded[-1] != "\n":
            folded.append(" ")
        space = False
        folded.append(piece)
        if piece.startswith("--") and kind == "comment":
            folded.append("\n")
    return "".join(folded)


def rows_used(text: str) -> frozenset[str]:
    """Tell which of the row variables ``OLD`` and ``NEW`` an SQL text refers to.

    >>> sorted(rows_used("OLD.a = 'NEW.b'"))
    ['OLD']
    """
    return frozenset(row for row, _ in _row_tokens(text) if row)


def row_columns(text: str, row: str) -> frozenset[str]:
    """The columns of the row variable ``OLD`` or ``NEW`` that an SQL text names, ``*`` included.

    >>> sorted(row_columns('NEW.a = OLD.b OR NEW."C" > 1', "NEW"))
    ['C', 'a']
    """
    columns: set[str] = set()
    pieces = [
        (found, piece)
        for found, piece in _row_tokens(text)
        if not piece.isspace() and not piece.startswith(("--", "/*"))
    ]
    for index, (found, _) in enumerate(pieces):
        if found == row:
            before, after = index - 1, index + 1
            # In parentheses it is a row still: (NEW).a
            while _piece(pieces, before) == "(" and _piece(pieces, after) == ")":
                before, after = before - 1, after + 1
            column = _piece(pieces, after + 1)
            quoted = column.startswith('"')
            name = column[1:-1].replace('""', '"') if quoted else column.lower()
            columns.add(name if _piece(pieces, after) == "." else "*")
    return frozenset(columns)


def _piece(pieces: list[tuple[str | None, str]], index: int) -> str:
    return pieces[index][1] if 0 <= index < len(pieces) else ""


def rename_rows(text: str, old: str, new: str) -> str:
    """Point the row variables ``OLD`` and ``NEW`` of an SQL text at other relations.

    >>> rename_rows("OLD.* IS DISTINCT FROM NEW.*", old="old_values", new="new_values")
    'old_values.* IS DISTINCT FROM new_values.*'
    """
    names = {"OLD": old, "NEW": new}
    return "".join(names[row] if row else piece for row, piece in _row_tokens(text))


@functools.lru_cache(maxsize=256)
def _row_tokens(text: str) -> tuple[tuple[str | None, str], ...]:
    found: list[tuple[str | None, str]] = []
    previous = ""
    for token in tokens(text):
        row = _ROWS.get(token.text if token.kind == "quoted" else token.text.lower())
        found.append((row if previous != "." else None, token.text))
        if token.kind not in ("space", "comment"):
            previous = token.text
    return tuple(found)


def words_used(text: str) -> frozenset[str]:
    """The words of an SQL text: folded to lower case, and quoted identifiers as they are.

    >>> sorted(words_used('SELECT "Id" FROM New_Values'))
    ['Id', 'from', 'new_values', 'select']
    """
    return frozenset(
        token.text.lower() if token.kind == "word" else token.text[1:-1].replace('""', '"')
        for token in tokens(text)
        if token.kind in ("word", "quoted")
    )


def indent(text: str) -> str:
    r"""The statements, one level deeper, but not the lines within literals and names.

    >>> indent("a;\nb := 'c\nd';")
    "    a;\n    b := 'c\nd';"
    """
    if _ends_in_its_line(text):
        return "    " + text.replace("\n", "\n    ")
    return "    " + "".join(
        token.text.replace("\n", "\n    ") if token.kind == "space" else token.text
        for token in tokens(text)
    )


def dedent(text: str) -> str:
    r"""The statements without the indentation that their lines share, and without blank ends.

    What stands in literals, quoted names and comments stays as it is, with its blank lines.

    >>> dedent("\n    a;\n    b := 'c\n  d';\n")
    "a;\nb := 'c\n  d';"
    """
    if _ends_in_its_line(text):
        return textwrap.dedent(text).strip()
    # As long as the text, with line breaks only in white space.
    outline = "".join(
        token.text if token.kind == "space" else "x" * len(token.text) for token in tokens(text)
    )
    lines, start = [], 0
    for line in outline.split("\n"):
        lines.append((line, text[start : start + len(line)]))
        start += len(line) + 1
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line, _ in lines if line.strip()]
    shared = len(os.path.commonprefix(indents))  # noqa: RUF071 - of characters, not of a path
    return "\n".join(kept[shared:] if line.strip() else "" for line, kept in lines).strip()


def _ends_in_its_line(text: str) -> bool:
    """Whether each literal and quoted name does, as far as a quick look tells."""
    rest = _WITHIN_A_LINE.sub("", text)
    return not any(edge in rest for edge in ("'", '"', "$", "--", "/*"))
