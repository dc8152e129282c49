"""The benchmarks run and their pages are written; how fast anything is, is not a test's business."""

import importlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project.connections import connect

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
PAGES = ROOT / "docs" / "benchmarks"
RESULTS = sorted((PAGES / "results").glob("*.json"))


def run(*args, url="postgresql:///nowhere", exits=0):
    result = subprocess.run(
        [sys.executable, "-W", "error", BENCHMARKS / "run.py", *args],
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


@pytest.fixture
def module(monkeypatch):
    """Imports a module of the benchmarks, which are scripts beside each other."""
    before = {*sys.modules}
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module
    for name in {*sys.modules} - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(BENCHMARKS)):
            del sys.modules[name]


def a_result():
    line = {
        "case": "rows",
        "baseline": "by hand",
        "base": "+1 ns/row",
        "contender": "pgtrigger",
        "value": "+2 ns/row",
        "ratio": 2.0,
        "low": 1.9,
        "high": 2.1,
        "best": 2.0,
        "bar": 1.15,
    }
    return {
        "subject": "row_cost",
        "command": "hatch run bench row_cost",
        "date": "2024-02-03 04:05 UTC",
        "seconds": 6.0,
        "machine": "2 processors, of sand",
        "load": "2.5",
        "versions": {"Python": "3.99", "django-pgtrigger": "4.99"},
        "contenders": ["by hand", "pgtrigger", "django-pgtrigger"],
        "lines": [
            line,
            line | {"contender": "django-pgtrigger", "ratio": 1.0, "bar": None},
            line | {"case": "quiet", "ratio": 1.0, "best": 1.1},
            line | {"case": "noisy", "ratio": 1.1, "best": 1.3},
            line | {"case": "drowned", "ratio": None, "best": None, "low": None, "high": None},
        ],
        "charts": [
            {
                "title": "Growth",
                "x": "rows",
                "y": "seconds",
                "series": {"pgtrigger": [[10, 1.0], [100, 10.0]], "by hand": [[10, -0.1]]},
            }
        ],
        "tables": [{"title": "Who", "headings": ["a", "b"], "rows": [["x|y", "z"]]}],
    }


def render(directory):
    (directory / "results").mkdir()
    (directory / "results" / "row_cost.json").write_text(json.dumps(a_result()))
    run("--render", "--pages", directory)
    return {file.name: file.read_bytes() for file in directory.glob("*.*")}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render(tmp_path_factory.mktemp("pages"))


@pytest.mark.slow
def test_a_trial_run_writes_pages_on_which_all_contenders_did_the_same(server, tmp_path):
    output = run("allowed_rows", "locks", "--quick", "--write", "--pages", tmp_path, url=server.url)
    for about_the_machine in ("UTC", "processors", "PostgreSQL", "Python", "Django", "psycopg"):
        assert about_the_machine in output
    assert "nan" not in output
    assert databases(server.url) == []

    found = json.loads((tmp_path / "results" / "allowed_rows.json").read_text())
    cases = {}
    for line in found["lines"]:
        cases.setdefault(line["contender"], set()).add((line["case"], line["base"]))
    no_peer = "no package index" in found["versions"]["django-pgtrigger"]
    assert no_peer or cases["django-pgtrigger"] == cases["pgtrigger"]
    page = (tmp_path / "allowed_rows.md").read_text()
    assert "hatch run bench --quick allowed_rows" in page
    assert "these figures mean nothing" in page

    locks = json.loads((tmp_path / "results" / "locks.json").read_text())
    (waiting,) = locks["tables"]
    seen = {(change, who): rest for change, who, *rest in waiting["rows"]}
    changes = {change for change, _ in seen}
    assert len(changes) == 8
    # What is locked, and whether a reader, a writer, an index and an installer wait.
    assert seen["install, nothing differs", "pgtrigger"] == ["none", *["goes on"] * 4]
    body = "install, the function's body differs", "pgtrigger"
    assert seen[body] == ["none", *["goes on"] * 3, "waits"]
    new = "install, a new trigger", "pgtrigger"
    assert seen[new] == ["ShareRowExclusiveLock", "goes on", *["waits"] * 3]
    assert seen["uninstall", "pgtrigger"] == ["AccessExclusiveLock", *["waits"] * 4]
    for change in changes:
        *by_hand, _ = seen[change, "by hand"]
        *by_us, _ = seen[change, "pgtrigger"]
        assert by_us == by_hand, change


def test_an_unknown_subject_is_refused_with_the_names_of_those_there_are(server):
    output = run("speed", url=server.url, exits=2)
    assert "no such subject: speed" in output
    assert "row_cost" in output


