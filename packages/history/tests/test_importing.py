"""importing, sources: `manage.py pgtrigger history import`, from what the real packages have made."""

import json
from contextlib import closing

import pytest
from django.core.management.base import CommandError

from ledger.models import Account, Customer, Payment
from pgtrigger.testing import database_settings
from pgtrigger_history.errors import SourceError
from pgtrigger_history.importing import Importing
from pgtrigger_history.sources import LIMIT, Source
from pgtrigger_history.trackings import tracking_of_events, trackings_of
from project.connections import connect
from project.environments import environment_with, run
from reliability.conftest import make_site, new_database

pytestmark = pytest.mark.slow

PEERS = ("django-pghistory>=3.9,<4", "django-simple-history>=3.13,<4", "Django>=5.2,<5.3", "psycopg[binary]>=3.2")  # fmt: skip

SETTINGS = """
import json
import os

INSTALLED_APPS = [
    "django.contrib.contenttypes", "django.contrib.auth", "pgtrigger", "pghistory",
    "simple_history", "app",
]
DATABASES = {"default": json.loads(os.environ["PEER_DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for tests only"
USE_TZ = True
"""
THEIR_MODELS = """
import pghistory
from django.db import models
from simple_history.models import HistoricalRecords


class Customer(models.Model):
    name = models.TextField()


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent("changed"), pghistory.DeleteEvent())
class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    status = models.TextField(default="new")
    secret = models.TextField(default="")


class Ticket(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    title = models.CharField(max_length=100, db_column="Title of")
    seats = models.IntegerField(default=1)
    history = HistoricalRecords()
"""
FILL = """
import django
django.setup()
import pghistory
from app.models import Customer, Order, Ticket
from django.contrib.auth.models import User

user = User.objects.create(username="ada")
customer = Customer.objects.create(name="c")
with pghistory.context(user=user.pk, url="/x"):
    order = Order.objects.create(customer=customer)
    order.status = "paid"
    order.save()
gone = Order.objects.create(customer=customer)
with pghistory.context(user=user.pk):
    gone.delete()
ticket = Ticket.objects.create(customer=customer, title="a")
ticket._history_user, ticket._change_reason, ticket.title = user, "why", "b"
ticket.save()
other = Ticket.objects.create(customer=customer, title="z")
other.delete()
"""
OUR_MODELS = """
import pgtrigger_history


class Customer(models.Model):
    name = models.TextField()


@pgtrigger_history.track(pgtrigger_history.InsertEvent(), pgtrigger_history.UpdateEvent("changed"), pgtrigger_history.DeleteEvent(), exclude=["secret"], model_name="OrderChange")
class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    status = models.TextField(default="new")
    secret = models.TextField(default="")


@pgtrigger_history.track(pgtrigger_history.InsertEvent("opened"), pgtrigger_history.UpdateEvent(), pgtrigger_history.DeleteEvent(), context=CONTEXT)
class Ticket(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    title = models.CharField(max_length=100, db_column="Title of")
    seats = models.BigIntegerField(default=1)
"""


@pytest.fixture(scope="session")
def filled(server, tmp_path_factory):
    """A database that the other packages have filled."""
    python = environment_with(*PEERS)
    theirs = tmp_path_factory.mktemp("theirs")
    for path, source in {
        "settings.py": SETTINGS, "app/__init__.py": "", "app/models.py": THEIR_MODELS,
        "app/migrations/__init__.py": "", "fill.py": FILL,
    }.items():  # fmt: skip
        (theirs / path).parent.mkdir(parents=True, exist_ok=True)
        (theirs / path).write_text(source)
    with new_database(server.url) as url:
        env = {
            "PEER_DATABASE": json.dumps(database_settings(url)),
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": str(theirs),
        }
        for arguments in (
            ["-m", "django", "makemigrations", "-v0"], ["-m", "django", "migrate", "-v0"], ["fill.py"],
        ):  # fmt: skip
            run(python, *arguments, cwd=theirs, **env)
        with closing(connect(url)) as connection:
            # Only the events matter.
            connection.cursor().execute("DROP TABLE app_order, app_ticket, app_customer CASCADE")
            connection.cursor().execute("DELETE FROM django_migrations WHERE app = 'app'")
        yield url


@pytest.fixture
def imported(server, filled, tmp_path, request):
    """A copy of that database, in a project that has our models."""
    with new_database(server.url, filled) as url:
        site = make_site(tmp_path, url)
        site.settings('INSTALLED_APPS += ["pgtrigger_history"]')
        storage = getattr(request, "param", "'table'")
        site.models(OUR_MODELS.replace("CONTEXT", storage))
        site.manage("makemigrations", "app")
        site.manage("migrate")
        yield site


