"""Fixtures of the unit tests; a conftest.py imports those that its tests need."""

from contextlib import ExitStack

import pytest
from django.db import connections

from shop import database, models


@pytest.fixture
def declared():
    """`declared(Model, trigger)`: registers a trigger until the test ends."""
    with ExitStack() as undo:

        def add(model, trigger):
            undo.enter_context(trigger.register(model))
            return trigger

        yield add


@pytest.fixture
def live(db, declared):
    """`live(Model, trigger)`: registers and installs; the test's transaction is rolled back."""

    def add(model, trigger):
        declared(model, trigger)
        trigger.install(model)
        return trigger

    return add


@pytest.fixture
def committed(db):
    """The test runs in autocommit, on a connection of its own, and its rows are removed."""
    outer = connections["default"]
    connections["default"] = outer.copy()
    tables = [models.Product, models.Log, models.Order, models.Maker]
    names = ", ".join(f'"{model._meta.db_table}"' for model in tables)
    try:
        yield
        connections["default"].close()
        database.run(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
    finally:
        connections["default"].close()
        connections["default"] = outer


@pytest.fixture
def autocommit_live(committed, declared):
    """`autocommit_live(Model, trigger)`: as `live`, for all connections to see."""
    with ExitStack() as undo:

        def add(model, trigger):
            declared(model, trigger)
            undo.enter_context(trigger.install(model))
            return trigger

        yield add
        connections["default"].close()  # whatever the test has left open
