"""Rows that are saved one by one, with any of the packages."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import transaction
from measure import Clock, Samples

Around = Callable[[], AbstractContextManager[Any]]
AUTOCOMMIT, TRANSACTION = "each in a transaction of its own", "all in one transaction"
AROUND: dict[str, Around] = {AUTOCOMMIT: nullcontext, TRANSACTION: transaction.atomic}


def rows_to_save(model: Any, number: int) -> Iterator[Any]:
    for row in model.objects.order_by("pk")[:number]:
        row.dep_delay = (row.dep_delay or 0) + 1
        yield row


def time_saves(clock: Clock, model: Any, number: int, samples: Samples, *around: Around) -> None:
    """Save so many rows, within these contexts."""
    rows = [*rows_to_save(model, number)]
    outer, inner = (*around, nullcontext)[:2]

    def work() -> None:
        with outer(), inner():
            for row in rows:
                row.save()

    clock.time(work, samples)
