"""Queries whose operators are those of Postgres, on any search path.

Somebody else's may be a better match: Postgres compares an ``oid`` with a ``regclass`` by casting,
so an operator for just these two, in any schema of the search path, is taken instead, and runs with
the rights of whoever asks. PostgreSQL manual: "Type Conversion", operators; "Schemas", usage.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from pgtrigger.sql.tokens import Token, tokens

_OPERATORS: Final = frozenset(["=", "<>", "<", ">", "<=", ">=", "||"])
# What operators are made of; PostgreSQL manual: "Lexical Structure", operators.
_CHARACTERS: Final = frozenset("+-*/<>=~!@#%^&|`?")
EQUAL: Final = "OPERATOR(pg_catalog.=)"
_LIKE: Final = {"LIKE": "~~", "NOT LIKE": "!~~"}


@functools.lru_cache(maxsize=128)  # of constants, on first use: it takes most of a millisecond
def catalog_query(text: str) -> str:
    """The query with the schema of Postgres on its comparisons, ``||`` and ``LIKE``.

    All named operators bind alike, and tighter than the comparisons that they replace: ``a = b ||
    c`` needs parentheses. So do ``IN`` and ``IS DISTINCT FROM`` need another form: they have no
    place for a schema.

    >>> print(catalog_query("SELECT '=' FROM pg_catalog.pg_class c WHERE c.oid = %s AND a LIKE %s"))
    SELECT '=' FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) %s AND a \
OPERATOR(pg_catalog.~~) %s
    """
    return "".join(_named(text))


def _named(text: str) -> Iterator[str]:
    before = ""
    for symbolic, group in groupby(tokens(text), _is_symbolic):
        if not symbolic:
            texts = [*_with_like([*group])]
            before = texts[-1]
            yield from texts
            continue
        operator = "".join(token.text for token in group)
        # One behind a dot has its schema.
        known = operator in _OPERATORS and before != "."
        yield _operator(operator) if known else operator


def _is_symbolic(token: Token) -> bool:
    return token.kind == "other" and token.text in _CHARACTERS


def _with_like(group: list[Token]) -> Iterator[str]:
    texts = [token.text for token in group]
    for number, token in enumerate(group):
        if token.kind != "word" or token.text != "LIKE":
            continue
        negated = number > 1 and texts[number - 2] == "NOT"
        texts[number] = _operator(_LIKE["NOT LIKE" if negated else "LIKE"])
        if negated:
            texts[number - 2] = texts[number - 1] = ""
    yield from texts


def _operator(name: str) -> str:
    return f"OPERATOR(pg_catalog.{name})"
