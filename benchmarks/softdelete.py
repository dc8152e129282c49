"""What a soft delete costs a deleted row, beside the trigger that one would write by hand."""

import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection
from measure import Clock, Line, Samples, Scale, added, duration, rounds
from peers import peer_environment, run_peer
from tables import Table, execute, reconnect

import pgtrigger

BAR = 1.15
HEAD = "BEFORE DELETE ON TABLE FOR EACH ROW"

Put = Callable[[Table], Table]


def mark(table: Table) -> str:
    return f"UPDATE {table.name} SET status = 'deleted' WHERE id = OLD.id;"


def by_hand(table: Table) -> Table:
    return table.by_hand(HEAD, f"{mark(table)} RETURN NULL;")


def by_us(**kwargs: Any) -> Put:
    # By its name in pgtrigger, as every trigger type: the benchmarks know no package.
    return lambda table: table.by_us(
        pgtrigger.SoftDelete(name="soft", field="status", value="deleted", live="open", **kwargs)
    )


def by_peer(table: Table) -> Table:
    python = peer_environment()
    assert python is not None
    run_peer(python, "softdelete", table.name, "")
    return table


def beyond_the_path(name: str) -> bool:
    return name.endswith("search path")


def run(scale: Scale) -> Iterator[Line]:
    rows = scale.pick(100_000, 2_000)
    variants: dict[str, Put] = {
        "none": lambda table: table,
        "hand": by_hand,
        "ours": by_us(),
        "ours, ignorable=False": by_us(ignorable=False),
        **({} if peer_environment() is None else {"django-pgtrigger": by_peer}),
        "ours, no search path": by_us(),
        "none, some rows": lambda table: table,
        "hand, some rows": lambda table: table.by_hand(
            f"{HEAD} WHEN (OLD.id % 2 = 0)", f"{mark(table)} RETURN NULL;"
        ),
        "ours, some rows": by_us(condition=pgtrigger.Condition("OLD.id % 2 = 0")),
    }
    reconnect()
    tables = {
        name: put(Table(f"soft_{number}", rows).create())
        for number, (name, put) in enumerate(variants.items())
    }
    reconnect()
    clock = Clock(connection)

    def work(name: str, samples: Samples) -> None:
        tables[name].vacuum()
        path = "''" if beyond_the_path(name) else "DEFAULT"
        execute(f"SET search_path = {path}", "BEGIN")
        clock.time(lambda: execute(f"DELETE FROM public.{tables[name].name}"), samples)
        execute("ROLLBACK", "SET search_path = DEFAULT")

    samples = rounds(tables, scale.pick(15, 2), work)
    for name, hand, none, bar in (
        ("ours", "hand", "none", BAR),
        ("ours, ignorable=False", "hand", "none", BAR),
        ("ours, some rows", "hand, some rows", "none, some rows", BAR),
        ("ours, no search path", "hand", "none", None),
    ):
        yield added(name, samples, hand, name, none=none, rows=rows, bar=bar)
    if "django-pgtrigger" in samples:
        line = added("ours", samples, "django-pgtrigger", "ours", rows=rows)
        yield line._replace(case="ours, beside django-pgtrigger")
        yield beside_safedelete(scale)


def beside_safedelete(scale: Scale) -> Line:
    """The same rows deleted by a queryset: theirs sends a statement for each of them."""
    rows = scale.pick(1_000, 20)
    python = peer_environment()
    assert python is not None
    theirs = json.loads(run_peer(python, "safedelete", "soft_python_theirs", str(rows)))
    from pgtrigger_softdelete import SoftDeleteQuerySet  # noqa: PLC0415  # wants apps

    table = Table("soft_python", rows).create()
    model = table.model()
    trigger = pgtrigger.SoftDelete(name="soft", field="status", value="deleted", live="open")
    trigger.register(model)
    trigger.install(model)
    best = math.inf
    for _ in range(3):
        execute(f"UPDATE {table.name} SET status = 'open'")
        begin = time.perf_counter()
        SoftDeleteQuerySet(model).delete()
        best = min(best, time.perf_counter() - begin)
    return Line(
        f"{rows:,} rows by QuerySet.delete(), beside django-safedelete",
        duration(theirs),
        duration(best),
        ratio=best / theirs,
        note="wall time, best round; theirs in its own process",
    )
