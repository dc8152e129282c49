"""Management commands of a project, each in a process that Django has just been set up in.

Django is started once for a project. Each command runs in a copy of that process, so that none
finds what another has left in memory.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from measure import Samples
from projects import Project

# libpq's own trace shows every message, also of statements that go round Django.
PROGRAM = """
import contextlib, io, json, os, sys, tempfile, time, traceback
from pathlib import Path
import django
django.setup()
from django.core.management import call_command
from django.db import connection


def run(command, traced):
    connection.ensure_connection()
    backend = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    local = backend.exists()

    def cpu():
        time.sleep(0.002)  # its time is written down when it has left the processor
        return (int(backend.read_text().split()[0]) / 1e9 if local else 0) + time.process_time()

    said = io.StringIO()
    with tempfile.TemporaryFile("w+") as trace, contextlib.redirect_stdout(said):
        if traced:
            connection.connection.pgconn.trace(trace.fileno())
        before, begin = cpu(), time.perf_counter()
        call_command(*command)
        wall = time.perf_counter() - begin
        spent = cpu() - before
        if traced:
            connection.connection.pgconn.untrace()
        trace.seek(0)
        messages = [line for line in trace if "\\tF\\t" in line]
    sent = [line for line in messages if "Query" in line or "Parse" in line]
    words = [line.split("\\t")[-1].upper() for line in sent]
    changes = ("CREATE ", "ALTER ", "DROP ", "COMMENT ")
    ddl = sum(any(change in text for change in changes) for text in words)
    return {"wall": wall, "cpu": spent if local else None, "printed": said.getvalue(),
            "sent": len(sent), "ddl": ddl}


answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    child = os.fork()
    if not child:
        code = 1
        try:
            print(json.dumps(run(*json.loads(line))), file=answers, flush=True)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        print("null", file=answers, flush=True)
"""


class Commands:
    """What runs the commands of one project."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *command: str, traced: bool = False) -> dict[str, Any]:
        """Run one; what it took and printed.

        Raises:
            RuntimeError: when it fails; what it says stands on standard error.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps([command, traced])}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else None
        if answer is None:
            raise RuntimeError(f"{' '.join(command)} failed")
        assert isinstance(answer, dict)
        return answer

    def time(self, samples: Samples, *command: str) -> str:
        """Time one; what it prints."""
        answer = self.run(*command)
        samples.wall.append(answer["wall"])
        if answer["cpu"] is not None:
            samples.cpu.append(answer["cpu"])
        return str(answer["printed"])


@contextmanager
def commands_of(project: Project) -> Iterator[Commands]:
    """Start Django in the project."""
    python, environment = project.interpreter()
    process = subprocess.Popen(
        [python, "-c", PROGRAM],
        cwd=project.directory,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Commands(process)
    finally:
        process.communicate()
