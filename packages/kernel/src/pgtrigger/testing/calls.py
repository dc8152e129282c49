"""Counting how often triggers are called.

PostgreSQL manual: "The Cumulative Statistics System", ``track_functions`` and "Statistics
Functions".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from django.db import DEFAULT_DB_ALIAS, Error, connections

from pgtrigger import sql
from pgtrigger.errors import CallCountError, DatabaseNotSupportedError, TriggerNotFoundError
from pgtrigger.registry import registered
from pgtrigger.testing.blocks import Block

_TRACKING: Final = """
    SELECT pg_catalog.current_setting('track_functions'),
           pg_catalog.has_parameter_privilege('track_functions', 'SET')
"""
_TRACK: Final = "SELECT pg_catalog.set_config('track_functions', %s, false)"
# Clones on partitions call the function of the partitioned table's trigger. All Postgres triggers
# of a declaration call the same one.
_TRIGGERS: Final = """
    SELECT n.nspname, c.relname, t.tgname, t.tgfoid::int8
      FROM pg_catalog.pg_trigger t
      JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE t.tgparentid = 0 AND t.tgname = ANY(%s::name[])
"""
# A session keeps its counts back for a while after a transaction; what it keeps is in the second.
# A rollback changes neither.
_CALLS: Final = """
    SELECT f, coalesce(pg_catalog.pg_stat_get_function_calls(f::oid), 0)
              + coalesce(pg_catalog.pg_stat_get_xact_function_calls(f::oid), 0)
      FROM pg_catalog.unnest(%s::int8[]) AS f
