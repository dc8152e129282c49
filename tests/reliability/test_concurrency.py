"""Eight processes at a time want the same: all succeed, and the work is done once."""

from contextlib import ExitStack, contextmanager

import pytest

from reliability.conftest import Site, eventually, make_site, new_database

pytestmark = pytest.mark.slow

CROWD = 8
MODELS = 4

# A row trigger, one of two Postgres triggers, and a constraint trigger; on each of a few tables.
VERSION_1 = f"""
    def make(number):
        class Meta:
            triggers = [
                pgtrigger.Trigger(
                    name="mark",
                    when=pgtrigger.Before,
                    operation=pgtrigger.Update,
                    condition=pgtrigger.AnyChange("title"),
                    func="NEW.seen = 'old'; RETURN NEW;",
                ),
                pgtrigger.Protect(
                    name="protect", operation=pgtrigger.Delete | pgtrigger.Truncate
                ),
                pgtrigger.Trigger(
                    name="later",
                    when=pgtrigger.After,
                    timing=pgtrigger.Deferred,
                    operation=pgtrigger.Update,
                    condition=pgtrigger.AnyChange("title"),
                    func="RETURN NULL;",
                ),
            ]

        return type(
            f"Page{{number}}",
            (models.Model,),
            {{
                "__module__": __name__,
                "title": models.TextField(default=""),
                "body": models.TextField(default=""),
                "seen": models.TextField(default=""),
                "Meta": Meta,
            }},
        )

    pages = [make(number) for number in range({MODELS})]
"""
# Bodies, conditions, a trigger that goes and one that comes.
VERSION_2 = (
    VERSION_1.replace("'old'", "'new'")
    .replace('AnyChange("title")', 'AnyChange("body")')
    .replace('name="protect"', 'name="guard"')
)
NO_TRIGGERS = VERSION_1[: VERSION_1.index("            triggers = [")] + (
    "            pass\n\n" + VERSION_1[VERSION_1.index("        return type(") :]
)
TRIGGERS = 3 * MODELS

INSTALLED = {"INSTALLED ENABLED"}


@pytest.fixture(scope="module")
def newborn(tmp_path_factory, server):
    """Three migrations: the tables; their triggers; the triggers' next version."""
    with new_database(server.url) as url:
        site = make_site(tmp_path_factory.mktemp("newborn"), url)
        for name, source in (
            ("tables", NO_TRIGGERS),
            ("triggers", VERSION_1),
            ("changes", VERSION_2),
        ):
            site.models(source)
            site.manage("makemigrations", "--name", name)
        yield site


@pytest.fixture(scope="module")
def bare(newborn, server):
    """The tables are there, the triggers are not."""
    with new_database(server.url) as url:
        site = Site(newborn.directory, url)
        site.manage("migrate", "app", "0001")
        site.manage("migrate", "auth")
        yield site


@pytest.fixture(scope="module")
def outdated(bare, server):
    """The triggers of the first version are there."""
    with new_database(server.url, template=bare.url) as url:
        site = Site(bare.directory, url)
        site.manage("migrate", "app", "0002")
        yield site


@pytest.fixture
def copy_of(server):
    """Gives a module's project, on a copy of its database."""
    with ExitStack() as undo:
        yield lambda site: Site(
            site.directory, undo.enter_context(new_database(server.url, template=site.url))
        )


def expect_all_installed(site):
    """The declared triggers are there with their functions, and no others."""
    assert site.status() == INSTALLED
    rows = site.fingerprint()
    assert len({row[1] for row in rows}) == len(rows) == TRIGGERS + MODELS
    assert len({row[8] for row in rows}) == TRIGGERS
    for number in range(MODELS):
        table = f"app_page{number}"
        site.sql(f"INSERT INTO {table} (title, body, seen) VALUES ('', '', '')")
        site.sql(f"UPDATE {table} SET body = '+'")
        assert site.sql(f"SELECT seen FROM {table}") == [("new",)]


def installations(results):
    """How often a process said that it installs a trigger."""
    return sum(result.stderr.count("pgtrigger: Installing") for result in results)


def recorded(site):
    """The names of the app's applied migrations, as often as they are recorded."""
    return [
        name
        for (name,) in site.sql("SELECT name FROM django_migrations WHERE app = 'app' ORDER BY 1")
    ]


ALL_MIGRATIONS = ["0001_tables", "0002_triggers", "0003_changes"]
# As psycopg numbers them.
isolation_levels = pytest.mark.parametrize(
    "isolation_level",
    [pytest.param("2", id="read_committed"), pytest.param("3", id="repeatable_read")],
)


@pytest.mark.parametrize("start", ["bare", "outdated"])
def test_eight_installs_at_once_install_everything_once(copy_of, start, request):
    site = copy_of(request.getfixturevalue(start))
    results = site.race(*[("pgtrigger", "install")] * CROWD)
    assert installations(results) == TRIGGERS
    expect_all_installed(site)