def test_a_page_has_the_command_the_origin_and_the_verdicts(rendered):
    page = rendered["row_cost.md"].decode()
    assert "```console\nhatch run bench row_cost\n```" in page
    assert "2024-02-03 04:05 UTC, in 6 s, on 2 processors, of sand, whose load was 2.5 when" in page
    assert "Python 3.99, django-pgtrigger 4.99." in page
    for verdict in ("| **MISSED** |", "| met |"):
        assert page.count(verdict) == 1, verdict
    assert page.count("| unclear |") == 2
    assert "| rows | by hand | +1 ns/row | pgtrigger | +2 ns/row | 2.00 | 1.90 to 2.10 |" in page
    assert "| rows | django-pgtrigger | 2.00 times |" in page
    assert r"| x\|y | z |" in page
    assert "![A row trigger, plot 2](row_cost-1.svg)" in page
    assert "nan" not in page


def test_the_first_page_counts_verdicts_and_names_what_is_not_met(rendered):
    page = rendered["index.md"].decode()
    assert "| [row_cost](row_cost.md) | 1 | 1 | 2 | 2024-02-03 04:05 UTC | 6 s | 2.5 |" in page
    assert (
        "| [A row trigger](row_cost.md) | rows | by hand | 2.00 | 2.00 | 1.15 | **MISSED** |"
        in page
    )
    assert "| [A row trigger](row_cost.md) | rows | django-pgtrigger | 2.00 times |" in page
    assert "2 processors, of sand, Python 3.99: row_cost." in page


def test_the_same_result_is_rendered_to_the_same_bytes(rendered, tmp_path):
    assert {"index.md", "row_cost.md", "row_cost-0.svg", "row_cost-1.svg"} == {*rendered}
    assert rendered == render(tmp_path)


@pytest.mark.slow
def test_the_pages_are_what_their_results_say(tmp_path):
    shutil.copytree(PAGES / "results", tmp_path / "results")
    run("--render", "--pages", tmp_path)
    for file in sorted(tmp_path.glob("*.md")):
        assert (PAGES / file.name).read_text() == file.read_text(), file.name


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_each_page_names_its_command_and_compares_with_somebody(file):
    result = json.loads(file.read_text())
    page = (PAGES / f"{file.stem}.md").read_text()
    assert f"\n{result['command']}\n" in page
    assert result["quick"] == ("these figures mean nothing" in page)
    assert len(result["contenders"]) > 1
    compared = {line[side] for line in result["lines"] for side in ("contender", "baseline")}
    assert {*result["contenders"]} <= compared
    assert all(line["contender"] != line["baseline"] or line["case"].endswith("comparing nothing")
               for line in result["lines"])  # fmt: skip


def test_each_subject_has_a_page(module):
    assert {file.stem for file in RESULTS} == {*module("subjects").NAMES}


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_the_exponent_is_the_slope_in_a_log_log_plot(module, power):
    points = [(size, 3e-6 * size**power) for size in (250, 500, 1_000, 8_000)]
    assert math.isclose(module("lines").exponent(points), power, abs_tol=1e-9)


def test_points_that_drowned_in_noise_have_no_part_in_the_exponent(module):
    exponent = module("lines").exponent
    assert math.isclose(exponent([(10, -1), (100, 1), (1_000, 10), (2_000, 0)]), 1)
    assert exponent([(10, -1), (100, 1)]) is None
    assert exponent([(10, 1), (10, 2)]) is None


def test_noise_makes_a_line_unclear_and_not_nan(module):
    lines, samples = module("lines"), module("measure").Samples
    quiet, fast = samples(wall=[2.0, 2.0, 2.0]), samples(wall=[1.0, 1.0, 1.0])
    given = {"none": quiet, "hand": fast, "ours": fast}
    line = lines.added("rows", given, "hand", "ours", rows=10, bar=1.15)
    assert (line.ratio, line.best, line.verdict) == (None, None, "unclear")
    grown = lines.growth("rows", {10: (quiet, fast), 20: (quiet, fast)})
    assert (grown.ratio, grown.value, grown.verdict) == (None, "lost in the noise", "unclear")


@pytest.mark.parametrize(
    ("ratio", "best", "verdict"),
    [
        (1.0, 1.1, "met"),
        (1.2, 1.2, "MISSED"),
        (1.2, 1.1, "unclear"),
        (1.1, 1.2, "unclear"),
        (None, 1.9, "unclear"),
    ],
)
def test_a_bar_is_met_when_medians_and_fastest_rounds_say_so(module, ratio, best, verdict):
    line = module("lines").Line("rows", "by hand", "", ratio=ratio, best=best, bar=1.15)
    assert line.verdict == verdict
