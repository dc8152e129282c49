"""manage.py pgtrigger explain, stats, lint, inspect: what they write, and how they end."""

import datetime
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

import pgtrigger
import project
from pgtrigger.errors import (
    DatabaseNotSupportedError,
    TableNotFoundError,
    TriggerNotFoundError,
)
from pgtrigger.management.subcommands.stats import hints
from pgtrigger.statistics import Statistics
from shop.database import noop, run
from shop.models import Missing, Order, Product


class Terminal(io.StringIO):
    def isatty(self):
        return True


def written(*arguments, stdout=None, **options):
    """What goes to stdout and stderr."""
    out, err = stdout or io.StringIO(), io.StringIO()
    call_command("pgtrigger", *arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def data(*arguments):
    out, err = written(*arguments, "--json")
    assert err == ""
    return json.loads(out)


@pytest.fixture
def keep(declared):
    return declared(Product, pgtrigger.Protect(name="keep", operation=pgtrigger.Delete))


EXPLAINED = """\
shop.Product:keep
  Type          Protect: Refuse an operation, on the rows that meet a condition.
  Fires         before a DELETE, for each row
                on all rows
  Does          refuses with django.db.IntegrityError (SQLSTATE 23001): "pgtrigger: Cannot delete rows from shop_product table"
                advises: "Where this is meant to happen, run it within pgtrigger.ignore("shop.Product:keep")."
  Ignoring      pgtrigger.ignore("shop.Product:keep") passes it by
  Deferring     it is not deferrable: it fires with the statement
  In Postgres   trigger pgtrigger_keep_1df2a on shop_product
                function pgtrigger_keep_1df2a5f73c6d()
  Installing    takes SHARE ROW EXCLUSIVE on shop_product: reading goes on, writing waits
                a change of only the function locks nothing
"""


def test_explain_says_it_in_words_without_a_database(keep):
    out, err = written("explain", "shop.Product:keep")
    assert out.startswith(EXPLAINED)
    assert re.fullmatch(r"  Declared      \S+:\d+\n", out[len(EXPLAINED) :])
    assert err == ""


def test_explain_has_globs_and_apps_and_one_empty_line_between(declared, keep):
    declared(Order, noop("keep"))
    out, _ = written("explain", "*:keep", "--app", "shop")
    assert [line for line in out.splitlines() if not line.startswith("  ")] == [
        "shop.Product:keep",
        "",
        "shop.Order:keep",
    ]


def test_explain_writes_json(keep):
    [explained] = data("explain", "shop.Product:keep")
    assert explained["uri"] == "shop.Product:keep"
    assert explained["firings"] == [
        {
            "pgid": "pgtrigger_keep_1df2a",
            "when": "before a DELETE, for each row",
            "rows": "on all rows",
        }
    ]
    assert explained["refusals"][0]["sqlstate"] == "23001"


def test_explain_refuses_what_nobody_declares(db):
    with pytest.raises(TriggerNotFoundError):
        written("explain", "shop.Product:nothing")


def test_stats_shows_numbers_in_columns_and_hints_on_stderr(live, declared):
    live(Product, noop())
    declared(Missing, noop())
    out, err = written("stats", "*:noop", "--sort", "uri")
    assert out.splitlines() == [
        "    -        -       -          - shop.Missing:noop (not installed)",
        "    0    0.000   0.000      0.000 shop.Product:noop",
    ]
    name = connection.settings_dict["NAME"]
    assert f"ALTER DATABASE \"{name}\" SET track_functions = 'pl'" in err


def test_stats_counts_with_the_setting(autocommit_live):
    autocommit_live(Product, noop())
    run("SET track_functions = 'all'")
    Product.objects.create()
    Product.objects.update(stock=1)
    run("SELECT pg_stat_force_next_flush()")
    out, err = written("stats", "shop.Product:noop")
    assert out.split()[0] == "1"
    assert err.startswith('Counted in database "default"')
    [found] = data("stats", "shop.Product:noop")
    assert found["track_functions"] == "all"
    assert found["triggers"][0]["calls"] == 1


def test_stats_shows_a_table_on_a_terminal(live):
    live(Product, noop())
    out, _ = written("stats", "shop.Product:noop", stdout=Terminal(), no_color=True)
    assert out.splitlines()[0] == "CALLS  TOTAL ms  SELF ms  AVERAGE ms  TRIGGER"
    assert out.splitlines()[1].split() == ["0", "0.000", "0.000", "0.000", "shop.Product:noop"]


@pytest.mark.django_db(databases=["default", "other"])
def test_stats_of_several_databases_are_one_table_and_one_json(declared):
    declared(Product, noop())
    out, _ = written("stats", "shop.Product:noop", "-d", "default", "-d", "other")
    assert [line.split("shop.")[1] for line in out.splitlines()] == [
        "Product:noop (default, not installed)",
        "Product:noop (other, not installed)",
    ]
    found = data("stats", "shop.Product:noop", "-d", "default", "-d", "other")
    assert [one["database"] for one in found] == ["default", "other"]


def test_stats_tells_since_when_it_counts():
    since = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
    found = Statistics(database="x", tracking="pl", since=since, triggers=())
    assert hints("default", found) == ['Counted in database "default", since 2026-01-02 03:04 UTC.']
    found = Statistics(database="x", tracking="pl", since=None, triggers=())
    assert hints("default", found) == ['Counted in database "default".']


def test_stats_without_triggers_writes_nothing(db, declared):
    assert written("stats", "--app", "library")[0] == ""


def test_lint_names_file_and_trigger_and_fails_on_errors(live):
    live(Product, noop(declare=[("unused", "int")], func="NEW.stok = 1; RETURN NEW;"))
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"^1 error in the functions of triggers\.$"):
        written("lint", "shop.Product:noop", stdout=out)
    lines = out.getvalue().splitlines()
    assert re.fullmatch(
        r'\S+/models\.py:\d+: warning: shop\.Product:noop: line 2: unused variable "unused"',
        lines[0],
    )
    assert re.fullmatch(
        r"\S+/models\.py:\d+: error: shop\.Product:noop: line 4: "
        r'record "new" has no field "stok": table shop_product has no such column \[42703\]',
        lines[1],
    )
    assert lines[2:] == ['    Perhaps "stock" is meant.', "Functions checked: 1 (1 by server)."]