def events(site, model):
    return site.report(f"""
        import json, django
        django.setup()
        from app.models import {model}
        from pgtrigger_history.models import Context
        def context(event):
            found = event.pgh_context
            return found.data if isinstance(found, Context) else found
        print(json.dumps([
            [e.pgh_id, e.pgh_label, e.pgh_operation, e.pgh_obj_id, e.id, context(e), e.pgh_transaction]
            for e in {model}.history.order_by("pgh_id")
        ]))
    """)


def test_events_of_django_pghistory(imported):
    site = imported
    site.sql(
        "INSERT INTO app_customer VALUES (1, 'c'); INSERT INTO app_order (id, customer_id, status, secret) VALUES (9, 1, 'x', '')"
    )
    command = (
        "pgtrigger",
        "history",
        "import",
        "app.Order",
        "--from=pghistory",
        "--table=app_orderevent",
        "--context-table=pghistory_context",
    )
    said = site.manage(*command, "--batch-size=3").stderr
    assert said.splitlines() == [
        "Only app_orderevent has: secret.",
        "app.OrderChange: 4 events imported",
    ]
    known = {"user": 1, "url": "/x"}
    *old, new = events(site, "Order")
    assert old == [
        [1 - LIMIT, "insert", "INSERT", 1, 1, known, 0],
        [2 - LIMIT, "changed", "UPDATE", 1, 1, known, 0],
        [3 - LIMIT, "insert", "INSERT", 2, 2, None, 0],
        [4 - LIMIT, "delete", "DELETE", 2, 2, {"user": 1}, 0],
    ]
    assert new[1:4] == ["insert", "INSERT", 9]
    # Again, and with what has come since.
    assert "0 events imported" in site.manage(*command).stderr
    site.sql(
        "INSERT INTO app_orderevent (pgh_created_at, pgh_label, id, status, customer_id, pgh_obj_id, secret) VALUES (now(), 'odd', 1, 'late', 1, 1, '')"
    )
    assert "1 events imported" in site.manage(*command).stderr
    assert [e[1:3] for e in events(site, "Order")][4] == ["odd", ""]
    times = "SELECT pgh_created_at, status FROM {} ORDER BY pgh_id LIMIT 5"
    assert site.sql(times.format("app_orderchange")) == site.sql(times.format("app_orderevent"))
    ((users,),) = site.sql('SELECT array_agg(DISTINCT "user") FROM pgtrigger_history_context')
    assert users == ["1"]
    shown = site.report("""
        import json, django
        django.setup()
        from app.models import Order
        moment = Order.history.get(status="paid").pgh_created_at
        print(json.dumps([o.status for o in Order.history.as_of(moment)]))
    """)
    assert shown == ["paid"]


@pytest.mark.parametrize("imported", ["'table'", "'inline'", "None"], indirect=True)
def test_events_of_django_simple_history(imported, request):
    site = imported
    command = (
        "pgtrigger",
        "history",
        "import",
        "app.Ticket",
        "--from=simple-history",
        "--table=app_historicalticket",
    )
    if request.node.callspec.params["imported"] == "None":
        said = site.manage(*command).stderr
        assert "app.TicketEvent: 4 events imported" in said
        assert site.sql("SELECT count(*) FROM app_ticketevent") == [(4,)]
        return
    site.manage(*command)
    who = {"user": 1, "reason": "why"}
    found = events(site, "Ticket")
    assert [e[:3] for e in found] == [
        [1 - 2 * LIMIT, "opened", "INSERT"],
        [2 - 2 * LIMIT, "update", "UPDATE"],
        [3 - 2 * LIMIT, "opened", "INSERT"],
        [4 - 2 * LIMIT, "delete", "DELETE"],
    ]
    assert [e[3:6] for e in found] == [[1, 1, None], [1, 1, who], [2, 2, None], [2, 2, None]]
    values = 'SELECT "Title of", seats, customer_id FROM {} ORDER BY 1, 2'
    assert site.sql(values.format("app_ticketevent")) == site.sql(
        values.format("app_historicalticket")
    )
    assert "0 events imported" in site.manage(*command).stderr


@pytest.fixture
def theirs(sql):
    """A table as django-pghistory makes them, without contexts, with 10 events of Customer."""
    sql(
        "CREATE TABLE theirs AS SELECT n AS pgh_id, now() - n * interval '1 s' AS pgh_created_at,"
        " 'update'::text AS pgh_label, 1::bigint AS pgh_obj_id, 1::bigint AS id, 'n' || n AS name,"
        ' 7 AS "Town" FROM generate_series(1, 10) n'
    )


