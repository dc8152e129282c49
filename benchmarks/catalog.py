"""What `ls` and `install` take, and ask of the server, by the number of triggers."""

from collections.abc import Iterator, Sequence

from commands import Commands, commands_of
from lines import OURS, Line, duration, exponent, grown, relative
from measure import Samples, Scale
from projects import PEER, contenders, projects
from subject import Chart, Finding, Subject

FIRST, AGAIN, LIST = "install of all", "install with nothing to do", "ls"
COMMANDS = {FIRST: "install", AGAIN: "install", LIST: "ls"}
# The largest size of the peer without --full: its commands ask for each trigger.
OF_PEER = 2_000
Measured = dict[tuple[str, str, int], Samples]


def run(scale: Scale) -> Iterator[Finding]:
    models = scale.pick(250, 5)
    sizes = scale.pick((250, 1_000, 2_000, 8_000), (5, 10), (250, 500, 1_000, 2_000, 4_000, 8_000))
    sized = {OURS: sizes, PEER: [size for size in sizes if scale.full or size <= OF_PEER]}
    asked: dict[tuple[str, str], list[int]] = {}
    measured: Measured = {}
    with projects("catalog") as made:
        for size in sizes:
            made["catalog"].write(models=models, triggers=size)
            for who in contenders():
                if size not in sized[who]:
                    continue
                project = made["catalog"].of(who)
                project.empty_database()
                with commands_of(project) as commands:
                    commands.run("migrate", "--run-syncdb")
                    # Of small ones the noise is larger than what is measured.
                    for _ in range(scale.pick(3 if size <= 1_000 else 1, 1, 3)):
                        one_round(commands, who, size, measured)
                    for name in (LIST, AGAIN):
                        answer = commands.run("pgtrigger", COMMANDS[name], traced=True)
                        asked[who, name] = [answer["sent"], answer["ddl"]]
    yield from judge(sized, measured)
    yield from statements(asked, {who: max(sized[who]) for who in contenders()})


def one_round(commands: Commands, who: str, size: int, measured: Measured) -> None:
    """Each command once, beginning with no trigger."""
    commands.run("pgtrigger", "uninstall")
    for name, command in COMMANDS.items():
        samples = measured.setdefault((who, name, size), Samples())
        printed = commands.time(samples, "pgtrigger", command)
        if name == LIST and printed.count("INSTALLED") - printed.count("UNINSTALLED") < size:
            raise RuntimeError(f"{who} has not installed {size} triggers:\n{printed[:2000]}")


def judge(sized: dict[str, Sequence[int]], measured: Measured) -> Iterator[Finding]:
    for name in COMMANDS:
        for size in sized[PEER]:
            if PEER in contenders():
                theirs, ours = (measured[who, name, size] for who in (PEER, OURS))
                yield relative(f"{name}, {size:,} triggers", theirs, ours, baseline=PEER)
        for who in contenders():
            sizes = sized[who]
            points = [(size, measured[who, name, size].median) for size in sizes]
            best = [(size, min(measured[who, name, size].seconds)) for size in sizes]
            bar = 1.15 if who == OURS else None
            yield grown(
                f"{name}, growth with the triggers",
                sizes,
                exponent(points),
                exponent(best),
                who,
                bar,
            )
        yield Chart(
            name,
            "triggers",
            "seconds",
            {who: [(n, measured[who, name, n].median) for n in sized[who]] for who in contenders()},
        )


def statements(asked: dict[tuple[str, str], list[int]], largest: dict[str, int]) -> Iterator[Line]:
    """How many statements a command sends, and how many of them change something."""
    for command in (LIST, AGAIN):
        for who in contenders():
            sent, ddl = asked[who, command]
            ours = who == OURS
            yield Line(
                f"statements of {command}, {largest[who]:,} triggers",
                "one query",
                "1 and no DDL",
                who,
                f"{sent:,}, DDL {ddl:,}",
                ratio=sent,
                bar=1 if ours else None,
                kind="count",
            )


SUBJECT = Subject(
    title="ls and install",
    about=f"""
`pgtrigger ls`, `pgtrigger install` into a database without triggers, and the same once more when
there is nothing to do, in a project of 250 models and 250 to 8,000 triggers. What is measured is
the command, without the start of Django, which has [a page of its own](startup.md). pgtrigger and
{PEER} read the same models and have a database each. Statements are counted by libpq, which
sees all of them.

The server has `max_locks_per_transaction = 512`: all triggers are installed in one transaction, in
which each takes two locks, and with the default there is no room for 8,000 triggers.
""",
    unit=f"a command, in processor time of client and server ({duration(1)} is a second)",
    contenders=(OURS, PEER),
    bar="one query and no DDL for ls and for nothing to do, and growth with an exponent of 1.15",
    run=run,
)
