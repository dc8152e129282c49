"""What is found in a function, and what is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ERROR: Final = "error"
WARNING: Final = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong in a function.

    Args:
        level: ``error`` or ``warning``.
        message: what is wrong.
        line: the line of the function's text, if one is meant.
        sqlstate: the code of the error that Postgres raises, or would.
        hint: what to do.
    """

    level: str
    message: str
    line: int | None = None
    sqlstate: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A function, and what calls it.

    Args:
        source: its text, as ``pg_proc.prosrc`` has it.
        table: the table of its trigger, as people write it.
        columns: the columns of that table; None if they are not known.
        operations: ``INSERT``, ``UPDATE``, …: those that fire it.
        for_each_row: whether it is called for rows, so that it has ``NEW`` and ``OLD``.
    """

    source: str
    table: str
    columns: frozenset[str] | None
    operations: frozenset[str]
    for_each_row: bool


def worst(findings: Iterable[Finding]) -> str:
    """``error``, ``warning``, or nothing where nothing was found."""
    levels = {finding.level for finding in findings}
    return next((level for level in (ERROR, WARNING) if level in levels), "")