def work(event_model=Customer.history.model, **options):
    return Importing(
        tracking_of_events(event_model), Source.PGHISTORY,
        **{"table": "theirs", "database": "default", "batch_size": 4, **options},
    )  # fmt: skip


def test_it_goes_on_where_it_stopped(theirs):
    batches = work().batches()
    assert next(batches) == 4
    batches.close()
    assert work().total() == 6
    assert sum(work().batches()) == 6
    assert [e.name for e in Customer.history.order_by("pgh_id")] == [f"n{n}" for n in range(1, 11)]
    assert {e.city for e in Customer.history.all()} == {"7"}


def test_another_run_goes_on_where_one_stopped(theirs, history):
    batches = work().batches()
    next(batches)
    batches.close()
    arguments = ("import", "ledger.Customer", "--from=pghistory", "--table=theirs")
    assert history(*arguments, "--operation=update=delete")[1] == [
        "ledger.CustomerEvent: 6 events imported"
    ]
    assert {e.pgh_operation for e in Customer.history.all()} == {"UPDATE", "DELETE"}


def test_contexts_that_are_in_the_events(theirs, sql):
    sql(
        "ALTER TABLE theirs ADD pgh_context jsonb DEFAULT '{\"user\": 3}', ADD pgh_context_id uuid DEFAULT gen_random_uuid()"
    )
    sql('ALTER TABLE theirs ADD amount int DEFAULT 5, ADD invoice_id int, DROP "Town"')
    assert sum(work().batches()) == 10
    assert Customer.history.by(3).count() == 10
    assert sum(work(Payment.history.model).batches()) == 10
    assert {e.pgh_context["user"] for e in Payment.history.all()} == {3}


def test_another_table_than_before_is_refused(theirs, sql):
    sum(work().batches())
    sql("CREATE TABLE others AS SELECT * FROM theirs")
    sql("UPDATE others SET pgh_created_at = now() - interval '1 year'")
    with pytest.raises(SourceError, match=r'imported from another table than "others"'):
        work(table="others").total()


@pytest.mark.parametrize("key", ["0", str(LIMIT)])
def test_keys_that_do_not_fit_are_refused(theirs, sql, key):
    sql(
        f"ALTER TABLE theirs ALTER pgh_id TYPE bigint; UPDATE theirs SET pgh_id = {key} WHERE pgh_id = 1"
    )
    if key == "0":
        sql("UPDATE theirs SET pgh_id = -pgh_id")
        assert work().total() == 0
        return
    with pytest.raises(SourceError, match="are not numbers between 1 and 1,000,000,000,000"):
        work().total()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"table": "ledger_customer"},
            "no table of pghistory: it has no column pgh_id, pgh_created_at",
        ),
        ({"context_table": "theirs"}, "no table of contexts: it has no column metadata"),
    ],
)
def test_tables_that_are_none_of_the_package(theirs, options, message):
    with pytest.raises(SourceError, match=message):
        work(**options)


def test_a_table_of_something_else_altogether(theirs, sql):
    sql('ALTER TABLE theirs DROP id, DROP name, DROP "Town", DROP pgh_obj_id')
    with pytest.raises(SourceError, match='"theirs" has no column of "ledger_customerevent"'):
        work()


def test_simple_history_without_users(db, sql):
    sql(
        "CREATE TABLE theirs AS SELECT 1 AS history_id, now() AS history_date, '+'::text AS history_type, 5 AS id, 'x'::text AS name"
    )
    found = Importing(
        tracking_of_events(Customer.history.model), Source.SIMPLE_HISTORY, table="theirs", database="default"
    )  # fmt: skip
    assert sum(found.batches()) == 1
    assert (Customer.history.get().pgh_obj_id, Customer.history.get().pgh_context) == (5, None)
    assert found.unmatched() == ([], ["Town"])


def test_one_model_is_to_be_named(db, history):
    arguments = ("--from=pghistory", "--table=theirs")
    assert len(trackings_of(Account)) == 2
    for targets in ([], ["ledger.Account"]):
        with pytest.raises(CommandError, match="Name one tracked model, or one model of events"):
            history("import", *targets, *arguments)
    for wrong in ("x", "x=Y", "=UPDATE"):
        with pytest.raises(CommandError, match="is not LABEL=OPERATION, with one of INSERT"):
            history("import", "ledger.Customer", *arguments, f"--operation={wrong}")
