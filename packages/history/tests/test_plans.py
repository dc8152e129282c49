"""The plans of what the triggers run: plpgsql keeps those that a session has made first."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from ledger.models import Customer, Invoice

pytest.importorskip("psycopg", reason="its connections hand on what Postgres explains")


@pytest.fixture
def plans(db):
    """The plans of the statements that triggers run, as Postgres explains them."""
    found = []
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOAD 'auto_explain'")
    except DatabaseError:
        pytest.skip("this server comes without auto_explain")
    with connection.cursor() as cursor:
        cursor.execute("DISCARD PLANS")
        for name, value in {
            "log_min_duration": "0",
            "log_nested_statements": "on",
            "log_level": "notice",
        }.items():
            cursor.execute("SELECT set_config(%s, %s, true)", [f"auto_explain.{name}", value])

    def note(notice):
        if "INSERT INTO" in notice.message_primary and "event" in notice.message_primary:
            found.append(notice.message_primary)

    connection.connection.add_notice_handler(note)
    yield found
    connection.connection.remove_notice_handler(note)


@pytest.mark.parametrize("beginning", [1, 8])
def test_a_session_that_began_with_single_rows_matches_many_by_hashing_or_merging(plans, beginning):
    # After five of them, Postgres may keep one plan for all.
    customer = Customer.objects.create()
    for number in range(beginning):
        row = Invoice.objects.create(customer=customer)
        Invoice.objects.filter(pk=row.pk).update(total=number + 1)
    Invoice.objects.bulk_create([Invoice(customer=customer) for _ in range(500)])
    plans.clear()
    assert Invoice.objects.update(total=F("total") + 1) == 500 + beginning
    (plan,) = plans
    assert "Full Join" in plan
    assert "Nested Loop" not in plan
    assert Invoice.history.filter(pgh_label="update").count() == 500 + 2 * beginning
