"""The benchmarks run; how fast anything is, is not a test's business."""

import os
import subprocess
import sys
from pathlib import Path

from project.connections import connect

RUNNER = Path(__file__).parent.parent / "benchmarks" / "run.py"


def run(*args, url, exits=0):
    result = subprocess.run(
        [sys.executable, "-W", "error", RUNNER, *args],
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    output = result.stdout + result.stderr
    assert result.returncode == exits, output
    return output


def databases(url):
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE '%benchmark%'")
            return cursor.fetchall()
    finally:
        connection.close()


def test_a_trial_run_prints_the_machine_and_a_table_for_each_subject(server):
    output = run("row_cost", "ignore", "--quick", url=server.url)
    for about_the_machine in ("UTC", "processors", "PostgreSQL", "Python", "Django", "psycopg"):
        assert about_the_machine in output
    for heading in ("case", "by hand", "ours", "ratio", "bar", "verdict"):
        assert output.count(heading) >= 2, heading
    assert "AnyChange, true on all rows, after an ignore" in output
    assert "update in autocommit" in output
    assert databases(server.url) == []


def test_an_unknown_subject_is_refused_with_the_names_of_those_there_are(server):
    output = run("speed", url=server.url, exits=2)
    assert "no such subject: speed" in output
    assert "row_cost" in output
