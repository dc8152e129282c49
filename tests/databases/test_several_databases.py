"""Two PostgreSQL databases beside one of SQLite, and a router that splits the apps."""

import pytest
from django.db import connections

import pgtrigger
from contract.helpers import Router
from databases.place import command, create_table, known_as, new_database, statements
from databases.press import Page, Reader, keep, mark
from reliability.conftest import make_site

HOME = {"press": "default", "people": "other"}
PAGE = ["press.Page:mark", "press.Page:keep"]
READER = ["people.Reader:mark"]


@pytest.fixture
def split(empty, empty_too, connect_as, settings, tmp_path):
    """The databases by alias: pages live in ``default``, readers in ``other``."""
    router = Router(lambda db, app_label, model: HOME[app_label] == db)
    settings.DATABASE_ROUTERS = [router]
    connect_as("default", empty.entry())
    connect_as("other", empty_too.entry())
    connect_as("sqlite", {"NAME": str(tmp_path / "db.sqlite3")})
    create_table(Page)
    create_table(Reader, alias="other")
    for connection in connections.all():
        connection.close()
    return {"default": empty, "other": empty_too}


@pytest.fixture
def declared(declare):
    declare(Page, mark(), keep())
    declare(Reader, mark())


def connected():
    return [c.alias for c in connections.all() if c.connection is not None]


def test_each_database_gets_the_triggers_of_its_own_apps(split, declared):
    command("install")
    assert split["default"].triggers() == ["public.press_page:keep", "public.press_page:mark"]
    assert split["other"].triggers() == split["other"].functions() == []
    command("install", "-d", "other")
    assert split["other"].triggers() == ["public.people_reader:mark"]
    assert split["other"].functions() == ["public.mark"]


def test_what_a_router_refuses_is_shown_as_unallowed(split, declared):
    command("install")
    command("install", "-d", "other")
    assert command("ls") == [
        *(f"INSTALLED ENABLED {uri}" for uri in PAGE),
        *(f"UNALLOWED N/A {uri}" for uri in READER),
    ]
    assert command("ls", "-d", "other") == [
        *(f"UNALLOWED N/A {uri}" for uri in PAGE),
        *(f"INSTALLED ENABLED {uri}" for uri in READER),
    ]
    assert command("ls", "-d", "sqlite") == [f"UNALLOWED N/A {uri}" for uri in PAGE + READER]


def test_triggers_fire_in_each_database(split, declared):
    for alias in split:
        command("install", "-d", alias)
    for model, alias in ((Page, "default"), (Reader, "other")):
        row = model.objects.using(alias).create()
        row.save(using=alias)
        row.refresh_from_db()
        assert row.seen == 1
        with pgtrigger.ignore(databases=[alias]):
            row.save(using=alias)
        row.refresh_from_db()
        assert row.seen == 1


@pytest.mark.parametrize("alias", ["default", "other"])
@pytest.mark.parametrize("subcommand", ["ls", "install", "disable", "enable", "prune", "uninstall"])
def test_the_other_databases_are_not_even_connected_to(split, declared, subcommand, alias):
    command(subcommand, "-d", alias)
    assert connected() == [alias]


@pytest.mark.parametrize("subcommand", ["install", "disable", "enable", "prune", "uninstall"])
def test_sqlite_is_skipped_without_a_connection(split, declared, subcommand, settings):
    settings.DATABASE_ROUTERS = []
    assert command(subcommand, "-d", "sqlite") == []
    assert connected() == []
    assert command("ls", "-d", "sqlite") == [f"UNINSTALLED N/A {uri}" for uri in PAGE + READER]


def test_a_table_on_sqlite_is_made_without_triggers(split, declared, settings):
    settings.DATABASE_ROUTERS = []
    create_table(Page, Reader, alias="sqlite")
    with connections["sqlite"].cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        assert cursor.fetchall() == []
    with pgtrigger.ignore(), pgtrigger.schema("tenant_a"):
        row = Page.objects.using("sqlite").create()
        row.save(using="sqlite")
    row.refresh_from_db()
    assert row.seen == 0


def test_a_table_that_a_router_refuses_now_leaves_its_triggers_behind(split, declared, settings):
    command("install")
    settings.DATABASE_ROUTERS = [Router(lambda db, app_label, model: db == "other")]
    [shown] = [line for line in command("ls") if "press_page:pgtrigger_mark" in line]
    assert shown.startswith("PRUNE ENABLED")
    command("install")
    assert split["default"].triggers() == split["default"].functions() == []


