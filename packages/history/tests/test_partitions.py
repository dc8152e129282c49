"""partitions, partitioning: `manage.py pgtrigger history partitions`."""

import datetime
import io
import json

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

import pgtrigger_history
from ledger.models import Customer, CustomerEvent, Reading, ReadingEvent
from pgtrigger.errors import DeclarationError
from pgtrigger_history.errors import PartitionError
from pgtrigger_history.maintenance import maintenance
from pgtrigger_history.partitioning import Partitioning
from pgtrigger_history.partitions import partition_name
from pgtrigger_history.periods import period_of
from pgtrigger_history.trackings import tracking_of_events

UTC = datetime.UTC
NOW = datetime.datetime.now(UTC)
LABEL = "ledger.ReadingEvent"


@pytest.fixture
def work(db):
    return Partitioning(tracking_of_events(ReadingEvent), database="default")


def move_events(sql, moment):
    """Let the events be of another time."""
    with maintenance():
        sql("UPDATE ledger_readingevent SET pgh_created_at = %s", [moment])


def places(sql):
    return [
        name
        for (name,) in sql("SELECT tableoid::regclass::text FROM ledger_readingevent ORDER BY 1")
    ]


def names(work):
    return [partition.name for partition in work.partitions()]


def monthly(count):
    start = period_of("month", NOW).moved(count).start
    return f"ledger_readingevent_{start:%Y_%m}"


def test_a_table_is_made_with_partitions_for_the_present_and_the_time_to_come(work, sql):
    assert names(work) == [*(monthly(n) for n in range(4)), "ledger_readingevent_default"]
    (key,) = sql(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'ledger_readingevent'::regclass AND contype = 'p'"
    )
    assert key == ("PRIMARY KEY (pgh_id, pgh_created_at)",)
    assert ReadingEvent._meta.pk.name == "pgh_id"


def test_events_go_to_the_partition_of_their_time(work, sql):
    reading = Reading.objects.create(value=1)
    Reading.objects.update(value=2)
    assert places(sql) == [monthly(0)] * 2
    assert [event.value for event in reading.history.all()] == [1, 2]
    reading.history.first().revert()
    assert Reading.objects.get().value == 1
    assert Reading.history.as_of(datetime.datetime.now(UTC)).get().value == 1


def test_events_in_a_partition_are_protected(work, sql):
    Reading.objects.create()
    for table in ("ledger_readingevent", monthly(0)):
        with pytest.raises(IntegrityError, match="Cannot"), transaction.atomic():
            sql(f"DELETE FROM {table}")


def test_the_triggers_are_as_declared(work):
    text = io.StringIO()
    call_command("pgtrigger", "ls", f"{LABEL}:*", stdout=text)
    assert "INSTALLED" in text.getvalue()
    assert "DRIFTED" not in text.getvalue()
    call_command("pgtrigger", "install", f"{LABEL}:*", stdout=io.StringIO())
    call_command("pgtrigger", "check", f"{LABEL}:*", stdout=io.StringIO())


def test_partitions_are_made_ahead(work, history):
    _, said = history("partitions", LABEL, "--ahead", 5)
    assert [line.rpartition(": ")[2] for line in said] == [
        "made, 0 events moved from the default one"
    ] * 2
    assert names(work) == [*(monthly(n) for n in range(6)), "ledger_readingevent_default"]
    assert history("partitions", LABEL, "--ahead", 5)[1] == []


def test_a_dry_run_and_a_list_make_nothing(work, history):
    _, said = history("partitions", LABEL, "--ahead", 5, "--dry-run")
    assert [line.rpartition(": ")[2] for line in said] == ["to make"] * 2
    shown, said = history("partitions", LABEL, "--ahead", 5, "--list")
    assert said == []
    assert [line.split()[0] for line in shown] == names(work)
    assert len(names(work)) == 5


def test_rows_of_the_default_partition_move_into_a_new_one(work, sql, history):
    reading = Reading.objects.create()
    move_events(sql, NOW.replace(year=2019, month=2, day=3))
    assert places(sql) == ["ledger_readingevent_default"]
    _, said = history("partitions", LABEL)
    assert said == [f"{LABEL}: 2019-02-01 to 2019-03-01: made, 1 events moved from the default one"]
    assert places(sql) == ["ledger_readingevent_2019_02"]
    assert reading.history.get().pgh_created_at.year == 2019
    with pytest.raises(IntegrityError, match="Cannot"), transaction.atomic():
        sql("DELETE FROM ledger_readingevent_2019_02")


