"""What a soft delete costs a deleted row, beside a trigger by hand and beside the peers."""

import json
import time
from collections.abc import Iterator

from django.db import connection
from lines import HAND, OURS, Line, added, relative
from measure import Clock, Samples, Scale, rounds
from peers import install, peer_environment, run_peer
from session import execute, reconnect
from subject import Finding, Subject
from tables import Table, declared

PGTRIGGER, SAFEDELETE = "django-pgtrigger", "django-safedelete"
BAR = 1.15
HEAD = "BEFORE DELETE ON TABLE FOR EACH ROW"
SIMPLE = 'pgtrigger.SoftDelete(name="soft", field="status", value="deleted")'
SOME = "OLD.id % 2 = 0"
NO_PATH = ", with an empty search path"


def ours(more: str = "") -> str:
    """As one would declare it: a row that is deleted already stays as it is."""
    return SIMPLE.replace(")", f', live="open"{more})')


def by_hand(table: Table, when: str = "") -> Table:
    marks = f"UPDATE {table.name} SET status = 'deleted' WHERE id = OLD.id; RETURN NULL;"
    return table.by_hand(f"{HEAD} {when}", marks)


def tables_of(rows: int) -> dict[str, Table]:
    def new() -> Table:
        return Table(f"soft_{len(made)}", rows).create()

    made: dict[str, Table] = {}
    made["none"] = new()
    made[HAND] = by_hand(new())
    made[OURS] = new().by_us(ours())
    made["ours, ignorable=False"] = new().by_us(ours(", ignorable=False"))
    made["ours, some rows"] = new().by_us(ours(f', condition=pgtrigger.Condition("{SOME}")'))
    made["hand, some rows"] = by_hand(new(), f"WHEN ({SOME})")
    if peer_environment(PGTRIGGER) is not None:
        made[PGTRIGGER] = new()
        install(PGTRIGGER, {made[PGTRIGGER].name: SIMPLE})
    return made


def run(scale: Scale) -> Iterator[Finding]:
    rows = scale.pick(50_000, 2_000, 100_000)
    reconnect()
    tables = tables_of(rows)
    reconnect()
    clock = Clock(connection)
    variants = [*tables, f"{OURS}{NO_PATH}"]

    def work(name: str, samples: Samples) -> None:
        table = tables[name.removesuffix(NO_PATH)]
        table.vacuum()
        path = "''" if name == f"{OURS}{NO_PATH}" else "DEFAULT"
        execute(f"SET search_path = {path}", "BEGIN")
        clock.time(lambda: execute(f"DELETE FROM public.{table.name}"), samples)
        execute("ROLLBACK", "SET search_path = DEFAULT")

    samples = rounds(variants, scale.pick(9, 2, 15), work)
    case = f"{rows:,} rows"
    yield added(case, samples, HAND, OURS, rows=rows, bar=BAR)
    if PGTRIGGER in samples:
        yield added(case, samples, HAND, PGTRIGGER, rows=rows, contender=PGTRIGGER)
    for name, base, bar in (
        ("ours, ignorable=False", HAND, BAR),
        ("ours, some rows", "hand, some rows", BAR),
        (f"{OURS}{NO_PATH}", HAND, None),
    ):
        yield added(f"{case},{name.partition(',')[2]}", samples, base, name, rows=rows, bar=bar)
    if peer_environment(SAFEDELETE) is not None:
        yield beside_safedelete(scale)


def beside_safedelete(scale: Scale) -> Line:
    """The same rows deleted by a queryset: theirs sends a statement for each of them."""
    rows = scale.pick(1_000, 20)
    theirs = json.loads(run_peer(SAFEDELETE, "safedelete", "soft_python_theirs", str(rows)))
    from pgtrigger_softdelete import SoftDeleteQuerySet  # noqa: PLC0415  # wants apps

    table = Table("soft_python", rows).create()
    model = table.model()
    trigger = declared(ours())
    trigger.register(model)
    trigger.install(model)
    samples = Samples()
    for _ in theirs:
        execute(f"UPDATE {table.name} SET status = 'open'")
        begin = time.perf_counter()
        SoftDeleteQuerySet(model).delete()
        samples.wall.append(time.perf_counter() - begin)
    return relative(
        f"{rows:,} rows by QuerySet.delete()",
        Samples(wall=theirs),
        samples,
        baseline=SAFEDELETE,
        note="in a process of its own",
    )


SUBJECT = Subject(
    title="Soft delete",
    about="""
A `DELETE` of 50,000 rows that a trigger turns into updates, in a transaction that is rolled
back. What is compared is what each trigger adds to a `DELETE` that really deletes. A session with
an empty search path, as careful roles have it, is measured without a bar. *Some rows*: the
trigger has a condition that holds for every other row.

django-safedelete works in Python; beside it, 1,000 objects are deleted by a queryset.
""",
    unit="what a trigger adds to a row, in processor time of the server; in Python wall time",
    contenders=(HAND, OURS, PGTRIGGER, SAFEDELETE),
    bar="1.15 of what the trigger written by hand adds",
    run=run,
)
