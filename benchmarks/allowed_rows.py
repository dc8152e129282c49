"""What Protect and ReadOnly add to an update of rows that they allow."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.db import connection
from measure import Clock, Line, Pair, Samples, Scale, added, growth, rounds
from tables import Table, execute, reconnect

import pgtrigger

ROW_BAR, STATEMENT_BAR = 1.10, 1.15
LOCKED = pgtrigger.Q(old__status="locked")
REFUSE = "RAISE EXCEPTION 'refused';"
STAYS = "amount = amount + 1"

Put = Callable[[Table], Table]


def run(scale: Scale) -> Iterator[Line]:
    yield from row_level(scale, row_variants(), ("Protect", "ReadOnly"))
    yield from statement_level(scale, statement_variants, ("Protect", "ReadOnly"))


def by_us(kind: str, **kwargs: Any) -> Put:
    return lambda table: table.by_us(getattr(pgtrigger, kind)(name="allow", **kwargs))


def by_hand(clauses: str, body: str) -> Put:
    return lambda table: table.by_hand(clauses, body)


def row_variants() -> dict[str, Put]:
    head = "BEFORE UPDATE ON TABLE FOR EACH ROW"
    return {
        "none": lambda table: table,
        "hand Protect": by_hand(f"{head} WHEN (OLD.status = 'locked')", REFUSE),
        "Protect": by_us("Protect", operation=pgtrigger.Update, condition=LOCKED),
        "hand ReadOnly": by_hand(f"{head} WHEN (OLD.owner IS DISTINCT FROM NEW.owner)", REFUSE),
        "ReadOnly": by_us("ReadOnly", fields=["owner"]),
    }


def row_level(
    scale: Scale, variants: dict[str, Put], ours: Iterable[str], change: str = STAYS
) -> Iterator[Line]:
    """Compare each of ``ours`` with ``hand …``, on updates that both allow."""
    rows = scale.pick(100_000, 2_000)
    reconnect()
    tables = {
        name: put(Table(f"allow_{number}", rows).create())
        for number, (name, put) in enumerate(variants.items())
    }
    reconnect()
    clock = Clock(connection)

    def work(name: str, samples: Samples) -> None:
        tables[name].vacuum()
        clock.time(lambda: execute(tables[name].update(change=change)), samples)

    # What a WHEN clause costs is little beside the update, so it takes more rounds to see.
    samples = rounds(tables, scale.pick(40, 2), work)
    for kind in ours:
        case = f"{kind}, row level, {rows:,} rows"
        yield added(case, samples, f"hand {kind}", kind, rows=rows, bar=ROW_BAR)


def statement_variants() -> dict[str, Put]:
    head = "AFTER UPDATE ON TABLE REFERENCING"
    protects = f"IF EXISTS (SELECT FROM o WHERE status = 'locked') THEN {REFUSE} END IF;"
    # Counting, because EXISTS would be planned as a nested loop.
    compares = (
        "IF (SELECT count(*) FROM o JOIN n USING (id) WHERE o.owner IS DISTINCT FROM n.owner) > 0 "
        f"THEN {REFUSE} END IF;"
    )
    at_statement = {"level": pgtrigger.Statement}
    return {
        "none": lambda table: table,
        "hand Protect": by_hand(
            f"{head} OLD TABLE AS o FOR EACH STATEMENT", f"{protects} RETURN NULL;"
        ),
        "Protect": by_us("Protect", operation=pgtrigger.Update, condition=LOCKED, **at_statement),
        "hand ReadOnly": by_hand(
            f"{head} OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT", f"{compares} RETURN NULL;"
        ),
        "ReadOnly": by_us("ReadOnly", fields=["owner"], **at_statement),
    }


def statement_level(
    scale: Scale,
    make_variants: Callable[[], dict[str, Put]],
    ours: Sequence[str],
    change: str = STAYS,
) -> Iterator[Line]:
    """The same for each size, in a session that began with a bulk update or with one row's.

    plpgsql keeps the plan that it made first. The trigger written by hand is measured in the
    session that is good for it.
    """
    sizes = scale.pick({1_000: 31, 10_000: 21, 100_000: 9, 1_000_000: 5}, {100: 2, 1_000: 2})
    after_one = [f"{name} after one row" for name in ours]
    pairs: dict[str, dict[int, Pair]] = {name: {} for name in (*ours, *after_one)}
    for rows, number in sizes.items():
        reconnect()
        variants = make_variants()
        tables = {
            name: put(Table(f"statement_{index}", rows).create())
            for index, (name, put) in enumerate(variants.items())
        }

        def work(name: str, samples: Samples, tables: dict[str, Table] = tables) -> None:
            table = tables[name.removesuffix(" after one row")]
            table.vacuum()
            reconnect()
            begin = 1 if name in after_one else max(rows // 10, 1_000)  # noqa: B023  # called within the round
            execute(table.update(begin, change))
            clock = Clock(connection)
            clock.time(lambda: execute(table.update(change=change)), samples)

        samples = rounds([*tables, *after_one], number, work)
        for name in (*ours, *after_one):
            hand = "hand " + name.removesuffix(" after one row")
            case = f"{name}, statement level, {rows:,} rows"
            yield added(case, samples, hand, name, rows=rows, bar=STATEMENT_BAR)
            pairs[name][rows] = samples["none"], samples[name]
    # Below 10,000 rows much of the time is not the rows'.
    small, large = [*sizes][-3 if len(sizes) > 2 else 0], [*sizes][-1]
    for name, pair in pairs.items():
        case = f"{name}, growth from {small:,} to {large:,} rows"
        yield growth(case, pair[small], pair[large], large / small)
