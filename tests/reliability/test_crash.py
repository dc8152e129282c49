"""The server is killed in the middle of the work, started again, and the work is done again."""

from contextlib import closing
from urllib.parse import urlsplit

import pytest

from reliability.conftest import Session, make_site
from reliability.durable import needs_a_durable_server

pytestmark = [pytest.mark.slow, *needs_a_durable_server]

MODELS = 12
# The table at which the work is stopped, in its middle.
MIDDLE = MODELS // 2
TABLES = [f"app_page{number:02}" for number in range(MODELS)]

# One trigger of each table changes; of every other one the second goes and another comes.
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
                pgtrigger.Protect(name="protect", operation=pgtrigger.Delete | pgtrigger.Truncate),
            ]

        return type(
            f"Page{{number:02}}",
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
VERSION_2 = (
    VERSION_1.replace("'old'", "'new'")
    .replace('AnyChange("title")', 'AnyChange("body")')
    .replace('name="protect"', 'name="guard" if number % 2 else "protect"')
)

WITH_COLUMN = VERSION_2.replace(
    '"body": models', '"more": models.TextField(null=True),\n                "body": models'
).replace('AnyChange("body")', 'AnyChange("body", "more")')


@pytest.fixture
def site(tmp_path, durable):
    """Version 1 is migrated, and its tables have rows."""
    name = f"crash_{tmp_path.name}"
    with closing(Session(durable.url)) as administration:
        administration.sql(f'CREATE DATABASE "{name}"')
    site = make_site(tmp_path, urlsplit(durable.url)._replace(path=f"/{name}").geturl())
    site.models(VERSION_1)
    site.manage("makemigrations", "--name", "initial")
    site.manage("migrate", "app")
    for table in TABLES:
        site.sql(
            f"INSERT INTO {table} (title, body, seen) SELECT n, n, '' FROM generate_series(1, 50) n"
        )
    return site


def crash_in_the_middle(site, durable, *command, at=MIDDLE):
    """Run a command, and kill the server when it has come to a table: that in the middle."""
    with site.background() as manage, closing(Session(site.url)) as writer:
        writer.sql("BEGIN")
        writer.sql(f"LOCK TABLE {TABLES[at]} IN ROW EXCLUSIVE MODE")
        running = manage(*command)
        _, _, table, _ = writer.someone_blocked()
        assert table == TABLES[at]
        durable.crash()
        assert "OperationalError" in running.result(exits=1).stderr
    durable.restart()


def rows(site):
    """All rows of the project's tables."""
    return [site.sql(f"SELECT id, title, body, seen FROM {table} ORDER BY 1") for table in TABLES]


def recorded(site):
    """The names of the app's applied migrations."""
    names = site.sql("SELECT name FROM django_migrations WHERE app = 'app' ORDER BY id")
    return [name for (name,) in names]


def expect_version_2(site):
    """Exactly the declared triggers, with a function each and no other function; and they fire."""
    assert site.status() == {"INSTALLED ENABLED"}
    found = site.fingerprint()
    # "mark" is one Postgres trigger, and "protect" or "guard" are two.
    assert len(found) == len({row[1] for row in found}) == 3 * MODELS
    assert len({row[8] for row in found}) == 2 * MODELS
    for number, table in enumerate(TABLES):
        site.sql(f"UPDATE {table} SET body = '+' WHERE id = 1")
        site.sql(f"UPDATE {table} SET title = '+' WHERE id = 2")
        seen = site.sql(f"SELECT seen FROM {table} WHERE id < 3 ORDER BY id")
        assert seen == [("new",), ("",)]
        names = [row[1] for row in found if row[0] == table and "_mark_" not in row[1]]
        assert all(f"pgtrigger_{'guard' if number % 2 else 'protect'}_" in name for name in names)
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(Exception, match="annot"):
                site.sql(statement)


@pytest.mark.parametrize("source", [VERSION_2, WITH_COLUMN], ids=["triggers", "and_columns"])
def test_an_atomic_migration_that_was_killed_is_done_again_from_its_start(site, durable, source):
    site.models(source)
    site.manage("makemigrations", "--name", "changes")
    before, data = site.fingerprint(), rows(site)

    crash_in_the_middle(site, durable, "migrate", "app")
    assert recorded(site) == ["0001_initial"]
    assert site.fingerprint() == before
    assert rows(site) == data

    site.manage("migrate", "app")
    assert recorded(site) == ["0001_initial", "0002_changes"]
    assert rows(site) == data
    expect_version_2(site)


def test_a_migration_that_is_not_atomic_goes_on_after_the_last_whole_operation(site, durable):
    site.models(VERSION_2)
    site.manage("makemigrations", "--name", "changes")
    file = site.directory / "app/migrations/0002_changes.py"
    source = file.read_text()
    head = "class Migration(migrations.Migration):\n"
    assert source.count("Trigger(\n") >= 2 * MODELS
    file.write_text(source.replace(head, f"{head}    atomic = False\n"))
    before, data = site.fingerprint(), rows(site)

    crash_in_the_middle(site, durable, "migrate", "app")
    assert recorded(site) == ["0001_initial"]
    after = site.fingerprint()
    # No operation is half done: of the table in the middle not even the function has changed,
    # and there are no functions without a trigger.
    assert {row[:2] for row in after if "_mark_" in row[1]} == {
        row[:2] for row in before if "_mark_" in row[1]
    }
    for number, table in enumerate(TABLES):
        [mark] = [row for row in after if row[0] == table and "_mark_" in row[1]]
        assert (mark in before) == (number >= MIDDLE)
    assert rows(site) == data

    site.manage("migrate", "app")
    assert recorded(site) == ["0001_initial", "0002_changes"]
    assert rows(site) == data
    expect_version_2(site)


def test_an_install_that_was_killed_has_changed_nothing_and_can_be_done_again(site, durable):
    site.models(VERSION_2)
    before, data = site.fingerprint(), rows(site)
    for at in (0, MIDDLE, MODELS - 1):
        crash_in_the_middle(site, durable, "pgtrigger", "install", at=at)
        assert site.fingerprint() == before
    site.manage("pgtrigger", "install")
    assert rows(site) == data
    expect_version_2(site)


@pytest.mark.parametrize(
    "command", [("migrate", "app"), ("pgtrigger", "install")], ids=["migrate", "install"]
)
def test_what_takes_longer_than_the_statement_timeout_changes_nothing(site, command):
    site.models(VERSION_2)
    site.manage("makemigrations", "--name", "changes")
    before = site.fingerprint()
    with site.session("BEGIN", f"LOCK TABLE {TABLES[MIDDLE]} IN ROW EXCLUSIVE MODE"):
        result = site.manage(*command, exits=1, PGOPTIONS="-c statement_timeout=1s")
        assert "canceling statement due to statement timeout" in result.stderr
        assert site.fingerprint() == before
        assert site.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []
    assert recorded(site) == ["0001_initial"]
    site.manage(*command)
    expect_version_2(site)


def test_an_uninstall_that_was_killed_has_changed_nothing(site, durable):
    before, data = site.fingerprint(), rows(site)
    crash_in_the_middle(site, durable, "pgtrigger", "uninstall")
    assert site.fingerprint() == before
    assert rows(site) == data
    site.manage("pgtrigger", "uninstall")
    assert site.fingerprint() == []


def test_makemigrations_and_check_do_not_miss_a_server_that_is_dead(tmp_path):
    site = make_site(tmp_path, f"postgresql://nobody@/nothing?host={tmp_path}/no-socket")
    # Django itself warns when it cannot check the history of migrations.
    site.settings("import warnings; warnings.simplefilter('ignore', RuntimeWarning)")
    for source in (VERSION_1, VERSION_2):
        site.models(source)
        site.manage("makemigrations", "--check", exits=1)
        site.manage("makemigrations")
        site.manage("makemigrations", "--check")
        site.manage("check")
    assert len(site.migrations()) == 2
    # So there was none indeed.
    assert "OperationalError" in site.manage("pgtrigger", "ls", exits=1).stderr


def test_what_was_done_before_the_kill_stays(site, durable):
    site.models(VERSION_2)
    site.manage("makemigrations", "--name", "changes")
    site.manage("migrate", "app")
    durable.crash()
    durable.restart()
    assert recorded(site) == ["0001_initial", "0002_changes"]
    expect_version_2(site)
