"""One database with many schemas: a tenant in each, all with the same tables."""

from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connections, transaction

import pgtrigger
from databases.place import command, create_table, known_as, statements
from databases.press import Archive, Page, keep, mark
from pgtrigger.errors import InstallationError

TENANTS = [f"tenant_{letter}" for letter in "abcde"]
LEFTOVER = "pgtrigger_old_0a1b2"


@contextmanager
def tenant(database, schema):
    """Django's connection with the search path of a tenant, as a project's settings have it."""
    with known_as("default", database.entry(search_path=schema)):
        yield


@pytest.fixture
def tenants(database):
    """The tenants' schemas with the same table in each, without triggers."""
    for schema in TENANTS:
        database.sql(f"CREATE SCHEMA {schema}")
        with tenant(database, schema):
            create_table(Page)
    return database


@pytest.fixture
def installed(tenants, declare):
    """All tenants have both triggers."""
    declare(Page, mark(), keep())
    for schema in TENANTS:
        command("install", "-s", schema)
    return tenants


def leave(database, schema):
    """A trigger that nobody declares any more, with its function."""
    database.sql(
        f"CREATE FUNCTION {schema}.{LEFTOVER}() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NEW; END $$",
        f"CREATE TRIGGER {LEFTOVER} BEFORE UPDATE ON {schema}.press_page FOR EACH ROW"
        f" EXECUTE FUNCTION {schema}.{LEFTOVER}()",
    )


def everywhere(*schemas):
    return [f"{s}.press_page:{name}" for s in schemas for name in ("keep", "mark")]


def statuses(schema):
    return [line.split()[0] for line in command("ls", "-s", schema)]


def fires(database, schema):
    """Whether both triggers fire for the rows of a tenant; None if only one of them does."""
    with tenant(database, schema):
        page = Page.objects.create()
        page.save()
        page.refresh_from_db()
        marked = page.seen == 1
        try:
            page.delete()
        except IntegrityError:
            return marked or None
        return None if marked else False


def test_installing_in_one_schema_leaves_the_others_alone(tenants, declare):
    declare(Page, mark(), keep())
    assert statuses("tenant_b") == ["UNINSTALLED", "UNINSTALLED"]
    command("install", "-s", "tenant_b")
    assert tenants.triggers() == everywhere("tenant_b")
    assert tenants.functions() == ["tenant_b.keep", "tenant_b.mark"]
    assert statuses("tenant_b") == ["INSTALLED", "INSTALLED"]
    assert statuses("tenant_a") == ["UNINSTALLED", "UNINSTALLED"]
    assert fires(tenants, "tenant_b")
    assert fires(tenants, "tenant_a") is False


def test_triggers_fire_in_each_schema_and_nothing_is_in_public(installed):
    assert installed.triggers() == everywhere(*TENANTS)
    assert installed.functions() == [f"{s}.{name}" for s in TENANTS for name in ("keep", "mark")]
    assert all(fires(installed, schema) for schema in TENANTS)
    # Each calls the function of its own schema.
    rows = installed.sql(
        "SELECT t.tgrelid::regclass::text, p.pronamespace::regnamespace::text FROM pg_trigger t"
        " JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal"
    )
    assert {(table.partition(".")[0], schema) for table, schema in rows} == {
        (schema, schema) for schema in TENANTS
    }


def test_a_second_installation_in_each_schema_changes_nothing(installed):
    before = installed.everything()
    for schema in TENANTS:
        with statements() as run:
            command("install", "-s", schema)
        assert run == []
        with tenant(installed, schema):
            assert command("ls") == [
                "INSTALLED ENABLED press.Page:mark",
                "INSTALLED ENABLED press.Page:keep",
            ]
    assert installed.everything() == before


@pytest.mark.parametrize("action", ["disable", "uninstall"])
def test_an_action_in_one_schema_leaves_the_others_alone(installed, action):
    command(action, "-s", "tenant_c")
    assert fires(installed, "tenant_c") is False
    assert fires(installed, "tenant_b") is fires(installed, "tenant_d") is True
    if action == "disable":
        command("enable", "-s", "tenant_c")
    else:
        assert not any(name.startswith("tenant_c.") for name in installed.functions())
        command("install", "-s", "tenant_c")
    assert fires(installed, "tenant_c") is True


