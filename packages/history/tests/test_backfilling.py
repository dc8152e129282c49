"""backfilling: `manage.py pgtrigger history backfill`."""

import pytest

import pgtrigger
import pgtrigger_history
from ledger.models import Customer, Everything, InvoiceTagsEvent, Payment, Seat, Tag
from pgtrigger.errors import DatabaseNotSupportedError
from pgtrigger_history.errors import NotTrackedError
from reliability.conftest import eventually

MODELS = """
import pgtrigger_history


@pgtrigger_history.track(context="inline")
class Reading(models.Model):
    value = models.IntegerField()
"""


@pytest.fixture
def customers(db):
    """Ten that were there before they were tracked."""
    with pgtrigger.ignore():
        return Customer.objects.bulk_create([Customer(name=f"c{n}") for n in range(10)])


def told(model):
    return [(e.pgh_label, e.pgh_operation) for e in model.history.order_by("pgh_id")]


@pytest.mark.parametrize("size", [1, 3, 5, 10, 1000])
def test_each_row_without_an_event_gets_one(customers, history, size):
    with pgtrigger_history.context(user=7):
        said = history("backfill", "ledger.Customer", f"--batch-size={size}")[1]
    assert said == ["ledger.CustomerEvent: 10 rows recorded"]
    assert told(Customer) == [("backfill", "")] * 10
    assert [event.name for event in Customer.history.all()] == [f"c{n}" for n in range(10)]
    assert Customer.history.by(7).count() == 10
    assert customers[3].history.get().as_object() == customers[3]


def test_rows_that_have_an_event_get_no_other(customers, history):
    Customer.objects.filter(pk=customers[0].pk).update(name="x")
    for count in (9, 0):
        assert history("backfill", "ledger.Customer")[1] == [
            f"ledger.CustomerEvent: {count} rows recorded"
        ]
    assert customers[0].history.get().pgh_label == "update"


def test_as_of_knows_what_was_backfilled(customers, history, sql):
    history("backfill", "ledger.Customer")
    ((now,),) = sql("SELECT clock_timestamp()")
    Customer.objects.all().delete()
    assert Customer.history.as_of(now).count() == 10


def test_a_dry_run_only_counts(customers, history):
    assert history("backfill", "ledger.Customer", "--dry-run")[1] == [
        "ledger.CustomerEvent: 10 rows to record"
    ]
    assert told(Customer) == []


def test_links_of_many_to_many_fields(invoice, history):
    tags = [Tag.objects.create(name=name) for name in "ab"]
    with pgtrigger.ignore():
        invoice.tags.add(*tags)
    _, said = history("backfill", "ledger.Invoice")
    assert {*said} == {
        "ledger.InvoiceTagsEvent: 2 rows recorded",
        "ledger.InvoiceEvent: 0 rows recorded",
    }
    assert history("backfill", "ledger.Invoice.tags")[1] == [
        "ledger.InvoiceTagsEvent: 0 rows recorded"
    ]
    found = InvoiceTagsEvent.objects.values_list("pgh_label", "invoice", "tag__name")
    assert sorted(found) == [("backfill", invoice.pk, name) for name in "ab"]


def test_composite_keys_text_keys_and_keys_with_percent_signs(db, history):
    with pgtrigger.ignore():
        Seat.objects.bulk_create([Seat(row=r, number=n) for r in ("%", "'") for n in (1, 2, 3)])
        Everything.objects.create()
    assert history("backfill", "ledger.Seat", "ledger.Everything", "--batch-size=4")[1] == [
        "ledger.SeatEvent: 6 rows recorded",
        "ledger.EverythingEvent: 1 rows recorded",
    ]
    assert [e.pgh_label for e in Seat.history.of(("%", 2))] == ["backfill"]


@pytest.mark.parametrize(
    "target",
    ["ledger.Payment", "ledger.PaymentEvent", "ledger.Payment:history_update", "*.Payment:*"],
)
def test_targets(invoice, history, target):
    with pgtrigger.ignore():
        Payment.objects.create(invoice=invoice)
    assert history("backfill", target)[1] == ["ledger.PaymentEvent: 1 rows recorded"]


def test_without_targets_everything_is_backfilled(customers, history):
    _, said = history("backfill")
    assert "ledger.CustomerEvent: 10 rows recorded" in said
    assert len(said) > 5


def test_quietly(customers, history):
    assert history("backfill", "ledger.Customer", "--verbosity=0") == ([], [])
    assert len(told(Customer)) == 10


def test_an_unknown_target(db, history):
    with pytest.raises(NotTrackedError, match=r'"ledger\.X" is neither.* Tracked are: ledger\.Acc'):
        history("backfill", "ledger.X")


def test_another_kind_of_database(db, history):
    with pytest.raises(DatabaseNotSupportedError, match='"sqlite" is not PostgreSQL'):
        history("backfill", "--database=sqlite")


@pytest.fixture
def readings(site):
    """Rows from before they were tracked; gives a function that counts them and their events."""
    site.models(MODELS)
    site.manage("makemigrations", "app")
    site.manage("migrate")
    site.sql(
        "SET pgtrigger.ignore = '{}'; ALTER TABLE app_reading DISABLE TRIGGER USER;"
        "INSERT INTO app_reading (value) SELECT n FROM generate_series(1, 3000) n;"
        "ALTER TABLE app_reading ENABLE TRIGGER USER"
    )
    return lambda: site.sql("SELECT count(*), count(DISTINCT pgh_obj_id) FROM app_readingevent")[0]


@pytest.mark.slow
def test_after_a_kill_it_goes_on_where_it_stopped(site, readings):
    with site.background() as start:
        running = start("pgtrigger", "history", "backfill", "--batch-size", "2")
        eventually(lambda: readings()[0] > 10, "the first batches")
        running.close()
    done = readings()[0]
    assert 10 < done < 3000
    assert done % 2 == 0
    result = site.manage("pgtrigger", "history", "backfill")
    assert f"{3000 - done:,} rows recorded" in result.stderr
    assert readings() == (3000, 3000)


@pytest.mark.slow
def test_a_row_that_gets_its_first_event_meanwhile_has_no_second(site, readings):
    with site.session("BEGIN", "UPDATE app_reading SET value = -1 WHERE id <= 5") as writer:
        with site.background() as start:
            running = start("pgtrigger", "history", "backfill", "--batch-size", "10")
            writer.someone_blocked()
            writer.sql("COMMIT")
            running.result()
    assert readings() == (3000, 3000)
    assert site.sql("SELECT pgh_label, value FROM app_readingevent WHERE pgh_obj_id = 3") == [
        ("update", -1)
    ]


def test_several_at_once_record_each_row_once(site, readings):
    command = ("pgtrigger", "history", "backfill", "--batch-size", "50")
    site.race(command, command)
    assert readings() == (3000, 3000)