def test_installs_and_uninstalls_at_once_each_do_all_or_nothing(copy_of, outdated):
    site = copy_of(outdated)
    site.race(*[("pgtrigger", "install"), ("pgtrigger", "uninstall")] * (CROWD // 2))
    if site.status() == {"UNINSTALLED N/A"}:
        assert site.fingerprint() == []
        site.manage("pgtrigger", "install")
    expect_all_installed(site)


def test_all_subcommands_at_once_do_not_hinder_each_other(copy_of, outdated):
    site = copy_of(outdated)
    names = ["install", "disable", "enable", "prune", "uninstall", "install", "disable", "ls"]
    site.race(*[("pgtrigger", name) for name in names])
    site.manage("pgtrigger", "install")
    site.manage("pgtrigger", "enable")
    expect_all_installed(site)


@contextmanager
def two_at_once(site, first, second, **env):
    """Stop the first command in the middle of its work until the second waits for it."""
    with site.background() as manage, site.session("BEGIN") as writer:
        writer.sql("LOCK TABLE app_page2 IN ROW EXCLUSIVE MODE")
        working = manage(*first, **env)
        pid, *_ = writer.someone_blocked()
        waiting = manage(*second, **env)

        # Whether it waits in a statement or asks again and again, this is what it asked for last.
        eventually(
            lambda: writer.sessions(f"pid <> {pid} AND query ~ 'advisory'"),
            "the second process to wait",
        )
        assert not waiting.done()
        writer.sql("COMMIT")
        yield working, waiting


@isolation_levels
def test_an_installer_that_waited_finds_the_work_done(copy_of, bare, isolation_level):
    site = copy_of(bare)
    commands = ("pgtrigger", "install"), ("pgtrigger", "install")
    with two_at_once(site, *commands, ISOLATION_LEVEL=isolation_level) as (working, waiting):
        assert installations([working.result()]) == TRIGGERS
        assert installations([waiting.result()]) == 0
    expect_all_installed(site)


@isolation_levels
def test_an_installer_that_waited_sees_what_has_gone(copy_of, outdated, isolation_level):
    site = copy_of(outdated)
    commands = ("pgtrigger", "uninstall"), ("pgtrigger", "install")
    with two_at_once(site, *commands, ISOLATION_LEVEL=isolation_level) as (working, waiting):
        working.result()
        assert installations([waiting.result()]) == TRIGGERS
    expect_all_installed(site)


# --- migrate


@pytest.mark.parametrize("start", ["bare", "outdated"])
def test_eight_migrates_at_once_apply_operations_on_triggers(copy_of, start, request):
    site = copy_of(request.getfixturevalue(start))
    site.race(*[("migrate", "-v0")] * CROWD)
    assert sorted(set(recorded(site))) == ALL_MIGRATIONS
    expect_all_installed(site)


def test_migrates_and_installs_at_once_all_succeed(copy_of, outdated):
    site = copy_of(outdated)
    site.race(*[("migrate", "-v0"), ("pgtrigger", "install")] * (CROWD // 2))
    expect_all_installed(site)


def test_migrates_that_have_nothing_to_apply_may_install_at_once(copy_of, outdated):
    site = copy_of(outdated)
    site.manage("migrate", "--fake")
    results = site.race(*[("migrate",)] * CROWD, INSTALL_ON_MIGRATE="1")
    assert installations(results) <= TRIGGERS
    expect_all_installed(site)


def test_eight_migrates_at_once_record_each_migration_once(copy_of, outdated):
    site = copy_of(outdated)
    site.race(*[("migrate", "-v0")] * CROWD)
    assert recorded(site) == ALL_MIGRATIONS


def test_eight_migrates_of_an_empty_database_all_succeed(copy_of, newborn):
    site = copy_of(newborn)
    site.race(*[("migrate", "-v0")] * CROWD)
    assert recorded(site) == ALL_MIGRATIONS
    expect_all_installed(site)


COLUMN_AND_TRIGGER = """
    class Page(models.Model):
        title = models.TextField(default="")

        class Meta:
            triggers = [
                pgtrigger.Protect(
                    name="protect",
                    operation=pgtrigger.Update,
                    condition=pgtrigger.AnyChange("title"),
                )
            ]

    class Story(models.Model):
        title = models.TextField(default="")
"""


def test_a_migration_that_has_locked_a_table_and_an_install_do_not_deadlock(site):
    site.models(COLUMN_AND_TRIGGER)
    site.manage("makemigrations")
    site.manage("migrate", "app")
    more = 'title = models.TextField(default="")\n        more = models.TextField(null=True)'
    site.models(
        COLUMN_AND_TRIGGER.replace('title = models.TextField(default="")', more).replace(
            'AnyChange("title")', 'AnyChange("title", "more")'
        )
    )
    site.manage("makemigrations", "--name", "more")
    with site.background() as manage, site.session("BEGIN", "SELECT FROM app_story") as reader:
        # It has added the column of Page, and of that table it will change the trigger.
        migrating = manage("migrate", "app")
        reader.someone_blocked()
        installing = manage("pgtrigger", "install")
        eventually(
            lambda: reader.sessions("query ~ 'advisory|CREATE OR REPLACE TRIGGER'"),
            "the install to wait",
        )
        reader.sql("COMMIT")
        migrating.result()
        installing.result()
    assert site.status() == INSTALLED


INDEX_AND_TRIGGER = """
    from django.contrib.postgres.operations import AddIndexConcurrently
    from django.db import migrations, models

    import pgtrigger.migrations
    from app.models import Page


    class Migration(migrations.Migration):
        atomic = False
        dependencies = [("app", "0001_initial")]
        operations = [
            pgtrigger.migrations.RemoveTrigger("page", "protect"),
            AddIndexConcurrently("page", models.Index(fields=["title"], name="by_title")),
            pgtrigger.migrations.AddTrigger("page", Page._meta.triggers[0].compile(Page)),
        ]
"""


def test_eight_migrates_at_once_build_an_index_concurrently(site):
    site.models(COLUMN_AND_TRIGGER)
    site.manage("makemigrations")
    site.manage("migrate", "app")
    site.write("app/migrations/0002_index.py", INDEX_AND_TRIGGER)
    # Who waits in a statement has a snapshot, and CREATE INDEX CONCURRENTLY waits for that.
    site.race(*[("migrate", "app", "-v0")] * CROWD)
    assert recorded(site) == ["0001_initial", "0002_index"]
    assert site.status() == INSTALLED
    assert site.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_title'::regclass") == [
        (True,)
    ]