def test_ignore_works_in_each_schema(installed):
    for schema in TENANTS:
        with tenant(installed, schema):
            page = Page.objects.create()
            with pgtrigger.ignore("press.Page:keep", "press.Page:mark"):
                page.save()
                page.refresh_from_db()
                assert page.seen == 0
                page.delete()
    assert fires(installed, "tenant_a")


def test_ignore_and_schema_go_together(installed):
    with pgtrigger.schema("tenant_a"):
        page = Page.objects.create()
        with transaction.atomic(), pgtrigger.ignore("press.Page:keep"), pgtrigger.schema("public"):
            page.delete()
        with pytest.raises(IntegrityError, match="Cannot delete"):
            Page.objects.create().delete()
    assert installed.sql("SELECT count(*) FROM tenant_a.press_page") == [(1,)]


def test_drift_in_one_schema_is_seen_and_repaired_there(installed):
    function = installed.function("mark", "tenant_d")
    installed.sql(
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NEW; END $$"
    )
    assert statuses("tenant_d") == ["DRIFTED", "INSTALLED"]
    assert all(statuses(s) == ["INSTALLED", "INSTALLED"] for s in TENANTS if s != "tenant_d")
    command("install", "-s", "tenant_a")
    assert statuses("tenant_d") == ["DRIFTED", "INSTALLED"]
    command("install", "-s", "tenant_d")
    assert statuses("tenant_d") == ["INSTALLED", "INSTALLED"]
    assert fires(installed, "tenant_d")


def test_a_status_does_not_depend_on_the_other_schemas_of_the_search_path(installed):
    expected = ["INSTALLED ENABLED press.Page:mark", "INSTALLED ENABLED press.Page:keep"]
    installed.sql("CREATE SCHEMA nothing", 'CREATE SCHEMA "Odd, name"')
    for path in (["tenant_a", "public"], ["nothing", "tenant_a"], ["Odd, name", "tenant_a"]):
        options = [part for schema in path for part in ("-s", schema)]
        assert command("ls", *options) == expected
        with statements() as run:
            command("install", *options)
        assert run == []


def test_of_two_tables_on_the_search_path_the_first_is_meant(tenants, declare):
    declare(Page, mark())
    create_table(Page)
    command("install", "-s", "tenant_b", "-s", "public")
    assert tenants.triggers() == ["public.press_page:mark", "tenant_b.press_page:mark"]
    assert tenants.functions() == ["public.mark", "tenant_b.mark"]
    command("uninstall", "-s", "tenant_b", "-s", "public")
    assert tenants.triggers() == ["public.press_page:mark"]
    assert command("ls", "-s", "public") == ["INSTALLED ENABLED press.Page:mark"]
    assert command("ls", "-s", "tenant_b", "-s", "public") == ["UNINSTALLED N/A press.Page:mark"]


# --- leftovers


def test_leftovers_are_those_of_the_schema_that_is_named(installed):
    for schema in ("tenant_b", "tenant_e"):
        leave(installed, schema)
    declared = ["INSTALLED ENABLED press.Page:mark", "INSTALLED ENABLED press.Page:keep"]
    assert command("ls", "-s", "tenant_a") == declared
    assert command("ls", "-s", "tenant_b") == [*declared, f"PRUNE ENABLED press_page:{LEFTOVER}"]
    command("prune", "-s", "tenant_a")
    assert installed.triggers().count("tenant_b.press_page:old") == 1
    command("prune", "-s", "tenant_b")
    assert [name for name in installed.triggers() if name.endswith(":old")] == [
        "tenant_e.press_page:old"
    ]
    assert [name for name in installed.functions() if name.endswith(".old")] == ["tenant_e.old"]


