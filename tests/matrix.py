"""Run the test suite on every supported combination: Python, Django and PostgreSQL driver.

::

    hatch run matrix                                # all that this machine has interpreters for
    hatch run matrix --only py3.12-dj6.0-psycopg3   # one of them
    hatch run matrix tests/test_architecture.py     # what else there is goes to pytest
    hatch run matrix --list

Each combination, or cell, gets an environment of its own in .matrix/. An interpreter that the
machine lacks is no failure, but there is a line that says so.
"""

import argparse
import itertools
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = ROOT / ".matrix"

PYTHONS = ("3.11", "3.12", "3.13")
DJANGOS = ("5.2", "6.0", "6.1")
DRIVERS = {"psycopg3": "psycopg[binary]>=3.2", "psycopg2": "psycopg2-binary>=2.9.9"}


@dataclass(frozen=True)
class Cell:
    """One combination."""

    python: str
    django: str
    driver: str

    @property
    def name(self) -> str:
        return f"py{self.python}-dj{self.django}-{self.driver}"

    @property
    def directory(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def interpreter(self) -> Path:
        scripts = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        return self.directory / scripts

    def is_supported(self) -> bool:
        """Django 6 needs Python 3.12."""
        return not (self.python == "3.11" and self.django.startswith("6"))


CELLS = [
    cell
    for cell in itertools.starmap(Cell, itertools.product(PYTHONS, DJANGOS, DRIVERS))
    if cell.is_supported()
]


def find_python(version: str) -> Path | None:
    """Find an interpreter of this version that works: on the PATH, or among those of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [
        sys.executable,
        shutil.which(f"python{version}"),
        *sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True),
    ]
    for candidate in filter(None, candidates):
        # pyenv puts a python3.12 on the PATH for every version it has, which may only say that
        # another one is switched on.
        result = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.stdout.strip() == version:
            return Path(candidate)
    return None


def test_dependencies() -> list[str]:
    """What hatch.toml installs for `hatch run test`, without the driver."""
    environment = tomllib.loads((ROOT / "hatch.toml").read_text())["envs"]["default"]
    return [name for name in environment["dependencies"] if not name.startswith("psycopg")]


def uv(*args: str | Path) -> None:
    """Run uv, and show what it says only if it fails."""
    result = subprocess.run(
        ["uv", *map(str, args)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if result.returncode:
        sys.exit(f"uv {' '.join(map(str, args))} failed:\n{result.stdout}{result.stderr}")


def build(cell: Cell, python: Path) -> None:
    """Make the cell's environment, or bring it up to date."""
    if not cell.interpreter.exists():
        uv("venv", "--quiet", "--clear", "--python", python, cell.directory)
    packages = itertools.chain.from_iterable(
        ("--editable", path.parent) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
    )
    target = ("--python", cell.interpreter)
    wanted = [f"Django=={cell.django}.*", DRIVERS[cell.driver], *test_dependencies()]
    uv("pip", "install", "--quiet", *target, *packages, *wanted)
    if cell.driver == "psycopg2":
        # The kernel depends on psycopg, and Django takes psycopg 3 wherever it can be imported.
        # So psycopg2 is used only after psycopg has been taken out again.
        uv("pip", "uninstall", "--quiet", *target, "psycopg", "psycopg-binary")


def run(cell: Cell, pytest_args: list[str]) -> tuple[bool, str]:
    """Run the suite in the cell; tell whether it passed, and pytest's last line."""
    result = subprocess.run(
        [cell.interpreter, "-m", "pytest", "-q", "-n", "auto", *pytest_args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=ROOT,
    )
    lines = result.stdout.strip().splitlines() or ["no output"]
    if result.returncode:
        print(result.stdout)
    return result.returncode == 0, re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip("= ")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog="Other arguments go to pytest."
    )
    parser.add_argument("--list", action="store_true", help="only name the cells")
    parser.add_argument("--only", action="append", metavar="CELL", help="run this cell")
    options, pytest_args = parser.parse_known_args()

    cells = [cell for cell in CELLS if not options.only or cell.name in options.only]
    if not cells:
        parser.error(f"no such cell; there are {', '.join(cell.name for cell in CELLS)}")
    if options.list:
        print(*(cell.name for cell in cells), sep="\n")
        return 0

    pythons = {version: find_python(version) for version in PYTHONS}
    passed = failed = skipped = 0
    for cell in cells:
        python = pythons[cell.python]
        if python is None:
            print(f"{cell.name}: skipped, this machine has no Python {cell.python}", flush=True)
            skipped += 1
            continue
        begin = time.monotonic()
        build(cell, python)
        good, summary = run(cell, pytest_args)
        seconds = time.monotonic() - begin
        print(
            f"{cell.name}: {'ok' if good else 'FAILED'} in {seconds:.0f} s: {summary}", flush=True
        )
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
