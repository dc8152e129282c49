"""What statement triggers add to updates that they allow, and how that grows with the rows."""

from collections.abc import Iterator, Sequence

from allowed_rows import REFUSE, STAYS, Rule
from django.db import connection
from django.db.utils import OperationalError
from lines import HAND, NONE, OURS, added, exponent, grown, growth, relative
from measure import Clock, Samples, Scale, rounds
from peers import install, peer_environment
from session import execute, reconnect
from subject import Chart, Finding, Subject
from tables import Table

PEER = "django-pgtrigger"
BAR, GROWTH_BAR = 1.15, 1.15
AFTER_ONE = ", after one row"
# How long one statement of the peer may take.
PATIENCE = 20
HEAD = "AFTER UPDATE ON TABLE REFERENCING"
BOTH = f"{HEAD} OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT"


def counted(condition: str, *, joined: bool = True) -> str:
    """A body that refuses rows; by counting, because EXISTS would be planned as a nested loop."""
    source = "o JOIN n USING (id)" if joined else "o"
    return (
        f"IF (SELECT count(*) FROM {source} WHERE {condition}) > 0 THEN {REFUSE} END IF; "
        "RETURN NULL;"
    )


RULES = {
    "Protect": Rule(
        'pgtrigger.Protect(name="allow", operation=pgtrigger.Update, level=pgtrigger.Statement, '
        'condition=pgtrigger.Q(old__status="locked"))',
        f"{HEAD} OLD TABLE AS o FOR EACH STATEMENT",
        counted("status = 'locked'", joined=False),
    ),
    "ReadOnly": Rule(
        'pgtrigger.ReadOnly(name="allow", fields=["owner"], level=pgtrigger.Statement)',
        BOTH,
        counted("o.owner IS DISTINCT FROM n.owner"),
    ),
    "Composer": Rule(
        'pgtrigger.Composer(name="allow", level=pgtrigger.Statement, when=pgtrigger.After, '
        'operation=pgtrigger.Update, condition=pgtrigger.AnyChange("owner", "version"), '
        'func=pgtrigger.Func("PERFORM count(*) FROM {cond_new_values}; RETURN NULL;"))',
        BOTH,
        "PERFORM count(*) FROM o JOIN n USING (id) WHERE o.owner IS DISTINCT FROM n.owner"
        " OR o.version IS DISTINCT FROM n.version; RETURN NULL;",
    ),
}


def run(scale: Scale) -> Iterator[Finding]:
    sizes = scale.pick(
        {1_000: 41, 10_000: 21, 100_000: 9, 1_000_000: 3},
        {100: 2, 1_000: 2},
        {1_000: 31, 10_000: 21, 100_000: 9, 1_000_000: 5},
    )
    for name, rule in RULES.items():
        yield from by_size(name, rule, sizes)
        if peer_environment(PEER) is not None:
            yield from peer_by_size(name, rule, scale.pick({1_000: 5, 3_000: 3, 10_000: 1},
                                                           {100: 1, 300: 1}))  # fmt: skip


def by_size(name: str, rule: Rule, sizes: dict[int, int], change: str = STAYS) -> Iterator[Finding]:
    """Compare for each size, in a session that began with a bulk update or with one row's.

    plpgsql keeps the plan that it made first. The trigger written by hand is measured in the
    session that is good for it.
    """
    ours = (OURS, OURS + AFTER_ONE)
    measured = {}
    for rows, number in sizes.items():
        measured[rows] = samples = measure(rule._replace(peer=False), rows, number, ours, change)
        for contender in ours:
            case = f"{name}, {rows:,} rows{contender.removeprefix(OURS)}"
            yield added(case, samples, HAND, contender, rows=rows, bar=BAR)
    # Below 10,000 rows much of the time is not the rows'.
    large = [rows for rows in sizes if rows >= 10_000] or [*sizes]
    for contender in ours:
        pairs = {rows: (measured[rows]["none"], measured[rows][contender]) for rows in large}
        case = f"{name}, growth with the rows{contender.removeprefix(OURS)}"
        yield growth(case, pairs, bar=GROWTH_BAR)
    yield Chart(
        f"{name} at statement level",
        "rows of one UPDATE",
        "seconds added to the statement",
        {
            contender: [
                (rows, samples[contender].median - samples["none"].median)
                for rows, samples in measured.items()
            ]
            for contender in (HAND, *ours)
        },
    )


