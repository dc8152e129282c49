"""Measure what triggers cost, beside the same triggers written by hand and beside none.

::

    hatch run bench                      # everything, which takes about half an hour
    hatch run bench row_cost ignore      # some subjects
    hatch run bench --quick              # small sizes and few rounds: does it run? no figures

All of it in one run against one server, the embedded one unless ``DATABASE_URL`` names another.
A ratio is ours divided by the hand-written one, from medians over rounds in which the variants take
turns; for triggers it compares what each *adds* to the statement without one. Seconds are CPU time
of the server process where this machine tells it, and wall time elsewhere.
"""

import argparse
import importlib
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import django
from django.conf import settings
from measure import Line, Scale, processor
from rich.console import Console
from rich.table import Table

from pgtrigger.testing import database_settings, postgres

DATABASE = "pgtrigger_benchmarks"
SUBJECTS = (
    "row_cost",
    "allowed_rows",
    "fsm",
    "softdelete",
    "search",
    "history",
    "history_use",
    "startup",
    "catalog",
    "ignore",
    "migrations",
    "scale",
)


def show(console: Console, subject: str, lines: list[Line], seconds: float) -> None:
    table = Table(title=f"{subject} ({seconds:.0f} s)", title_justify="left")
    table.add_column("case")
    for heading in ("without / by hand", "ours", "ratio", "best", "bar"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    table.add_column("note")
    for line in lines:
        figures = ("" if f is None else f"{f:.2f}" for f in (line.ratio, line.best, line.bar))
        style = "red" if line.verdict == "MISSED" else None
        table.add_row(
            line.case, line.baseline, line.ours, *figures, line.verdict, line.note, style=style
        )
    console.print(table)


def versions(connection) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (server,) = cursor.fetchone()
    found = [f"PostgreSQL {server}", f"Python {platform.python_version()}"]
    for name in ("Django", "psycopg", "pgtrigger-kernel"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("subjects", nargs="*", metavar="NAME", help=f"of {', '.join(SUBJECTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds")
    options = parser.parse_args()
    if unknown := [name for name in options.subjects if name not in SUBJECTS]:
        parser.error(f"no such subject: {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")

    console = Console(width=None if sys.stdout.isatty() else 150)
    with postgres() as server:
        settings.configure(
            DATABASES={"default": database_settings(server.url)},
            INSTALLED_APPS=["pgtrigger", "pgtrigger_history"],
            USE_TZ=True,
        )
        django.setup()
        from django.db import connection  # noqa: PLC0415 - it wants the settings

        name = f"{DATABASE}_{time.time_ns()}"
        home = connection.settings_dict["NAME"]
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        connection.close()
        connection.settings_dict["NAME"] = name
        try:
            console.print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {processor()}")
            console.print(f"{platform.platform()}, {versions(connection)}")
            if options.quick:
                console.print("A trial run: sizes are small and these figures mean nothing.")
            for subject in options.subjects or SUBJECTS:
                begin = time.monotonic()
                lines = [*importlib.import_module(subject).run(Scale(quick=options.quick))]
                show(console, subject, lines, time.monotonic() - begin)
        finally:
            connection.close()
            connection.settings_dict["NAME"] = home
            with connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