"""


class count_calls(Block, Mapping[str, int]):  # noqa: N801  # used like a function
    """Count how often the functions of triggers are called within the block.

    A context manager, also an async one, for unittest and pytest, within a transaction and
    without. It holds the counts by URI. Those that are zero can be asked for and are not listed,
    so ``calls == {"shop.Order:protect": 1}`` says that no other trigger was called. Within the
    block it tells how many calls there are so far.

    The server counts calls that end. So a refusal is not counted; see `raises_violation`. A
    trigger whose ``WHEN`` clause does not hold is not called. One that is ignored may be: most
    functions find that out themselves. What is rolled back counts too. Triggers are looked for when
    the block begins, when it ends, and when counts are asked for in it: what comes and goes between
    is not counted, nor is what a transaction drops that commits in the block.

    Args:
        *uris: such as ``"shop.Order:protect"``, or globs, such as ``"shop.Order:*"``; all
            registered triggers without any.
        using: the alias of the database.

    Raises:
        TriggerUriError, TriggerNotFoundError: a URI that does not exist, or is not counted.
        DatabaseNotSupportedError: the database is not PostgreSQL.
        CallCountError: the database's user may not set ``track_functions``, for which it must be
            superuser or have been granted ``SET ON PARAMETER track_functions``; the connection was
            closed in the block; a trigger that was named is not installed; counts are asked for
            before the block, or after it has raised an error.

    Example::

        with count_calls() as calls:
            order.save()
        assert calls == {"shop.Order:stamp": 1}
        assert calls["shop.Order:protect"] == 0
    """

    def __init__(self, *uris: str, using: str = DEFAULT_DB_ALIAS) -> None:
        self._using = using
        self._is_named = bool(uris)
        self._uris = _uris_by_place(uris)
        self._functions: dict[int, str] = {}
        self._before: dict[int, int] = {}
        self._counts: Mapping[str, int] | None = None
        self._problem = "The block in which calls are counted has not begun."

    @property
    def total(self) -> int:
        """The calls of all triggers that are counted."""
        return sum(self._now().values())

    def __getitem__(self, uri: str) -> int:
        counts = self._now()
        if uri not in self._uris.values():
            registered(uri)  # a name that does not exist is told of as everywhere
            raise TriggerNotFoundError(f'"{uri}" is not among the triggers that are counted.')
        return counts.get(uri, 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def __contains__(self, uri: object) -> bool:
        return uri in self._now()

    def __repr__(self) -> str:
        return f"<count_calls: {self._problem or dict(self._now())}>"

    def __enter__(self) -> Self:
        connection = connections[self._using]
        if connection.vendor != "postgresql":
            raise DatabaseNotSupportedError(f'Database "{self._using}" is not PostgreSQL.')
        ((self._setting, may_set),) = self._ask(_TRACKING)
        if self._setting == "none" and not may_set:
            raise CallCountError(
                f"Calls of triggers cannot be counted: user "
                f'"{connection.settings_dict["USER"]}" of database "{self._using}" may not set '
                f"track_functions. Let tests run as a superuser, or as one do GRANT SET ON "
                f"PARAMETER track_functions TO the user, or set track_functions = 'pl' for the "
                f"server."
            )
        self._track("pl")
        self._before = self._read()
        self._counts, self._problem = None, ""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._problem = (
                "The block in which calls are counted has raised an error. Put what expects the "
                "error into that block, not around it."
            )
            with suppress(Error):  # the transaction has failed, and takes the setting along
                self._track(self._setting)
            return
        try:
            self._counts = self._now()
        finally:
            self._track(self._setting)
        missing = {*self._uris.values()} - {*self._functions.values()}
        if self._is_named and missing:
            raise CallCountError(
                f"{', '.join(map(repr, sorted(missing)))} cannot be called: not installed on "
                f'database "{self._using}".'
            )

    def _now(self) -> Mapping[str, int]:
        if self._problem:
            raise CallCountError(self._problem)
        if self._counts is not None:
            return self._counts
        ((setting, _),) = self._ask(_TRACKING)
        if setting == "none":
            raise CallCountError(
                f'The connection to database "{self._using}" was closed in the block, or the '
                f"transaction that it began in was rolled back; the calls since are not counted."
            )
        counts: dict[str, int] = {}
        for function, calls in self._read().items():
            if new := calls - self._before.get(function, 0):
                uri = self._functions[function]
                counts[uri] = counts.get(uri, 0) + new
        return counts

    def _read(self) -> dict[int, int]:
        """The calls of each function that one of the triggers calls, or has called."""
        if not self._is_named:
            self._uris |= _uris_by_place(())  # with those that were registered in the block
        for schema, table, pgid, function in self._ask(
            sql.catalog_query(_TRIGGERS), [key[2] for key in self._uris]
        ):
            for place in (schema, None):
                if uri := self._uris.get((place, table, pgid)):
                    self._functions[function] = uri
        return dict(self._ask(_CALLS, [*self._functions]))

    def _track(self, setting: str) -> None:
        if self._setting == "none":
            self._ask(_TRACK, setting)

    def _ask(self, query: str, *params: Any) -> list[Any]:
        with connections[self._using].cursor() as cursor:
            cursor.execute(query, params or None)
            return list(cursor.fetchall())


def _uris_by_place(uris: Iterable[str]) -> dict[tuple[str | None, str, str], str]:
    """The URIs by schema, table and Postgres id; a table without a schema may be in any."""
    return {
        (*sql.relation(model._meta.db_table), trigger.get_pgid(model)): trigger.get_uri(model)
        for model, trigger in registered(*uris)
    }


class assert_calls(Block):  # noqa: N801  # used like a function
    """Assert how often triggers are called within the block.

    A context manager, also an async one, for unittest and pytest.

    Args:
        expected: the number of calls by URI. Triggers that it does not name do not matter.
        using: the alias of the database.

    Raises:
        AssertionError (when the block ends): a trigger was called more or less often. The other
            errors are those of `count_calls`.

    Example::

        with assert_calls({"shop.Order:protect": 0}):
            order.save()  # its WHEN clause decides: nothing protected has changed
    """

    def __init__(self, expected: Mapping[str, int], *, using: str = DEFAULT_DB_ALIAS) -> None:
        self._expected = dict(expected)
        self._calls = count_calls(*expected, using=using)

    def __enter__(self) -> count_calls:
        return self._calls.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._calls.__exit__(kind, error, trace)
        if error is not None:
            return
        wrong = [
            f'"{uri}" was called {self._calls[uri]} times instead of {number}'
            for uri, number in self._expected.items()
            if self._calls[uri] != number
        ]
        if wrong:
            raise AssertionError("; ".join(wrong))