def measure(
    rule: Rule, rows: int, number: int, contenders: Sequence[str], change: str
) -> dict[str, Samples]:
    """The samples of these contenders, of the trigger by hand, and of none."""
    reconnect()
    # A disabled trigger would still have its transition tables filled, so each has its table.
    tables = {
        "none": Table("statement_none", rows).create(),
        HAND: Table("statement_hand", rows).create().by_hand(rule.clauses, rule.body),
        OURS: Table("statement_ours", rows).create().by_us(rule.declaration),
    }
    if rule.peer and peer_environment(PEER) is not None:
        tables[PEER] = Table("statement_peer", rows).create()
        install(PEER, {tables[PEER].name: rule.declaration})

    def work(name: str, samples: Samples) -> None:
        table = tables[name.removesuffix(AFTER_ONE)]
        table.vacuum()
        reconnect()
        execute(table.update(1 if name.endswith(AFTER_ONE) else max(rows // 10, 1_000), change))
        clock = Clock(connection)
        execute(f"SET statement_timeout = '{PATIENCE}s'" if PEER in name else "SELECT")
        try:
            clock.time(lambda: execute(table.update(change=change)), samples)
        except OperationalError:  # a statement that took too long
            samples.wall.append(PATIENCE)
            samples.cpu.append(PATIENCE)

    # Of a million rows one round, which is its own warm-up.
    found = rounds(["none", HAND, *contenders], number, work)
    reconnect()
    execute(*(f"DROP TABLE {table.name}" for table in tables.values()))
    return found


def peer_by_size(name: str, rule: Rule, sizes: dict[int, int]) -> Iterator[Finding]:
    """The whole statement with the peer's trigger, for sizes that it gets through."""
    contenders = (OURS + AFTER_ONE, PEER, PEER + AFTER_ONE)
    measured = {
        rows: measure(rule, rows, number, contenders, STAYS) for rows, number in sizes.items()
    }
    for rows, samples in measured.items():
        for contender in contenders:
            who, _, after = contender.partition(",")
            case = f"whole statement, {name}, {rows:,} rows{',' if after else ''}{after}"
            late = max(samples[contender].wall) >= PATIENCE
            yield relative(
                case,
                samples["none"],
                samples[contender],
                baseline=NONE,
                contender=who,
                note=f"stopped after {PATIENCE} s" if late else "",
            )
    for contender in contenders:
        points = [
            (rows, samples[contender].median - samples["none"].median)
            for rows, samples in measured.items()
        ]
        who, _, after = contender.partition(",")
        case = f"{name}, growth with the rows{',' if after else ''}{after}, beside the peer"
        yield grown(case, [*sizes], exponent(points), contender=who, bar=None)


SUBJECT = Subject(
    title="Statement level",
    about="""
`UPDATE` statements of 1,000 to 1,000,000 rows, none of which the trigger refuses. *After one row*
means that the session first updated one row: plpgsql keeps the plan that it made for that. The
trigger written by hand is measured in a session that is good for it, one that began with a bulk
update.

django-pgtrigger's triggers join the two transition tables, for which Postgres may choose a nested
loop; it is measured up to 10,000 rows, beside the whole statement without a trigger, and stopped
after 20 seconds.
""",
    unit="what a trigger adds to a row, in processor time of the server",
    contenders=(HAND, OURS, PEER),
    bar="1.15 of what the trigger written by hand adds, and growth with an exponent of 1.15",
    run=run,
)
