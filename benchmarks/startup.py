"""What declared triggers add to the start of a project."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

from lines import NONE, OURS, Line, duration, growth, quotient
from measure import Samples, Scale, rounds
from projects import PEER, Project, contenders, projects
from subject import Chart, Finding, Subject

# In a process of its own, from the first import of Django; the byte code is there already.
PROGRAM = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
import django
django.setup()
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""
# Seconds that 2,000 triggers may add.
BAR_SECONDS, BAR_TRIGGERS = 0.25, 2_000
TRIGGERS_OF_A_MODEL = 4
# A shape of a project: contender, triggers in all, and models.
Shape = tuple[str, int, int]


def run(scale: Scale) -> Iterator[Finding]:
    sizes = scale.pick((250, 1_000, 2_000, 8_000), (20, 40), (250, 500, 1_000, 2_000, 4_000, 8_000))
    number = scale.pick(3, 0, 11)
    # One name on all models was slow once: every insert computed an index anew. The peer refuses
    # to start where the five digits behind the name are those of another model's.
    one_name = max(sizes) // TRIGGERS_OF_A_MODEL
    # The peer's start grows with the square of the triggers.
    most = scale.pick(2_000, max(sizes), 4_000)
    of_contender = {
        contender: [size for size in sizes if contender == OURS or size <= most]
        for contender in contenders()
    }
    shapes: list[Shape] = [
        (contender, triggers, size // TRIGGERS_OF_A_MODEL)
        for contender, measured in of_contender.items()
        for size in measured
        for triggers in (0, size)
    ]
    shapes.append((OURS, one_name, one_name))
    with ExitStack() as stack:
        made = {}
        for contender in contenders():
            names = {shape: f"p{n}" for n, shape in enumerate(shapes) if shape[0] == contender}
            found = stack.enter_context(projects(*names.values(), contender=contender))
            made |= {shape: found[name] for shape, name in names.items()}
        for (_, triggers, models), project in made.items():
            same = {"name": "same"} if triggers == models else {}
            project.write(models=models, triggers=triggers, **same)
        samples = measure(made, number)
    for contender, measured in of_contender.items():
        pairs = {}
        for size in measured:
            models = size // TRIGGERS_OF_A_MODEL
            pair = samples[contender, 0, models], samples[contender, size, models]
            pairs[size] = pair
            yield compare(f"{size:,} triggers on {models:,} models", contender, *pair, size)
        if contender == OURS:
            same = samples[contender, 0, one_name], samples[contender, one_name, one_name]
            yield compare(f"{one_name:,} models, one name", contender, *same, one_name)
        # Of a few hundred triggers the noise of a whole process is larger than what they add.
        large = {size: pair for size, pair in pairs.items() if size >= 1_000} or pairs
        bar = 1.15 if contender == OURS else None
        yield growth("growth with the triggers", large, contender=contender, bar=bar)
    yield Chart(
        "Start of Django",
        "triggers declared",
        "seconds added",
        {
            contender: [
                (
                    size,
                    samples[contender, size, size // TRIGGERS_OF_A_MODEL].median
                    - samples[contender, 0, size // TRIGGERS_OF_A_MODEL].median,
                )
                for size in measured
            ]
            for contender, measured in of_contender.items()
        },
    )


def measure(made: dict[Shape, Project], number: int) -> dict[Shape, Samples]:
    def work(shape: Shape, samples: Samples) -> None:
        wall, cpu = json.loads(made[shape].python("-c", PROGRAM))
        samples.wall.append(wall)
        samples.cpu.append(cpu)

    found: dict[Shape, Samples] = rounds(made, number, work)
    return found


def compare(case: str, contender: str, without: Samples, with_: Samples, triggers: int) -> Line:
    more = with_.median - without.median
    limit = BAR_SECONDS * triggers / BAR_TRIGGERS
    ours = contender == OURS
    return Line(
        case,
        "what it may add",
        duration(limit),
        contender,
        duration(max(more, 0)),
        ratio=quotient(more, limit),
        best=quotient(min(with_.seconds) - min(without.seconds), limit),
        bar=1 if ours and triggers >= BAR_TRIGGERS else None,
        note=f"{NONE} {duration(without.median)}",
    )


SUBJECT = Subject(
    title="Start-up",
    about="""
The start of a project, from the first import of Django to the end of `django.setup()`, in a
process of its own. Each model has four triggers. Projects differ in nothing but the triggers; what
is compared is what they add to the same project with the package installed and no trigger
declared. pgtrigger and django-pgtrigger read the same models. *One name*: one trigger on each
model, and all of the same name.
""",
    unit="what triggers add to the start, in processor time",
    contenders=(OURS, PEER),
    bar="0.25 s for 2,000 triggers and in proportion, and growth with an exponent of 1.15",
    run=run,
)
