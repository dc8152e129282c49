"""Customers whose rows and events are committed, and taken away in the end."""

import pytest
from django.db import connections

from ledger.models import Customer
from shop.database import second_connection

TABLES = "ledger_customer, ledger_customerevent, pgtrigger_history_context"


@pytest.fixture
def tracked(db):
    """The test runs in autocommit, on a connection of its own."""
    outer = connections["default"]
    connections["default"] = outer.copy()
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = outer
        other = second_connection()
        with other.cursor() as cursor:
            # Nothing refuses, and nothing records, what a replica does.
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
        other.close()


def recorded():
    """Operation, name and context of each event of a customer, in their order."""
    return [
        (event.pgh_operation, event.name, event.pgh_context and event.pgh_context.data)
        for event in Customer.history.select_related("pgh_context").order_by("pgh_id")
    ]
