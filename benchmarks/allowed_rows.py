"""What a trigger that refuses adds to an update of rows that it allows."""

from collections.abc import Iterator
from typing import NamedTuple

from django.db import connection
from lines import HAND, OURS, Line, relative
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

    def install(self, table: Table) -> list[str]:
        """Put the triggers of all contenders on one table; give the contenders.

        Two tables of the same rows differ by more than what a ``WHEN`` clause costs.
        """
        table.create().by_hand(self.clauses, self.body)
        rename(table, "by_hand", HAND)
        table.by_us(self.declaration)
        rename(table, "pgtrigger%", OURS)
        if not self.peer or peer_environment(PEER) is None:
            return [HAND, OURS]
        install(PEER, {table.name: self.declaration})
        rename(table, "pgtrigger%", PEER)
        return [HAND, OURS, PEER]


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
    for number, (name, rule) in enumerate(rules.items()):
        reconnect()
        table = Table(f"allow_{number}", rows)
        contenders = rule.install(table)
        # What a WHEN clause costs is little beside the update, so it takes more rounds to see.
        samples = take_turns(table, ["none", *contenders], change, scale.pick(25, 2, 41))
        more = {
            each: (samples[each].median - samples["none"].median) / rows * 1e9
            for each in contenders
        }
        for contender in contenders[1:]:
            yield relative(
                f"{name}, {rows:,} rows",
                samples[HAND],
                samples[contender],
                baseline=HAND,
                contender=contender,
                bar=ROW_BAR if contender == OURS else None,
                note=f"a row: {more[contender]:+,.0f} ns, by hand {more[HAND]:+,.0f} ns",
            )


def take_turns(table: Table, contenders: list[str], change: str, number: int) -> dict[str, Samples]:
    """Update the table under the trigger of each contender in turn."""
    reconnect()
    clock = Clock(connection)

    def work(contender: str, samples: Samples) -> None:
        enable_only(table, contender)
        table.vacuum()
        # What is read anew after that change is read before the clock runs.
        execute(table.update(0, change))
        clock.time(lambda: execute(table.update(change=change)), samples)

    return rounds(contenders, number, work)


def rename(table: Table, like: str, name: str) -> None:
    """Call a trigger of the table, of which there is one with such a name, by its contender's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname LIKE %s",
            [table.name, like],
        )
        ((found,),) = cursor.fetchall()
    execute(f'ALTER TRIGGER "{found}" ON {table.name} RENAME TO "of {name}"')


def enable_only(table: Table, contender: str) -> None:
    """Let the trigger of one contender fire, or none of them."""
    execute(f"ALTER TABLE {table.name} DISABLE TRIGGER USER")
    if contender != "none":
        execute(f'ALTER TABLE {table.name} ENABLE TRIGGER "of {contender}"')


SUBJECT = Subject(
    title="Rows that Protect and ReadOnly allow",
    about="""
An `UPDATE` of 50,000 rows of which the rule refuses none. At row level both rules are a `WHEN`
clause, which Postgres evaluates for each row without calling a function. All triggers are on one
table, and all but one are disabled while it is measured. What a `WHEN` clause adds to the update of
a row is less than what one update differs from the next, so whole updates are compared; the note
has what remains without those of no trigger. [FSM](fsm.md) has a page
of its own, and so has [statement level](statement_level.md).
""",
    unit="an update of 50,000 rows, in processor time of the server",
    contenders=(HAND, OURS, PEER),
    bar="1.10 of the same update under the trigger written by hand",
    run=run,
)
