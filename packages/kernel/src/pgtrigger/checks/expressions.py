"""What can be said of an SQL expression by its text, as of the ``WHEN`` clause of a trigger.

PostgreSQL manual: "CREATE TRIGGER"; "Value Expressions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pgtrigger import sql

SYSTEM_COLUMNS: Final = frozenset(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"])
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
# Most texts can be told to have none of this by a search, without taking them to pieces.
_QUOTED: Final = re.compile(r"""'[^']*'|"([^"]*)\"""")
_PARENTHESIS: Final = re.compile("[()]")
_WORDS: Final = "|".join(sorted(_VARIABLES | AGGREGATES | SETS | SYSTEM_COLUMNS))
_SUSPECT: Final = re.compile(
    rf"""['"\\;$\[\]]|--|/\*|\b(?:select|table|values|over|{_WORDS})\b""", re.IGNORECASE
)


def is_plain(text: str) -> bool:
    """Whether there is nothing in an expression that the other functions would find."""
    if "\\" in text:
        return False
    rest = _QUOTED.sub(r" \1 ", text)
    return bool(rest.strip()) and not _SUSPECT.search(rest) and _is_balanced(rest)


def _is_balanced(text: str) -> bool:
    depth = 0
    for bracket in _PARENTHESIS.findall(text):
        depth += 1 if bracket == "(" else -1
        if depth < 0:
            return False
    return depth == 0


def fault(text: str) -> str | None:
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


def refused(text: str) -> Iterator[str]:
    """What an expression has that no ``WHEN`` clause can have."""
    words = [t for t in sql.tokens(text) if t.kind not in ("space", "comment")]
    for index, token in enumerate(words):
        before = words[index - 1].text if index else ""
        after = words[index + 1].text if index + 1 < len(words) else ""
        if token.kind != "word" or (before == "." and not _is_builtin(words[:index])):
            continue
        if what := _what_no_condition_has(token.text.lower(), before, after):
            yield what


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
