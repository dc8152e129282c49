"""What history costs a row, beside a statement trigger that one would write by hand, and the peers.

All write to tables of the same columns and indexes, on the flights that left New York in 2013.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.db import connection
from flight_tables import (
    FLIGHTS,
    OPERATIONS,
    FlightTable,
    by_hand,
    by_us,
    create_contexts,
    load_source,
    untracked,
)
from history_peers import PGHISTORY, by_pghistory
from lines import HAND, OURS, added, growth
from measure import Clock, Samples, Scale, rounds
from session import execute, reconnect
from subject import Chart, Finding, Subject

import pgtrigger

BAR = 1.15
CONTEXT = 'SET pgtrigger.context = \'{"user": 1, "url": "/flights/"}\''


class Variant(NamedTuple):
    """How the changes of a table are recorded, and what the session did before.

    Args:
        table: the key of its table.
        begins_with_one: whether its first statements touch one row, as those of most sessions do;
            plpgsql keeps the plans that it made then. The others begin with many rows.
        context: whether there is one.
        bar: what it is held to, beside the trigger written by hand.
    """

    table: str
    begins_with_one: bool = False
    context: bool = False
    bar: float | None = None


VARIANTS = {
    "none": Variant("none"),
    "hand": Variant("hand"),
    "hand, comparing nothing": Variant("hand, comparing nothing"),
    "ours": Variant("ours", bar=BAR),
    "ours, after one row": Variant("ours", begins_with_one=True, bar=BAR),
    "hand, in a context": Variant("hand", context=True),
    "ours, in a context": Variant("ours", context=True, bar=BAR),
    "ours, row level": Variant("ours, row level"),
    f"{PGHISTORY}, statement level": Variant(f"{PGHISTORY}, statement level"),
    f"{PGHISTORY}, row level": Variant(f"{PGHISTORY}, row level"),
}
LARGE = ("none", "hand", "ours", "ours, after one row")


def make_tables() -> dict[str, FlightTable]:
    puts: dict[str, Callable[[str], FlightTable | None]] = {
        "another": by_us,
        "none": untracked,
        "hand": by_hand,
        "hand, comparing nothing": lambda name: by_hand(name, compares=False),
        "ours": by_us,
        "ours, row level": lambda name: by_us(name, level=pgtrigger.Row),
        f"{PGHISTORY}, statement level": lambda name: by_pghistory(name, "Statement"),
        f"{PGHISTORY}, row level": lambda name: by_pghistory(name, "Row"),
    }
    made = {name: put(f"bulk_{number}") for number, (name, put) in enumerate(puts.items())}
    return {name: table for name, table in made.items() if table is not None}


def run(scale: Scale) -> Iterator[Finding]:
    reconnect()
    # How many rounds; without any, the warm-up counts.
    sizes = scale.pick(
        {5_000: 11, 20_000: 7, 80_000: 3},
        {250: 0, 500: 0, 1_000: 0},
        {20_000: 7, FLIGHTS: 0, 1_000_000: 0},
    )
    load_source(max(sizes))
    create_contexts()
    yield from run_bulk(sizes)


def run_bulk(sizes: dict[int, int]) -> Iterator[Finding]:
    tables = make_tables()
    measured: dict[int, dict[str, dict[str, Samples]]] = {}
    for rows, number in sizes.items():
        names = [name for name, variant in VARIANTS.items() if variant.table in tables]
        if rows == max(sizes):
            names = [*LARGE]
        measured[rows] = measure(tables, names, rows, number)
        for operation, samples in measured[rows].items():
            for name in names:
                if name in ("none", "hand"):
                    continue
                if name == "hand, in a context":
                    continue
                hand = "hand, in a context" if name == "ours, in a context" else "hand"
                who, _, more = name.partition(", ")
                level = "" if more == "statement level" else more
                case = ", ".join(part for part in (f"{operation} of {rows:,} rows", level) if part)
                contender = {"ours": OURS, "hand": HAND}.get(who, who)
                bar = VARIANTS[name].bar
                yield added(case, samples, hand, name, rows=rows, contender=contender, bar=bar)
    for operation in OPERATIONS:
        series = {}
        for name in ("hand", "ours", "ours, after one row"):
            pairs: Any = {
                rows: (samples[operation]["none"], samples[operation][name])
                for rows, samples in measured.items()
            }
            who, _, more = name.partition(", ")
            contender = OURS if who == "ours" else HAND
            case = f"{operation}{more and ', '}{more}, growth with the rows"
            yield growth(case, pairs, contender=contender, bar=BAR if contender == OURS else None)
            series[f"{contender}{more and ', '}{more}"] = [
                (rows, tracked.median - plain.median) for rows, (plain, tracked) in pairs.items()
            ]
        yield Chart(
            f"History of one {operation.upper()}", "rows", "seconds added to the statement", series
        )


def use(table: FlightTable, rows: int) -> None:
    """Have so many rows come, change and go."""
    table.empty()
    for operation in OPERATIONS:
        execute(table.statement(operation, 1, rows))
    table.empty()


def measure(
    tables: dict[str, FlightTable], names: list[str], rows: int, number: int
) -> dict[str, dict[str, Samples]]:
    """The samples of each operation and variant, each round in sessions of their own."""
    found: dict[str, dict[str, Samples]] = {
        operation: {name: Samples() for name in names} for operation in OPERATIONS
    }
    turns: dict[str, int] = dict.fromkeys(names, 0)

    def work(name: str, _samples: Samples) -> None:
        variant = VARIANTS[name]
        table = tables[variant.table]
        reconnect()
        # A server process that has just begun meets each page of shared memory for the first time.
        use(tables["another"], min(rows, 20_000))
        use(table, 1 if variant.begins_with_one else max(rows // 10, 1_000))
        clock = Clock(connection)
        if variant.context:
            execute(CONTEXT)
        for operation in OPERATIONS:
            statement = table.statement(operation, 1, rows)
            counts = turns[name] or not number
            samples = found[operation][name] if counts else Samples()
            clock.time(lambda statement=statement: execute(statement), samples)
        turns[name] += 1
        table.empty()

    rounds(names, number, work)
    return found


SUBJECT = Subject(
    title="History of many rows",
    about="""
Flights that left New York in 2013 come, change and go, each by one statement. History is written
by pgtrigger, by django-pghistory, and by a statement trigger written by hand into a table of the
same columns and indexes. *After one row* means that the session first touched one row; plpgsql
keeps the plan that it made for that. *Comparing nothing* is a trigger by hand that does not look
whether an update changed anything.

The 336,776 flights of a year and 1,000,000 of them are measured with `--full`.
""",
    unit="what history adds to a row, in processor time of the server",
    contenders=(HAND, OURS, PGHISTORY),
    bar="1.15 of what the trigger written by hand adds, and growth with an exponent of 1.15",
    run=run,
)
