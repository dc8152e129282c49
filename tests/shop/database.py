"""What the unit tests ask a database, and the triggers that they put into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

import pgtrigger
from pgtrigger import sql
from pgtrigger.testing import database_settings
from project.connections import connect
from shop.models import Log


def run(statement: str, params: Any = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def rows(query: str, params: Any = None) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def column(query: str, params: Any = None) -> list[Any]:
    return [row[0] for row in rows(query, params)]


def value(query: str, params: Any = None) -> Any:
    ((found,),) = rows(query, params)
    return found


@contextmanager
def refused(match: str | None = None, error: type[Exception] = DatabaseError) -> Iterator[Any]:
    """The database refuses the block, and the surrounding transaction stays usable."""
    with pytest.raises(error, match=match) as caught, transaction.atomic():
        yield caught


@contextmanager
def statements(alias: str = "default") -> Iterator[list[str]]:
    """The SQL of the block, without that of transactions and savepoints."""
    found: list[str] = []
    with CaptureQueriesContext(connections[alias]) as captured:
        yield found
    words = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
    texts = [text for query in captured.captured_queries for text in in_message(query["sql"])]
    found += [text for text in texts if not text.startswith(words)]


def in_message(text: str) -> list[str]:
    """The statements that the server is sent in one message."""
    found = [""]
    for token in sql.tokens(text):
        if token.text == ";":
            found.append("")
        else:
            found[-1] += token.text
    return [text.strip() for text in found if text.strip()]


def second_connection() -> Any:
    """Another connection to the test database, which Django knows nothing of."""
    entry = settings.DATABASES["default"]
    url = settings.SERVER.url
    assert database_settings(url)["HOST"] == entry["HOST"]
    return connect(database_url(url, entry["NAME"]))


def backend() -> int:
    """The number of the session that Django has with the test database; a new one if it has none."""
    connection.ensure_connection()
    return connection.connection.info.backend_pid


def terminate(pid: int) -> None:
    """End a session, as an administrator or a proxy does."""
    other = second_connection()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    finally:
        other.close()


def database_url(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    scheme, _, rest = head.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{name}{'?' if query else ''}{query}"


def logged() -> list[str | None]:
    return [*Log.objects.order_by("pk").values_list("text", flat=True)]


def noop(name: str = "noop", **kwargs: Any) -> pgtrigger.Trigger:
    """A row trigger before updates that changes nothing."""
    given = {"when": pgtrigger.Before, "operation": pgtrigger.Update, "func": "RETURN NEW;"}
    return pgtrigger.Trigger(name=name, **{**given, **kwargs})


def logs(expression: str = "'fired'", name: str = "logs", **kwargs: Any) -> pgtrigger.Trigger:
    """A row trigger after updates that writes one Log row."""
    func = f"INSERT INTO {Log._meta.db_table}(text) VALUES ({expression}); RETURN NULL;"
    given = {"when": pgtrigger.After, "operation": pgtrigger.Update, "func": func}
    return pgtrigger.Trigger(name=name, **{**given, **kwargs})


def definitions(relation: str) -> dict[str, str]:
    """What is on a table, named as SQL names it: the definitions by Postgres id."""
    return dict(
        rows(
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger"
            " WHERE tgrelid = %s::regclass AND NOT tgisinternal",
            [relation],
        )
    )


def functions() -> set[str]:
    """The names of our functions."""
    return {*column(r"SELECT proname FROM pg_proc WHERE proname LIKE 'pgtrigger\_%%'", [])}
