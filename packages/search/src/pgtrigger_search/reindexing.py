"""Computes the vectors of rows that were there before their trigger was: batch by batch.

PostgreSQL manual: "UPDATE"; "Read Committed Isolation Level".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.db import connections, transaction

from pgtrigger import sql
from pgtrigger.composer import primary_key_columns
from pgtrigger.conditions import Rows
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError, InstallationError
from pgtrigger.runtime import ignore
from pgtrigger.sql import quote, quote_relation
from pgtrigger_search import vectors
from pgtrigger_search.triggers import UpdateSearchVector

Key = tuple[Any, ...]
ROW = "row_to_index"


class Batch(NamedTuple):
    """What was done with some rows.

    Args:
        rows: how many were looked at.
        wrong: how many had another vector than they should have.
        last: the primary key of the last one.
    """

    rows: int
    wrong: int
    last: Key


class Reindexing:
    """Puts the vectors of a table right, in the order of the primary key.

    Each batch is a transaction of its own, unless the caller has opened one. Rows whose vector is
    right are not written. The ignorable triggers of the table do not fire: nothing but the vector
    changes, and it is the right one already. The table is found on the search path, as Django
    finds it.

    Args:
        model, trigger: the declaration whose rows to look at.
        database: the alias.
        batch_size: the number of rows in a transaction.
        after: the primary key behind which to begin; a value for each of its columns.
        dry_run: only count.

    Raises:
        DeclarationError: an ``after`` of another length than the primary key has, or a condition
            of the trigger on the old row, which rows that are not updated do not have.
        InstallationError: the extension unaccent is needed and is not installed.
    """

    def __init__(
        self,
        model: Model,
        trigger: UpdateSearchVector,
        *,
        database: str,
        batch_size: int = 1000,
        after: Sequence[Any] = (),
        dry_run: bool = False,
    ) -> None:
        self.model, self.trigger, self.database = model, trigger, database
        self.batch_size, self.dry_run = batch_size, dry_run
        self.keys = primary_key_columns(model)
        if after and len(after) != len(self.keys):
            raise DeclarationError(
                f'The primary key of "{model._meta.label}" is made of {", ".join(self.keys)}: '
                f"{len(self.keys)} values, but {len(after)} were given to begin behind."
            )
        self.after: Key = tuple(after)
        self._wrong = self._is_wrong()

    def total(self) -> int:
        """The number of rows to look at."""
        return self._count(self._behind(self.after))

    def batches(self) -> Iterator[Batch]:
        """Do the work, and tell about it after each batch."""
        self._find_dictionary()
        last = self.after
        while True:
            # Within the loop: what the caller does between the batches is not ours to ignore.
            with (
                ignore(model=self.model, databases=[self.database]),
                transaction.atomic(using=self.database),
            ):
                batch = self._batch(last)
            if batch is None:
                return
            yield batch
            last = batch.last

    def _batch(self, after: Key) -> Batch | None:
        keys = ", ".join(f"{ROW}.{quote(key)}" for key in self.keys)
        names = ", ".join(f"k{number}" for number, _ in enumerate(self.keys))
        # As Postgres writes them, which it reads again as the same, whatever Python makes of them.
        texts = ", ".join(f"k{number}::text" for number, _ in enumerate(self.keys))
        descending = ", ".join(f"batch.k{number} DESC" for number, _ in enumerate(self.keys))
        found = self._rows(
            f"SELECT pg_catalog.count(*) OVER (), {texts} FROM (SELECT {keys} "
            f"FROM {self._table} WHERE {self._behind(after)} ORDER BY {keys} "
            f"LIMIT {self.batch_size}) AS batch ({names}) ORDER BY {descending} LIMIT 1"
        )
        if not found:
            return None
        rows, *last = found[0]
        upto = f"{self._key} <= ({_values(tuple(last))})"
        wrong = f"{self._behind(after)} AND {upto} AND {self._wrong}"
        done = self._count(wrong) if self.dry_run else self._update(wrong)
        return Batch(int(rows), done, tuple(last))

    def _count(self, where: str) -> int:
        query = f"SELECT pg_catalog.count(*) FROM {self._table} WHERE {where}"
        ((number,),) = self._rows(query)
        return int(number)

    def _update(self, where: str) -> int:
        with connections[self.database].cursor() as cursor:
            # Both expressions are on the row itself, so Postgres evaluates them anew if somebody
            # else has changed it in the meantime.
            cursor.execute(
                f"UPDATE {self._table} SET {self._column} = {self._vector} WHERE {where}"
            )
            return int(cursor.rowcount)

    def _rows(self, query: str) -> list[Any]:
        with connections[self.database].cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    @property
    def _table(self) -> str:
        return f"{quote_relation(self.model._meta.db_table)} AS {ROW}"

    @property
    def _key(self) -> str:
        return f"({', '.join(f'{ROW}.{quote(key)}' for key in self.keys)})"

    def _behind(self, after: Key) -> str:
        return f"{self._key} > ({_values(after)})" if after else "TRUE"

    @property
    def _column(self) -> str:
        return quote(str(self.trigger.get_vector_field(self.model).column))

    @property
    def _vector(self) -> str:
        return self.trigger.get_vector(self.model, ROW)

    def _is_wrong(self) -> str:
        wrong = f"{ROW}.{self._column} IS DISTINCT FROM ({self._vector})"
        condition = self.trigger.get_condition(self.model)
        if condition is None:
            return wrong
        if "OLD" in sql.rows_used(condition.resolve(self.model)):
            raise DeclarationError(
                f'"{self.trigger.get_uri(self.model)}" depends on the old row of an update, so '
                f"nobody can tell which of the rows in the table it is about."
            )
        return f"{wrong} AND ({condition.resolve_rows(self.model, Rows(new=ROW))})"

    def _find_dictionary(self) -> None:
        if not self.trigger.unaccent:
            return
        ((dictionary,),) = self._rows(f"SELECT {vectors.UNACCENT_DICTIONARY}::text")
        if dictionary is None:
            raise InstallationError(f"{vectors.UNACCENT_MISSING}. {vectors.UNACCENT_HINT}")


def _values(key: Key) -> str:
    """The values of a key as literals without a type, which take that of their column."""
    return ", ".join(sql.string(str(value)) for value in key)
