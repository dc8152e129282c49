"""operations: ArchiveFields."""

import pytest

IMPORTS = """
import datetime

from django.contrib.postgres.fields import ArrayField, HStoreField, IntegerRangeField

import pgtrigger_history


"""
FIELDS = {
    "note": ("models.TextField(null=True)", "'it''s'"),
    "count": ("models.IntegerField(null=True, db_column='No. of')", "7"),
    "pairs": ("HStoreField(null=True)", """'"a"=>"1", "b"=>NULL'"""),
    "grid": ("ArrayField(ArrayField(models.IntegerField()), null=True)", "'{{1,2},{NULL,4}}'"),
    "texts": ("ArrayField(models.TextField(), null=True)", """'{"a,b",NULL,"c\\"d"}'"""),
    "span": ("IntegerRangeField(null=True)", "'[1,5)'"),
    "data": ("models.JSONField(null=True)", "'null'"),
    "more": ("models.JSONField(null=True)", """'{"a": [1, null]}'"""),
    "raw": ("models.BinaryField(null=True)", "'\\x00ff'"),
    "moment": ("models.DateTimeField(null=True)", "'2020-01-02 03:04:05.123456+01'"),
    "day": ("models.DateField(null=True)", "'infinity'"),
    "wait": ("models.DurationField(null=True)", "'1 month 2 days 00:00:03.5'"),
    "real": ("models.FloatField(null=True)", "'0.1'"),
    "huge": ("models.FloatField(null=True)", "'-infinity'"),
    "money": ("models.DecimalField(max_digits=9, decimal_places=3, null=True)", "1.250"),
    "key": ("models.UUIDField(null=True)", "'6f0e6a6e-3f3c-4a07-8d4c-3ff6c2b4a3c1'"),
    "flag": ("models.BooleanField(null=True)", "false"),
    "ip": ("models.GenericIPAddressField(null=True)", "'::1'"),
    "other": ("models.ForeignKey('self', models.CASCADE, null=True)", "NULL"),
}


def models_of(fields, options="archive=True, row='both'"):
    lines = "".join(f"    {name} = {FIELDS[name][0]}\n" for name in fields)
    return (
        f"{IMPORTS}@pgtrigger_history.track(context='inline', {options})\n"
        f"class Thing(models.Model):\n    kept = models.IntegerField(default=0)\n{lines}"
    )


@pytest.fixture
def archived(site):
    """A project whose model has lost its fields; gives what its events looked like before."""
    site.settings('INSTALLED_APPS += ["django.contrib.postgres"]')
    site.sql("CREATE EXTENSION hstore")
    site.models(models_of(FIELDS))
    site.manage("makemigrations", "app")
    site.manage("migrate")
    columns = [
        "No. of" if name == "count" else f"{name}_id" if name == "other" else name
        for name in FIELDS
    ]
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(value for _, value in FIELDS.values())
    site.sql(f"INSERT INTO app_thing (kept, {names}) VALUES (1, {values})")
    site.sql("INSERT INTO app_thing (kept) VALUES (2)")
    site.sql("UPDATE app_thing SET note = 'new' WHERE kept = 1")
    texts = ", ".join(f'"{column}"::text' for column in columns)
    query = (
        f"SELECT pgh_id, {texts}, pgh_old_note, pgh_old_data::text FROM app_thingevent ORDER BY 1"
    )
    before = site.sql(query)
    site.models(models_of([]))
    site.manage("makemigrations", "app", "--name", "less")
    path = site.directory / "app/migrations/0002_less.py"
    source = path.read_text()
    first = "    operations = [\n"
    added = f'        ArchiveFields("ThingEvent", {[*FIELDS]!r}),\n'
    path.write_text(
        source.replace(first, first + added).replace(
            "from django.db import",
            "from pgtrigger_history.operations import ArchiveFields\nfrom django.db import",
        )
    )
    return site, before, query


@pytest.mark.slow
def test_values_of_removed_fields_are_kept_and_come_back(archived):
    site, before, query = archived
    site.manage("migrate")
    site.manage("makemigrations", "app", "--check")
    found = site.report("""
        import json, django
        django.setup()
        from app.models import ThingEvent
        print(json.dumps([event.pgh_archive for event in ThingEvent.objects.order_by("pgh_id")]))
    """)
    first, second, third = found
    assert second is None
    assert first["note"] == "it's"
    assert (third["note"], third["pgh_old_note"]) == ("new", "it's")
    assert first["grid"] == [[1, 2], [None, 4]]
    assert first["data"] is None
    assert first["more"] == {"a": [1, None]}
    assert first["count"] == 7
    site.manage("migrate", "app", "0001")
    assert site.sql(query) == before
    assert site.sql("SELECT count(*) FROM app_thingevent WHERE pgh_archive IS NOT NULL") == [(0,)]


@pytest.mark.slow
def test_it_can_be_shown_as_sql(archived):
    site, _, _ = archived
    shown = site.manage("sqlmigrate", "app", "0002").stdout
    assert "SET LOCAL pgtrigger.history_maintenance = 'on';" in shown
    assert "Keep the values of note, count, " in shown
    site.sql(shown)
    assert site.sql("SELECT pgh_archive ->> 'note' FROM app_thingevent ORDER BY pgh_id") == [
        ("it's",), (None,), ("new",),
    ]  # fmt: skip
    assert "UPDATE" in site.manage("sqlmigrate", "app", "0002", "--backwards").stdout


def migrate_with(site, options, operations):
    site.models(models_of(["note"], options))
    site.manage("makemigrations", "app")
    site.write(
        "app/migrations/0002_archive.py",
        f"""
        from django.db import migrations
        from pgtrigger_history.operations import ArchiveFields

        class Migration(migrations.Migration):
            dependencies = [("app", "0001_initial")]
            operations = [{operations}]
        """,
    )
    return site.manage("migrate", exits=None).stderr


def test_without_an_archive_it_is_refused(site):
    said = migrate_with(site, "row='new'", 'ArchiveFields("thingevent", ["note"])')
    assert 'ArchiveError: "app.ThingEvent" has no "pgh_archive" to keep values in.' in said


def test_a_field_that_is_not_there_is_refused(site):
    said = migrate_with(site, "archive=True", 'ArchiveFields("thingevent", ["nothing"])')
    assert 'ArchiveError: "app.ThingEvent" has no "nothing" at this place' in said


def test_a_database_that_a_router_leaves_out(site):
    site.write(
        "routers.py",
        """
        class Router:
            def allow_migrate(self, db, app_label, **hints):
                return app_label != "app"
        """,
    )
    site.settings('DATABASE_ROUTERS = ["routers.Router"]')
    assert migrate_with(site, "archive=True", 'ArchiveFields("thingevent", ["note"])') == ""
    site.manage("migrate", "app", "0001")


def test_its_name_in_migrations():
    from pgtrigger_history.operations import ArchiveFields

    operation = ArchiveFields("OrderEvent", ("note", "total"))
    assert operation.migration_name_fragment == "archive_orderevent_note_total"
