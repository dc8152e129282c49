"""Where in a project's code a trigger is declared."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from django.db import models

from pgtrigger.declaration import Model
from pgtrigger.trigger import Trigger


class Place(NamedTuple):
    """A file and a line of it, as editors and compilers name them."""

    file: str
    line: int

    def __str__(self) -> str:
        path = Path(self.file)
        here = Path.cwd()
        shown = path.relative_to(here) if path.is_relative_to(here) else path
        return f"{shown}:{self.line}"


def place_of(model: Model, trigger: Trigger) -> Place | None:
    """Where a trigger is declared.

    Args:
        model: the model it is declared on, perhaps through an abstract base.
        trigger: the declaration.

    Returns:
        The line of the call with its name in the class of the model or of a base; else that of
        the model's class; None where there is no source.
    """
    model_place = None
    for kind in inspect.getmro(model):
        file = _file(kind)
        found = _classes(file).get(kind.__qualname__) if file else None
        if file is None or found is None:
            continue
        model_place = model_place or Place(file, found.line)
        if trigger.name in found.calls:
            return Place(file, found.calls[trigger.name])
    return model_place


def _file(kind: type) -> str | None:
    if kind.__module__.partition(".")[0] in ("builtins", "django"):
        return None
    if not issubclass(kind, models.Model):
        return None  # mixed in by somebody else, perhaps into a model that has no source
    try:
        return inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return None


class _Class(NamedTuple):
    """Where a class is, and where in it things are called with a name."""

    line: int
    calls: dict[str, int]


@cache
def _classes(file: str) -> dict[str, _Class]:
    """The classes of a file, by their qualified names."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):  # the file is not what was imported, or not there any more
        return {}
    return dict(_classes_in(tree, ""))


def _classes_in(node: ast.AST, prefix: str) -> Iterator[tuple[str, _Class]]:
    for child in ast.iter_child_nodes(node):
        within = prefix
        if isinstance(child, ast.ClassDef):
            within = f"{prefix}{child.name}."
            yield f"{prefix}{child.name}", _Class(child.lineno, _calls(child))
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            within = f"{prefix}{child.name}.<locals>."
        yield from _classes_in(child, within)


def _calls(node: ast.ClassDef) -> dict[str, int]:
    """The names of what is called with a name in a class or its decorators, and their lines."""
    return {
        keyword.value.value: call.lineno
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "name"
        and isinstance(keyword.value, ast.Constant)
        and isinstance(keyword.value.value, str)
    }
