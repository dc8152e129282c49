"""Break the code in sixty places, one at a time, and see whether a test notices.

::

    hatch run mutants                    # all of them; collects first which test runs which line
    hatch run mutants --reuse            # with what was collected before
    hatch run mutants --reuse 3f2a91c0   # those breakages only
    hatch run mutants --list

cosmic-ray finds the places and writes the broken code. Which of them are taken is random, and the
same as long as their lines stay: a breakage is known by a hash of its line and of what becomes of
it. Each is tried in a copy of the repository, against the tests that run its line, fast ones first.

It is killed if one of them fails, or does not end. It ends with 1 if more survive than may.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from coverage import CoverageData

from pgtrigger.testing import postgres

ROOT = Path(__file__).parent.parent
PYTEST = [sys.executable, "-m", "pytest", "-q"]
CONTEXTS = ROOT / ".mutants" / "contexts" / "coverage"

# How many breakages each package gets, and how many of all may survive.
SHARES = {"kernel": 30, "fsm": 6, "history": 6, "protect": 6, "search": 6, "softdelete": 6}
MAY_SURVIVE = 6

SECONDS = 600  # of one breakage, in which all tests of a line end if the code is right
SLOTS = max(1, (os.cpu_count() or 2))


Position = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """A breakage.

    Attributes:
        path: The module, relative to the repository.
        lines: The first and the last line of the statement, or of its head, that is changed.
        operator: The name by which cosmic-ray knows the kind of change.
        occurrence: Which of the places in the module where this kind can be.
        name: A hash of the kind of change and of the line that it changes.
    """

    path: Path
    lines: tuple[int, int]
    operator: str
    occurrence: int
    name: str

    def code(self, root: Path = ROOT) -> str:
        """The module with the breakage."""
        code = mutate_code(
            (root / self.path).read_text(), get_operator(self.operator)(), self.occurrence
        )
        assert code is not None
        return code

    def __str__(self) -> str:
        lines = difflib.unified_diff(
            (ROOT / self.path).read_text().splitlines(), self.code().splitlines(), n=0, lineterm=""
        )
        changes = "\n".join(f"    {line}" for line in [*lines][3:])
        return f"{self.name} {self.path}:{self.lines[0]}\n{changes}"


def digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:8]


def mutants_of(file: Path) -> list[Mutant]:
    """All breakages of a module, in an order that only its lines decide."""
    path, text = file.relative_to(ROOT), file.read_text()
    nodes, lines = [*ast_nodes(get_ast(text))], text.split("\n")
    heads, annotations = statements_of(ast.parse(text))
    found, seen = [], Counter[tuple[object, ...]]()
    for operator in operator_names():
        kind = get_operator(operator)
        if kind.arguments():
            continue
        places = (place for node in nodes for place in kind().mutation_positions(node))
        for occurrence, (start, end) in enumerate(places):
            if any(first <= start and end <= last for first, last in annotations):
                continue
            known = operator, lines[start[0] - 1], start[1]
            seen[known] += 1
            around = [head for head in heads if head[0] <= start[0] <= head[1]]
            head = min(around, key=lambda head: head[1] - head[0], default=(start[0], start[0]))
            name = digest(path, *known, seen[known])
            found.append(Mutant(path, head, operator, occurrence, name))
    return sorted(found, key=lambda mutant: mutant.name)


def statements_of(module: ast.Module) -> tuple[list[Position], list[tuple[Position, Position]]]:
    """The lines of statements without those in them, and the places of annotations.

    Nothing evaluates an annotation, so none can be broken.
    """
    heads, annotations = [], []
    for node in ast.walk(module):
        if isinstance(node, ast.stmt):
            inner = [
                each.lineno for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)
            ]
            end = min(inner, default=(node.end_lineno or node.lineno) + 1) - 1
            heads.append((node.lineno, max(node.lineno, end)))
        for name in ("annotation", "returns"):
            if (each := getattr(node, name, None)) is not None:
                places = (each.lineno, each.col_offset), (each.end_lineno, each.end_col_offset)
                annotations.append(places)
    return heads, annotations


def chosen() -> Iterator[Mutant]:
    """The breakages: of each package's share of modules one, or more where some have none."""
    for package, share in SHARES.items():
        files = (ROOT / "packages" / package / "src").rglob("*.py")
        modules = sorted(files, key=lambda file: digest(file.relative_to(ROOT)))[:share]
        yield from itertools.islice(
            by_turns([filter(compiles, mutants_of(file)) for file in modules]), share
        )


def by_turns(groups: list[Iterator[Mutant]]) -> Iterator[Mutant]:
    """One of each, again and again."""
    while groups:
        for group in [*groups]:
            try:
                yield next(group)
            except StopIteration:
                groups.remove(group)


def compiles(mutant: Mutant) -> bool:
    """Whether it is Python, and nothing that Python warns of."""
    try:
        with warnings.catch_warnings(action="error"):
            compile(mutant.code(), mutant.path, "exec")
    except (SyntaxError, SyntaxWarning):
        return False
    return True