def test_a_new_partition_has_the_indexes_of_the_table(work, sql, history):
    def indexes(name):
        return sql("SELECT count(*) FROM pg_indexes WHERE tablename = %s", [name])

    history("partitions", LABEL, "--ahead", 4)
    assert indexes(monthly(4)) == indexes(monthly(0))
    invalid = sql(
        "SELECT 1 FROM pg_index WHERE NOT indisvalid AND indrelid = 'ledger_readingevent'::regclass"
    )
    assert invalid == []


def test_what_is_beyond_the_retention_is_dropped(work, sql, history):
    for months in (1, 2, 3):
        work.make(period_of("month", NOW).moved(-months))
    Reading.objects.create()
    move_events(sql, period_of("month", NOW).moved(-3).start)
    _, said = history("partitions", LABEL, "--retain", 1, "--dry-run")
    assert said == [f"{monthly(-3)}: to drop", f"{monthly(-2)}: to drop"]
    _, said = history("partitions", LABEL, "--retain", 1)
    assert said == [f"{monthly(-3)}: dropped", f"{monthly(-2)}: dropped"]
    assert names(work)[0] == monthly(-1)
    assert not ReadingEvent.objects.exists()


def test_what_is_beyond_the_retention_is_detached_on_request(work, sql, history):
    work.make(period_of("month", NOW).moved(-2))
    Reading.objects.create()
    move_events(sql, period_of("month", NOW).moved(-2).start)
    _, said = history("partitions", LABEL, "--retain", 0, "--detach")
    assert said == [f"{monthly(-2)}: detached"]
    assert not ReadingEvent.objects.exists()
    assert sql(f"SELECT count(*) FROM {monthly(-2)}") == [(1,)]
    _, said = history("partitions", LABEL, "--retain", 0, "--detach", "--dry-run")
    assert said == []


def test_partitions_of_another_unit_are_left_as_they_are(work, sql, history):
    start = period_of("year", NOW).moved(-2)
    sql(
        f"CREATE TABLE reading_year PARTITION OF ledger_readingevent"
        f" FOR VALUES FROM ('{start.start.isoformat()}') TO ('{start.end.isoformat()}')"
    )
    sql("CREATE TABLE reading_ancient PARTITION OF ledger_readingevent"
        " FOR VALUES FROM (MINVALUE) TO ('1999-01-01')")  # fmt: skip
    assert work.make(period_of("month", start.start)) == 0
    assert work.make(period_of("month", datetime.datetime(1990, 1, 1, tzinfo=UTC))) == 0
    shown, _ = history("partitions", LABEL)
    assert "reading_ancient             unlimited  1999-01-01" in "\n".join(shown)


def test_json(work, history):
    out, _ = history("partitions", "ledger.Reading", "--json")
    found = json.loads("\n".join(out))
    first, *_, last = found
    assert first["from"] == period_of("month", NOW).start.isoformat()
    assert (first["model"], first["partition"], first["default"]) == (LABEL, monthly(0), False)
    assert (last["from"], last["before"], last["default"]) == (None, None, True)


def test_without_targets_all_partitioned_tables_are_served(work, history):
    shown, _ = history("partitions")
    assert [line.split()[0] for line in shown] == names(work)


def test_a_table_that_is_not_partitioned_is_refused(db, history):
    with pytest.raises(PartitionError, match=r"not partitioned: declare track\(partition=…\)"):
        history("partitions", "ledger.Customer")


def test_a_table_from_before_it_was_to_be_partitioned_is_refused(work, sql, history):
    sql("ALTER TABLE ledger_readingevent RENAME TO other")
    sql("CREATE TABLE ledger_readingevent (pgh_id int)")
    with pytest.raises(PartitionError, match="not partitioned: migrate it"):
        history("partitions", LABEL)


