"""Measure what triggers cost, beside the same triggers written by hand, other packages and none.

::

    hatch run bench                      # everything, in about half an hour; writes the pages
    hatch run bench row_cost ignore      # some subjects and their pages
    hatch run bench --quick              # small sizes, two at a time: does it run? no figures
    hatch run bench --render             # the pages once more, from what was measured last

All of it in one run against one server, the embedded one unless ``DATABASE_URL`` names another.
A ratio is ours divided by the other's, from medians over rounds in which the contenders take turns;
for triggers it compares what each *adds* to the statement without one. Seconds are CPU time of the
server process where this machine tells it, and wall time elsewhere.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import django
from django.conf import settings
from machine import load, machine, versions
from measure import Scale
from pages import FIGURES, index, page, row
from peers import PEERS, peer_environment
from results import Result, read, write
from rich.console import Console
from rich.table import Table
from server import server
from subject import Subject
from subjects import NAMES, subject_of

from pgtrigger.testing import database_settings

DATABASE = "pgtrigger_benchmarks"
# So many processes share the subjects of a trial run.
TOGETHER = 2
PAGES = Path(__file__).parent.parent / "docs" / "benchmarks"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("subjects", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes, few rounds; only prints")
    size.add_argument("--full", action="store_true", help="the largest sizes, for an hour")
    size.add_argument("--render", action="store_true", help="measure nothing, write the pages")
    parser.add_argument("--write", action="store_true", help="write the pages with --quick, too")
    parser.add_argument("--pages", type=Path, default=PAGES, help="where pages are written")
    options = parser.parse_args()
    if unknown := [name for name in options.subjects if name not in NAMES]:
        parser.error(f"no such subject: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return options


def command(options: argparse.Namespace, name: str) -> str:
    """What measures this subject in the same way."""
    size = ["--quick"] * options.quick + ["--full"] * options.full
    return " ".join(["hatch run bench", *size, name])


def measure(options: argparse.Namespace, name: str, subject: Subject, console: Console) -> Result:
    from django.db import connection  # noqa: PLC0415  # it wants the settings

    result = Result(
        subject=name,
        command=command(options, name),
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        seconds=0,
        machine=machine(),
        load=load(),
        versions=versions(connection, subject.contenders),
        contenders=subject.contenders,
        quick=options.quick,
    )
    begin = time.monotonic()
    findings = [*subject.run(Scale(quick=options.quick, full=options.full))]
    result = result.with_findings(findings, time.monotonic() - begin)
    show(console, result)
    return result


def show(console: Console, result: Result) -> None:
    """The result on the terminal."""
    cells = [row(line) for line in result.lines]
    tables = [(f"{result.subject} ({result.seconds:.0f} s)", FIGURES, cells)] if cells else []
    tables += [(each.title, each.headings, each.rows) for each in result.tables]
    for title, headings, rows in tables:
        shown = Table(title=title, title_justify="left")
        for heading in headings:
            shown.add_column(heading)
        for each in rows:
            shown.add_row(*each, style="red" if "**MISSED**" in each else None)
        console.print(shown)


def render(directory: Path, only: list[str]) -> None:
    """The pages of these subjects, and the one in front of all that have been measured."""
    from plots import draw  # noqa: PLC0415  # what writes no page needs no matplotlib

    files = {name: directory / "results" / f"{name}.json" for name in NAMES}
    results = {name: read(file) for name, file in files.items() if file.exists()}
    subjects = {name: subject_of(name) for name in results}
    for name in only:
        if name in results:
            plots = [file.name for file in draw(results[name], directory)]
            text = page(subjects[name], results[name], plots)
            (directory / f"{name}.md").write_text(text)
    (directory / "index.md").write_text(index(subjects, results))


@contextmanager
def database_of_its_own() -> Iterator[None]:
    from django.db import connection  # noqa: PLC0415  # it wants the settings

    name = f"{DATABASE}_{time.time_ns()}"
    home = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = home
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.close()


def configure(url: str) -> None:
    settings.configure(
        DATABASES={"default": database_settings(url)},
        INSTALLED_APPS=["pgtrigger", "pgtrigger_history"],
        USE_TZ=True,
    )
    django.setup()


def trial(names: list[str], url: str, console: Console) -> int:
    """Run the subjects in some processes at a time, as their figures do not matter."""
    for peer in PEERS:
        # Made before, and not by all of them at once.
        peer_environment(peer)
    more = [word for word in sys.argv[1:] if word not in names]
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, *names[start::TOGETHER], *more],
            env={**os.environ, "DATABASE_URL": url},
        )
        for start in range(TOGETHER)
    ]
    codes = [process.wait() for process in processes]
    if any(codes):
        console.print("[red]Some subjects failed; see above.[/red]")
    return int(any(codes))


def main() -> int:
    options = arguments()
    names = options.subjects or [*NAMES]
    if options.render:
        configure("postgresql:///nowhere")
        render(options.pages, names)
        return 0
    console = Console(width=None if sys.stdout.isatty() else 190)
    writes = options.write or not options.quick
    with server() as url:
        if options.quick and len(names) > TOGETHER:
            return trial(names, url, console)
        configure(url)
        with database_of_its_own():
            console.print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}, load {load()}")
            if options.quick:
                console.print("A trial run: sizes are small and these figures mean nothing.")
            failed = []
            for name in names:
                try:
                    result = measure(options, name, subject_of(name), console)
                except Exception:  # the others are measured all the same
                    console.print_exception()
                    failed.append(name)
                    continue
                known = ", ".join(f"{each} {number}" for each, number in result.versions.items())
                console.print(f"{known}\n")
                if writes:
                    write(result, options.pages / "results")
                    # At once, so that nothing is lost when a later subject fails.
                    render(options.pages, [name])
    if failed:
        console.print(f"[red]Failed: {', '.join(failed)}.[/red]")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