def test_all_schemas_finds_leftovers_everywhere_and_spares_what_is_declared(installed):
    before = installed.everything()
    for schema in ("tenant_b", "tenant_e"):
        leave(installed, schema)
    installed.sql(
        f"ALTER TABLE tenant_e.press_page DISABLE TRIGGER {LEFTOVER}",
        "CREATE FUNCTION tenant_c.pgtrigger_gone_00000() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NEW; END $$",
    )
    with statements() as run:
        shown = command("ls", "--all-schemas")
    assert run == []
    declared = [
        f"INSTALLED ENABLED press.Page:{name} {schema}"
        for schema in TENANTS
        for name in ("mark", "keep")
    ]
    assert shown == [
        *declared,
        f"PRUNE ENABLED press_page:{LEFTOVER} tenant_b",
        f"PRUNE DISABLED press_page:{LEFTOVER} tenant_e",
        "PRUNE N/A tenant_c.pgtrigger_gone_00000() tenant_c",
    ]
    assert [(one.table, one.pgid, one.enabled) for one in pgtrigger.prunable(all_schemas=True)] == [
        ("press_page", LEFTOVER, True),
        ("press_page", LEFTOVER, False),
    ]
    # From a search path that has none of these tables.
    command("prune", "--all-schemas")
    assert installed.everything() == before
    with statements() as run:
        command("prune", "--all-schemas")
    assert run == []


def test_without_all_schemas_nothing_outside_the_search_path_is_pruned(installed):
    leave(installed, "tenant_b")
    before = installed.everything()
    command("prune")
    command("install", "-s", "tenant_a")
    command("uninstall", "-s", "nowhere")
    assert pgtrigger.prunable() == []
    assert installed.everything() == before


def test_a_trigger_of_another_table_in_another_schema_is_a_leftover(installed):
    """That a name is declared counts for the tables of the model's name."""
    definition = installed.definition("mark", "tenant_b")
    installed.sql(
        "CREATE TABLE tenant_b.copy (LIKE tenant_b.press_page)",
        definition.replace("tenant_b.press_page", "tenant_b.copy"),
    )
    command("prune", "--all-schemas")
    assert installed.triggers() == everywhere(*TENANTS)
    assert fires(installed, "tenant_b")


def test_a_table_that_names_its_schema_keeps_its_triggers(tenants, declare):
    tenants.sql("CREATE SCHEMA archive")
    create_table(Archive)
    declare(Archive, mark())
    command("install")
    assert tenants.triggers() == ["archive.page:mark"]
    assert tenants.functions() == ["archive.mark"]
    for options in ([], ["--all-schemas"], ["-s", "tenant_a"], ["-s", "archive"]):
        place = " archive" if "--all-schemas" in options else ""
        assert command("ls", *options) == [f"INSTALLED ENABLED press.Archive:mark{place}"]
        command("prune", *options)
    assert tenants.triggers() == ["archive.page:mark"]


def test_a_leftover_beside_a_table_that_names_its_schema_is_outside_the_search_path(
    database, declare
):
    database.sql("CREATE SCHEMA archive", "CREATE TABLE archive.press_page (seen int)")
    create_table(Archive)
    declare(Archive, mark())
    command("install")
    leave(database, "archive")
    command("prune")
    assert command("ls") == ["INSTALLED ENABLED press.Archive:mark"]
    assert "archive.press_page:old" in database.triggers()
    command("prune", "--all-schemas")
    assert database.triggers() == ["archive.page:mark"]


def test_a_table_that_names_its_schema_takes_its_functions_along(database, declare):
    database.sql("CREATE SCHEMA archive")
    declare(Archive, mark())
    create_table(Archive)
    assert database.functions() == ["archive.mark"]
    with connections["default"].schema_editor() as editor:
        editor.delete_model(Archive)
    assert database.functions() == []


# --- schemas that come and go


def test_a_schema_that_is_dropped_takes_all_of_its_triggers_along(installed):
    installed.sql("DROP SCHEMA tenant_c CASCADE")
    rest = [schema for schema in TENANTS if schema != "tenant_c"]
    assert installed.triggers() == everywhere(*rest)
    assert statuses("tenant_c") == ["UNINSTALLED", "UNINSTALLED"]
    with pytest.raises(InstallationError, match='no table "press_page" in its search path'):
        command("install", "-s", "tenant_c")
    command("uninstall", "-s", "tenant_c")
    command("prune", "--all-schemas")
    assert installed.triggers() == everywhere(*rest)


def test_a_schema_that_is_renamed_keeps_its_triggers(installed):
    installed.sql("ALTER SCHEMA tenant_c RENAME TO tenant_x")
    assert statuses("tenant_x") == ["INSTALLED", "INSTALLED"]
    with statements() as run:
        command("install", "-s", "tenant_x")
    assert run == []
    assert fires(installed, "tenant_x")


