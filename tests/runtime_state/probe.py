"""A trigger that tells whether it fired, in the answer to the very statement that fires it."""

from typing import Any

import pytest
from django.db import connections

import pgtrigger
from shop.models import Order

URI = "shop.Order:probe"
FIRED, QUIET = "fired", "quiet"

# It takes no lock that another task would wait for, and leaves a row.
WRITE = f"""INSERT INTO "user" ("user", "Total", "it's odd") VALUES ('', 0, '{QUIET}') RETURNING "it's odd" """

psycopg3 = pytest.mark.skipif(
    "not hasattr(__import__('sys').modules.get('psycopg'), 'Pipeline')",
    reason="psycopg 3 has it, psycopg2 does not",
)


def probe(name: str = "probe", **kwargs: Any) -> pgtrigger.Trigger:
    """A trigger that writes into the new row that it fired."""
    func = f"""NEW."it's odd" = '{FIRED}'; RETURN NEW;"""
    given = {
        "when": pgtrigger.Before,
        "operation": pgtrigger.Insert | pgtrigger.Update,
        "func": func,
    }
    return pgtrigger.Trigger(name=name, **{**given, **kwargs})


def ignored(alias: str = "default", statement: Any = WRITE, params: Any = None) -> bool:
    """Whether the server ignores the trigger for a statement that returns one column of one row."""
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, params)
        ((found,),) = cursor.fetchall()
    assert found in (FIRED, QUIET)
    return found == QUIET


def notes() -> list[str]:
    """What the trigger has left on the rows."""
    return [*Order.objects.order_by("pk").values_list("note", flat=True)]
