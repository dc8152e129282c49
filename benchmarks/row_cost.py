"""What a row trigger adds to a bulk update: declared, by hand, and by the peer."""

from collections.abc import Iterator

from django.db import connection
from lines import HAND, OURS, Line, added
from measure import Clock, Samples, Scale, rounds
from peers import install, peer_environment
from session import execute, reconnect
from subject import Subject
from tables import Table

PEER = "django-pgtrigger"
BODY = "NEW.version = NEW.version + 1; RETURN NEW;"
BAR = 1.15
ON = "BEFORE UPDATE ON TABLE FOR EACH ROW"
WHEN = "WHEN (OLD.amount IS DISTINCT FROM NEW.amount)"
# What is declared, and the clauses of the same by hand.
CASES = {
    "no condition": ("", ON),
    "AnyChange, true on all rows": (
        ', condition=pgtrigger.AnyChange("amount")',
        f"{ON} {WHEN}",
    ),
    "AnyChange, true on no row": (
        ', condition=pgtrigger.AnyChange("owner")',
        f"{ON} {WHEN.replace('amount', 'owner')}",
    ),
}
UNGUARDED = "no condition, ignorable=False"


def declaration(more: str) -> str:
    return (
        'pgtrigger.Trigger(name="bump", when=pgtrigger.Before, operation=pgtrigger.Update, '
        f"func={BODY!r}{more})"
    )


def tables_of(rows: int) -> dict[tuple[str, str], Table]:
    """A table for each case and contender; the one of nobody has no trigger."""

    def new() -> Table:
        return Table(f"row_{len(made)}", rows).create()

    made: dict[tuple[str, str], Table] = {}
    of_peer: dict[str, str] = {}
    made["", "none"] = new()
    for case, (more, clauses) in CASES.items():
        made[case, HAND] = new().by_hand(clauses, BODY)
        made[case, OURS] = new().by_us(declaration(more))
        if peer_environment(PEER) is not None:
            made[case, PEER] = new()
            of_peer[made[case, PEER].name] = declaration(more)
    made[UNGUARDED, OURS] = new().by_us(declaration(", ignorable=False"))
    install(PEER, of_peer)
    return made


def run(scale: Scale) -> Iterator[Line]:
    rows = scale.pick(50_000, 2_000, 100_000)
    reconnect()
    tables = tables_of(rows)
    for state, ignored_before in (("new session", False), ("after an ignore", True)):
        reconnect(ignored_before=ignored_before)
        clock = Clock(connection)

        def work(key: tuple[str, str], samples: Samples, clock: Clock = clock) -> None:
            tables[key].vacuum()
            clock.time(lambda: execute(tables[key].update()), samples)

        samples = rounds(tables, scale.pick(11, 2, 21), work)
        for case, contender in tables:
            if contender in ("none", HAND):
                continue
            base = ("no condition" if case == UNGUARDED else case, HAND)
            yield added(
                f"{case}, {state}",
                samples,
                base,
                (case, contender),
                none=("", "none"),
                rows=rows,
                contender=contender,
                bar=BAR if contender == OURS else None,
            )


SUBJECT = Subject(
    title="A row trigger",
    about="""
An `UPDATE` of 50,000 rows, with a trigger that counts a version up. It is declared with
pgtrigger, declared with django-pgtrigger by the same text, and written by hand. What is compared
is what each adds to the same update of a table without a trigger. It is measured in a new
session, and in one in which something was ignored before: the setting is then known to the
session, and reads as an empty text.
""",
    unit="what a trigger adds to a row, in processor time of the server",
    contenders=(HAND, OURS, PEER),
    bar="1.15 of what the trigger written by hand adds",
    run=run,
)
