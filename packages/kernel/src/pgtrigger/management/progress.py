"""How far a long work is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final, Protocol

# Seconds between two lines.
INTERVAL: Final = 2.0


class Report(Protocol):
    """Takes how much is done, and what to say of it."""

    def __call__(self, done: int, text: str) -> None: ...


@contextmanager
def reporting(stream: Any, title: str, total: int, unit: str) -> Generator[Report]:
    """Show progress on a stream of a command, such as ``command.stderr``.

    Args:
        stream: a bar is shown if it is a terminal and rich is installed.
        title: what is being done.
        total: how much there is to do.
        unit: of what, such as ``rows``.
    """
    if not stream.isatty() or find_spec("rich") is None:
        yield _lines(stream, title, total, unit)
        return
    # An extra of this package.
    from rich.console import Console  # noqa: PLC0415  # as above
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415  # as above

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, text="")
        yield lambda done, text: bar.update(task, completed=done, text=text)


def _lines(stream: Any, title: str, total: int, unit: str) -> Report:
    shown = time.monotonic()

    def report(done: int, text: str) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= INTERVAL:
            shown = now
            stream.write(f"{title}: {done:,} of {total:,} {unit}, {text}")

    return report
