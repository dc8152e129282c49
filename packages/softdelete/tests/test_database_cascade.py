"""The on_delete options that the database carries out, which came with Django 6.1."""

import pytest
from django.db import IntegrityError, connection, models

import pgtrigger
from archive.models import Rack
from pgtrigger_softdelete import SoftDelete
from pgtrigger_softdelete.plugin import pgtrigger_check
from shop.database import refused, rows, run

pytestmark = pytest.mark.skipif(
    not hasattr(models, "DB_CASCADE"), reason="Django has these options as of 6.1"
)


@pytest.fixture
def rack(live):
    """`rack(orphaned)`: a rack with a tray, and with what stays when it goes."""
    from archive.models import Fallen, Loose, Tray

    def make(orphaned):
        live(
            Tray,
            SoftDelete(
                name="soft_delete",
                field="is_active",
                cascade_field="deleted_with",
                orphaned=orphaned,
            ),
        )
        for model in (Loose, Fallen):
            live(model, SoftDelete(name="soft_delete", field="is_active"))
        live(Rack, SoftDelete(name="soft_delete", field="is_active", cascade="soft"))
        parent = Rack.objects.create()
        for model in (Tray, Loose, Fallen):
            model.objects.create(rack=parent)
        return parent

    return make


def state(name):
    return rows(f"SELECT rack_id IS NOT NULL, is_active FROM archive_{name}")


def test_a_cascade_of_the_database_is_soft_and_comes_back(rack):
    parent = rack("refuse")
    parent.delete()
    assert state("tray") == [(True, False)]
    assert state("loose") == state("fallen") == [(True, True)]
    parent.restore()
    assert state("tray") == [(True, True)]


@pytest.mark.parametrize(("orphaned", "tray"), [("delete", []), ("set_null", [(False, False)])])
def test_a_parent_that_is_really_deleted_leaves_no_reference(rack, orphaned, tray):
    rack(orphaned)
    with pgtrigger.ignore("archive.Rack:soft_delete"):
        run("DELETE FROM archive_rack")
    assert state("tray") == tray
    assert state("loose") == state("fallen") == [(False, True)]
    connection.check_constraints()


def test_by_default_that_is_refused_and_the_check_says_so(rack):
    from archive.models import Tray

    parent = rack("refuse")
    with refused("only marked as deleted", IntegrityError):
        with pgtrigger.ignore("archive.Rack:soft_delete"):
            parent.delete()
    (trigger,) = Tray._meta.triggers
    assert [message.id for message in pgtrigger_check(Tray, trigger)] == [
        "pgtrigger_softdelete.W003"
    ]


def test_really_deleting_takes_the_rows_along(rack):
    rack("refuse").hard_delete()
    assert state("tray") == []
    connection.check_constraints()
