"""What a row trigger adds to a bulk update, declared and written by hand."""

from collections.abc import Iterator

from django.db import connection
from measure import Clock, Line, Samples, Scale, added, rounds
from tables import Table, execute, reconnect

import pgtrigger

BODY = "NEW.version = NEW.version + 1; RETURN NEW;"
BAR = 1.15


def declared(**kwargs) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name="bump", when=pgtrigger.Before, operation=pgtrigger.Update, func=BODY, **kwargs
    )


def run(scale: Scale) -> Iterator[Line]:
    rows = scale.pick(100_000, 2_000)
    new = Table("row", rows).renamed
    changed = "WHEN (OLD.amount IS DISTINCT FROM NEW.amount)"
    reconnect()
    tables = {
        "none": new("row_none").create(),
        "hand": new("row_hand").create().by_hand("BEFORE UPDATE ON TABLE FOR EACH ROW", BODY),
        "ours": new("row_ours").create().by_us(declared()),
        "unguarded": new("row_unguarded").create().by_us(declared(ignorable=False)),
        "hand, when": new("row_hand_when")
        .create()
        .by_hand(f"BEFORE UPDATE ON TABLE FOR EACH ROW {changed}", BODY),
        "ours, when": new("row_ours_when")
        .create()
        .by_us(declared(condition=pgtrigger.AnyChange("amount"))),
    }
    for state, ignored_before in (("new session", False), ("after an ignore", True)):
        reconnect(ignored_before=ignored_before)
        clock = Clock(connection)

        def work(name: str, samples: Samples, clock: Clock = clock) -> None:
            tables[name].vacuum()
            clock.time(lambda: execute(tables[name].update()), samples)

        samples = rounds(tables, scale.pick(25, 2), work)
        yield added(f"no condition, {state}", samples, "hand", "ours", rows=rows, bar=BAR)
        yield added(f"ignorable=False, {state}", samples, "hand", "unguarded", rows=rows, bar=BAR)
        yield added(
            f"AnyChange, true on all rows, {state}",
            samples,
            "hand, when",
            "ours, when",
            rows=rows,
            bar=BAR,
        )
