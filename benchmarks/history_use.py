"""What history costs those who save one object at a time, and those who read it."""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone
from flight_tables import (
    FLIGHTS,
    FlightTable,
    by_hand,
    by_us,
    create_contexts,
    fill,
    load_source,
    untracked,
)
from history_peers import PGHISTORY, SIMPLE, ask
from lines import HAND, OURS, Line, duration, relative
from measure import Clock, Samples, Scale, rounds
from saves import AROUND, AUTOCOMMIT, TRANSACTION, Around, time_saves
from session import execute, reconnect
from subject import Finding, Subject

import pgtrigger
import pgtrigger_history
from pgtrigger.testing.keeper import DURABILITY

SAVE_BAR, CONTEXT_BAR, TIMELINE, AS_OF_BAR = 1.10, 1.03, 0.010, 2.0
PEERS = {PGHISTORY: "pghistory", SIMPLE: "simple"}
UNTRACKED = "not tracked"
PEER_SAVES = 300  # of history_peer.py


def said() -> Any:
    return pgtrigger_history.context(user=1, url="/flights/")


CONTENDERS: dict[str, Around] = {
    "none": nullcontext,
    "hand": nullcontext,
    "hand, in a context": said,
    "ours": nullcontext,
    "ours, in a context": said,
    "ours, row level": nullcontext,
}


def run(scale: Scale) -> Iterator[Finding]:
    reconnect()
    load_source(objects_of(scale))
    create_contexts()
    yield from saves(scale)
    yield from durable_saves(scale)
    yield from peers(scale)
    yield context_in_a_transaction(scale)
    yield one_timeline(scale)
    yield from states(scale)


def objects_of(scale: Scale) -> int:
    """How many objects there are to be seen as they were."""
    rows: int = scale.pick(100_000, 2_000, FLIGHTS)
    return rows


def tables_to_save(name: str, *, logged: bool = False) -> dict[str, FlightTable]:
    made = {
        "none": untracked(f"{name}_0", logged=logged),
        "hand": by_hand(f"{name}_1", logged=logged),
        "ours": by_us(f"{name}_2", logged=logged),
        "ours, row level": by_us(f"{name}_3", logged=logged, level=pgtrigger.Row),
    }
    return {each: made[each.removesuffix(", in a context")] for each in CONTENDERS}


def save_in_rounds(
    tables: dict[str, FlightTable], number: int, times: int, around: Around, *, client: bool
) -> dict[str, Samples]:
    reconnect()
    clock = Clock(connection, client=client)

    def work(name: str, samples: Samples) -> None:
        tables[name].empty()
        fill(tables[name].model, number)
        time_saves(clock, tables[name].model, number, samples, around, CONTENDERS[name])

    return rounds(tables, times, work)


def saves(scale: Scale) -> Iterator[Line]:
    """``save()`` of objects, in processor time of client and server, without waiting for a disk."""
    tables, number = tables_to_save("saved"), scale.pick(300, 20)
    for kind, around in AROUND.items():
        samples = save_in_rounds(tables, number, scale.pick(9, 1), around, client=True)
        for name in CONTENDERS:
            if name != "none":
                case, who = case_of(f"save(), {kind}", name)
                yield relative(case, samples["none"], samples[name], baseline=UNTRACKED,
                               contender=who, per=number)  # fmt: skip


def durable_saves(scale: Scale) -> Iterator[Line]:
    """The same where a commit waits for the disk, as it does in production: wall time."""
    number = scale.pick(100, 10)
    with durable() as waits:
        tables = tables_to_save("durable", logged=True)
        samples = save_in_rounds(tables, number, scale.pick(9, 1), AROUND[AUTOCOMMIT], client=False)
    wall = {name: Samples(wall=each.wall) for name, each in samples.items()}
    for name in CONTENDERS:
        if name != "none":
            case, who = case_of("save(), each waits for the disk", name)
            bar = SAVE_BAR if name == "ours" and waits else None
            yield relative(
                case,
                wall["none"],
                wall[name],
                baseline=UNTRACKED,
                contender=who,
                per=number,
                bar=bar,
                note="" if waits else "this server does not wait",
            )


def case_of(what: str, name: str) -> tuple[str, str]:
    """What is measured, and whose it is: contexts and levels belong to the former."""
    who, _, more = name.partition(", ")
    return (f"{what}, {more}" if more else what), {"ours": OURS, "hand": HAND}[who]


@contextmanager
def durable() -> Iterator[bool]:
    """Have the embedded server wait for the disk; whether it does."""
    ours = "DATABASE_URL" not in os.environ

    def set_durability(to: str) -> None:
        changes = [f"ALTER SYSTEM SET {name} = {to}" for name in DURABILITY]
        execute(*changes, "SELECT pg_reload_conf()")

    if ours:
        set_durability("on")
    reconnect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT bool_and(setting = 'on') FROM pg_settings WHERE name = ANY(%s)",
                       [[*DURABILITY]])  # fmt: skip
        (waits,) = cursor.fetchone()
    try:
        yield waits
    finally:
        if ours:
            set_durability("off")


def peers(scale: Scale) -> Iterator[Line]:
    for peer, what in PEERS.items():
        found = ask(peer, what, f"peer_{what}", scale.pick(9, 1)) or {}
        for case, (plain, tracked) in found.items():
            yield relative(
                f"save(), {case}",
                Samples(wall=plain),
                Samples(wall=tracked),
                baseline=UNTRACKED,
                contender=peer,
                per=PEER_SAVES,
                note="in a process of its own",
            )._replace(note="processor time, in a process of its own")
    yield from beside_simple_history(scale)


