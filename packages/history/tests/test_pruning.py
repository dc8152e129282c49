"""pruning, ages: `manage.py pgtrigger history prune`."""

import datetime

import pytest
from django.db import IntegrityError, connection

import pgtrigger_history
from ledger.models import Account, Customer, Invoice, Payment, Reading
from pgtrigger_history.ages import moment_of_age
from pgtrigger_history.maintenance import maintenance
from pgtrigger_history.models import Context
from pgtrigger_history.partitioning import Partitioning
from pgtrigger_history.periods import period_of
from pgtrigger_history.pruning import ContextPruning, referring_tables
from pgtrigger_history.trackings import tracking_of_events
from reliability.conftest import eventually

UTC = datetime.UTC
NOW = datetime.datetime.now(UTC)


def days_ago(count):
    return NOW - datetime.timedelta(days=count)


@pytest.fixture
def aged(sql):
    """`aged(events, days)`: lets events be so many days old."""

    def change(events, days):
        table = connection.ops.quote_name(events.model._meta.db_table)
        with maintenance():
            sql(
                f"UPDATE {table} SET pgh_created_at = %s WHERE pgh_id = ANY(%s)",
                [days_ago(days), [*events.values_list("pgh_id", flat=True)]],
            )

    return change


@pytest.fixture
def ada(db, aged):
    """One that was made 300 days ago and changed 200, 100 and 10 days ago."""
    ada = Customer.objects.create(name="300")
    aged(ada.history, 300)
    for days in (200, 100, 10):
        Customer.objects.filter(pk=ada.pk).update(name=days)
        aged(ada.history.filter(name=days), days)
    return ada


def names(obj):
    return [event.name for event in obj.history.order_by("pgh_id")]


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_old_events_are_removed_but_for_the_last_one_of_each_object(ada, history, size):
    _, said = history("prune", "ledger.Customer", "--older-than=90d", f"--batch-size={size}")
    assert said[0] == "ledger.CustomerEvent: 2 removed"
    assert names(ada) == ["100", "10"]


def test_as_of_is_right_for_all_time_since(ada, history):
    def then(days):
        return [c.name for c in Customer.history.as_of(days_ago(days))]

    before = [then(days) for days in (95, 91, 50, 9, 0)]
    history("prune", "ledger.Customer", "--older-than=90d")
    assert [then(days) for days in (95, 91, 50, 9, 0)] == before
    assert then(150) == []


def test_without_keep_last_everything_old_is_removed(ada, history):
    assert (
        history("prune", "ledger.Customer", "--older-than=90d", "--no-keep-last")[1][0]
        == "ledger.CustomerEvent: 3 removed"
    )
    assert names(ada) == ["10"]


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_nothing_is_kept_of_what_was_gone_by_then(ada, history, aged, size):
    key = ada.pk
    ada.delete()
    aged(Customer.history.of(key).filter(pgh_operation="DELETE"), 10)
    gone = Customer.objects.create(name="gone")
    other = gone.pk
    gone.delete()
    aged(Customer.history.of(other), 150)
    history("prune", "ledger.Customer", "--older-than=90d", f"--batch-size={size}")
    assert not Customer.history.of(other).exists()
    assert Customer.history.of(key).count() == 3


def test_what_tells_that_an_object_is_gone_stays_while_younger_events_have_lesser_keys(
    ada, history, aged
):
    key = ada.pk
    ada.delete()
    aged(Customer.history.of(key), 10)
    aged(Customer.history.of(key).filter(pgh_operation="DELETE"), 100)  # the clock went back
    history("prune", "ledger.Customer", "--older-than=90d")
    assert Customer.history.of(key).filter(pgh_operation="DELETE").exists()


def test_a_dry_run_only_counts(ada, history):
    for option, count in (("--keep-last", 2), ("--no-keep-last", 3)):
        _, said = history("prune", "ledger.Customer", "--older-than=90d", option, "--dry-run")
        assert said[0] == f"ledger.CustomerEvent: {count} to remove"
    assert len(names(ada)) == 4


