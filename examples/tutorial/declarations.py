"""The source of what store/models.py declares."""

import ast
from pathlib import Path

MODELS = Path(__file__).parent / "store/models.py"


def source(name: str) -> str:
    """The source of a class or function, with its decorators.

    Raises:
        LookupError: there is none of that name.
    """
    text = MODELS.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(found.lineno for found in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise LookupError(f"{MODELS} declares no {name}")
