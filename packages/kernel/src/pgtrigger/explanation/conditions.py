"""Conditions in words, as far as they can honestly be said; the rest as SQL.

A class of conditions says its words by `condition_words.register`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

from django.db import models
from django.db.models.constants import LOOKUP_SEP

from pgtrigger import sql
from pgtrigger.conditions import (
    AllChange,
    AllDontChange,
    AnyChange,
    AnyDontChange,
    Change,
    Combined,
    Condition,
    Negated,
)
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError
from pgtrigger.lookups import F, Q

_COMPARED: Final = {
    "exact": "is",
    "df": "is distinct from",
    "ndf": "is the same as",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "contains": "contains",
    "startswith": "begins with",
    "endswith": "ends with",
    "iexact": "is, in any case,",
    "icontains": "contains, in any case,",
    "istartswith": "begins, in any case, with",
    "iendswith": "ends, in any case, with",
}


def listed(words: Sequence[str], conjunction: str) -> str:
    """Words as a list in a sentence.

    >>> listed(["a", "b", "c"], "or")
    'a, b or c'
    """
    *firsts, last = words
    return f"{', '.join(firsts)} {conjunction} {last}" if firsts else last


@functools.singledispatch
def condition_words(condition: Condition, model: Model) -> str:
    """A condition in words, to stand after "where".

    Other classes than ours are shown as the SQL that they come to, unless they are registered:
    ``@condition_words.register`` on a function with the same arguments.

    >>> condition_words(Condition("OLD.a = 1"), None)
    'OLD.a = 1'
    """
    return " ".join(condition.resolve(model).split())


def _is_within(condition: object) -> bool:
    """Whether a condition has to be put into parentheses within another."""
    return isinstance(condition, Combined | models.Q) or type(condition) is Condition


def _part(condition: Any, model: Model) -> str:
    words = condition_words(condition, model)
    return f"({words})" if _is_within(condition) and " " in words else words


@condition_words.register
def _(condition: Combined, model: Model) -> str:
    sides = _part(condition.left, model), _part(condition.right, model)
    return f" {condition.connector.lower()} ".join(sides)


@condition_words.register
def _(condition: Negated, model: Model) -> str:
    return f"not ({condition_words(condition.condition, model)})"


@condition_words.register
def _(condition: Change, model: Model) -> str:
    names = [field.name for field in condition.compared_fields(model)]
    said: dict[type[Change], tuple[str, str, str]] = {
        AnyChange: ("or", "changes", "changes"),
        AllChange: ("and", "changes", "all change"),
        AnyDontChange: ("or", "stays as it is", "stays as it is"),
        AllDontChange: ("and", "stays as it is", "all stay as they are"),
    }
    known = next((words for kind, words in said.items() if isinstance(condition, kind)), None)
    if known is None:
        return " ".join(condition.resolve(model).split())
    conjunction, one, many = known
    if not condition.fields:
        left_out = [*condition.exclude]
        if condition.exclude_auto:
            left_out.append("those set automatically")
        but = f" but {listed(left_out, 'and')}" if left_out else ""
        return f"{'any' if conjunction == 'or' else 'every'} column{but} {one}"
    return f"{listed(names, conjunction)} {one if len(names) == 1 else many}"


@condition_words.register
def _(condition: Q, model: Model) -> str:
    return _node(condition, model) or "always"


def _node(node: models.Q, model: Model) -> str:
    parts = [_child(child, model) for child in node.children]
    if node.connector == models.Q.XOR and len(parts) > 1:
        joined = f"an odd number of these holds: {'; '.join(parts)}"
    else:
        joined = f" {node.connector.lower()} ".join(parts)
    return f"not ({joined})" if node.negated and joined else joined


def _child(child: Any, model: Model) -> str:
    if isinstance(child, models.Q):
        words = _node(child, model)
        return words if len(child.children) == 1 or child.negated else f"({words})"
    if isinstance(child, Condition):
        return _part(child, model)
    if isinstance(child, tuple):
        path, value = child
        words = _comparison(path, value)
        if words:
            return words
        child = Q((path, value))
    else:
        child = Q(child)
    return " ".join(str(child.resolve(model)).split())


def _comparison(path: str, value: Any) -> str:
    """A lookup in words; nothing if there are none for it."""
    row, *names = path.split(LOOKUP_SEP)
    lookup = names.pop() if len(names) > 1 else "exact"
    if len(names) != 1:
        return ""
    name = names[0]
    left = f"the {row} {name}"
    if lookup == "isnull":
        return f"{left} is {'' if value else 'not '}NULL"
    if lookup == "in" and isinstance(value, list | tuple | set | frozenset):
        values = [
            _value(item)
            for item in (value if isinstance(value, list | tuple) else sorted(value, key=repr))
        ]
        return f"{left} is {listed(values, 'or')}" if values and all(values) else ""
    if lookup == "range" and isinstance(value, list | tuple) and len(value) == 2:
        low, high = map(_value, value)
        return f"{left} is between {low} and {high}" if low and high else ""
    right = _value(value)
    if not right or lookup not in _COMPARED:
        return ""
    if lookup in ("df", "ndf") and isinstance(value, F) and value.name == _other_row(row, name):
        return f"{name} {'changes' if lookup == 'df' else 'stays as it is'}"
    return f"{left} {_COMPARED[lookup]} {right}"


def _other_row(row: str, name: str) -> str:
    return f"{'new' if row == 'old' else 'old'}{LOOKUP_SEP}{name}"


def _value(value: Any) -> str:
    """A value in words; nothing for what has to be shown as SQL."""
    if isinstance(value, F):
        row, _, name = value.name.partition(LOOKUP_SEP)
        return "" if LOOKUP_SEP in name else f"the {row} {name}"
    if isinstance(value, models.Model):
        value = value.pk
    if hasattr(value, "resolve_expression") or isinstance(value, list | tuple | dict):
        return ""
    try:
        return sql.literal(value)
    except DeclarationError:
        return ""
