"""Where in a project's code a trigger is declared."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

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
        place = _class_place(kind)
        if place is None:
            continue
        model_place = model_place or place
        for name, line in _names(place, kind):
            if name == trigger.name:
                return Place(place.file, line)
    return model_place


def _class_place(kind: type) -> Place | None:
    if kind.__module__.partition(".")[0] in ("builtins", "django"):
        return None
    try:
        file = inspect.getsourcefile(kind)
        _, line = inspect.getsourcelines(kind)
    except (OSError, TypeError):
        return None
    return Place(file, line) if file else None


def _names(place: Place, kind: type) -> list[tuple[Any, int]]:
    """The names of what is called with a name in a class or its decorators, and their lines."""
    return [
        (keyword.value.value, call.lineno)
        for node in ast.walk(_tree(place.file))
        if isinstance(node, ast.ClassDef)
        and place.line in (node.lineno, *(decorator.lineno for decorator in node.decorator_list))
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    ]


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text(encoding="utf-8"))
