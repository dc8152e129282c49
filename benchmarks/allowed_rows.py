"""What a trigger that refuses adds to an update of rows that it allows."""

from collections.abc import Iterator
from typing import NamedTuple

from django.db import connection
from lines import HAND, OURS, Line, added
from measure import Clock, Samples, Scale, rounds
from peers import install, peer_environment
from session import execute, reconnect
from subject import Subject
from tables import Table

PEER = "django-pgtrigger"
ROW_BAR = 1.10
REFUSE = "RAISE EXCEPTION 'refused';"
STAYS = "amount = amount + 1"


class Rule(NamedTuple):
    """A rule, declared and by hand.

    Args:
        declaration: the Python text, which pgtrigger and django-pgtrigger read.
        clauses, body: the trigger that a person would write.
        peer: whether django-pgtrigger has it.
    """

    declaration: str
    clauses: str
    body: str
    peer: bool = True

    def tables(self, rows: int, prefix: str, of_peer: dict[str, str]) -> dict[str, Table]:
        """A table for each contender; what the peer is to install is put into ``of_peer``."""
        made = {
            HAND: Table(f"{prefix}_hand", rows).create().by_hand(self.clauses, self.body),
            OURS: Table(f"{prefix}_ours", rows).create().by_us(self.declaration),
        }
        if self.peer and peer_environment(PEER) is not None:
            made[PEER] = Table(f"{prefix}_peer", rows).create()
            of_peer[made[PEER].name] = self.declaration
        return made


HEAD = "BEFORE UPDATE ON TABLE FOR EACH ROW"
RULES = {
    "Protect": Rule(
        'pgtrigger.Protect(name="allow", operation=pgtrigger.Update, '
        'condition=pgtrigger.Q(old__status="locked"))',
        f"{HEAD} WHEN (OLD.status = 'locked')",
        REFUSE,
    ),
    "ReadOnly": Rule(
        'pgtrigger.ReadOnly(name="allow", fields=["owner"])',
        f"{HEAD} WHEN (OLD.owner IS DISTINCT FROM NEW.owner)",
        REFUSE,
    ),
}


def run(scale: Scale) -> Iterator[Line]:
    yield from row_level(scale, RULES)


def row_level(scale: Scale, rules: dict[str, Rule], change: str = STAYS) -> Iterator[Line]:
    """Compare the contenders of each rule, on updates that it allows."""
    rows = scale.pick(50_000, 2_000, 100_000)
    reconnect()
    of_peer: dict[str, str] = {}
    tables = {("", "none"): Table("allow_none", rows).create()}
    for number, (name, rule) in enumerate(rules.items()):
        made = rule.tables(rows, f"allow_{number}", of_peer)
        tables |= {(name, contender): table for contender, table in made.items()}
    install(PEER, of_peer)
    reconnect()
    clock = Clock(connection)

    def work(key: tuple[str, str], samples: Samples) -> None:
        tables[key].vacuum()
        clock.time(lambda: execute(tables[key].update(change=change)), samples)

    # What a WHEN clause costs is little beside the update, so it takes more rounds to see.
    samples = rounds(tables, scale.pick(25, 2, 41), work)
    for name, contender in tables:
        if contender in ("none", HAND):
            continue
        yield added(
            f"{name}, {rows:,} rows",
            samples,
            (name, HAND),
            (name, contender),
            none=("", "none"),
            rows=rows,
            contender=contender,
            bar=ROW_BAR if contender == OURS else None,
        )


SUBJECT = Subject(
    title="Rows that Protect and ReadOnly allow",
    about="""
An `UPDATE` of 50,000 rows of which the rule refuses none. At row level both rules are a `WHEN`
clause, which Postgres evaluates for each row without calling a function. [FSM](fsm.md) has a page
of its own, and so has [statement level](statement_level.md).
""",
    unit="what a trigger adds to a row, in processor time of the server",
    contenders=(HAND, OURS, PEER),
    bar="1.10 of what the trigger written by hand adds",
    run=run,
)
