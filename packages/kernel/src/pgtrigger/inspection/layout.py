"""Python source of declarations, laid out as formatters do."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from pgtrigger import sql

WIDTH: Final = 88
_STEP: Final = " " * 4


def string(text: str) -> str:
    r"""A string in the quotes that formatters choose.

    >>> print(string("it's"), string('say "a"'))
    "it's" 'say "a"'
    """
    escaped = "".join(_character(character) for character in text)
    quote = "'" if escaped.count('"') > escaped.count("'") else '"'
    return quote + escaped.replace(quote, "\\" + quote) + quote


def _character(character: str) -> str:
    if character == "\\" or not character.isprintable():
        return repr(character)[1:-1]
    return character


def call(name: str, arguments: Sequence[str], indent: int, used: int) -> str:
    """A call on one line if there is room, else with its arguments below.

    Args:
        name: what is called.
        arguments: their source.
        indent: the indentation of the line that it begins on.
        used: how many characters of that line stand around it.
    """
    return _bracketed(f"{name}(", arguments, ")", indent, used)


def items(values: Sequence[str], indent: int, used: int) -> str:
    """A list, in the same way."""
    return _bracketed("[", values, "]", indent, used)


def _bracketed(opening: str, parts: Sequence[str], closing: str, indent: int, used: int) -> str:
    joined = ", ".join(parts)
    if indent + used + len(opening + joined + closing) <= WIDTH:
        return f"{opening}{joined}{closing}"
    inner, outer = " " * indent + _STEP, " " * indent
    if len(parts) == 1 or len(inner + joined) <= WIDTH:
        return f"{opening}\n{inner}{joined}\n{outer}{closing}"
    lines = "".join(f"{inner}{part},\n" for part in parts)
    return f"{opening}\n{lines}{outer}{closing}"


def alternatives(parts: Sequence[str], indent: int, used: int) -> str:
    """Operands of ``|``."""
    joined = " | ".join(parts)
    if indent + used + len(joined) <= WIDTH:
        return joined
    inner, outer = " " * indent + _STEP, " " * indent
    return f"(\n{inner}" + f"\n{inner}| ".join(parts) + f"\n{outer})"


def block(text: str, indent: int) -> str:
    """SQL in triple quotes, indented, if it means the same then; on one line if it is one.

    A declaration takes the common indentation off again.
    """
    if "\n" not in text.strip():
        return string(text.strip())
    inner = " " * indent + _STEP
    body = textwrap.indent(_even(text.strip("\r\n")), inner)
    if "\\" not in text and '"""' not in text:
        found = f'"""\n{body}\n{" " * indent}"""'
        if _means(ast.literal_eval(found), text):
            return found
    whole = string(text.strip())
    if indent + len(f"func={whole},") <= WIDTH:
        return whole  # formatters join pieces that fit on a line
    pieces = text.strip().splitlines(keepends=True)
    lines = "".join(f"{inner}{string(piece)}\n" for piece in pieces)
    return f"(\n{lines}{' ' * indent})"


def _even(text: str) -> str:
    lines = [line.rstrip() for line in text.expandtabs(4).splitlines()]
    first, *rest = lines
    return "\n".join([first.lstrip(), textwrap.dedent("\n".join(rest))])


def _means(written: str, text: str) -> bool:
    return sql.normalise(sql.dedent(written)) == sql.normalise(text)


def comment(text: str, indent: int = 0) -> Iterable[str]:
    """A comment, in lines of at most `WIDTH` characters."""
    head = " " * indent + "# "
    for paragraph in text.splitlines():
        yield from textwrap.wrap(
            paragraph,
            WIDTH,
            initial_indent=head,
            subsequent_indent=head,
            break_long_words=False,
            break_on_hyphens=False,
        )
