import io

import pytest
from django.core.management import call_command
from django.db import connections

from ledger.models import Customer, Invoice
from reliability.conftest import site as site


@pytest.fixture
def sql(db):
    """`sql(text, parameters)`: runs a statement and returns its rows."""

    def run(text, parameters=None):
        with connections["default"].cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def history(db):
    """`history(action, …)`: what a command writes to stdout and to stderr, as lines."""

    def run(*arguments):
        out, err = io.StringIO(), io.StringIO()
        call_command("pgtrigger", "history", *map(str, arguments), stdout=out, stderr=err)
        return out.getvalue().splitlines(), err.getvalue().splitlines()

    return run


@pytest.fixture
def customer(db):
    return Customer.objects.create(name="Ada")


@pytest.fixture
def invoice(customer):
    return Invoice.objects.create(customer=customer, total=1)


def told(events):
    """Label and operation of each event, in their order."""
    return [(event.pgh_label, event.pgh_operation) for event in events.order_by("pgh_id")]


def pytest_addoption(parser):
    parser.addoption(
        "--screenshots",
        metavar="DIRECTORY",
        help="where to write pictures of the pages of the history in the admin",
    )