def test_a_table_without_any_default_partition(work, sql):
    sql("DROP TABLE ledger_readingevent_default")
    assert work.make(period_of("month", NOW).moved(7)) == 0
    assert names(work)[-1] == monthly(7)


def test_an_unknown_unit_is_refused():
    with pytest.raises(DeclarationError, match="day, month, year or None; got 'week'"):
        pgtrigger_history.track(partition="week", accessor="x", model_name="X")(Customer)


def test_an_argument_that_is_no_number(history):
    with pytest.raises(Exception, match="'x' is not a number of periods"):
        history("partitions", "--ahead", "x")


class TestPeriods:
    MOMENT = datetime.datetime(
        2024, 12, 31, 23, 30, tzinfo=datetime.timezone(-datetime.timedelta(hours=2))
    )

    @pytest.mark.parametrize(
        ("unit", "start", "end", "suffix"),
        [
            ("day", "2025-01-01", "2025-01-02", "_2025_01_01"),
            ("month", "2025-01-01", "2025-02-01", "_2025_01"),
            ("year", "2025-01-01", "2026-01-01", "_2025"),
        ],
    )
    def test_a_period_is_of_utc(self, unit, start, end, suffix):
        period = period_of(unit, self.MOMENT)
        assert [f"{moment:%Y-%m-%d}" for moment in period[1:]] == [start, end]
        assert period.suffix == suffix

    @pytest.mark.parametrize("unit", ["day", "month", "year"])
    def test_periods_follow_one_another(self, unit):
        period = period_of(unit, self.MOMENT)
        for _ in range(40):
            later = period.moved(1)
            assert later.start == period.end
            assert later.moved(-1) == period
            period = later


def test_names_fit_and_differ():
    long = "ü" * 40
    assert partition_name("t", "_2026") == "t_2026"
    assert len(partition_name(long, "_2026_11_21").encode()) <= 63
    assert partition_name(long, "_2026") != partition_name(f"{long}x", "_2026")


def test_other_tables_are_made_as_ever(db, sql):
    assert sql(
        "SELECT relkind::text FROM pg_class WHERE relname = %s", [CustomerEvent._meta.db_table]
    ) == [("r",)]


MODELS = """
import pgtrigger_history


@pgtrigger_history.track(partition="day", context="inline")
class Reading(models.Model):
    value = models.IntegerField()
"""


@pytest.mark.slow
def test_migrations_make_change_and_remove_a_partitioned_table_without_our_app(site):
    site.models(MODELS)
    site.manage("makemigrations", "app")
    site.manage("migrate")
    site.manage("makemigrations", "app", "--check")
    day = f"app_readingevent_{datetime.datetime.now(UTC):%Y_%m_%d}"
    site.sql("INSERT INTO app_reading (value) VALUES (1)")
    assert site.sql("SELECT tableoid::regclass::text, value FROM app_readingevent") == [(day, 1)]
    site.models(
        MODELS.replace(
            "IntegerField()", "BigIntegerField()\n    unit = models.TextField(null=True)"
        )
    )
    site.manage("makemigrations", "app")
    site.manage("migrate")
    site.manage("pgtrigger", "check")
    site.manage("pgtrigger", "history", "partitions", "--ahead", "4")
    site.sql("INSERT INTO app_reading (value, unit) VALUES (7, 'km')")
    assert site.sql("SELECT value, unit FROM app_readingevent") == [(1, None), (7, "km")]
    count = "SELECT count(*) FROM pg_class WHERE relname LIKE 'app_readingevent%' AND relkind = 'r'"
    assert site.sql(count) == [(6,)]
    assert "PARTITION OF" in site.manage("sqlmigrate", "app", "0001").stdout
    site.manage("migrate", "app", "zero")
    assert site.sql(count) == [(0,)]


def test_an_error_is_one_line_and_exit_code_1(site):
    site.models(MODELS.replace('partition="day", ', ""))
    result = site.manage("pgtrigger", "history", "partitions", "app.Reading", exits=1)
    (line,) = result.stderr.splitlines()
    assert line.startswith('PartitionError: Table "app_readingevent"')
    result = site.manage("pgtrigger", "history", "partitions", "app.Other", "-v", "0", exits=1)
    assert "Tracked are: app.Reading." in result.stderr
