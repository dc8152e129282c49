"""The tutorial as its reader meets it: in processes of its own, by a pipe and by a terminal."""

import ast
import importlib
import os
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from project.connections import connect

pytestmark = pytest.mark.slow

pytest.importorskip("psycopg", reason="the reader's statements go by psycopg 3")

EXAMPLE = Path(__file__).parent.parent
PAGES = EXAMPLE.parent.parent / "docs/tutorial"


def start(url, *arguments, **options):
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    settings = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(
        [sys.executable, str(EXAMPLE / "tutorial.py"), *arguments],
        env=environment | {"DATABASE_URL": url, "PYTHONUNBUFFERED": "1"},
        **settings | options,
    )


def tell(url, *lines, arguments=()):
    """Type lines, and give the exit code and what was written, without what came before them."""
    with start(url, *arguments, text=True) as process:
        output, _ = process.communicate("".join(f"{line}\n" for line in lines), timeout=120)
    return process.returncode, output


def after(output, line):
    """What was written between a line that was typed and the next prompt."""
    return re.split(r"^\d\.\d sql> ", output.partition(f" sql> {line}\n")[2], flags=re.MULTILINE)[0]


def left_behind(url, name):
    """Databases and roles of one run that are there still."""
    administration = connect(url)
    try:
        with administration.cursor() as cursor:
            cursor.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %(name)s)"
                " UNION ALL SELECT rolname FROM pg_roles WHERE starts_with(rolname, %(name)s)",
                {"name": name},
            )
            return cursor.fetchall()
    finally:
        administration.close()


# --- What there is ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listed(server):
    code, output = tell(server.url, arguments=["--list"])
    assert code == 0, output
    return output


def test_list_shows_six_problems_in_the_order_of_the_pages(listed):
    titles = re.findall(r"^\d\. (.+)$", listed, re.MULTILINE)
    index = (PAGES / "index.md").read_text()
    assert re.findall(r"^\| \d \| \[(.+?)\]", index, re.MULTILINE) == titles
    assert len(titles) == 6
    for number, title in enumerate(titles, 1):
        page = PAGES / f"{title.lower().replace(' ', '-')}.md"
        assert page.read_text().startswith(f"# {number}. {title}\n")


def declarations(text):
    """The classes and functions of a text by name; of those that come twice, the last."""
    kinds = ast.ClassDef | ast.FunctionDef
    return {node.name: ast.dump(node) for node in ast.parse(text).body if isinstance(node, kinds)}


def test_the_pages_declare_what_the_terminal_shows():
    on_pages = {}
    for page in PAGES.glob("*.md"):
        blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        on_pages |= declarations("\n".join(blocks))
    for name, declaration in declarations((EXAMPLE / "store/models.py").read_text()).items():
        assert on_pages[name] == declaration, name


def test_a_step_that_does_not_exist_is_refused(server):
    code, output = tell(server.url, arguments=["--step", "1.9"])
    assert code == 2
    assert "There is no step 1.9; they are 1.1 to 6.4" in output


# --- The suggestions --------------------------------------------------------------------------


@pytest.fixture
def steps(monkeypatch):
    """All steps, as data."""
    monkeypatch.syspath_prepend(EXAMPLE)
    problems = importlib.import_module("problems").PROBLEMS
    yield [step for problem in problems for step in problem.steps]
    for name in [name for name in sys.modules if name.split(".")[0] == "problems"]:
        del sys.modules[name]


def test_every_goal_is_reached_by_what_is_suggested_and_not_before(server, steps):
    lines = []
    for number, step in enumerate(steps):
        lines += [f"SELECT 'looking at {number}'", *[""] * len(step.suggestions), ""]
    code, output = tell(server.url, *lines)
    assert code == 0, output
    assert output.endswith(
        "That was the last step. docs/tutorial/ has all of it to read.\n\n"
        f"{len(steps)} of {len(steps)} goals reached.\n"
    )
    assert "Not reached" not in output
    assert "\nError" not in output
    assert "\033" not in output
    for number, step in enumerate(steps):
        there = output.partition(f"sql> SELECT 'looking at {number}'\n")[2]
        tried, _, _ = there.partition("Enter goes on.")
        looked, enter, suggested = tried.partition("sql> \n")
        assert enter
        assert "Goal reached" not in looked, step.title
        assert f"Goal reached: {step.goal}\n" in suggested, step.title


def test_run_plays_the_suggestions_by_itself(server):
    code, output = tell(server.url, arguments=["--run", "--step", "6.4"])
    assert code == 0, output
    assert "6.4 sql> DELETE FROM store_pricechange\nRefused by " in output
    assert output.endswith("1 of 24 goals reached.\n")


