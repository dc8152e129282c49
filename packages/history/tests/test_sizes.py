"""sizes: `manage.py pgtrigger history stats`."""

import json

import pytest

import pgtrigger_history
from ledger.models import Customer, Reading
from pgtrigger_history.sizes import size_of_contexts
from pgtrigger_history.subcommands.action import bytes_text


def stats(history, *arguments):
    out, _ = history("stats", "--json", *arguments)
    return {entry["model"]: entry for entry in json.loads("\n".join(out))}


def test_events_are_counted_on_request(db, history):
    with pgtrigger_history.context(user=1):
        Customer.objects.create()
        Customer.objects.create()
    found = stats(history, "ledger.Customer", "--exact")
    assert [*found] == ["ledger.CustomerEvent", "pgtrigger_history.Context"]
    events = found["ledger.CustomerEvent"]
    first, last = Customer.history.order_by("pgh_id")
    assert (events["rows"], events["exact"], events["partitions"]) == (2, True, 0)
    assert events["oldest"] == first.pgh_created_at.isoformat()
    assert events["newest"] == last.pgh_created_at.isoformat()
    assert events["table_bytes"] > 0
    assert events["index_bytes"] > 0
    assert found["pgtrigger_history.Context"]["rows"] == 1


def test_and_estimated_by_default(db, history, sql):
    Customer.objects.bulk_create([Customer() for _ in range(30)])
    Reading.objects.bulk_create([Reading() for _ in range(20)])
    sql("ANALYZE ledger_customerevent, ledger_readingevent")
    found = stats(history)
    assert len(found) > 10
    for model, rows, partitions in (("Customer", 30, 0), ("Reading", 20, 5)):
        events = found[f"ledger.{model}Event"]
        assert (events["rows"], events["exact"]) == (rows, False)
        assert events["partitions"] == partitions


def test_as_a_table(db, history, sql):
    Customer.objects.create()
    out, _ = history("stats", "ledger.Customer", "ledger.Reading", "--exact")
    for line, start, end in zip(
        out, "10", ("ledger.CustomerEvent", "ledger.ReadingEvent"), strict=False
    ):
        assert line.startswith(f"{start} ")
        assert line.endswith(end)
    assert " - " in out[1]
    sql("ANALYZE ledger_customerevent")
    out, _ = history("stats", "ledger.Customer")
    assert out[0].startswith("~1 ")


def test_a_table_that_nobody_has_counted_or_made(db, history, sql):
    sql("CREATE TABLE fresh (LIKE ledger_customerevent INCLUDING ALL)")
    sql("ALTER TABLE ledger_customerevent RENAME TO former")
    sql("DROP TABLE pgtrigger_history_context CASCADE")
    assert history("stats", "ledger.Customer") == ([], [])
    assert size_of_contexts("default") is None
    sql("ALTER TABLE fresh RENAME TO ledger_customerevent")
    out, _ = history("stats", "ledger.Customer")
    assert out[0].startswith("? ")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (10239, "10,239 bytes"), (10240, "10 kB"), (2**60, "1,048,576 TB")],
)
def test_bytes(size, text):
    assert bytes_text(size) == text
