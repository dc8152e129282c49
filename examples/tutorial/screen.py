"""Where the tutorial writes, and where it reads from: a terminal or a pipe."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from answers import ROWS, Answer, Result

try:
    import readline
except ImportError:  # Windows, or a Python without it
    readline = None  # type: ignore[assignment]  # asked before each use

WIDTH = 88
STYLES = {"title": "1", "good": "32", "bad": "31", "dim": "2", "code": "36"}


class Screen:
    """Writes to stdout, in colour on a terminal unless ``NO_COLOR`` is set."""

    def __init__(self) -> None:
        for stream in (sys.stdin, sys.stdout):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # text streams
        self.terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self.colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self.width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
        if self.terminal and readline:
            # Lines that are pasted stay one statement.
            readline.parse_and_bind("set enable-bracketed-paste on")

    def styled(self, text: str, style: str) -> str:
        """The text in a style, where there is colour."""
        return f"\033[{STYLES[style]}m{text}\033[0m" if self.colour and text else text

    def line(self, text: str = "", style: str = "") -> None:
        """Write a line."""
        print(self.styled(text, style) if style else text, flush=True)

    def paragraph(self, text: str, *, indent: str = "", style: str = "") -> None:
        """Write a text, wrapped."""
        wrapped = textwrap.wrap(text, self.width, initial_indent=indent, subsequent_indent=indent)
        self.line("\n".join(self.styled(found, style) if style else found for found in wrapped))

    def ask(self, prompt: str, suggestion: str, filled_in: bool) -> str:
        """Read a line; on a terminal the suggestion may be filled in.

        Raises:
            EOFError: there are no more.
            KeyboardInterrupt: Ctrl-C.
        """
        if self.terminal:
            return self._ask_reader(prompt, suggestion if filled_in else "")
        line = input(prompt)
        self.line(line)  # so that what was piped in can be read beside the answers
        return line

    def _ask_reader(self, prompt: str, suggestion: str) -> str:
        # libedit shows nothing of what a hook inserts.
        if not suggestion or not readline or "libedit" in (readline.__doc__ or ""):
            return input(prompt)
        readline.set_pre_input_hook(
            lambda: (readline.insert_text(suggestion), readline.redisplay())
        )
        try:
            return input(prompt)
        finally:
            readline.set_pre_input_hook(None)

    def play(self, prompt: str, suggestion: str, filled_in: bool) -> str:
        """Do what is suggested, without a reader."""
        self.line(f"{prompt}{suggestion}")
        return suggestion

    def answer(self, answer: Answer) -> None:
        """Write what came of a line."""
        for notice in answer.notices:
            self.line(f"Notice: {printable(notice)}", "dim")
        for result in answer.results:
            self.result(result)
        if answer.printed:
            self.line(answer.printed)
        if answer.refused_by:
            self.line(f"Refused by {answer.refused_by}", "bad")
            self.paragraph(answer.error, indent="  ")
        elif answer.error:
            self.paragraph(f"Error: {answer.error}", style="bad")
        if answer.hint:
            self.paragraph(f"Hint: {answer.hint}", indent="  ", style="dim")

    def result(self, result: Result) -> None:
        """Write the rows of a result as a table, or what it says instead."""
        if not result.columns:
            self.line(result.status)
            return
        rows = [[printable("NULL" if v is None else v) for v in row] for row in result.rows]
        self.table([printable(name) for name in result.columns], rows)
        if result.count > ROWS:
            self.line(f"... {ROWS} of {result.count:,} rows", "dim")
        elif not result.rows:
            self.line("no rows", "dim")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write rows below a head, each column as wide as it needs."""
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for number, row in enumerate([head, ["-" * width for width in widths], *rows]):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.line("  " + "  ".join(cells).rstrip(), "" if number > 1 else "dim")


def printable(text: str) -> str:
    """The text on one line, without what would move a terminal's cursor, and not too long."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= WIDTH // 2 else shown[: WIDTH // 2 - 3] + "..."
