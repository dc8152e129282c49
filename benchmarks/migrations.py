"""What triggers add to makemigrations and migrate of a large project."""

from collections.abc import Iterator

from measure import Line, Samples, Scale, relative
from projects import projects

COMMANDS = {
    "makemigrations": (["makemigrations", "shop"], 1.5),
    "migrate": (["migrate"], 2.0),
    "makemigrations without a change": (["makemigrations", "--check"], None),
}


def run(scale: Scale) -> Iterator[Line]:
    models = scale.pick(500, 100)
    samples = {(shape, name): Samples() for shape in ("without", "with") for name in COMMANDS}
    with projects("without", "with") as made:
        made["without"].write(models=models, triggers=0)
        made["with"].write(models=models, triggers=4)
        for project in made.values():
            project.manage("check")  # writes the byte code
        for _ in range(scale.pick(3, 1)):
            for shape, project in made.items():
                project.forget_migrations()
                for name, (command, _bar) in COMMANDS.items():
                    project.time(samples[shape, name], *command)
    for name, (_command, bar) in COMMANDS.items():
        case = f"{name}, {models} models of 4"
        yield relative(case, samples["without", name], samples["with", name], bar=bar)
