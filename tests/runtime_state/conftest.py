"""Connections as applications have them, to a database whose trigger can tell that it fired."""

import copy
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from pgtrigger.wanted import Wanted, current
from runtime_state.probe import URI, probe
from shop.fixtures import autocommit_live as autocommit_live
from shop.fixtures import committed as committed
from shop.fixtures import declared as declared
from shop.models import Order

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "server_side_binding": {"OPTIONS": {"server_side_binding": True}},
    "prepared": {"OPTIONS": {"prepare_threshold": 0}},
    "pool": {"OPTIONS": {"pool": {"min_size": 1, "max_size": 2, "timeout": 20}}},
    "persistent": {"CONN_MAX_AGE": None},
    "health_checks": {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True},
}


@pytest.fixture(autouse=True)
def untainted(autocommit_live):
    """What a failing test has left wanted is not wanted by the next."""
    token = current.set(Wanted())
    yield
    current.reset(token)
    connections["default"].close()


@pytest.fixture
def probed(autocommit_live):
    """In autocommit, with a trigger on orders that tells whether it fired."""
    return autocommit_live(Order, probe())


@pytest.fixture
def connected(committed):
    """`connected(OPTIONS=…)`: replaces the connection by one with other settings."""
    with ExitStack() as undo:

        def replace(**settings: Any) -> Any:
            old = connections["default"]
            old.close()
            new = old.copy()
            new.settings_dict = copy.deepcopy(old.settings_dict)
            for name, value in settings.items():
                if isinstance(value, dict):
                    new.settings_dict[name] = {**new.settings_dict[name], **value}
                else:
                    new.settings_dict[name] = value
            connections["default"] = new

            def back() -> None:
                new.close()
                if is_psycopg3:
                    new.close_pool()
                connections["default"] = old

            undo.callback(back)
            return new

        yield replace


# These keep a connection longer than the others, and treat a statement as those do.
SLOW = ("prepared", "persistent", "health_checks")


@pytest.fixture(
    params=[pytest.param(kind, marks=[pytest.mark.slow] * (kind in SLOW)) for kind in KINDS]
)
def kind(request, connected, probed):
    """Each way in which Django keeps a connection."""
    settings = KINDS[request.param]
    if not is_psycopg3 and "OPTIONS" in settings:
        pytest.skip("an option for psycopg 3")
    if request.param == "pool":
        pytest.importorskip("psycopg_pool", reason="the pools of psycopg 3")
    connected(**settings)
    return request.param


@pytest.fixture
def uri(probed):
    """The URI of the trigger that tells whether it fired."""
    assert connection.get_autocommit()
    return URI
