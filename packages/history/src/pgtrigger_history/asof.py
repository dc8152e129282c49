"""The tables of a query as they were: what stands in the place of a table in its FROM clause.

PostgreSQL manual: "SELECT", ``DISTINCT ON``.
"""

from __future__ import annotations

import datetime
import functools
from contextvars import ContextVar
from typing import Any, Final

from django.db.models.sql import Query
from django.db.models.sql.datastructures import BaseTable, Join

from pgtrigger import sql
from pgtrigger.columns import column_name
from pgtrigger_history.fields import GONE_SQL
from pgtrigger_history.trackings import Tracking, complete_trackings

# The moment of the query that is about to make a part of itself.
_moment: Final[ContextVar[datetime.datetime | None]] = ContextVar("moment", default=None)


@functools.lru_cache(maxsize=512)
def states_sql(tracking: Tracking) -> str:
    """The rows that a table had, with one placeholder for the moment.

    It is put together so that a condition on the key of a row reaches the index of the events.
    """
    options = tracking.event_model._meta
    recorded = {f.name: column_name(f) for f in options.concrete_fields if f.column}
    keys = [tracking.column(name) for name in tracking.key]
    columns = {column_name(field): recorded[field.name] for field in tracking.fields()}
    columns |= tracking.key_columns
    quote = sql.quote
    selected = ", ".join(f"{quote(theirs)} AS {quote(ours)}" for ours, theirs in columns.items())
    order = ", ".join(f"{quote(key)} DESC" for key in keys)
    shown = ", ".join(f"pgh_states.{quote(ours)}" for ours in columns)
    return (
        f"(SELECT {shown} FROM (SELECT DISTINCT ON ({', '.join(map(quote, keys))}) {selected}, "
        f"pgh_operation AS pgh_last FROM {sql.quote_relation(options.db_table)} "
        f"WHERE pgh_created_at <= %s ORDER BY {order}, pgh_id DESC) AS pgh_states "
        f"WHERE pgh_last NOT IN {GONE_SQL})"
    )


def _then(
    table: Any, moment: datetime.datetime, compiler: Any, connection: Any
) -> tuple[str, str, list[Any]] | None:
    """What Django calls a table, what stands in its place, and its parameters."""
    tracking = complete_trackings().get(table.table_name)
    if tracking is None:
        return None
    # As each version of Django quotes them.
    now, _ = BaseTable(table.table_name, table.table_alias).as_sql(compiler, connection)
    alias, _ = BaseTable(table.table_alias, table.table_alias).as_sql(compiler, connection)
    return now, f"{states_sql(tracking)} {alias}", [moment]


class AsOfTable(BaseTable):
    """The first table of a query, as it was."""

    def __init__(self, moment: datetime.datetime, table_name: str, alias: str | None) -> None:
        super().__init__(table_name, alias)
        self.moment = moment

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        found = _then(self, self.moment, compiler, connection)
        return found[1:] if found else super().as_sql(compiler, connection)

    def relabeled_clone(self, change_map: Any) -> AsOfTable:
        alias = change_map.get(self.table_alias, self.table_alias)
        return type(self)(self.moment, self.table_name, alias)

    @property
    def identity(self) -> Any:
        return (*super().identity, self.moment)


class AsOfJoin(Join):
    """Another table of a query, as it was."""

    def __init__(self, moment: datetime.datetime, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.moment = moment

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        text, parameters = super().as_sql(compiler, connection)
        found = _then(self, self.moment, compiler, connection)
        if found is None:
            return text, parameters
        now, then, moments = found
        return text.replace(now, then, 1), [*moments, *parameters]

    def relabeled_clone(self, change_map: Any) -> AsOfJoin:
        relation = self.filtered_relation
        return type(self)(
            self.moment,
            self.table_name,
            change_map.get(self.parent_alias, self.parent_alias),
            change_map.get(self.table_alias, self.table_alias),
            self.join_type,
            self.join_field,
            self.nullable,
            filtered_relation=relation and relation.relabeled_clone(change_map),
        )

    @property
    def identity(self) -> Any:
        return (*super().identity, self.moment)


class AsOfQuery(Query):
    """A query whose tracked tables are as they were at a moment; the others are as they are."""

    def __init__(
        self, model: Any, *args: Any, moment: datetime.datetime | None = None, **kwargs: Any
    ) -> None:
        super().__init__(model, *args, **kwargs)
        given = moment or _moment.get()
        assert given is not None
        self.moment = given
        self.base_table_class = functools.partial(AsOfTable, given)  # type: ignore[assignment]  # makes one
        self.join_class = functools.partial(AsOfJoin, given)  # type: ignore[assignment]  # makes one

    def split_exclude(self, *args: Any, **kwargs: Any) -> Any:
        token = _moment.set(self.moment)
        try:
            return super().split_exclude(*args, **kwargs)
        finally:
            _moment.reset(token)

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        compiler = super().get_compiler(*args, **kwargs)
        # To Postgres, the columns of what was do not follow from a primary key.
        compiler.collapse_group_by = _keep
        return compiler


def _keep(expressions: Any, having: Any) -> Any:
    return expressions
