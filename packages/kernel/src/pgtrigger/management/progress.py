"""How far a long work is: a bar on a terminal, a line now and then elsewhere.

Nothing is told with ``--verbosity 0``.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final, Protocol

from django.core.management.base import BaseCommand

# Seconds between two lines.
INTERVAL: Final = 2.0


class Report(Protocol):
    """Takes how much is done, and what to say of it."""

    def __call__(self, done: int, text: str) -> None: ...


def is_quiet(options: Mapping[str, Any]) -> bool:
    """Whether a command was told to be quiet."""
    return not options.get("verbosity", 1)


def say(command: BaseCommand, options: Mapping[str, Any], text: str) -> None:
    """Tell what has been done."""
    if not is_quiet(options):
        command.stderr.write(text)


@contextmanager
def reporting(
    command: BaseCommand, options: Mapping[str, Any], title: str, total: int, unit: str
) -> Generator[Report]:
    """Show progress on the ``stderr`` of a command.

    Args:
        command: a bar is shown if its ``stderr`` is a terminal and rich is installed.
        options: those of the command.
        title: what is being done.
        total: how much there is to do.
        unit: of what, such as ``rows``.
    """
    stream = command.stderr
    if is_quiet(options):
        yield _tell_nobody
        return
    if not stream.isatty() or find_spec("rich") is None:
        yield _lines(stream, title, total, unit)
        return
    from rich.console import Console  # noqa: PLC0415  # an extra
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415  # an extra

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, text="")
        yield lambda done, text: bar.update(task, completed=done, text=text)


def _tell_nobody(done: int, text: str) -> None:
    """Say nothing."""


def _lines(stream: Any, title: str, total: int, unit: str) -> Report:
    shown = time.monotonic()

    def report(done: int, text: str) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= INTERVAL:
            shown = now
            stream.write(f"{title}: {done:,} of {total:,} {unit}, {text}")

    return report
