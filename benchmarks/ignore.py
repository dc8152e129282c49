"""What `pgtrigger.ignore` adds to statements, beside the released django-pgtrigger in one run.

Both run the same workloads, each in a process and environment of its own, and take turns.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from django.db import connection
from environments import clean_environment
from lines import OURS, Line, relative
from measure import Samples, Scale
from peers import peer_environment
from projects import server_url
from subject import Subject

PEER = "django-pgtrigger"
WORKER = Path(__file__).with_name("ignore_worker.py")
BARS = {
    "update in a transaction": 1.03,
    "update by SQL in a transaction": 1.03,
    "read in a transaction": 1.03,
    "update in autocommit": 1.25,
    "update by SQL in autocommit": 1.25,
    "read in autocommit": 1.03,
    "ignore() of 1,000 around an update": 1.5,
    "the same, in a transaction of its own": 1.5,
    "the same, all in one transaction": 1.5,
    "read outside any ignore": 1.01,
    "update outside any ignore": 1.01,
    "read by SQL outside any ignore": 1.01,
}


class Contender:
    """A process that runs the workloads with one of the packages."""

    def __init__(self, python: Path | str, table: str, statements: int, ours: bool) -> None:
        self.samples: dict[str, Samples] = {}
        arguments = [str(python), str(WORKER), server_url(), table, str(statements)]
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=None if ours else clean_environment(),
        )
        self.sees_cpu = self._answer()["sees_cpu"]

    def __enter__(self) -> "Contender":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.communicate()

    def _answer(self) -> dict:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def round(self, *, counts: bool) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        for name, (wall, cpu) in self._answer().items():
            if counts:
                samples = self.samples.setdefault(name, Samples())
                samples.wall.append(wall)
                if self.sees_cpu:
                    samples.cpu.append(cpu)

    def compare(self, case: str, statements: int, contender: str) -> Line:
        base, with_it = self.samples[f"{case} without"], self.samples[f"{case} with"]
        bar = BARS[case] if contender == OURS else None
        return relative(case, base, with_it, contender=contender, per=statements, bar=bar)


def run(scale: Scale) -> Iterator[Line]:
    connection.close()
    statements = scale.pick(100, 10, 300)
    peer = peer_environment(PEER)
    with ExitStack() as stack:
        ours = stack.enter_context(Contender(sys.executable, "ignore_ours", statements, True))
        both = [ours]
        if peer is not None:
            theirs = Contender(peer, "ignore_theirs", statements, False)
            both.append(stack.enter_context(theirs))
        for turn in range(scale.pick(15, 1, 25) + 1):
            for contender in both if turn % 2 else reversed(both):
                contender.round(counts=turn > 0)
        for case in BARS:
            yield ours.compare(case, statements, OURS)
            if peer is not None:
                yield theirs.compare(case, statements, PEER)


SUBJECT = Subject(
    title="Ignoring",
    about="""
What `pgtrigger.ignore` adds to a statement, beside the same statement without it: in a
transaction, in autocommit, and with the URIs of 1,000 triggers around each statement. *Outside
any ignore*: what it costs that pgtrigger watches over the connection at all, beside a connection
of Django as it is. django-pgtrigger runs the same workloads in a process of its own; the two take
turns.
""",
    unit="a statement, in processor time of client and server",
    contenders=(OURS, PEER),
    bar="1.01 to 1.5 of the statement without it, by line",
    run=run,
)
