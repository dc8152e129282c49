"""``manage.py pgtrigger stubs``."""

from __future__ import annotations

import ast
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from pgtrigger import catalog
from pgtrigger.plugins import plugins


class Stubs:
    """Write type stubs, so that type checkers know the plugin types as attributes of pgtrigger."""

    name: ClassVar[str] = "stubs"
    help: ClassVar[str] = "Write type stubs for the trigger types of the installed plugins."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "-o",
            "--output",
            type=Path,
            default=Path("typings"),
            help="The folder of the project's stubs, which mypy's mypy_path and pyright's "
            "stubPath name; typings by default.",
        )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        written = write_stubs(options["output"])
        command.stderr.write(f"pgtrigger: wrote {written}")


def write_stubs(folder: Path) -> Path:
    """Write the stub package of pgtrigger into a folder; return the file with the plugin types."""
    package = folder / "pgtrigger"
    package.mkdir(parents=True, exist_ok=True)
    # Partial: whatever is not stubbed is looked up in the installed package (PEP 561).
    (package / "py.typed").write_text("partial\n")
    stub = package / "__init__.pyi"
    stub.write_text(stub_text())
    return stub


def stub_text() -> str:
    """The kernel's public names, and the trigger types of the installed plugins."""
    lines = ["# Written by `manage.py pgtrigger stubs`; run it again when plugins change.", ""]
    package = Path(catalog.__file__).parent
    source = (package / "__init__.py").read_text()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pgtrigger"):
            lines += [
                f"from {node.module} import {alias.name} as {alias.asname}"
                for alias in node.names
                if alias.asname == alias.name
            ]
    lines.append("")
    for name, kind in sorted(plugins().trigger_types.items()):
        lines.append(f"from {kind.__module__} import {kind.__qualname__} as {name}")
    return "\n".join(lines) + "\n"
