"""What the mechanism under `pgtrigger.ignore` adds to statements, on a table without triggers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from django.db import connection, transaction
from measure import Clock, Line, Samples, Scale, relative, rounds
from tables import Table, execute, reconnect

import pgtrigger

IN_TRANSACTION_BAR, AUTOCOMMIT_BAR = 1.03, 1.25
WRITE = "UPDATE ignore_rows SET amount = amount + 1 WHERE id = %s"
READ = "SELECT amount FROM ignore_rows WHERE id = %s"

Context = Callable[[], Any]


@contextmanager
def unwatched() -> Iterator[None]:
    """The connection as it is without us."""
    driver, wrappers = connection.connection, [*connection.execute_wrappers]
    factory = driver.cursor_factory
    connection.execute_wrappers.clear()
    driver.cursor_factory = getattr(factory, "unwatched", factory)
    yield
    connection.execute_wrappers.extend(wrappers)
    driver.cursor_factory = factory


def run(scale: Scale) -> Iterator[Line]:
    statements = scale.pick(500, 20)
    reconnect()
    table = Table("ignore_rows", 1_000).create()
    trigger = pgtrigger.Protect(name="unheard_of", operation=pgtrigger.Delete)
    trigger.register(table.model())
    uri = "benchmarks.IgnoreRows:unheard_of"

    def several(statement: str, *contexts: Context) -> Callable[[], None]:
        def work() -> None:
            with ExitStack() as stack:
                for context in contexts:
                    stack.enter_context(context())
                cursor = stack.enter_context(connection.cursor())
                for number in range(1, statements + 1):
                    cursor.execute(statement, [number])

        return work

    def small_transactions(context: Context) -> Callable[[], None]:
        def work() -> None:
            for number in range(1, statements + 1):
                with transaction.atomic(), context(), connection.cursor() as cursor:
                    cursor.execute(WRITE, [number])

        return work

    def ignored() -> pgtrigger.ignore:
        return pgtrigger.ignore(uri)

    pairs = {
        "write in a transaction": (
            several(WRITE, transaction.atomic),
            several(WRITE, transaction.atomic, ignored),
            IN_TRANSACTION_BAR,
        ),
        "read in a transaction": (
            several(READ, transaction.atomic),
            several(READ, transaction.atomic, ignored),
            IN_TRANSACTION_BAR,
        ),
        "write in autocommit": (several(WRITE), several(WRITE, ignored), AUTOCOMMIT_BAR),
        "read in autocommit": (several(READ), several(READ, ignored), IN_TRANSACTION_BAR),
        "transactions of one write": (
            small_transactions(nullcontext),
            small_transactions(ignored),
            None,
        ),
        "read outside any ignore": (several(READ, unwatched), several(READ), IN_TRANSACTION_BAR),
    }
    works = {
        f"{case} {which}": work
        for case, (*both, _bar) in pairs.items()
        for which, work in zip(("without", "with"), both, strict=True)
    }
    reconnect()
    clock = Clock(connection, client=True)

    def work(name: str, samples: Samples) -> None:
        execute("VACUUM ignore_rows")
        clock.time(works[name], samples)

    samples = rounds(works, scale.pick(25, 2), work)
    for case, (*_both, bar) in pairs.items():
        base, ours = samples[f"{case} without"], samples[f"{case} with"]
        yield relative(case, base, ours, per=statements, bar=bar)
