"""A streaming replica: what can be read and asked there, and what holds when it is promoted."""

import pytest

from project.sites import Project
from reliability.conftest import eventually
from replication.cluster import cluster, running

pytestmark = pytest.mark.slow

WRITE = """
import django
django.setup()
import pgtrigger_history
from django.db import transaction
from app.models import Order, Reading
with pgtrigger_history.context(user=7), transaction.atomic():
    order = Order.objects.create(total=5)
    Order.objects.update(total=6)
    Reading.objects.create(value=1)
"""
READ = """
import django
django.setup()
import pgtrigger
import pgtrigger_history
from django.db import InternalError, transaction
from django.utils import timezone
from app.models import Order
with pgtrigger_history.context(user=8), pgtrigger.ignore("app.Order:keep"):
    (order,) = Order.objects.all()
    assert order.history.get(pgh_label="update").diff().keys() == {"total"}
    with transaction.atomic():
        (then,) = Order.history.as_of(timezone.now())
        assert then.total == order.total == 6
    assert Order.history.by(7).count() == 2
    try:
        order.save()
    except InternalError as error:
        assert "read-only" in str(error), error
    else:
        raise AssertionError("it was saved")
with pgtrigger.schema("public"):
    assert Order.objects.count() == 1
"""


@pytest.fixture(scope="module")
def pair(site):
    with running() as primary, cluster() as standby:
        Project(site, primary.url()).manage("migrate")
        standby.run("pg_basebackup", "-d", primary.conninfo, "-D", standby.data, "-R", "-c", "fast")
        standby.start()
        Project(site, primary.url()).python("-c", WRITE)
        lsn = primary.value("SELECT pg_current_wal_lsn()::text")
        query = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        eventually(lambda: standby.value(query, [lsn]), "the standby has caught up")
        yield primary, standby


def test_everything_can_be_read_on_a_replica(pair, site):
    _, standby = pair
    Project(site, standby.url()).python("-c", READ)


def test_commands_that_change_nothing_work_on_a_replica(pair, site):
    _, standby = pair
    project = Project(site, standby.url())
    for command in ("check", "ls", "install", "diff"):
        assert "DRIFTED" not in project.manage("pgtrigger", command).stdout


def test_what_would_change_something_says_why_not(pair, site):
    _, standby = pair
    result = Project(site, standby.url()).manage(
        "pgtrigger", "disable", "app.Order:keep", "--no-input", exits=1
    )
    assert 'Database "default": it is a replica, or its transactions are' in result.stderr
    assert "Traceback" not in result.stderr


def test_a_promoted_replica_has_everything(pair, site):
    """Last: it is a server of its own from now on."""
    _, standby = pair
    before = standby.value("SELECT max(pgh_id) FROM app_orderevent")
    standby.run("pg_ctl", "-D", standby.data, "-w", "promote")
    project = Project(site, standby.url())
    project.manage("pgtrigger", "check")
    project.python("-c", WRITE)
    events = standby.sql(
        "SELECT pgh_id, pgh_label, total FROM app_orderevent WHERE pgh_id > %s ORDER BY 1", [before]
    )
    assert [event[1:] for event in events] == [("insert", 5), ("update", 6)]
    assert standby.value("SELECT count(*) FROM app_readingevent") == 2
    with pytest.raises(Exception, match="Cannot delete rows"):
        standby.sql("""DELETE FROM "Order's table" """)