def test_events_are_protected_again_afterwards(ada, history, sql):
    history("prune", "ledger.Customer", "--older-than=90d")
    with pytest.raises(IntegrityError, match="Cannot delete"):
        sql("DELETE FROM ledger_customerevent")


class TestContexts:
    @pytest.fixture
    def changed(self, ada, aged, sql):
        """Contexts of 100 days ago: one with an old event that goes, one of a young event."""
        with pgtrigger_history.context(user=1):
            Customer.objects.filter(pk=ada.pk).update(name="x")
        with pgtrigger_history.context(user=2):
            Customer.objects.filter(pk=ada.pk).update(name="y")
        aged(ada.history.filter(name="x"), 100)
        self.age(sql, 100)
        return ada

    def age(self, sql, days):
        with maintenance():
            sql("UPDATE pgtrigger_history_context SET created_at = %s", [days_ago(days)])

    def users(self):
        return [*Context.objects.order_by("id").values_list("user", flat=True)]

    @pytest.mark.parametrize("size", [1, 1000])
    def test_those_that_nothing_refers_to_are_removed(self, changed, history, size):
        arguments = ("prune", "ledger.Customer", "--older-than=90d", "--no-keep-last")
        _, said = history(*arguments, "--dry-run")
        assert said[1] == "contexts: 0 to remove"
        _, said = history(*arguments, f"--batch-size={size}")
        assert said[1] == "contexts: 1 removed"
        assert self.users() == ["2"]

    def test_those_of_events_that_are_kept_stay(self, changed, history):
        history("prune", "ledger.Customer", "--older-than=90d")
        assert self.users() == ["1", "2"]

    def test_those_of_events_of_other_models_stay(self, changed, history, sql):
        with pgtrigger_history.context(user=3):
            invoice = Invoice.objects.create()
            Payment.objects.create(invoice=invoice)
        self.age(sql, 100)
        history("prune", "ledger.Customer", "--older-than=90d", "--no-keep-last")
        assert self.users() == ["2", "3"]

    def test_those_of_events_in_another_schema_stay(self, changed, history, sql):
        sql("CREATE SCHEMA tenant")
        sql("CREATE TABLE tenant.ledger_customerevent (LIKE ledger_customerevent)")
        sql("INSERT INTO tenant.ledger_customerevent SELECT * FROM ledger_customerevent")
        history("prune", "ledger.Customer", "--older-than=90d", "--no-keep-last")
        assert self.users() == ["1", "2"]

    def test_young_ones_stay(self, changed, history, sql):
        self.age(sql, 50)
        history("prune", "ledger.Customer", "--older-than=90d", "--no-keep-last")
        assert self.users() == ["1", "2"]

    def test_models_that_store_none_or_their_own_do_not_count(self, db):
        found = referring_tables()
        assert found["ledger_customerevent"] == "pgh_context_id"
        assert not {"ledger_paymentevent", "ledger_accountevent"} & {*found}

    def test_without_the_table_there_is_nothing_to_do(self, db, sql):
        sql("DROP TABLE pgtrigger_history_context CASCADE")
        assert not ContextPruning(before=NOW, database="default").there()


class TestPartitions:
    @pytest.fixture
    def reading(self, db, aged):
        """One whose events are 100 and 0 days old, in partitions of their own."""
        work = Partitioning(tracking_of_events(Reading.history.model), database="default")
        work.make(period_of("month", days_ago(100)))
        work.make(period_of("month", days_ago(200)))
        reading = Reading.objects.create(value=1)
        aged(reading.history, 100)
        Reading.objects.update(value=2)
        return reading

    def name(self, days):
        return f"ledger_readingevent_{days_ago(days):%Y_%m}"

    def test_whole_partitions_are_dropped(self, reading, history, sql):
        _, said = history("prune", "ledger.Reading", "--older-than=50d", "--no-keep-last")
        assert said == [
            f"{self.name(200)}: dropped",
            f"{self.name(100)}: dropped",
            "ledger.ReadingEvent: 0 removed",
            "contexts: 0 removed",
        ]
        assert [event.value for event in reading.history.all()] == [2]

    def test_where_last_events_are_kept_only_empty_ones_are(self, reading, history):
        _, said = history("prune", "ledger.Reading", "--older-than=50d")
        assert said[:2] == [
            "ledger.ReadingEvent: 0 removed",
            f"{self.name(200)}: dropped, it was empty",
        ]
        assert [event.value for event in reading.history.all()] == [1, 2]

    def test_a_dry_run_drops_none(self, reading, history):
        history("prune", "ledger.Reading", "--older-than=50d", "--dry-run")
        _, said = history(
            "prune", "ledger.Reading", "--older-than=50d", "--no-keep-last", "--dry-run"
        )
        assert said[0] == "ledger.ReadingEvent: 1 to remove"
        assert reading.history.count() == 2