def test_lint_fails_on_warnings_only_if_strict(live):
    live(Product, noop(declare=[("a", "int"), ("b", "int")], func="RETURN NEW;"))
    assert "unused variable" in written("lint", "shop.Product:noop")[0]
    with pytest.raises(CommandError, match="2 warnings in the functions"):
        written("lint", "shop.Product:noop", "--strict")


def test_lint_writes_json_and_still_fails(live):
    live(Product, noop(func="RETURN NEW.stok;"))
    out = io.StringIO()
    with pytest.raises(CommandError):
        written("lint", "shop.Product:noop", "--json", stdout=out)
    [report] = json.loads(out.getvalue())
    assert report["database"] == "default"
    [linted] = report["triggers"]
    assert (linted["name"], linted["installed"]) == ("shop.Product:noop", True)
    assert linted["file"].endswith("models.py")
    [finding] = linted["findings"]
    assert (finding["level"], finding["sqlstate"]) == ("error", "42703")


def test_lint_checks_what_was_made_by_hand_if_asked_to(db):
    run(
        "CREATE FUNCTION hand() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW.nothing; END'"
    )
    run("CREATE TRIGGER hand BEFORE INSERT ON shop_log FOR EACH ROW EXECUTE FUNCTION hand()")
    assert written("lint", "--app", "library")[0].startswith("Functions checked:")
    out = io.StringIO()
    with pytest.raises(CommandError):
        written("lint", "--app", "library", "--by-hand", stdout=out)
    assert "error: public.shop_log:hand: line 1:" in out.getvalue()


@pytest.mark.django_db(databases=["default", "other"])
def test_lint_names_the_database_where_there_are_several(declared):
    declared(Product, noop(func="RETURN NEW.stok;"))
    out = io.StringIO()
    with pytest.raises(CommandError, match="2 errors"):
        written("lint", "shop.Product:noop", "-d", "default", "-d", "other", stdout=out)
    assert "shop.Product:noop (default):" in out.getvalue()
    assert "shop.Product:noop (other):" in out.getvalue()


@pytest.mark.parametrize("subcommand", ["stats", "lint"])
def test_another_database_system_is_refused(subcommand, db):
    with pytest.raises(DatabaseNotSupportedError, match='"sqlite" is not PostgreSQL'):
        written(subcommand, "-d", "sqlite")


@pytest.mark.django_db
def test_lint_and_stats_work_in_a_schema(declared):
    declared(Product, noop(func="RETURN NEW.extra;"))
    run("CREATE SCHEMA tenant")
    run("CREATE TABLE tenant.shop_product (extra int)")
    with pytest.raises(CommandError):
        written("lint", "shop.Product:noop")
    assert "error" not in written("lint", "shop.Product:noop", "--schema", "tenant")[0]
    run("CREATE FUNCTION tenant.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    run("CREATE TRIGGER hand BEFORE INSERT ON tenant.shop_product EXECUTE FUNCTION tenant.f()")
    assert 'name="hand"' in written("inspect", "shop_product", "--schema", "tenant")[0]
    assert 'name="hand"' not in written("inspect", "shop_product")[0]


def test_inspect_writes_a_module(db):
    run("CREATE FUNCTION hand() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    run("CREATE TRIGGER hand BEFORE INSERT ON shop_log FOR EACH ROW EXECUTE FUNCTION hand()")
    out, err = written("inspect", "shop_log")
    namespace = {}
    exec(out, namespace)
    assert [trigger.name for trigger in namespace["triggers"]] == ["hand"]
    assert err == ""
    assert written("inspect", "shop.Log", "--all")[0] == out


def test_inspect_refuses_a_table_that_is_not_there(db):
    with pytest.raises(TableNotFoundError, match='no table "nothing"'):
        written("inspect", "nothing")


def test_colours_are_those_of_a_terminal_that_wants_them(live, monkeypatch):
    live(Product, noop(declare=[("unused", "int")]))
    monkeypatch.setenv("DJANGO_COLORS", "dark")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for arguments in (["lint", "shop.Product:noop"], ["explain", "shop.Product:noop"]):
        assert "\033[" in written(*arguments, force_color=True)[0]
        assert "\033[" not in written(*arguments)[0]
        assert "\033[" not in written(*arguments, no_color=True)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "stderr"),
    [
        (["explain", "nobody"], "TriggerUriError: "),
        (["stats", "shop.Nothing:here"], "TriggerNotFoundError: "),
        (["lint", "-d", "nowhere"], "CommandError: There is no database 'nowhere'"),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(arguments, stderr):
    result = subprocess.run(
        [
            sys.executable,
            str(Path(project.__file__).parent / "manage.py"),
            "pgtrigger",
            "--skip-checks",
            *arguments,
        ],
        env={
            **os.environ,
            "DATABASE_URL": "postgresql://nowhere.invalid/",
            "DJANGO_SETTINGS_MODULE": "project.settings",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(stderr)
    assert result.stderr.count("\n") == 1