def test_a_trigger_is_removed_from_one_database_only(split, declare, settings):
    settings.DATABASE_ROUTERS = []
    create_table(Page, alias="other")
    declare(Page, mark())
    for alias in split:
        command("install", "-d", alias, PAGE[0])
    command("uninstall", "-d", "other", PAGE[0])
    assert split["other"].triggers() == []
    assert split["default"].triggers() == ["public.press_page:mark"]
    split["default"].sql(
        f"CREATE OR REPLACE FUNCTION {split['default'].function('mark')}() RETURNS trigger"
        " LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
    )
    command("install", "-d", "other", PAGE[0])
    assert command("ls") == ["DRIFTED ENABLED press.Page:mark"]
    assert command("ls", "-d", "other") == ["INSTALLED ENABLED press.Page:mark"]


def test_two_aliases_of_one_database_share_its_triggers(empty, declare, connect_as):
    connect_as("default", empty.entry())
    create_table(Page)
    declare(Page, mark())
    with known_as("other", empty.entry()):
        command("install", "-d", "other")
        with statements() as run:
            command("install")
        assert run == []
        assert command("ls") == ["INSTALLED ENABLED press.Page:mark"]


# --- migrate and makemigrations, as a user runs them

MODELS = """
    class {name}(models.Model):
        seen = models.IntegerField(default=0)

        class Meta:
            triggers = [
                pgtrigger.Trigger(
                    name="mark",
                    when=pgtrigger.Before,
                    operation=pgtrigger.Update,
                    func="NEW.seen = NEW.seen + {step}; RETURN NEW;",
                ),
            ]
"""

ROUTER = """
    class Router:
        def db_for_read(self, model, **hints):
            return {"people": "other"}.get(model._meta.app_label, "default")

        db_for_write = db_for_read

        def allow_migrate(self, db, app_label, **hints):
            return {"app": "default", "people": "other"}.get(app_label, db) == db
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory, server):
    """A project whose apps live in two databases, before the first ``migrate``."""
    with new_database(server) as default, new_database(server) as other:
        site = make_site(tmp_path_factory.mktemp("site"), default.url)
        site.write("routers.py", ROUTER)
        site.add_app("people")
        site.settings(f"""
            import sys

            INSTALLED_APPS = ["pgtrigger", "app", "people"]
            DATABASES["other"] = database_settings({other.url!r})
            DATABASES["sqlite"] = {{
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": {str(site.directory / "db.sqlite3")!r},
            }}
            if "migrate" in sys.argv:
                # Whoever opens it fails. Django's makemigrations asks all databases for their history.
                DATABASES["closed"] = {{**DATABASES["default"], "NAME": "no_such_database"}}
            DATABASE_ROUTERS = ["routers.Router"]
        """)
        site.models(MODELS.format(name="Page", step=1))
        site.models(MODELS.format(name="Reader", step=1), app="people")
        yield site, default, other


@pytest.mark.slow
def test_migrations_bring_each_trigger_to_the_database_of_its_app(project):
    site, default, other = project
    site.manage("makemigrations")
    assert site.migrations() == site.migrations("people") == ["0001_initial"]

    site.manage("migrate", "--database", "sqlite")
    assert default.triggers() == other.triggers() == []
    site.manage("migrate", INSTALL_ON_MIGRATE="1")
    assert (default.triggers(), other.triggers()) == (["public.app_page:mark"], [])
    site.manage("migrate", "--database", "other", INSTALL_ON_MIGRATE="1")
    assert other.triggers() == ["public.people_reader:mark"]
    assert default.functions() == other.functions() == ["public.mark"]
    site.manage("migrate", "--database", "sqlite", INSTALL_ON_MIGRATE="1")

    site.models(MODELS.format(name="Reader", step=2), app="people")
    site.manage("makemigrations", "--check", exits=1)
    site.manage("makemigrations")
    assert (len(site.migrations()), len(site.migrations("people"))) == (1, 2)
    before = default.everything(), other.everything()
    for alias in ("default", "sqlite"):
        site.manage("migrate", "--database", alias)
    assert (default.everything(), other.everything()) == before
    lines = site.manage("pgtrigger", "ls", "-d", "other").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["UNALLOWED", "N/A", "app.Page:mark"],
        ["OUTDATED", "ENABLED", "people.Reader:mark"],
    ]
    site.manage("migrate", "--database", "other")
    assert default.everything() == before[0]
    assert "seen + 2" in other.everything()[1][0][4]


@pytest.mark.slow
def test_installing_on_migrate_leaves_out_tables_that_are_not_there(tmp_path, server):
    with new_database(server) as database:
        site = make_site(tmp_path, database.url)
        site.settings('INSTALLED_APPS = ["pgtrigger", "app"]')
        site.models(MODELS.format(name="Page", step=1))
        site.manage("makemigrations")
        site.manage("migrate", INSTALL_ON_MIGRATE="1")
        assert database.triggers() == ["public.app_page:mark"]
        site.manage("migrate", "app", "zero", INSTALL_ON_MIGRATE="1")
        assert database.functions() == []