def moved(database, declare):
    """A table with its trigger, moved by hand; its function stays where it was."""
    trigger = declare(Page, mark())
    create_table(Page)
    command("install")
    database.sql("CREATE SCHEMA app", "ALTER TABLE press_page SET SCHEMA app")
    assert database.triggers() == ["app.press_page:mark"]
    assert database.functions() == ["public.mark"]
    assert command("ls", "-s", "app") == ["INSTALLED ENABLED press.Page:mark"]
    return trigger


def test_a_table_that_moved_to_another_schema_is_still_installed(database, declare):
    moved(database, declare)
    with statements() as run:
        command("install", "-s", "app")
    assert run == []
    command("uninstall", "-s", "app")
    assert database.functions() == database.triggers() == []


def test_a_table_that_moved_to_another_schema_gets_a_new_body(database, declare):
    trigger = moved(database, declare)
    trigger.func = "NEW.seen = 5; RETURN NEW;"
    command("install", "-s", "app")
    assert command("ls", "-s", "app") == ["INSTALLED ENABLED press.Page:mark"]
    with tenant(database, "app"):
        page = Page.objects.create()
        page.save()
        page.refresh_from_db()
        assert page.seen == 5
    assert len(database.functions()) == 1


def test_a_table_that_moved_to_another_schema_gets_a_new_condition(database, declare):
    trigger = moved(database, declare)
    trigger.condition = pgtrigger.Q(old__seen=0)
    command("install", "-s", "app")
    assert command("ls", "-s", "app") == ["INSTALLED ENABLED press.Page:mark"]
    assert "old.seen = 0" in database.definition("mark", "app")
    assert len(database.functions()) == 1


def test_a_table_that_moved_to_another_schema_is_repaired(database, declare):
    moved(database, declare)
    database.sql(
        f"CREATE OR REPLACE FUNCTION {database.function('mark')}() RETURNS trigger"
        " LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    )
    assert command("ls", "-s", "app") == ["DRIFTED ENABLED press.Page:mark"]
    command("install", "-s", "app")
    assert command("ls", "-s", "app") == ["INSTALLED ENABLED press.Page:mark"]
    with statements() as run:
        command("install", "-s", "app")
    assert run == []


# --- types that are elsewhere


@pytest.fixture(params=["enum", "domain", "extension"])
def typed(request, tenants, declare):
    """A condition with a type of a schema that the search path need not have."""
    tenants.sql("CREATE SCHEMA types")
    if request.param == "extension":
        if not tenants.sql("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"):
            pytest.skip("the server has no extension citext")  # not among those of the embedded one
        tenants.sql("CREATE EXTENSION citext SCHEMA types")
        kind = "citext"
    elif request.param == "enum":
        tenants.sql("CREATE TYPE types.mood AS ENUM ('glad', 'sad')")
        kind = "mood"
    else:
        tenants.sql("CREATE DOMAIN types.mood AS text")
        kind = "mood"
    for schema in TENANTS[:2]:
        tenants.sql(f"ALTER TABLE {schema}.press_page ALTER title DROP DEFAULT")
        tenants.sql(
            f"ALTER TABLE {schema}.press_page ALTER title TYPE types.{kind} USING NULL,"
            " ALTER title DROP NOT NULL"
        )
    declare(Page, mark(condition=pgtrigger.Condition("OLD.title IS DISTINCT FROM 'glad'")))
    return tenants


def test_the_search_path_makes_no_drift_of_a_type_elsewhere(typed):
    for path in (["-s", "tenant_a", "-s", "types"], ["-s", "tenant_b"]):
        try:
            command("install", *path)
        except Exception as error:  # citext has its operator there
            assert "operator does not exist" in str(error)
            command("install", *path, "-s", "types")
    for schema in TENANTS[:2]:
        for path in ([schema], [schema, "types"], ["types", schema], [schema, "public"]):
            options = [part for one in path for part in ("-s", one)]
            assert command("ls", *options) == ["INSTALLED ENABLED press.Page:mark"]
            with statements() as run:
                command("install", *options)
            assert run == []


def test_a_type_whose_schema_is_renamed_makes_no_drift(typed):
    command("install", "-s", "tenant_a", "-s", "types")
    typed.sql("ALTER SCHEMA types RENAME TO kinds")
    assert statuses("tenant_a") == ["INSTALLED"]
    assert command("ls", "-s", "tenant_a", "-s", "kinds") == ["INSTALLED ENABLED press.Page:mark"]
