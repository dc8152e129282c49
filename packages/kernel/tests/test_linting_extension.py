"""pgtrigger.linting with plpgsql_check, on a PostgreSQL 15 of Debian's."""

import getpass
import io
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

import pgtrigger
from databases.place import known_as
from pgtrigger.linting import Finding, lint
from pgtrigger.testing import database_settings
from shop.database import noop, run, value
from shop.models import Log, Product

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
EXTENSION = Path("/usr/lib/postgresql/15/lib/plpgsql_check.so")
pytestmark = [
    pytest.mark.skipif(
        not (PROGRAMS / "initdb").exists() or not EXTENSION.exists(),
        reason="Debian's postgresql-15 and postgresql-15-plpgsql-check are not installed",
    ),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def debian():
    """The directory of the socket of a server of this module's own."""
    root = os.geteuid() == 0
    user = pwd.getpwnam("postgres" if root else getpass.getuser())
    directory = Path(tempfile.mkdtemp(prefix="pg15-"))
    if root:
        os.chown(directory, user.pw_uid, user.pw_gid)
    whose = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if root else {}

    def call(program, *arguments):
        subprocess.run(
            [PROGRAMS / program, "-D", directory / "data", *arguments],
            check=True,
            cwd=directory,
            stdout=subprocess.DEVNULL,
            env={"LC_ALL": "C", "PATH": os.defpath},
            **whose,
        )

    call("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-k {directory} -c listen_addresses= -c fsync=off"
    call("pg_ctl", "start", "-w", "-l", directory / "log", "-o", options)
    try:
        yield directory
    finally:
        call("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(directory)


@pytest.fixture
def database(debian, django_db_blocker):
    """A database with the tables of the shop, which Django takes for the default one."""
    entry = database_settings(f"postgresql://postgres@/postgres?host={debian}")
    with django_db_blocker.unblock(), known_as("default", entry):
        with transaction.atomic():
            with connection.schema_editor() as editor:
                for model in (Log, *_with_parents(Product)):
                    editor.create_model(model)
            yield
            transaction.set_rollback(True)


def _with_parents(model):
    targets = [f.related_model for f in model._meta.get_fields() if f.concrete and f.is_relation]
    return [*dict.fromkeys(targets), model]


@pytest.fixture
def installed(database, declared):
    def install(trigger):
        declared(Product, trigger)
        trigger.install(Product)
        return trigger

    return install


def report(trigger, **kwargs):
    return lint(connection, [(Product, trigger)], **kwargs)


def test_what_only_the_extension_knows_is_found(installed):
    run("CREATE EXTENSION plpgsql_check")
    trigger = installed(
        noop(declare=[("a", "int")], func="INSERT INTO shop_log(txt) VALUES ('x'); RETURN NEW;")
    )
    found = report(trigger)
    assert found.extension == "created"
    [linted] = found.triggers
    assert linted.checked_by == "plpgsql_check"
    assert [(one.level, one.sqlstate) for one in linted.findings] == [
        ("error", "42703"),
        ("warning", ""),
    ]
    assert 'column "txt" of relation "shop_log" does not exist' in linted.findings[0].message
    source = trigger.compile(Product).source.splitlines()
    assert "INSERT" in source[linted.findings[0].line - 1]
    assert 'unused variable "a"' in linted.findings[1].message


def test_a_clean_function_is_clean(installed):
    run("CREATE EXTENSION plpgsql_check")
    [linted] = report(installed(noop())).triggers
    assert (linted.checked_by, linted.findings) == ("plpgsql_check", ())


def test_a_function_that_is_not_installed_is_checked_too(database, declared):
    run("CREATE EXTENSION plpgsql_check")
    trigger = declared(Product, noop(func="INSERT INTO nowhere VALUES (1); RETURN NEW;"))
    [linted] = report(trigger).triggers
    assert (linted.installed, linted.checked_by) == (False, "plpgsql_check")
    assert [one.sqlstate for one in linted.findings] == ["42P01"]


def test_a_missing_return_is_an_error_past_the_check_of_ignored_triggers(installed):
    run("CREATE EXTENSION plpgsql_check")
    trigger = installed(noop(when=pgtrigger.After, func="PERFORM 1;"))
    [linted] = report(trigger).triggers
    assert [(one.level, one.sqlstate) for one in linted.findings] == [("error", "2F005")]


def test_transition_tables_are_known(installed):
    run("CREATE EXTENSION plpgsql_check")
    trigger = installed(
        noop(
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            referencing=pgtrigger.Referencing(old="olds", new="news"),
            func="INSERT INTO shop_log(text) SELECT news.name FROM news, olds; RETURN NULL;",
        )
    )
    assert report(trigger).triggers[0].findings == ()
    trigger.func = trigger.func.replace("news.name", "news.nam")
    assert [one.sqlstate for one in report(trigger).triggers[0].findings] == ["42703"]


def test_the_extension_may_be_in_any_schema(installed):
    run('CREATE SCHEMA "Check it"')
    run('CREATE EXTENSION plpgsql_check SCHEMA "Check it"')
    assert report(installed(noop())).triggers[0].checked_by == "plpgsql_check"


def test_it_is_created_only_for_the_time_of_the_check(installed):
    trigger = installed(noop())
    before = report(trigger)
    assert (before.extension, before.triggers[0].checked_by) == ("available", "server")
    during = report(trigger, create_extension=True)
    assert during.triggers[0].checked_by == "plpgsql_check"
    assert value("SELECT count(*) FROM pg_extension WHERE extname = 'plpgsql_check'") == 0


def test_who_may_not_create_it_is_told(installed):
    trigger = installed(noop())
    run("CREATE ROLE linter")
    run("SET LOCAL ROLE linter")
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        report(trigger, create_extension=True)


def test_the_command_offers_it(installed):
    installed(noop())
    out, err = io.StringIO(), io.StringIO()
    call_command("pgtrigger", "lint", "shop.Product:noop", stdout=out, stderr=err)
    assert out.getvalue() == "Functions checked: 1 (1 by server).\n"
    assert "CREATE EXTENSION plpgsql_check, or --create-extension" in err.getvalue()
    err = io.StringIO()
    call_command(
        "pgtrigger", "lint", "shop.Product:noop", create_extension=True, stdout=out, stderr=err
    )
    assert "1 by plpgsql_check" in out.getvalue()
    assert err.getvalue() == ""


def test_the_command_fails_on_what_it_finds(installed):
    run("CREATE EXTENSION plpgsql_check")
    installed(noop(func="INSERT INTO nowhere VALUES (1); RETURN NEW;"))
    with pytest.raises(CommandError, match="1 error in the functions"):
        call_command("pgtrigger", "lint", "shop.Product:noop", stdout=io.StringIO())


def test_what_the_extension_cannot_check_is_said(installed):
    """It raises an error for a relation that is none."""
    from pgtrigger.linting.extension import Inspector

    run("CREATE EXTENSION plpgsql_check")
    installed(noop())
    [finding] = Inspector(connection).check(1, 1)
    assert isinstance(finding, Finding)
    assert finding.level == "error"
