"""``--lock-timeout`` bounds how long a command waits for others."""

import time
from contextlib import closing

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

import pgtrigger
from databases.place import PATIENCE, command, create_table
from databases.press import Page, keep, mark
from pgtrigger.errors import InstallationError
from pgtrigger.locks import _ADVISORY_LOCK
from project.connections import connect

CHANGING = ["install", "uninstall", "enable", "disable", "prune"]


@pytest.fixture
def page(database, declare):
    """Triggers that each of the commands has something to do with."""
    create_table(Page)
    declare(Page, keep(), mark(name="new"))
    with mark(name="old").register(Page):
        pgtrigger.install("press.Page:keep", "press.Page:old")
    return database


def prepare(page, subcommand):
    if subcommand == "enable":
        page.sql("ALTER TABLE press_page DISABLE TRIGGER USER")


@pytest.fixture
def busy(page):
    """Somebody has changed a row, and not committed yet."""
    with closing(connect(page.url)) as other, other.cursor() as cursor:

        def busy(statement="LOCK TABLE press_page IN ROW EXCLUSIVE MODE"):
            cursor.execute("BEGIN")
            cursor.execute(statement)
            return lambda: cursor.execute("ROLLBACK")

        yield busy


def refused(*args):
    """The error of a command, which came much earlier than by the server's own timeout."""
    start = time.monotonic()
    with pytest.raises(InstallationError) as info:
        command(*args)
    assert time.monotonic() - start < PATIENCE / 2
    return str(info.value)


@pytest.mark.parametrize("subcommand", CHANGING)
def test_a_command_gives_up_when_the_time_is_over_and_works_when_the_lock_is_free(
    page, busy, subcommand
):
    prepare(page, subcommand)
    let_go = busy()
    before = page.everything()
    error = refused(subcommand, "--lock-timeout", "100ms")
    assert 'Database "default": a lock was not to be had in time' in error
    assert "the given lock timeout is 100ms" in error
    assert page.everything() == before
    let_go()
    command(subcommand, "--lock-timeout", "100ms")
    assert page.everything() != before


@pytest.mark.parametrize("subcommand", CHANGING)
def test_waiting_for_another_installer_is_bounded_too(page, busy, subcommand):
    prepare(page, subcommand)
    let_go = busy(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    before = page.everything()
    assert "has not finished within the lock timeout of 100 ms" in refused(
        subcommand, "--lock-timeout", "100"
    )
    assert page.everything() == before
    let_go()
    command(subcommand, "--lock-timeout", "100")
    assert page.everything() != before


@pytest.mark.parametrize("subcommand", CHANGING)
def test_the_option_wins_over_the_setting(page, busy, settings, subcommand):
    settings.PGTRIGGER_LOCK_TIMEOUT = "1h"
    prepare(page, subcommand)
    busy()
    assert "the given lock timeout is 0.1 s" in refused(subcommand, "--lock-timeout", "0.1 s")


def test_the_timeout_of_the_connection_is_as_before(page, busy):
    def timeout():
        with connections["default"].cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            return cursor.fetchone()[0]

    assert timeout() == f"{PATIENCE}s"
    let_go = busy()
    refused("install", "--lock-timeout", "50ms")
    assert timeout() == f"{PATIENCE}s"
    let_go()
    command("install", "--lock-timeout", "50ms")
    assert timeout() == f"{PATIENCE}s"


@pytest.mark.parametrize("subcommand", CHANGING)
@pytest.mark.parametrize(
    "value", ["soon", "", "-1", "2 weeks", "1;DROP TABLE press_page", "2s 3s", "NaN", "1e3"]
)
def test_what_is_no_duration_is_a_usage_error(page, subcommand, value):
    before = page.everything()
    with pytest.raises(CommandError, match=r"--lock-timeout: .* is no duration"):
        call_command("pgtrigger", subcommand, f"--lock-timeout={value}")
    assert page.everything() == before


@pytest.mark.parametrize("value", ["25d", "2147483648", "600h"])
def test_what_is_too_long_for_postgres_is_a_usage_error(page, value):
    with pytest.raises(CommandError, match="--lock-timeout"):
        call_command("pgtrigger", "install", f"--lock-timeout={value}")


@pytest.mark.parametrize("value", ["100us", "0.1"])
def test_what_postgres_rounds_to_nothing_still_bounds_the_wait(page, busy, value):
    busy()
    with connections["default"].cursor() as cursor:
        # Without a bound, this ends the test.
        cursor.execute("SET statement_timeout = '1s'")
    assert "a lock was not to be had in time" in refused("install", "--lock-timeout", value)


def test_looking_waits_for_nobody_and_has_no_such_option(page, busy):
    busy("LOCK TABLE press_page IN ACCESS EXCLUSIVE MODE")
    start = time.monotonic()
    assert command("ls")[0] == "INSTALLED ENABLED press.Page:keep"
    assert time.monotonic() - start < PATIENCE / 2
    with pytest.raises(CommandError, match="unrecognized arguments"):
        call_command("pgtrigger", "ls", "--lock-timeout=1s")
