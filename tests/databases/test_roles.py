"""A role that owns its schema and may create nothing in ``public``; and one that may only write."""

import re
import uuid
from contextlib import closing

import pytest
from django.db import IntegrityError, ProgrammingError, connections, transaction

import pgtrigger
from databases.place import command, create_table, known_as, statements
from databases.press import Page, keep, mark
from project.connections import connect
from reliability.conftest import make_site

PASSWORD = "for tests only"
URIS = ["press.Page:mark", "press.Page:keep"]


@pytest.fixture
def role(server):
    """``role(options)``: a new role that can log in. It owns nothing outside the databases."""
    names = []
    with closing(connect(server.url)) as administration, administration.cursor() as cursor:

        def role(options=""):
            name = f"role_{uuid.uuid4().hex}"
            cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {options}")
            names.append(name)
            return name

        yield role
        # Before this, all that they own has been dropped.
        for name in names:
            cursor.execute(f"DROP ROLE {name}")


@pytest.fixture(params=["app", "app,public"])
def path(request):
    return request.param


@pytest.fixture
def owner(role, empty, path, connect_as):
    """Django connects as a role that owns the schema ``app``."""
    name = role("NOSUPERUSER NOCREATEDB NOCREATEROLE")
    empty.sql(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"CREATE SCHEMA app AUTHORIZATION {name}",
    )
    connect_as("default", empty.entry(USER=name, PASSWORD=PASSWORD, search_path=path))
    yield name
    connections["default"].close()
    empty.sql(f"DROP OWNED BY {name} CASCADE")


def in_public(database):
    """Everything in ``public``, of whatever kind."""
    return database.sql(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace UNION ALL"
        " SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace UNION ALL"
        " SELECT typname::text FROM pg_type WHERE typnamespace = 'public'::regnamespace"
    )


def test_the_role_is_as_poor_as_it_should_be(owner):
    with pytest.raises(ProgrammingError, match="permission denied for schema public"):
        with connections["default"].cursor() as cursor:
            cursor.execute("CREATE TABLE public.mine ()")
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = session_user")
        assert cursor.fetchall() == [(False,)]


@pytest.mark.parametrize("setting", [None, "public", "app", "nowhere"])
def test_every_command_works_for_the_owner_of_a_schema(owner, empty, declare, settings, setting):
    if setting:
        settings.PGTRIGGER_SCHEMA = setting
    create_table(Page)
    triggers = declare(Page, mark(), keep())
    command("install")
    assert command("ls") == [f"INSTALLED ENABLED {uri}" for uri in URIS]
    assert empty.functions() == ["app.keep", "app.mark"]
    page = Page.objects.create()
    with pytest.raises(IntegrityError):
        page.delete()
    with pgtrigger.ignore("press.Page:keep"):
        page.delete()

    command("disable")
    assert command("ls") == [f"INSTALLED DISABLED {uri}" for uri in URIS]
    command("enable")
    triggers[0].func = "NEW.seen = 5; RETURN NEW;"
    triggers[1].operation = pgtrigger.Delete | pgtrigger.Truncate
    command("install")
    assert command("ls") == [f"INSTALLED ENABLED {uri}" for uri in URIS]
    triggers[0].unregister(Page)
    command("prune")
    assert empty.functions() == ["app.keep"]
    command("uninstall")
    assert empty.functions() == empty.triggers() == in_public(empty) == []


def test_what_is_beyond_the_roles_rights_is_an_error_that_changes_nothing(owner, empty, declare):
    empty.sql("CREATE TABLE app.press_page (id bigint, title text, body text, seen int)")
    empty.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON app.press_page TO {owner}")
    declare(Page, mark())
    with pytest.raises(ProgrammingError, match="permission denied for table press_page"):
        command("install")
    # The function had been created before that.
    assert empty.functions() == empty.triggers() == []
    assert command("ls") == ["UNINSTALLED N/A press.Page:mark"]


def test_another_owners_schema_is_looked_at_and_left_alone(owner, empty, declare):
    create_table(Page)
    declare(Page, mark())
    command("install")
    empty.sql(
        "CREATE SCHEMA closed",
        "CREATE TABLE closed.press_page (LIKE app.press_page)",
        empty.definition("mark", "app").replace("app.press_page", "closed.press_page"),
    )
    assert command("ls", "--all-schemas") == ["INSTALLED ENABLED press.Page:mark app"]
    with statements() as run:
        command("install")
        command("prune", "--all-schemas")
    assert run == []
    # Its function is called from the other schema.
    command("uninstall")
    assert empty.triggers() == ["closed.press_page:mark"]
    assert empty.functions() == ["app.mark"]