def test_run_fails_where_a_suggestion_misses_its_goal(server, tmp_path):
    spoilt = (
        "import sys; sys.argv = ['tutorial', '--run', '--step', '6.4']\n"
        f"sys.path.insert(0, {str(EXAMPLE)!r})\n"
        "import dataclasses, problems, walk, tutorial\n"
        "places = list(walk.places())\n"
        "number, problem, step = places[-1]\n"
        "places[-1] = number, problem, dataclasses.replace(step, suggestions=('SELECT 1',))\n"
        "walk.places = lambda: places\n"
        "sys.exit(tutorial.main())\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", spoilt],
        env={k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
        | {"DATABASE_URL": server.url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Not reached: " in result.stdout
    assert result.stdout.endswith("0 of 24 goals reached.\n")


# --- What the reader types --------------------------------------------------------------------


LINES = {
    "SELECT 1 AS one, NULL AS two": "  one  two\n  ---  ----\n  1    NULL\n",
    "SELECT 1 WHERE false": "  ?column?\n  --------\nno rows\n",
    "SELECT generate_series(1, 30) AS n": "... 20 of 30 rows\n",
    "SELECT E'\\033[31m red'": "   [31m red\n",
    "SELECT repeat('x', 99)": "x...\n",
    "DO $$ BEGIN RAISE NOTICE 'hello'; END $$": "Notice: hello\nDO\n",
    "BEGIN; DELETE FROM store_invoice WHERE NOT paid": "BEGIN\nDELETE 1\n",
    "SELECT count(*) FROM store_invoice": "  3\n",
    "UPDATE store_invoice SET total = 1; SELECT 2; SELECT 3 FROM nowhere": (
        'UPDATE 3\n  ?column?\n  --------\n  2\nError: relation "nowhere" does not exist\n'
    ),
    "SELECT max(total) FROM store_invoice": "  90\n",
    "SELEC 1": 'Error: syntax error at or near "SELEC"\n',
    "COPY store_invoice TO STDOUT": "COPY from and to the client is not for this prompt\n",
    "COPY store_invoice TO PROGRAM 'cat'": "Error: permission denied to COPY",
    "SET statement_timeout = '50ms'; SELECT pg_sleep(9)": "due to statement timeout\n",
    ";": "nothing to do\n",
    "next thing": 'Error: syntax error at or near "next"\n',
    "\\d": "This is not psql",
    ">>> 6 * 7": "42\n",
    ">>> 1 / 0": "Error: ZeroDivisionError: division by zero\n",
    ">>> exit()": "Error: SystemExit\n",
    ">>> with": "Error: SyntaxError: invalid syntax",
    ">>> Invoice.objects.get()": "Error: MultipleObjectsReturned: ",
    ">>> count = Invoice.objects.count()": "",
    ">>> count": "3\n",
    ">>> pgtrigger.ignore().__enter__(); None": "",
    ">>> pgtrigger.is_ignored('store.Invoice:keep_paid')": "False\n",
    ">>> import django.db; django.db.transaction.atomic().__enter__()": "",
    ">>> Invoice.objects.update(total=1)": "3\n",
    "SELECT sum(total) FROM store_invoice": "  3\n",
    "DELETE FROM store_invoice WHERE id = 1": "Refused by store.Invoice:keep_paid\n  Invoice A-1",
    ">>> Invoice.objects.all().delete()": "Refused by store.Invoice:keep_paid\n  Invoice A-",
    "DROP SCHEMA public CASCADE": "Notice: drop cascades to",
    "ALTER ROLE CURRENT_USER SET search_path = 'nowhere'": "ALTER ROLE\n",
    "rows": 'store_invoice\nError: relation "store_invoice" does not exist\n',
}


@pytest.fixture(scope="module")
def session(server):
    """One session in step 1.3, in which all is typed, then a reset, then the rows."""
    lines = [
        *LINES,
        "SELECT current_database()",
        "reset",
        "SELECT current_schema() AS schema",
        "SELECT total FROM store_invoice",
    ]
    code, output = tell(server.url, *lines, arguments=["--step", "1.3"])
    assert code == 0, output
    assert output.endswith("\n1.3 sql> \n\n0 of 24 goals reached.\n")  # at the end of the input
    return output


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_whatever_is_typed_has_its_answer(session, line):
    assert LINES[line] in after(session, line)


def test_reset_makes_the_shop_anew_after_everything(session):
    assert session.count("1.3  Protection: A column that stays") == 2
    assert "  public\n" in after(session, "SELECT current_schema() AS schema")
    assert "  30\n  20\n  90\n" in after(session, "SELECT total FROM store_invoice")


def test_nothing_is_left_on_the_server(server, session):
    (name,) = re.findall(r"^  (tutorial_\w{8})$", session, re.MULTILINE)
    assert left_behind(server.url, name) == []


def test_the_commands_lead_through_the_steps(server):
    code, output = tell(
        server.url,
        "help",
        "hint",
        "back",
        "next",
        "",  # the suggestion: refused
        "",  # the second one
        "",  # on to 1.3
        "goto 5.2",
        "code",
        "rows",
        "goto 9",
        "back",
        "next",
        "try",
        "try",
        "try",  # once more from the first
        "list",
        "quit",
        "SELECT 'not run'",
    )
    assert code == 0, output
    assert "what it does" in after(output, "help")
    assert "The page is docs/tutorial/protection.md." in after(output, "hint")
    assert "This is the first step." in after(output, "back")
    assert "Not reached: Delete the paid invoice A-1." in output
    assert "Refused by store.Invoice:keep_paid" in output
    assert "1.3  Protection: A column that stays" in output
    assert "class Stock" in after(output, "code")
    assert "def move" in after(output, "code")
    assert "store_movement" in after(output, "rows")
    assert "There is no step 9" in after(output, "goto 9")
    assert output.count("=> UPDATE store_stock") == 2
    assert "5.2  No other way in  reached" in after(output, "list")
    assert "not run" not in output
    assert output.endswith("2 of 24 goals reached.\n")


# --- Signals and terminals --------------------------------------------------------------------


def read_until(text, fd, seconds=30):
    """Read what a process writes until a text comes."""
    output, deadline = b"", time.monotonic() + seconds
    while text not in output.decode(errors="replace"):
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(output)
        output += os.read(fd, 65536)
    return output.decode(errors="replace")


def interrupt(process):
    """Press Ctrl-C until it is noticed: Python loses one that comes right before it reads."""
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        try:
            return read_until("Interrupted.", process.stdout.fileno(), seconds=3)
        except TimeoutError as error:
            last = error
    raise last


def test_an_interrupt_stops_the_statement_and_not_the_tutorial(server):
    with start(server.url) as process:
        try:
            read_until("1.1 sql> ", process.stdout.fileno())
            interrupt(process)
            process.stdin.write(b"SET statement_timeout = 0; SELECT pg_sleep(60)\n")
            process.stdin.flush()
            read_until("pg_sleep(60)\n", process.stdout.fileno())
            time.sleep(0.3)
            interrupt(process)
            output, _ = process.communicate(b"SELECT 'still there'\nquit\n", timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "still there\n" in output.decode()


def on_terminal(url, **environment):
    """Begin the tutorial on a pseudo-terminal; give the process and our end."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | environment
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE / "tutorial.py")],
        env=environment | {"DATABASE_URL": url, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


@pytest.mark.parametrize("no_color", ["", "1"], ids=["colour", "NO_COLOR"])
def test_on_a_terminal_it_is_coloured_unless_told_not_to(server, no_color):
    process, terminal = on_terminal(server.url, NO_COLOR=no_color)
    try:
        shown = read_until("1.1 sql> ", terminal)
        # Readline has filled in the suggestion, libedit has not: Enter does the same in both.
        os.write(terminal, b"\r")
        shown += read_until("Enter goes on.", terminal)
        os.write(terminal, b"\x15quit\r")
        shown += read_until("goals reached.", terminal)
        assert process.wait(30) == 0
    finally:
        process.kill()
        os.close(terminal)
    assert ("\033[1m" in shown) == (not no_color)
    assert "DELETE 2" in shown
    assert "1 of 24 goals reached." in shown


def test_a_user_who_may_not_make_roles_walks_as_himself(server):
    name = f"walker_{uuid.uuid4().hex}"
    administration = connect(server.url)
    try:
        with administration.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD 'walks'")
            there = urlsplit(server.url)
            netloc = f"{name}:walks@{there.netloc.rpartition('@')[2]}"
            url = there._replace(netloc=netloc).geturl()
            code, output = tell(url, "SELECT current_user AS name", "reset", "try")
            cursor.execute(f"DROP ROLE {name}")
    finally:
        administration.close()
    assert code == 0, output
    assert f"  {name}\n" in after(output, "SELECT current_user AS name")
    assert "1 of 24 goals reached." in output


def test_a_server_that_is_not_there_is_one_line(server):
    code, output = tell("postgresql://nobody@127.0.0.1:1/none")
    assert code == 1
    assert "Traceback" not in output
