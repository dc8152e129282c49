"""What subcommands show: plain columns on a pipe, a table on a terminal, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from django.core.management.base import BaseCommand

Styled = Callable[[str], str]


def style_of(command: BaseCommand, role: str | None) -> Styled:
    """How a command colours text of a role, such as ``ERROR``; not at all without colours."""
    return getattr(command.style, role or "", str)


def write_json(command: BaseCommand, data: Any) -> None:
    """Write data as JSON, indented."""
    command.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def write_table(
    command: BaseCommand,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    roles: Sequence[str | None] | None = None,
    widths: Sequence[int] = (),
) -> None:
    """Write rows in columns; with a header and as wide as they need on a terminal.

    Args:
        command: whose stdout and style are used.
        columns: the header, which is left out on a pipe.
        rows: a text for each column.
        roles: the role of each row's first text in the command's style.
        widths: of the columns on a pipe, where they do not depend on what else is shown.
    """
    on_terminal = command.stdout.isatty()
    lines = [*rows]
    if on_terminal:
        widths = [max(map(len, texts)) for texts in zip(columns, *rows, strict=True)]
        heading = "  ".join(f"{text:<{w}}" for text, w in zip(columns, widths, strict=True))
        command.stdout.write(style_of(command, "MIGRATE_HEADING")(heading.rstrip()))
    for number, texts in enumerate(lines):
        role = roles[number] if roles else None
        padded = [
            f"{text:<{widths[i]}}" if i < len(widths) and i < len(texts) - 1 else text
            for i, text in enumerate(texts)
        ]
        padded[0] = style_of(command, role)(padded[0])
        command.stdout.write(("  " if on_terminal else " ").join(padded))
