"""Connections come and go: pools, persistent ones, lost ones, reopened ones."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.signals import request_finished, request_started
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
    transaction,
)

import pgtrigger
from pgtrigger.session import local_settings
from runtime_state.probe import URI, ignored, psycopg3
from shop.database import backend, run, terminate, value


def settings_of_the_session():
    """Asked of the driver, so that nothing is synchronised for it."""
    with connections["default"].connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(current_setting('pgtrigger.ignore', true), ''),"
            " coalesce(current_setting('shop.reason', true), ''), current_setting('search_path')"
        )
        return cursor.fetchone()


# --- Closed and reopened ------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["autocommit", "after a transaction", "by hand", "autocommit off"])
def test_a_connection_that_is_closed_and_reopened_inside(kind, when):
    first = backend()
    with pgtrigger.ignore(URI):
        assert ignored()
        if when == "after a transaction":
            with transaction.atomic():
                assert ignored()
        elif when == "by hand":
            run("BEGIN")
            assert ignored()
        elif when == "autocommit off":
            transaction.set_autocommit(False)
            assert ignored()
        connection.close()
        if when == "autocommit off":
            connections["default"].ensure_connection()
            transaction.set_autocommit(True)
        assert ignored()
        if kind != "pool":
            assert backend() != first
        with transaction.atomic():
            assert ignored()
    assert not ignored()


def test_a_transaction_on_the_new_connection_begins_from_nothing(kind):
    run("BEGIN")
    run("SET LOCAL search_path = mine, public")
    with pgtrigger.schema("public"), pgtrigger.ignore(URI):
        assert value("SHOW search_path") == "public"
        connection.close()
        with transaction.atomic():
            assert value("SHOW search_path") == "public"
            assert ignored()
        run("BEGIN")
    assert value("SHOW search_path") == '"$user", public'
    assert not ignored()
    run("ROLLBACK")


@pytest.mark.parametrize("inside", [False, True])
def test_a_context_that_is_left_after_its_connection_was_closed(kind, inside):
    context = pgtrigger.ignore(URI)
    with context:
        assert ignored()
        connection.close()
        if inside:
            connections["default"].ensure_connection()
    assert not ignored()


def test_a_cursor_that_outlives_its_connection_is_the_same_error(uri):
    def fail(*contexts):
        cursor = connection.cursor()
        connection.close()
        with pytest.raises((DatabaseError, InterfaceError, AttributeError)) as caught:
            cursor.execute("SELECT 1")
        return type(caught.value)

    outside = fail()
    with pgtrigger.ignore(uri):
        inside = fail()
    assert outside is not AttributeError
    assert inside is outside


# --- Lost -----------------------------------------------------------------------------------------------------


def test_a_connection_that_the_server_has_ended_is_replaced_by_the_health_check(connected, uri):
    connected(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
    with pgtrigger.ignore(uri):
        assert ignored()
        first = backend()
        terminate(first)
        request_started.send(None)
        assert ignored()
        assert backend() != first
        with transaction.atomic():
            assert ignored()
    request_finished.send(None)
    assert not ignored()


def test_a_connection_that_the_server_has_ended_is_an_operational_error(kind):
    with pytest.raises(OperationalError), pgtrigger.ignore(URI):
        terminate(backend())
        ignored()
    connection.close()
    with pgtrigger.ignore(URI):
        assert ignored()
    assert not ignored()


# --- Persistent -----------------------------------------------------------------------------------------------


def test_a_persistent_connection_carries_nothing_to_the_next_request(connected, uri):
    connected(CONN_MAX_AGE=600)
    first = backend()
    for _ in range(3):
        request_started.send(None)
        assert settings_of_the_session() == ("", "", '"$user", public')
        with pgtrigger.ignore(uri), pgtrigger.schema("public"), local_settings(shop__reason="x"):
            assert ignored()
            with transaction.atomic():
                assert ignored()
            run("VACUUM shop_log")
            run("DO $$ BEGIN END $$")
        request_finished.send(None)
        assert settings_of_the_session() == ("", "", '"$user", public')
    assert backend() == first


@pytest.mark.parametrize("broken", ["statement", "block", "transaction by hand"])
def test_what_fails_leaves_nothing_on_the_connection(kind, broken):
    for _ in range(2):
        with pytest.raises(DatabaseError), pgtrigger.ignore(URI), pgtrigger.schema("public"):
            if broken == "statement":
                run("SELECT 1/0")
            elif broken == "block":
                with transaction.atomic():
                    assert ignored()
                    run("SELECT 1/0")
            else:
                run("BEGIN")
                assert ignored()
                run("SELECT 1; SELECT 1/0")
        if broken == "transaction by hand":
            run("ROLLBACK")
        assert settings_of_the_session() == ("", "", '"$user", public')
    close_old_connections()


# --- Pools ------------------------------------------------------------------------------------------------------


@psycopg3
def test_threads_of_a_pool_share_servers_and_nothing_else(connected, uri):
    pytest.importorskip("psycopg_pool", reason="the pools of psycopg 3")
    connected(OPTIONS={"pool": {"min_size": 1, "max_size": 2, "timeout": 20}})
    pooled = connections["default"]
    pids = set()

    def work(number):
        mine = connections["default"] = pooled.copy()
        try:
            seen = []
            for turn in range(4):
                wanted = (number + turn) % 2 == 0
                with transaction.atomic():
                    if wanted:
                        with pgtrigger.ignore(uri):
                            seen.append(ignored() is wanted)
                    else:
                        seen.append(ignored() is wanted)
                    pids.add(backend())
                if wanted:
                    with pgtrigger.ignore(uri), pgtrigger.schema("public"):
                        seen.append(ignored())
                        run("VACUUM shop_log")
                else:
                    seen.append(settings_of_the_session() == ("", "", '"$user", public'))
                mine.close()
            return seen
        finally:
            mine.close()

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(work, range(8))] == [[True] * 8] * 8
    assert len(pids) <= 2


@psycopg3
def test_a_connection_that_goes_back_to_the_pool_within_a_transaction_is_clean(connected, uri):
    pytest.importorskip("psycopg_pool", reason="the pools of psycopg 3")
    connected(OPTIONS={"pool": {"min_size": 1, "max_size": 1, "timeout": 20}})
    with pgtrigger.ignore(uri):
        run("BEGIN")
        assert ignored()
        connection.close()
    assert not ignored()
    first = backend()
    connection.close()
    seen = []

    def work():
        connections["default"] = pooled.copy()
        try:
            seen.append((ignored(), backend() == first))
        finally:
            connections["default"].close()

    pooled = connections["default"]
    with pgtrigger.ignore(uri):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(30)
    assert seen == [(False, True)]


# --- Opened early -------------------------------------------------------------------------------------------------

EARLY = """
import django
from django.apps import AppConfig
from django.conf import settings
from django.db import connection
from pgtrigger.testing import database_settings

import sys, types, warnings

early = types.ModuleType("early")
early.__file__ = __file__
sys.modules["early"] = early

class EarlyConfig(AppConfig):
    name = "early"
    def ready(self):
        warnings.simplefilter("ignore")  # Django advises against it, and projects do it
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

early.EarlyConfig = EarlyConfig
settings.configure(
    INSTALLED_APPS=["early.EarlyConfig", "pgtrigger"],
    DATABASES={"default": database_settings(sys.argv[1])},
)
django.setup()

from pgtrigger.session import local_settings

with connection.cursor() as cursor, local_settings(shop__reason="seen"):
    cursor.execute("SELECT coalesce(current_setting('shop.reason', true), 'not seen')")
    print(cursor.fetchone()[0])
"""


@pytest.mark.slow
def test_a_connection_that_was_opened_before_the_app_was_ready_is_watched(tmp_path, server):
    script = tmp_path / "early.py"
    script.write_text(EARLY)
    done = subprocess.run(
        [sys.executable, str(script), server.url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "seen"
