"""pg_dump, pg_restore and pg_upgrade: what is declared is there, and works, afterwards."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from project.sites import Project
from replication.cluster import Cluster, cluster, programs, running

pytestmark = pytest.mark.slow

FILL = """
import django
django.setup()
import pgtrigger_history
from app.models import Copy, Order, Page, Reading, Tag
with pgtrigger_history.context(user=7):
    Order.objects.bulk_create([Order(total=n) for n in range(5)])
Order.objects.filter(total=3).update(state="paid")
Order.objects.first().tags.add(Tag.objects.create(name="a"))
Reading.objects.create(value=1)
Copy.objects.create(value=1)
Page.objects.create(text="a").delete()
"""
CONTENTS = {
    table: f"SELECT t::text FROM {table} t ORDER BY 1"
    for table in (
        '"Order\'s table"',
        '"Order\'s table_tags"',
        "app_orderevent",
        "app_ordertagsevent",
        "app_tag",
        "app_page",
        "app_copy",
        "app_reading",
        "app_readingevent",
        "pgtrigger_history_context",
    )
}

STATES = """
    SELECT tgrelid::regclass::text, tgname::text, tgenabled::text FROM pg_trigger
     WHERE NOT tgisinternal ORDER BY 1, 2
"""
ON_REPLICAS = """
    DO $$ DECLARE t record; BEGIN
        FOR t IN SELECT tgrelid::regclass AS relation, tgname FROM pg_trigger
                  WHERE tgenabled IN ('A', 'R')
        LOOP
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', t.relation, t.tgname);
        END LOOP;
    END $$
"""


@pytest.fixture(scope="module")
def source(site: Path) -> Iterator[Cluster]:
    """A server with data. Its database is called postgres."""
    with running() as made:
        project = Project(site, made.url())
        project.manage("migrate")
        project.python("-c", FILL)
        yield made


@pytest.fixture(scope="module")
def tables(source: Cluster, site: Path) -> str:
    """A database with the tables, without what `migrate` writes into them."""
    source.sql("CREATE DATABASE tables")
    project = Project(site, source.url("tables"))
    project.manage("migrate")
    project.sql("TRUNCATE django_migrations, django_content_type, auth_permission CASCADE")
    return "tables"


@pytest.fixture
def target(source: Cluster, site: Path) -> Project:
    """The project on an empty database of the same server."""
    return make_target(source, site, "template0")


@pytest.fixture
def migrated(source: Cluster, site: Path, tables: str) -> Project:
    """The project on a database that has its tables."""
    return make_target(source, site, tables)


def make_target(source: Cluster, site: Path, template: str) -> Project:
    source.sql("DROP DATABASE IF EXISTS target WITH (FORCE)")
    source.sql(f"CREATE DATABASE target TEMPLATE {template}")
    return Project(site, source.url("target"))


def contents(project: Project) -> dict[str, list]:
    return {table: project.sql(query) for table, query in CONTENTS.items()}


def assert_works(project: Project) -> None:
    """What is declared is there, and does what it says."""
    project.manage("pgtrigger", "check")
    for statement, message in (
        ("""DELETE FROM "Order's table" """, "Cannot delete rows"),
        ("""UPDATE "Order's table" SET state = 'draft' WHERE state = 'paid'""", "states"),
        ("UPDATE app_page SET text = 'b'", "fixed"),
        ("DELETE FROM app_orderevent", "append_only"),
        ("DELETE FROM app_readingevent", "append_only"),
    ):
        with pytest.raises(Exception, match=message):
            project.sql(statement)
    (last,) = project.sql("SELECT max(pgh_id) FROM app_orderevent")[0]
    project.sql("""UPDATE "Order's table" SET total = total + 100 WHERE state = 'paid'""")
    query = "SELECT pgh_label, total > 100 FROM app_orderevent WHERE pgh_id > %s"
    assert project.sql(query, [last]) == [("update", True)]


def dump(source: Cluster, *options: str) -> Path:
    file = source.directory / "dump"
    source.run("pg_dump", "-d", source.url(), "-Fc", "-f", file, *options)
    return file


def restore(source: Cluster, *arguments: str, options: str = "") -> None:
    """Restore into the target, in a session with options of the server's."""
    url = source.url("target") + (f"&options={quote(options)}" if options else "")
    source.run("pg_restore", "-d", url, source.directory / "dump", *arguments)


def test_a_dump_is_restored_whole(source, target, site):
    """pg_restore empties the search path, so whatever fires has to do without."""
    dump(source)
    restore(source, "--exit-on-error")
    assert contents(target) == contents(Project(site, source.url()))
    assert_works(target)


def test_a_plain_dump_is_restored_whole(source, target, site):
    file = source.directory / "dump.sql"
    source.run("pg_dump", "-d", source.url(), "-f", file)
    assert "set_config('search_path', '', false)" in file.read_text()
    source.run("psql", "-d", target.url, "-v", "ON_ERROR_STOP=1", "-q", "-f", file)
    assert contents(target) == contents(Project(site, source.url()))
    assert target.sql(STATES) == Project(site, source.url()).sql(STATES)


def test_data_alone_is_restored_as_a_replica_applies_it(source, migrated, site):
    dump(source, "--data-only")
    # Only those that fire on replicas would act on rows that have been acted upon already.
    migrated.sql(ON_REPLICAS)
    restore(source, options="-c session_replication_role=replica")
    migrated.manage("pgtrigger", "enable")
    assert contents(migrated) == contents(Project(site, source.url()))
    assert_works(migrated)


def test_data_alone_with_disabled_triggers_enables_all_of_them_alike(source, migrated, site):
    """What ENABLE TRIGGER ALL forgets is drift, which is told and repaired."""
    dump(source, "--data-only")
    restore(source, "--disable-triggers")
    assert contents(migrated) == contents(Project(site, source.url()))
    assert migrated.sql(STATES) != Project(site, source.url()).sql(STATES)
    said = migrated.manage("pgtrigger", "check", exits=1).stdout
    assert "DRIFTED" in said
    assert "app.Page:always" in said
    migrated.manage("pgtrigger", "install")
    assert migrated.sql(STATES) == Project(site, source.url()).sql(STATES)


def test_what_fires_while_data_is_restored_needs_no_search_path(source, migrated):
    """Triggers are left enabled: they record the rows that come, as they would any others."""
    dump(source, "--data-only", "-t", "app_reading", "-t", "app_tag", "-t", '"Order\'s table"')
    restore(source, "--exit-on-error")
    assert migrated.sql("SELECT pgh_label, value FROM app_readingevent") == [("insert", 1)]
    query = "SELECT pgh_label, total FROM app_orderevent ORDER BY total"
    assert migrated.sql(query) == [("insert", n) for n in range(5)]


def test_an_upgraded_server_has_everything(source, site):
    """Last: pg_upgrade takes the data of the old server along."""
    before = contents(Project(site, source.url()))
    source.sql("DROP DATABASE IF EXISTS target WITH (FORCE)")
    source.stop()
    with cluster() as upgraded:
        upgraded.init()
        bin_directory = programs()
        upgraded.run(
            "pg_upgrade",
            *("--old-bindir", bin_directory, "--new-bindir", bin_directory),
            *("--old-datadir", source.data, "--new-datadir", upgraded.data),
            *("--username", "postgres", "--socketdir", upgraded.directory),
        )
        upgraded.start()
        project = Project(site, upgraded.url())
        assert contents(project) == before
        assert_works(project)
