"""What triggers add to makemigrations and migrate of a large project."""

from collections.abc import Iterator

from commands import commands_of
from lines import NONE, OURS, growth, relative
from measure import Samples, Scale
from projects import PEER, contenders, projects
from subject import Chart, Finding, Subject

COMMANDS = {
    "makemigrations": (["makemigrations", "shop"], 1.5),
    "migrate": (["migrate"], 2.0),
    "makemigrations without a change": (["makemigrations", "--check"], None),
}
# Four triggers on a model, where the bars stand.
JUDGED = 4
OFTEN = 1_000
# The largest size of the peer, whose migrate takes minutes beyond it.
OF_PEER = 2_000


def run(scale: Scale) -> Iterator[Finding]:
    models = scale.pick(250, 5)
    sizes = scale.pick((250, 1_000, 2_000, 8_000), (5, 20), (250, 500, 1_000, 2_000, 4_000, 8_000))
    sized = {OURS: sizes, PEER: [size for size in sizes if scale.full or size <= OF_PEER]}
    measured: dict[tuple[str, int, str], Samples] = {}
    with projects("makes") as made:
        for turn in range(scale.pick(2, 1, 3)):
            # What is larger is measured once.
            for size in (0, *(each for each in sizes if turn == 0 or each <= OFTEN)):
                made["makes"].write(models=models, triggers=size)
                for who in contenders() if turn % 2 else reversed(contenders()):
                    if size and size not in sized[who]:
                        continue
                    project = made["makes"].of(who)
                    project.forget_migrations()
                    with commands_of(project) as commands:
                        for name, (command, _bar) in COMMANDS.items():
                            samples = measured.setdefault((who, size, name), Samples())
                            commands.time(samples, *command)
    for name, (_command, bar) in COMMANDS.items():
        for size in sizes:
            for who in contenders():
                if size in sized[who]:
                    yield relative(
                        f"{name}, {models} models, {size:,} triggers",
                        measured[who, 0, name],
                        measured[who, size, name],
                        baseline=f"{NONE} triggers",
                        contender=who,
                        bar=bar if who == OURS and size == JUDGED * models else None,
                    )
        added = {
            who: {size: (measured[who, 0, name], measured[who, size, name]) for size in sized[who]}
            for who in contenders()
        }
        for who, pairs in added.items():
            yield growth(
                f"{name}, growth with the triggers",
                pairs,
                contender=who,
                bar=1.15 if who == OURS else None,
            )
        yield Chart(
            name,
            "triggers",
            "seconds added",
            {
                who: [(size, with_.median - base.median) for size, (base, with_) in pairs.items()]
                for who, pairs in added.items()
            },
        )


SUBJECT = Subject(
    title="makemigrations and migrate",
    about="""
A project of 250 models has its first migration made and run: with 250 to 8,000 triggers, and
without any. Then `makemigrations --check` finds that nothing has changed. What is measured is the
command, without the start of Django. The sizes stand beside the same project without triggers;
pgtrigger and django-pgtrigger read the same models. django-pgtrigger is measured up to 2,000
triggers; with `--full` up to 8,000, too.

The server has `max_locks_per_transaction = 512`: all triggers are installed in one transaction, in
which each takes two locks, and with the default there is no room for 8,000 triggers.
""",
    unit="a command, in processor time of client and server",
    contenders=(OURS, PEER),
    bar="1.5 of makemigrations and 2.0 of migrate with four triggers on a model, and growth with "
    "an exponent of 1.15",
    run=run,
)
