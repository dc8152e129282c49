"""How much `ls` and an `install` with nothing to do ask of the server."""

import json
from collections.abc import Iterator

from measure import Line, Samples, Scale, duration
from projects import projects

# libpq's own trace shows every message, also of statements that go round Django.
PROGRAM = """
import io, json, sys, tempfile, time
import django
django.setup()
from django.core.management import call_command
from django.db import connection
connection.ensure_connection()
with tempfile.TemporaryFile("w+") as trace:
    connection.connection.pgconn.trace(trace.fileno())
    begin = time.perf_counter()
    call_command("pgtrigger", *sys.argv[1:], stdout=(out := io.StringIO()))
    seconds = time.perf_counter() - begin
    connection.connection.pgconn.untrace()
    trace.seek(0)
    sent = [line for line in trace if "\\tF\\t" in line and ("Query" in line or "Parse" in line)]
words = [line.split("\\t")[-1].upper() for line in sent]
ddl = [w for w in words if any(f"{verb} " in w for verb in ("CREATE", "ALTER", "DROP", "COMMENT"))]
print(json.dumps([seconds, len(sent), len(ddl), out.getvalue().count("INSTALLED ")]))
"""


def run(scale: Scale) -> Iterator[Line]:
    models = scale.pick(500, 10)
    with projects("catalog") as made:
        project = made["catalog"]
        project.write(models=models, triggers=4)
        project.empty_database()
        project.manage("migrate", "--run-syncdb")
        for command, bar in (("ls", 1), ("install", 1)):
            samples = Samples()
            statements, definitions = set(), set()
            for _ in range(scale.pick(5, 1)):
                seconds, sent, ddl, installed = json.loads(project.python("-c", PROGRAM, command))
                if command == "ls" and installed != models * 4:
                    raise RuntimeError(f"{installed} of {models * 4} triggers are installed")
                samples.wall.append(seconds)
                statements.add(sent)
                definitions.add(ddl)
            yield Line(
                f"{command}, {models * 4:,} triggers installed",
                "1 statement, no DDL",
                f"{max(statements)} statements, {max(definitions)} DDL",
                ratio=max(statements) + 1000 * max(definitions),
                bar=bar,
                note=f"takes {duration(samples.median)}",
            )