# --- Which test runs which line ----------------------------------------------------------------


def collect() -> None:
    """Run the tests of `hatch run test`, and note which of them run which line."""
    shutil.rmtree(CONTEXTS.parent, ignore_errors=True)
    CONTEXTS.parent.mkdir(parents=True)
    settings = CONTEXTS.with_suffix(".rc")
    settings.write_text(
        "[run]\nbranch = true\nparallel = true\nsigterm = true\npatch = subprocess\n"
        f"data_file = {CONTEXTS}\nsource = {ROOT}/packages\n"
    )
    which = ["-n", "auto", "--dist=worksteal", "--hypothesis-profile=ci", "-m", "not slow"]
    cover = ["--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report="]
    subprocess.run([*PYTEST, *which, *cover], cwd=ROOT, check=False)


class Tests:
    """Which tests there are for a breakage."""

    def __init__(self) -> None:
        self._data = CoverageData(str(CONTEXTS))
        self._data.read()
        self._reach: Counter[str] = Counter()
        for file in self._data.measured_files():
            for contexts in self._data.contexts_by_lineno(file).values():
                self._reach.update({name.rpartition("|")[0] for name in contexts})

    def of(self, mutant: Mutant) -> list[str]:
        """Those that run its lines, the one that runs the fewest others first.

        For what is run when a module is imported, by processes that tests start, or by slow tests
        only: those that are named for the module, and all of its package.
        """
        contexts = self._data.contexts_by_lineno(str(ROOT / mutant.path))
        first, last = mutant.lines
        names = {name for line in range(first, last + 1) for name in contexts.get(line, ())}
        nodes = {name.rpartition("|")[0] for name in names} - {""}
        return sorted(nodes, key=lambda node: (self._reach[node], node)) or self._by_name(mutant)

    @staticmethod
    def _by_name(mutant: Mutant) -> list[str]:
        _, package, *_ = mutant.path.parts
        words = [word for word in mutant.path.with_suffix("").parts[4:] if word != "__init__"]
        names = ["_".join(word.strip("_") for word in words[start:]) for start in range(len(words))]
        folder = Path("packages", package, "tests")
        files = [folder / f"test_{name}.py" for name in names]
        return [*(str(file) for file in files if (ROOT / file).exists()), str(folder)]


# --- Trying ------------------------------------------------------------------------------------


class Copy:
    """A copy of the repository, with a server of its own."""

    def __init__(self, directory: Path) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, directory / name)
        self.directory = directory
        directory.chmod(0o755)  # the system user of the server reads there
        self._server = postgres(directory / ".server")

    def try_out(self, mutant: Mutant, nodes: Iterable[str]) -> tuple[bool, str]:
        """Whether a test fails on the breakage, and which."""
        file = self.directory / mutant.path
        right = file.read_text()
        (self.directory / ".nodes").write_text("\n".join(nodes))
        file.write_text(mutant.code(self.directory))
        command = [*PYTEST, "-x", "--hypothesis-profile=ci", "-p", "no:cacheprovider", "@.nodes"]
        paths = [str(path) for path in sorted(self.directory.glob("packages/*/src"))]
        environment = {
            **os.environ,
            "DATABASE_URL": self._server.url,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                command, cwd=self.directory, env=environment, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
            try:
                code = process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                return True, "it does not end"
            finally:
                file.write_text(right)
            output.seek(0)
            text = output.read()
        assert "ERROR: not found" not in text, text
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
        lines = text.strip().splitlines() or [""]
        return code != 0, failed[1] if failed else lines[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these breakages")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--reuse", action="store_true", help="do not collect again who runs what")
    options = parser.parse_args()
    mutants = [each for each in chosen() if not options.names or each.name in options.names]
    if options.list:
        print(*mutants, sep="\n")
        return 0
    if not options.reuse or not CONTEXTS.exists():
        collect()
    tests = Tests()

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        Path(directory).chmod(0o755)
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(SLOTS):
            copies.put(Copy(Path(directory, str(number))))

        def try_out(mutant: Mutant) -> bool:
            copy = copies.get()
            try:
                killed, by = copy.try_out(mutant, tests.of(mutant))
            finally:
                copies.put(copy)
            print(f"{'killed' if killed else 'SURVIVED'} {mutant}\n    {by}", flush=True)
            return killed

        with ThreadPoolExecutor(SLOTS) as pool:
            killed = [*pool.map(try_out, mutants)]
    survived = [mutant for mutant, dead in zip(mutants, killed, strict=True) if not dead]
    seconds = time.monotonic() - began
    print(f"{len(mutants) - len(survived)} killed, {len(survived)} survived in {seconds:.0f} s")
    print(*survived, sep="\n")
    return 1 if len(survived) > MAY_SURVIVE else 0


if __name__ == "__main__":
    sys.exit(main())