def beside_simple_history(scale: Scale) -> Iterator[Line]:
    """Many objects by the ORM: it copies the rows itself, and a queryset's update goes past it."""
    number = scale.pick(2_000, 100)
    theirs = ask(SIMPLE, "bulk", "peer_bulk", number)
    if theirs is None:
        return
    table = by_us("orm_bulk")
    model = table.model
    fill(model, number)
    values = [*model.objects.values(*(f.name for f in model._meta.fields if f.name != "id"))]
    model.objects.all().delete()
    seconds: dict[str, list[float]] = {}
    for _ in theirs["insert"]:
        made = [model(**each) for each in values]
        changed: list[Any] = []
        for case, work in {
            "insert": lambda made=made: model.objects.bulk_create(made),
            "update": lambda changed=changed: model.objects.bulk_update(changed, ["dep_delay"]),
            "delete": lambda: model.objects.all().delete(),
        }.items():
            if case == "update":
                changed += model.objects.all()
                for row in changed:
                    row.dep_delay = (row.dep_delay or 0) + 1
            begin = time.perf_counter()
            work()
            seconds.setdefault(case, []).append(time.perf_counter() - begin)
    for case, name in {
        "insert": "bulk_create()", "update": "bulk_update()", "delete": "delete()"
    }.items():  # fmt: skip
        yield relative(
            f"{number:,} objects by {name}",
            Samples(wall=theirs[case]),
            Samples(wall=seconds[case]),
            baseline=SIMPLE,
            note="in a process of its own",
        )


def context_in_a_transaction(scale: Scale) -> Line:
    table, number = by_us("context"), scale.pick(300, 20)
    contexts: dict[str, Around] = {"without": nullcontext, "with": said}
    reconnect()
    clock = Clock(connection, client=True)

    def work(name: str, samples: Samples) -> None:
        table.empty()
        fill(table.model, number)

        def update() -> None:
            with AROUND[TRANSACTION](), contexts[name]():
                for key in range(1, number + 1):
                    table.model.objects.filter(pk=key).update(dep_delay=key)

        clock.time(update, samples)

    samples = rounds(contexts, scale.pick(25, 1), work)
    case = "a statement in a transaction, in a context"
    return relative(
        case,
        samples["without"],
        samples["with"],
        baseline="without a context",
        per=number,
        bar=CONTEXT_BAR,
    )


def one_timeline(scale: Scale) -> Line:
    """Of an object among many, whose events lie far apart."""
    table, objects = by_us("timeline"), scale.pick(3_000, 100, 10_000)
    fill(table.model, objects)
    for _ in range(99):
        table.model.objects.update(dep_delay=F("flight") + 1, flight=F("flight") % 1000 + 1)
    execute(f"ANALYZE {table.events}")
    reconnect()
    row, clock, number = (
        table.model.objects.get(pk=objects // 2),
        Clock(connection, client=True),
        20,
    )
    page = pgtrigger_history.timeline(row)
    assert len(page) == 50
    assert page.cursor

    def ask_often() -> None:
        for _ in range(number):
            pgtrigger_history.timeline(row)

    samples = Samples()
    for _ in range(scale.pick(20, 1)):
        clock.time(ask_often, samples)
    median = samples.median / number
    return Line(
        f"timeline() of one object among {objects * 100:,} events",
        "what a page may take",
        duration(TIMELINE),
        value=duration(median),
        ratio=median / TIMELINE,
        best=min(samples.seconds) / number / TIMELINE,
        bar=1.0,
        note=f"50 of 100 events; wall {duration(statistics.median(samples.wall) / number)}",
    )


def states(scale: Scale) -> Iterator[Finding]:
    """All objects as they were, beside reading and sorting the events."""
    table, objects = by_us("as_of"), objects_of(scale)
    fill(table.model, objects)
    execute(table.statement("update", 1, objects // 2))
    execute(f"VACUUM ANALYZE {table.events}")
    found = table.model.history.as_of(timezone.now() + timedelta(minutes=1))
    text, parameters = found.query.sql_with_params()
    events = f"SELECT * FROM {table.events} ORDER BY pgh_obj_id DESC, pgh_id DESC"
    queries = {
        "read and sort": (events, ()),
        "as_of()": (text, parameters),
        "read and sort, in 64 MB": (events, ()),
        "as_of(), in 64 MB": (text, parameters),
    }
    reconnect()
    clock = Clock(connection)

    def work(name: str, samples: Samples) -> None:
        execute("SET work_mem = '64MB'" if name.endswith("MB") else "RESET work_mem")
        query, given = queries[name]
        # Whole rows are counted, and OFFSET keeps their order: otherwise neither would be made.
        counted = f"SELECT count(counted) FROM ({query} OFFSET 0) AS counted"
        with connection.cursor() as cursor:
            clock.time(lambda: cursor.execute(counted, given), samples)

    samples = rounds(queries, scale.pick(7, 1), work)
    for name in ("", ", in 64 MB"):
        yield relative(
            f"as_of() of {objects:,} objects{name}",
            samples[f"read and sort{name}"],
            samples[f"as_of(){name}"],
            baseline="reading and sorting their events",
            bar=AS_OF_BAR,
        )


SUBJECT = Subject(
    title="History in use",
    about="""
One object saved at a time, in transactions of its own and all in one; many by the methods of the
ORM; contexts; a page of the timeline of one object; and a whole table as it was. The peers run in
processes of their own, and are compared with the same saves without them in that process.

*Each waits for the disk*: with `fsync`, as a server in production has it; the other lines are
without. For a timeline and for a table as it was there is no peer that does the same; beside them
stand a time that a page may take, and reading and sorting the events without computing anything.
""",
    unit="processor time of client and server, or wall time where it says so",
    contenders=(HAND, OURS, PGHISTORY, SIMPLE),
    bar="1.10 of a save that waits, 1.03 with a context, 10 ms for a page, 2.0 for as_of()",
    run=run,
)