def test_without_targets_all_events_are_pruned(ada, history):
    Account.objects.create(number="1")
    _, said = history("prune", "--older-than=90d", "--verbosity=0")
    assert said == []
    assert names(ada) == ["100", "10"]


@pytest.mark.parametrize("age", ["soon", "90", "2999-01-01", "99999y"])
def test_an_age_that_is_none_is_refused(db, history, age):
    with pytest.raises(Exception, match=f"'{age}' is no age such as"):
        history("prune", f"--older-than={age}")


@pytest.mark.parametrize(
    ("age", "moment"),
    [
        ("0d", "2024-03-31T12:00+00:00"),
        ("90d", "2024-01-01T12:00+00:00"),
        ("1 day", "2024-03-30T12:00+00:00"),
        ("2w", "2024-03-17T12:00+00:00"),
        ("1m", "2024-02-29T12:00+00:00"),
        ("3 months", "2023-12-31T12:00+00:00"),
        ("15m", "2022-12-31T12:00+00:00"),
        ("1Y", "2023-03-31T12:00+00:00"),
        ("2 years", "2022-03-31T12:00+00:00"),
        ("2024-01-02", "2024-01-02T00:00+00:00"),
        ("2024-01-02T03:04+02:00", "2024-01-02T01:04+00:00"),
    ],
)
def test_ages(age, moment):
    now = datetime.datetime(2024, 3, 31, 12, tzinfo=UTC)
    assert moment_of_age(age, now) == datetime.datetime.fromisoformat(moment)


MODELS = """
import pgtrigger_history


@pgtrigger_history.track()
class Reading(models.Model):
    value = models.IntegerField()
"""
COUNT = "SELECT count(*) FROM app_readingevent"


@pytest.fixture
def readings(site):
    site.settings('INSTALLED_APPS += ["pgtrigger_history"]')
    site.models(MODELS)
    site.manage("makemigrations", "app")
    site.manage("migrate")
    site.sql(
        "SET pgtrigger.context = '{\"user\": 1}';"
        "INSERT INTO app_reading (value) SELECT n FROM generate_series(1, 3000) n;"
        "UPDATE app_reading SET value = value + 1"
    )
    return site


@pytest.mark.slow
def test_after_a_kill_it_goes_on_where_it_stopped(readings):
    command = ("pgtrigger", "history", "prune", "--older-than=0d")
    with readings.background() as start:
        running = start(*command, "--batch-size=2")
        eventually(lambda: readings.sql(COUNT)[0][0] < 5990, "the first batches")
        running.close()
    ((left,),) = readings.sql(COUNT)
    assert 3000 < left < 5990
    result = readings.manage(*command)
    assert f"app.ReadingEvent: {left - 3000:,} removed" in result.stderr
    assert readings.sql(COUNT) == [(3000,)]


@pytest.mark.slow
def test_the_context_of_a_transaction_that_still_runs_stays(readings):
    command = ("pgtrigger", "history", "prune", "--older-than=0d", "--no-keep-last")
    with readings.session(
        "BEGIN",
        "SET LOCAL pgtrigger.context = '{\"user\": 2}'",
        "INSERT INTO app_reading (value) VALUES (7)",
    ) as writer:
        readings.manage(*command)
        assert readings.sql("SELECT count(*) FROM pgtrigger_history_context") == [(0,)]
        writer.sql("COMMIT")
    assert readings.sql(
        'SELECT c."user", e.value FROM app_readingevent e'
        " JOIN pgtrigger_history_context c ON c.id = e.pgh_context_id"
    ) == [("2", 7)]
