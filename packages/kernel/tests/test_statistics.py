"""pgtrigger.statistics: calls and times that the server has counted."""

import pytest
from django.db import connection

import pgtrigger
from pgtrigger import statistics
from pgtrigger.statistics import Calls, Statistics
from shop.database import noop, run, statements
from shop.models import Missing, Order, Product


def counted(*pairs):
    return {calls.uri: calls for calls in statistics.read(connection, pairs).triggers}


def test_calls_and_times_are_counted_for_each_trigger(autocommit_live):
    run("SET track_functions = 'pl'")
    slow = autocommit_live(Product, noop("slow", func="PERFORM pg_sleep(0.01); RETURN NEW;"))
    rare = autocommit_live(Product, noop("rare", condition=pgtrigger.Q(new__stock__gt=100)))
    Product.objects.create()
    Product.objects.create()
    Product.objects.update(stock=1)
    run("SELECT pg_stat_force_next_flush()")
    found = counted((Product, slow), (Product, rare))
    calls = found["shop.Product:slow"]
    assert calls.installed
    assert calls.calls == 2
    assert calls.total_ms >= 20
    assert 0 < calls.self_ms <= calls.total_ms
    assert calls.average_ms == calls.total_ms / 2
    # The WHEN clause keeps the function from being called.
    assert found["shop.Product:rare"].calls == 0
    assert found["shop.Product:rare"].average_ms == 0


def test_a_trigger_that_is_not_there_is_told_apart(live, declared):
    there, missing = live(Product, noop()), declared(Missing, noop())
    found = counted((Product, there), (Missing, missing))
    assert found["shop.Product:noop"].installed
    assert not found["shop.Missing:noop"].installed


def test_it_is_one_query(live):
    trigger = live(Product, noop())
    with statements() as found:
        statistics.read(connection, [(Product, trigger)] * 3)
    assert len(found) == 1


def test_without_triggers_it_tells_the_setting(db):
    found = statistics.read(connection, [])
    assert found.tracking == "none"
    assert not found.counts
    assert found.triggers == ()


def test_it_finds_them_with_an_empty_search_path(live):
    trigger = live(Order, noop())
    run("SET LOCAL search_path = ''")
    assert not counted((Order, trigger))["shop.Order:noop"].installed


@pytest.mark.parametrize(
    ("order", "first"),
    [("total", "b"), ("self", "a"), ("average", "c"), ("calls", "a"), ("uri", "a")],
)
def test_they_are_sorted_by_what_is_asked_for(order, first):
    found = Statistics(
        database="x",
        tracking="pl",
        since=None,
        triggers=(
            Calls(uri="c", installed=True, calls=1, total_ms=5, self_ms=1),
            Calls(uri="b", installed=True, calls=2, total_ms=9, self_ms=2),
            Calls(uri="a", installed=True, calls=9, total_ms=8, self_ms=7),
        ),
    )
    assert found.sorted_by(order)[0].uri == first
