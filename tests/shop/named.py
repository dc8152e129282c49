"""A table whose names are given, for tests of quoting."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.apps.registry import Apps
from django.db import connection, models, transaction

from pgtrigger import sql


class Named(NamedTuple):
    """A model, a cursor in a transaction that is rolled back, and the quoted names."""

    model: Any
    cursor: Any
    table: str
    key: str
    state: str


@contextmanager
def named(app_label: str, table: str, columns: list[str]) -> Iterator[Named]:
    """A model with the fields ``key`` and ``state``, and its table, by these names."""
    meta = {"app_label": app_label, "db_table": table, "apps": Apps()}
    body = {
        "__module__": __name__,
        "Meta": type("Meta", (), meta),
        "key": models.IntegerField(primary_key=True, db_column=columns[0]),
        "state": models.TextField(db_column=columns[1]),
    }
    model = type("Named", (models.Model,), body)
    relation, key, state = map(sql.quote, [table, *columns])
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(f"CREATE TABLE {relation} ({key} int PRIMARY KEY, {state} text)")
        yield Named(model, cursor, relation, key, state)
        transaction.set_rollback(True)
