"""Commands in processes of their own: exit codes, and the question before production is changed."""

import os
import pty
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

MODELS = """
    from django.db import models

    import pgtrigger


    class Order(models.Model):
        class Meta:
            triggers = [pgtrigger.Protect(name="keep", operation=pgtrigger.Delete)]
"""
URI = "app.Order:keep"


@pytest.fixture
def orders(site):
    site.models(MODELS)
    site.manage("makemigrations")
    site.manage("migrate")
    return site


def states(site):
    return [
        state
        for (state,) in site.sql("SELECT tgenabled::text FROM pg_trigger WHERE NOT tgisinternal")
    ]


def test_check_fails_where_a_deploy_can_see_it(orders):
    assert orders.manage("pgtrigger", "check").stdout == "Triggers as declared: 1.\n"
    orders.manage("pgtrigger", "disable")
    result = orders.manage("pgtrigger", "check", exits=1)
    assert result.stdout.splitlines() == [
        "INSTALLED   DISABLED app.Order:keep",
        "    It does not fire. `manage.py pgtrigger enable app.Order:keep` lets it.",
    ]
    assert result.stderr == "CommandError: The trigger is not as declared.\n"


def at_a_terminal(site, answer, *arguments):
    """Exit code, output and errors of a command where somebody answers at a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "pgtrigger", *arguments],
        cwd=site.directory,
        env={**os.environ, "DATABASE_URL": site.url, "DJANGO_SETTINGS_MODULE": "settings"},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    if answer is not None:
        os.write(ours, answer.encode() + b"\n")
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(ours)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("subcommand", "doing", "left"),
    [("disable", "Disabling", ["D"]), ("uninstall", "Uninstalling", [])],
)
def test_in_production_somebody_is_asked_first(orders, subcommand, doing, left):
    code, out, err = at_a_terminal(orders, "n", subcommand, URI)
    assert code == 1
    assert f"This is production (DEBUG is off). {doing} 1" in err
    assert f" trigger(s): {URI} (default)." in err
    assert err.endswith("CommandError: Nothing was changed.\n")
    assert out == "Go on? [y/N] "
    assert states(orders) == ["O"]
    # Where they say not to ask.
    code, out, err = at_a_terminal(orders, None, subcommand, URI, "--no-input")
    assert (code, out, "production" in err) == (0, "", False)
    assert states(orders) == left
    # Nothing is left to do.
    assert at_a_terminal(orders, None, subcommand, URI)[:2] == (0, "")


def test_a_yes_goes_on(orders):
    assert at_a_terminal(orders, "y", "disable", URI)[0] == 0
    assert states(orders) == ["D"]


def test_enabling_and_looking_first_are_not_asked_for(orders):
    assert at_a_terminal(orders, None, "uninstall", "--dry-run")[0] == 0
    assert at_a_terminal(orders, None, "disable", "--no-input")[0] == 0
    assert at_a_terminal(orders, None, "enable")[:2] == (0, "")
    assert states(orders) == ["O"]


def test_a_script_has_nobody_to_answer(orders):
    orders.manage("pgtrigger", "disable")
    assert states(orders) == ["D"]