@pytest.fixture
def writer(role, owner, empty, declare):
    """A role that may only write rows, and see those of the schema's tables."""
    create_table(Page)
    declare(
        Page,
        mark(),
        keep(),
        mark(
            name="later",
            when=pgtrigger.After,
            operation=pgtrigger.Insert,
            condition=pgtrigger.Q(new__title="refuse"),
            timing=pgtrigger.Deferred,
            func=pgtrigger.raise_violation("Not now."),
        ),
    )
    command("install")
    name = role("NOSUPERUSER")
    empty.sql(
        f"GRANT USAGE ON SCHEMA app TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON app.press_page TO {name}",
        f"REVOKE EXECUTE ON FUNCTION {empty.function('mark', 'app')}() FROM PUBLIC",
        f"REVOKE EXECUTE ON FUNCTION {empty.function('keep', 'app')}() FROM PUBLIC",
    )
    entry = empty.entry(USER=name, PASSWORD=PASSWORD, search_path="app")
    with known_as("default", entry):
        yield name
    empty.sql(f"DROP OWNED BY {name}")


@pytest.mark.parametrize("path", ["app"], indirect=True)
def test_triggers_fire_for_a_role_that_may_only_write_rows(writer):
    page = Page.objects.create()
    page.save()
    page.refresh_from_db()
    assert page.seen == 1
    with pytest.raises(IntegrityError, match="Cannot delete rows"):
        page.delete()
    with pytest.raises(IntegrityError, match="Not now"):
        Page.objects.create(title="refuse")


@pytest.mark.parametrize("path", ["app"], indirect=True)
@pytest.mark.parametrize("atomic", [True, False])
def test_a_role_that_may_only_write_rows_can_ignore_triggers(writer, atomic):
    page = Page.objects.create()
    with pgtrigger.ignore():
        if atomic:
            with transaction.atomic():
                page.save()
                Page.objects.create(title="refuse")
        else:
            page.save()
            Page.objects.create(title="refuse")
        page.refresh_from_db()
        assert page.seen == 0
        page.delete()
    assert Page.objects.values_list("title", flat=True).get() == "refuse"


@pytest.mark.parametrize("path", ["app"], indirect=True)
@pytest.mark.parametrize("action", ["uninstall", "disable"])
def test_a_role_that_may_only_write_rows_can_look_and_change_nothing(writer, empty, action):
    shown = command("ls")
    assert shown == [f"INSTALLED ENABLED press.Page:{name}" for name in ("mark", "keep", "later")]
    command("install")
    before = empty.everything()
    with pytest.raises(ProgrammingError, match="must be owner of"):
        command(action)
    assert empty.everything() == before


# --- migrate

MODELS = """
    class Page(models.Model):
        title = models.TextField(default="")
        seen = models.IntegerField(default=0)

        class Meta:
            triggers = [
                pgtrigger.Trigger(
                    name="mark",
                    when=pgtrigger.Before,
                    operation=pgtrigger.Update,
                    condition=pgtrigger.AnyChange("title"),
                    func="NEW.seen = NEW.seen + 1; RETURN NEW;",
                ),
                pgtrigger.Protect(name="keep", operation=pgtrigger.Delete),
            ]
"""


@pytest.fixture
def site(tmp_path, owner, empty):
    """A project whose settings have the role."""
    site = make_site(tmp_path, empty.url)
    entry = empty.entry(USER=owner, PASSWORD=PASSWORD, search_path="app")
    site.settings(f"DATABASES = {{'default': {entry!r}}}\nPGTRIGGER_SCHEMA = 'public'\n")
    site.models(MODELS)
    site.manage("makemigrations")
    return site


@pytest.mark.slow
@pytest.mark.parametrize("path", ["app"], indirect=True)
def test_migrating_works_for_the_owner_of_a_schema(site, empty):
    site.manage("migrate", INSTALL_ON_MIGRATE="1")
    assert empty.triggers() == ["app.app_page:keep", "app.app_page:mark"]
    assert empty.functions() == ["app.keep", "app.mark"]

    site.models(re.sub(r"title\b", "headline", MODELS).replace("seen + 1", "seen + 2"))
    site.manage("makemigrations", "--empty", "app", "--name", "rename")
    file = site.directory / "app/migrations/0002_rename.py"
    rename = "migrations.RenameField('page', 'title', 'headline')"
    file.write_text(re.sub(r"operations = \[\s*\]", f"operations = [{rename}]", file.read_text()))
    site.manage("makemigrations")
    site.manage("migrate")
    assert site.status() == {"INSTALLED ENABLED"}
    site.manage("migrate", "app", "zero")
    assert empty.triggers() == empty.functions() == in_public(empty) == []


@pytest.mark.parametrize("path", ["app"], indirect=True)
def test_migrating_goes_on_without_a_lock_where_there_is_one_connection(site, owner, empty):
    connections["default"].close()
    empty.sql(f"ALTER ROLE {owner} CONNECTION LIMIT 1")
    assert "without a lock" in site.manage("migrate", "app").stderr
    assert empty.triggers() == ["app.app_page:keep", "app.app_page:mark"]
