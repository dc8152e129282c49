"""pgtrigger.watch: what bypasses Django's cursors runs with the wanted settings too."""

import gc

import pytest
from django.db import connection, connections

import pgtrigger
from pgtrigger.watch import _watched, attach
from shop.models import Order


class Cursor:
    """A driver's cursor class with psycopg2's ways to copy."""

    def copy_expert(self, sql):
        return "copied"


def test_methods_that_a_driver_lacks_are_not_invented():
    watched = _watched(Cursor, lambda: None)
    assert watched.__name__ == "Cursor"
    assert not hasattr(watched, "copy_from")
    assert not hasattr(watched, "copy")
    assert watched().copy_expert("COPY") == "copied"


def test_a_class_is_watched_once_however_often_it_comes():
    watched = _watched(Cursor, lambda: None)
    again = _watched(watched, lambda: None)
    assert again.__mro__[1] is Cursor


def test_a_factory_that_is_no_class_is_left_alone():
    def factory():
        return Cursor()

    assert _watched(factory, lambda: None) is factory


def test_other_database_systems_are_left_alone():
    other = connections["sqlite"]
    before = [*other.execute_wrappers]
    attach(connection=other)
    assert other.execute_wrappers == before


def test_a_call_of_the_driver_in_autocommit_runs_within_its_settings(autocommit_live):
    autocommit_live(Order, pgtrigger.Protect(name="keep", operation=pgtrigger.Update))

    class Driver:
        def callproc(self):
            with connection.connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('pgtrigger.ignore', true)")
                return cursor.fetchone()[0]

    connection.ensure_connection()
    watched = _watched(Driver, lambda: connections["default"])
    with pgtrigger.ignore("shop.Order:keep"):
        assert "pgtrigger_keep_" in watched().callproc()
    assert not watched().callproc()


def test_a_connection_that_django_has_dropped_is_no_obstacle(committed):
    copy = connections["default"].copy()
    copy.ensure_connection()
    driver = copy.connection
    del copy
    gc.collect()
    cursor = driver.cursor()
    if not hasattr(cursor, "copy"):
        pytest.skip("COPY of psycopg 3")
    with cursor.copy("COPY (SELECT 1) TO STDOUT") as copying:
        assert bytes(next(iter(copying))) == b"1\n"
    driver.close()
