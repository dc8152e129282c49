"""Behind PgBouncer in transaction mode: each transaction may be on another server connection."""

import contextlib
import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, connections, transaction

import pgtrigger
from pgtrigger.checks import check_poolers
from pgtrigger.session import local_settings
from runtime_state.probe import QUIET, URI, WRITE, ignored, notes, psycopg3
from shop.database import rows, run, value
from shop.models import Order

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="the program pgbouncer is not installed"),
    pytest.mark.skipif(os.name == "nt", reason="needs unix sockets"),
    pytest.mark.slow,
]

CONFIG = """
[databases]
* = {server}

[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {directory}
unix_socket_mode = 0777
logfile = {directory}/log
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 50
ignore_startup_parameters = extra_float_digits, options
server_round_robin = 1
"""
SERVERS = 3


def unprivileged(host):
    """Whom to run as: PgBouncer refuses root, and must reach the server's socket."""
    if os.geteuid() != 0:
        return getpass.getuser()
    owner = Path(host).stat().st_uid if host.startswith("/") else 0
    return pwd.getpwuid(owner).pw_name if owner else "nobody"


@pytest.fixture(scope="module")
def bouncer(server):
    """The directory of the socket that a PgBouncer of this module's own listens at."""
    from pgtrigger.testing import database_settings

    entry = database_settings(server.url)
    user = unprivileged(entry["HOST"])
    directory = Path(tempfile.mkdtemp(prefix=f"bouncer-{uuid.uuid4().hex[:8]}-"))
    parts = {
        "host": entry["HOST"],
        "port": entry["PORT"],
        "user": entry["USER"],
        "password": entry["PASSWORD"],
    }
    config = directory / "pgbouncer.ini"
    config.write_text(
        CONFIG.format(
            directory=directory,
            size=SERVERS,
            server=" ".join(f"{name}={text}" for name, text in parts.items() if text),
        )
    )
    if os.geteuid() == 0:
        shutil.chown(directory, user)
    directory.chmod(0o755)
    process = subprocess.Popen(
        [PROGRAM, str(config)],
        user=user if os.geteuid() == 0 else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(f"{directory}/.s.PGSQL.6432")
                break
            log = directory / "log"
            assert process.poll() is None, log.read_text() if log.exists() else process.returncode
            assert time.monotonic() < deadline, "waited 20 s for PgBouncer"
            time.sleep(0.02)
        yield directory
    finally:
        process.kill()
        process.wait(10)
        shutil.rmtree(directory)


@pytest.fixture
def bounced(bouncer, connected, uri):
    """The connection goes through PgBouncer, and is one of several clients."""
    connected(
        HOST=str(bouncer),
        PORT="6432",
        USER="",
        PASSWORD="",
        DISABLE_SERVER_SIDE_CURSORS=True,
        OPTIONS={"user": "whoever"},
    )
    with contextlib.ExitStack() as stack:
        others = [connections["default"].copy() for _ in range(SERVERS - 1)]
        for other in others:
            stack.callback(other.close)
        # Each server connection is there, and they take turns.
        with contextlib.ExitStack() as busy:
            for each in (connections["default"], *others):
                busy.enter_context(holding(each))
        yield others
        clean = {backend(connections["default"]) for _ in range(3 * SERVERS)}
        assert len(clean) == SERVERS
        for _ in range(2 * SERVERS):
            with connections["default"].connection.cursor() as cursor:
                cursor.execute(
                    "SELECT coalesce(current_setting('pgtrigger.ignore', true), ''),"
                    " current_setting('search_path')"
                )
                assert cursor.fetchone() == ("", '"$user", public')


@contextlib.contextmanager
def holding(client):
    """A client is within a transaction, so its server connection is nobody else's."""
    with client.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1")
        yield
        cursor.execute("ROLLBACK")


def backend(client):
    with client.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ((pid,),) = cursor.fetchall()
    return pid


def test_statements_go_to_different_servers(bounced):
    assert len({backend(connections["default"]) for _ in range(10)}) == SERVERS


def test_writes_in_autocommit_find_the_state(bounced):
    for _ in range(4):
        with pgtrigger.ignore(URI):
            assert ignored()
            run(f"SELECT 1; {WRITE}")
            order = Order.objects.create(note=QUIET)
            order.save()
            Order.objects.update(total=1)
            order.delete()
        assert not ignored()
    assert notes() == ["quiet", "quiet", "fired"] * 4


def test_transactions_find_the_state(bounced):
    for _ in range(4):
        with pgtrigger.ignore(URI), transaction.atomic():
            assert ignored()
            with contextlib.suppress(ZeroDivisionError), transaction.atomic():
                assert ignored()
                raise ZeroDivisionError
            assert ignored()
        with transaction.atomic():
            assert not ignored()
            with pgtrigger.ignore(URI):
                assert ignored()
            assert not ignored()


def test_a_failed_transaction_gives_the_server_back_clean(bounced):
    for _ in range(2 * SERVERS):
        with pytest.raises(IntegrityError), transaction.atomic(), pgtrigger.ignore(URI):
            ignored()
            run("INSERT INTO shop_maker VALUES (NULL, 'NL')")
        with pytest.raises(IntegrityError), pgtrigger.ignore(URI):
            run("INSERT INTO shop_maker VALUES (NULL, 'NL')")
        assert not ignored()


def test_a_search_path_is_found_by_reads(bounced):
    run("CREATE SCHEMA shop_s; CREATE TABLE shop_s.shop_log AS SELECT 'there'::text AS text")
    try:
        for _ in range(2 * SERVERS):
            with pgtrigger.schema("shop_s"):
                assert rows("SELECT text FROM shop_log") == [("there",)]
            assert rows("SELECT text FROM shop_log") == []
    finally:
        run("DROP SCHEMA shop_s CASCADE")


def test_many_rows_and_settings_of_others(bounced):
    for _ in range(SERVERS):
        with pgtrigger.ignore(URI), local_settings(shop__reason="100%"):
            with connection.cursor() as cursor:
                cursor.executemany(f"{WRITE}", [(), ()])
            assert value("SELECT current_setting('shop.reason')") == "100%"
        assert not value("SELECT current_setting('shop.reason', true)")
    assert notes() == ["quiet"] * 2 * SERVERS


@psycopg3
def test_copy_finds_the_state(bounced):
    def copy():
        with connection.cursor() as cursor:
            text = 'COPY "user" ("user", "Total", "it\'s odd") FROM STDIN'
            with cursor.copy(text) as copying:
                copying.write_row(("", 1, QUIET))

    for _ in range(SERVERS):
        with pgtrigger.ignore(URI):
            copy()
            with transaction.atomic():
                copy()
        copy()
    assert notes() == ["quiet", "quiet", "fired"] * SERVERS


def test_what_refuses_a_transaction_runs(bounced):
    with pgtrigger.ignore(URI):
        for _ in range(SERVERS):
            run("VACUUM shop_log")
            run("CREATE INDEX CONCURRENTLY shop_i ON shop_log (text)")
            run("DROP INDEX CONCURRENTLY shop_i")
            assert ignored()


@pytest.mark.parametrize("statement", ["DO $$ BEGIN {}; END $$"])
def test_a_block_of_code_finds_the_state_and_leaves_none(bounced, statement):
    write = WRITE.partition(" RETURNING")[0]
    for _ in range(2 * SERVERS):
        with pgtrigger.ignore(URI):
            run(statement.format(write))
    assert notes() == ["quiet"] * 2 * SERVERS
    assert [ignored() for _ in range(2 * SERVERS)] == [False] * 2 * SERVERS


@pytest.mark.parametrize("cursors", [True, False])
def test_the_check_tells_of_the_pooler_unless_it_is_prepared_for(bounced, cursors):
    connections["default"].settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = not cursors
    found = check_poolers(None, databases=["default"])
    assert [message.id for message in found] == (["pgtrigger.W002"] if cursors else [])
