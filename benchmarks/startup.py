"""What declared triggers add to the start of a project."""

import json
from collections.abc import Iterator

from measure import Line, Samples, Scale, duration, growth, rounds
from projects import projects

# In a process of its own, from the first import of Django; the byte code is there already.
PROGRAM = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
import django
django.setup()
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""
BAR_SECONDS = 0.25


def run(scale: Scale) -> Iterator[Line]:
    few, many = scale.pick((500, 2_000), (20, 80))
    # models, triggers for each, their name
    shapes = {
        "few_without": (few, 0, ""),
        "few_with": (few, 4, "model{number}_{index}"),
        "many_without": (many, 0, ""),
        "many_with": (many, 4, "model{number}_{index}"),
        "many_same_name": (many, 1, "same"),
    }
    with projects(*shapes) as made:
        for shape, (models, triggers, name) in shapes.items():
            made[shape].write(models=models, triggers=triggers, name=name)

        def work(shape: str, samples: Samples) -> None:
            wall, cpu = json.loads(made[shape].python("-c", PROGRAM))
            samples.wall.append(wall)
            samples.cpu.append(cpu)

        samples = rounds(shapes, scale.pick(11, 1), work)
    median = {shape: samples[shape].median for shape in shapes}

    def compare(case: str, without: str, with_: str, limit: float | None) -> Line:
        more = median[with_] - median[without]
        return Line(
            case,
            duration(median[without]),
            duration(median[with_]),
            ratio=more / limit if limit else None,
            best=(min(samples[with_].cpu) - min(samples[without].cpu)) / limit if limit else None,
            bar=1 if limit else None,
            note=f"adds {duration(max(more, 0))}" + (f" of {limit} s" if limit else ""),
        )

    yield compare(f"{few:,} models of 4", "few_without", "few_with", BAR_SECONDS)
    yield compare(f"{many:,} models of 4", "many_without", "many_with", None)
    yield compare(
        f"{many:,} models, one name", "many_without", "many_same_name", BAR_SECONDS * many / few / 4
    )
    yield growth(
        f"growth from {few * 4:,} to {many * 4:,} triggers",
        (samples["few_without"], samples["few_with"]),
        (samples["many_without"], samples["many_with"]),
        many / few,
    )
