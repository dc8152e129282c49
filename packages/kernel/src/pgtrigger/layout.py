"""Statements laid out for people, one clause in a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pgtrigger import sql

# What begins a clause of CREATE TRIGGER, outside parentheses.
_CLAUSES: Final = frozenset(
    ["before", "after", "instead", "on", "from", "not", "deferrable", "initially"],
) | {"referencing", "for", "when", "execute"}
_JOINED: Final = {("not", "deferrable"), ("deferrable", "initially")}


def lay_out(statement: str) -> str:
    """A statement as people like to read it: each clause of CREATE TRIGGER in a line of its own.

    Other statements stay as they are.

    >>> print(lay_out("CREATE TRIGGER t BEFORE DELETE ON a FOR EACH ROW EXECUTE FUNCTION f()"))
    CREATE TRIGGER t
        BEFORE DELETE
        ON a
        FOR EACH ROW
        EXECUTE FUNCTION f()
    """
    if not statement.startswith(
        ("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", "CREATE CONSTRAINT TRIGGER")
    ):
        return statement
    text, depth, before = "", 0, ""
    for token in sql.tokens(statement):
        word = token.text.lower() if token.kind == "word" else ""
        depth += token.text.count("(") - token.text.count(")") if token.kind == "other" else 0
        if not depth and word in _CLAUSES and (before, word) not in _JOINED:
            text = text.rstrip() + "\n    "
        before = word or before
        text += token.text
    return text


def script(statements: Iterable[str]) -> str:
    """Statements as a script for psql."""
    return "\n\n".join(f"{lay_out(statement)};" for statement in statements)
