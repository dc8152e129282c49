"""``manage.py pgtrigger stubs``."""

from __future__ import annotations

import ast
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError

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
        parser.add_argument(
            "--check",
            action="store_true",
            help="Write nothing; exit with 1 if the stubs are not those of the installed plugins.",
        )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        folder = options["output"]
        if not options["check"]:
            command.stderr.write(f"pgtrigger: wrote {write_stubs(folder)}")
        elif outdated := [f for f, text in stub_files(folder).items() if _read(f) != text]:
            raise CommandError(
                f"{outdated[0]} is not what the installed plugins offer. Run "
                f"`manage.py pgtrigger stubs --output {folder}`."
            )


def write_stubs(folder: Path) -> Path:
    """Write the stub package of pgtrigger into a folder; return the file with the plugin types."""
    files = stub_files(folder)
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return next(iter(files))


def stub_files(folder: Path) -> dict[Path, str]:
    """What stands in which file of the stub package, the one with the plugin types first."""
    package = folder / "pgtrigger"
    # Partial: whatever is not stubbed is looked up in the installed package (PEP 561).
    return {package / "__init__.pyi": stub_text(), package / "py.typed": "partial\n"}


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


def public_names() -> dict[str, str]:
    """The kernel's public names, and the modules that they are in."""
    source = (Path(catalog.__file__).parent / "__init__.py").read_text(encoding="utf-8")
    return {
        alias.name: node.module
        for node in ast.parse(source).body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.asname == alias.name
    }


def stub_text() -> str:
    """The kernel's public names, and the trigger types of the installed plugins."""
    types = {
        name: f"from {kind.__module__} import {kind.__qualname__} as {name}"
        for name, kind in sorted(plugins().trigger_types.items())
    }
    lines = [
        "# Written by `manage.py pgtrigger stubs`; run it again when plugins change.",
        "",
        *(f"from {module} import {name} as {name}" for name, module in public_names().items()),
        "",
        *types.values(),
    ]
    return "\n".join(lines) + "\n"
