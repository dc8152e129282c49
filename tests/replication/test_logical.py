"""Logical replication: which triggers fire on a subscriber, and what its history has."""

import pytest
from django.db import DatabaseError

from project.sites import Project
from reliability.conftest import eventually
from replication.cluster import Cluster, running

pytestmark = pytest.mark.slow

TABLES = """
    "Order's table", "Order's table_tags", app_tag, app_orderevent, app_ordertagsevent, app_page,
    app_copy, pgtrigger_history_context
"""
ORDERS = """
    SELECT pgh_id, pgh_label, pgh_operation, pgh_transaction::text, pgh_context_id, id, state, total
      FROM app_orderevent ORDER BY pgh_id
"""
WRITE = """
import django
django.setup()
import pgtrigger_history
from django.db import transaction
from app.models import Order, Tag
with pgtrigger_history.context(user=7), transaction.atomic():
    order = Order.objects.create(total=5)
    Order.objects.update(total=6)
    order.tags.add(Tag.objects.create(name="a"))
Order.objects.filter(pk=order.pk).update(state="paid")
"""

DELETE = """
import django
django.setup()
import pgtrigger
from app.models import Order
with pgtrigger.ignore("app.Order:keep"):
    Order.objects.all().delete()
"""


class Pair:
    """A publisher and its subscriber, both with the project's tables and triggers."""

    def __init__(self, publisher: Cluster, subscriber: Cluster) -> None:
        self.publisher, self.subscriber = publisher, subscriber

    def catch_up(self) -> None:
        """Wait until the subscriber has applied all that has been written."""
        lsn = self.publisher.value("SELECT pg_current_wal_lsn()::text")
        query = "SELECT bool_and(replay_lsn >= %s::pg_lsn) FROM pg_stat_replication"
        eventually(lambda: self.publisher.value(query, [lsn]), "the subscriber has caught up")

    def same(self, query: str) -> list:
        """What both of them answer to a query."""
        here, there = self.publisher.sql(query), self.subscriber.sql(query)
        assert here == there
        return here

    def logged(self, server: Cluster, statement: str) -> list[str]:
        """What the triggers of one server log of a statement that the publisher runs."""
        for each in (self.publisher, self.subscriber):
            each.sql("TRUNCATE app_log")
        self.publisher.sql(statement)
        self.catch_up()
        return [text for (text,) in server.sql("SELECT text FROM app_log ORDER BY text")]


@pytest.fixture(scope="module")
def pair(site):
    with running() as publisher, running() as subscriber:
        for server in (publisher, subscriber):
            Project(site, server.url()).manage("migrate")
            (pgid,) = server.sql("SELECT tgname FROM pg_trigger WHERE tgname LIKE '%_disabled_%'")
            server.sql(f"ALTER TABLE app_page DISABLE TRIGGER {pgid[0]}")
        # Rows that the first copy brings along.
        publisher.sql("""INSERT INTO "Order's table" (state, total) VALUES ('draft', 1)""")
        publisher.sql("INSERT INTO app_page (text, active) VALUES ('a', true)")
        publisher.sql(f"CREATE PUBLICATION everything FOR TABLE {TABLES}")
        subscriber.sql(
            f"CREATE SUBSCRIPTION everything CONNECTION '{publisher.conninfo}'"
            " PUBLICATION everything"
        )
        ready = "SELECT count(*) = 8 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel"
        eventually(lambda: subscriber.value(ready), "the first copy is done")
        yield Pair(publisher, subscriber)
        subscriber.sql("DROP SUBSCRIPTION everything")


def test_the_first_copy_fires_statement_level_triggers_too(pair):
    query = "SELECT text FROM app_log ORDER BY text"
    assert [text for (text,) in pair.subscriber.sql(query)] == [
        "always INSERT",
        "replica INSERT",
        "statement INSERT",
    ]


def test_history_is_not_written_twice(pair, site):
    Project(site, pair.publisher.url()).python("-c", WRITE)
    pair.catch_up()
    events = pair.same(ORDERS)
    assert [(event[1], event[2]) for event in events] == [
        ("insert", "INSERT"),
        ("insert", "INSERT"),
        ("update", "UPDATE"),
        ("update", "UPDATE"),
        ("update", "UPDATE"),
    ]
    contexts = {event[4] for event in events}
    assert len(contexts) == 2  # none, and one
    assert len(pair.same("SELECT * FROM pgtrigger_history_context")) == 1
    assert len(pair.same("SELECT pgh_id, order_id, tag_id FROM app_ordertagsevent")) == 1


def test_the_declaration_says_which_triggers_fire_where(pair):
    update = "UPDATE app_page SET active = true"
    assert pair.logged(pair.publisher, update) == [
        "always UPDATE",
        "declared_origin UPDATE",
        "origin UPDATE",
        "statement UPDATE",
    ]
    # No statement of the subscriber's own has changed the row.
    assert pair.logged(pair.subscriber, update) == ["always UPDATE", "replica UPDATE"]


def test_a_soft_deletion_arrives_as_the_update_that_it_is(pair):
    pair.publisher.sql("DELETE FROM app_page")
    pair.catch_up()
    assert pair.same("SELECT active FROM app_page") == [(False,)]


def test_a_history_that_always_fires_is_the_subscribers_own(pair):
    """Its events are not published: each server has written those of the changes it has seen."""
    for statement in (
        "INSERT INTO app_copy (value) VALUES (1), (2)",
        "UPDATE app_copy SET value = value + 10",
        "DELETE FROM app_copy WHERE value = 11",
    ):
        pair.publisher.sql(statement)
    pair.catch_up()
    events = pair.same("SELECT pgh_label, id, value FROM app_copyevent ORDER BY pgh_id")
    assert [event[0] for event in events] == ["insert"] * 2 + ["update"] * 2 + ["delete"]


def test_a_subscriber_is_protected_from_its_own_writers(pair):
    assert pair.subscriber.value("""SELECT count(*) > 0 FROM "Order's table" """)
    for server in (pair.publisher, pair.subscriber):
        with pytest.raises(Exception, match="Cannot delete rows") as caught:
            server.sql("""DELETE FROM "Order's table" """)
        assert not isinstance(caught.value, DatabaseError)  # the driver's own
        with pytest.raises(Exception, match="append_only"):
            server.sql("DELETE FROM app_orderevent")


def test_what_the_publisher_lets_through_is_applied(pair, site):
    """Although the subscriber has the trigger: its worker is a replica."""
    count = """SELECT count(*) FROM "Order's table" """
    [(orders,)] = pair.same(count)
    assert orders
    Project(site, pair.publisher.url()).python("-c", DELETE)
    pair.catch_up()
    assert pair.same(count) == [(0,)]
    assert [event[1] for event in pair.same(ORDERS)][-orders:] == ["delete"] * orders


def test_both_have_what_is_declared(pair, site):
    for server in (pair.publisher, pair.subscriber):
        (pgid,) = server.sql("SELECT tgname FROM pg_trigger WHERE tgname LIKE '%_disabled_%'")[0]
        project = Project(site, server.url())
        assert "DISABLED" in project.manage("pgtrigger", "check", exits=1).stdout
        server.sql(f"ALTER TABLE app_page ENABLE TRIGGER {pgid}")
        project.manage("pgtrigger", "check")
