"""Results as pages of the documentation."""

from collections.abc import Callable, Iterable, Sequence

from lines import NOTABLE, OURS, Line
from peers import PEERS
from results import Result
from subject import Subject

GENERATED = "<!-- written by `hatch run bench`; what is written here by hand gets lost -->"
EXPLAINED = {
    "met": "The median and the fastest rounds are within the bar.",
    "MISSED": "Both are beyond it.",
    "unclear": "One is within it and the other is not, or noise was larger than what is measured.",
}


def page(subject: Subject, result: Result, plots: Sequence[str]) -> str:
    """The page of a subject.

    Args:
        subject: what is measured.
        result: what was found.
        plots: the files of its plots, relative to the page.
    """
    parts = [f"# {subject.title}", GENERATED, subject.about.strip()]
    parts.append(
        f"Measured: {subject.unit}. Contenders: {', '.join(subject.contenders)}. "
        f"Bar: {subject.bar}."
    )
    parts.append(f"```console\n{result.command}\n```")
    parts.append(origin(result))
    if result.quick:
        parts.append("**A trial run: sizes are small and these figures mean nothing.**")
    if result.lines:
        parts += ["## Figures", table(FIGURES, map(row, result.lines)), *legend(result.lines)]
    parts += [f"## {each.title}\n\n{table(each.headings, each.rows)}" for each in result.tables]
    if plots:
        parts.append("## Plots")
        parts += [f"![{subject.title}, plot {n + 1}]({file})" for n, file in enumerate(plots)]
    parts += ["## Where a peer is ahead", *behind(subject, result)]
    return "\n\n".join(parts) + "\n"


def index(subjects: dict[str, Subject], results: dict[str, Result]) -> str:
    """The page in front of the others."""
    parts = ["# Benchmarks", GENERATED, INTRODUCTION.strip(), "## Machine and versions"]
    for said, names in _by(results, _where).items():
        parts.append(f"{said}: {', '.join(names)}.")
    parts.append(_packages(results))
    parts += [
        "## Bars",
        "Counted over the lines that have a bar. Trial runs do not count.",
        _bars(results),
    ]
    counted = {name: result for name, result in results.items() if not result.quick}
    missed = [
        (f"[{subjects[name].title}]({name}.md)", *(row(line)[n] for n in SHORT))
        for name, result in counted.items()
        for line in result.lines
        if line.verdict not in {"", "met"}
    ]
    if missed:
        headings = ["page", *(FIGURES[n] for n in SHORT)]
        parts += ["Not met, or not clear:", table(headings, missed)]
    ahead = [
        (f"[{subjects[name].title}]({name}.md)", *words)
        for name, result in counted.items()
        for words in peers_ahead(result)
    ]
    parts.append("## Where a peer is ahead")
    parts.append(
        table(["page", "case", "peer", "by"], ahead) if ahead else "In no line of these pages."
    )
    parts += ["## How to run it", RUNNING.strip()]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """
What pgtrigger costs, beside triggers written by hand and beside the packages that do something
similar. Each package is installed from the index into an environment of its own; all run against
one PostgreSQL server, in turns, on the same tables. A ratio is from medians over the rounds of
one run. Seconds are processor time where the machine tells it, because other processes disturb it
least. A ratio below 1 means that pgtrigger is faster or does less.
"""
RUNNING = """
```console
hatch run bench
hatch run bench row_cost ignore
hatch run bench --quick
hatch run bench --full history
hatch run bench --render
```

The first measures everything in about half an hour and writes these pages. The second does so for
some subjects only. `--quick` takes small sizes and prints, and writes no page without `--write`.
`--full` takes the largest sizes, for which you need an hour. `--render` measures nothing and
writes the pages again from `docs/benchmarks/results`.

Without a package index there are no peers; the page of a subject then says that they were not
measured.
"""
FIGURES = (
    "case", "beside", "it takes", "contender", "takes", "ratio", "middle half", "best",
    "bar", "verdict", "note",
)  # fmt: skip
# Of these: case, beside, ratio, best, bar, verdict.
SHORT = (0, 1, 5, 7, 8, 9)


def row(line: Line) -> list[str]:
    """The cells of a line, of which FIGURES are the headings."""
    middle = (
        ""
        if line.low is None or line.high is None
        else f"{figure(line.low)} to {figure(line.high)}"
    )
    ratio, best, bar = (figure(number, line.kind) for number in (line.ratio, line.best, line.bar))
    verdict = f"**{line.verdict}**" if line.verdict == "MISSED" else line.verdict
    return [
        line.case, line.baseline, line.base, line.contender, line.value,
        ratio or ("none" if line.bar is not None else ""), middle, best, bar, verdict, line.note,
    ]  # fmt: skip


def figure(number: float | None, kind: str = "ratio") -> str:
    """A ratio as it is written; small ones with the digits that tell them from nothing."""
    if number is None:
        return ""
    if kind == "count":
        return f"{number:,.0f}"
    if kind == "more":
        return f"{number:+,.0f}" if number else "0"
    return f"{number:.2f}" if abs(number) >= 0.1 else f"{number:.2g}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, without the columns in which nothing stands."""
    cells = [[*map(str, each)] for each in rows]
    kept = [n for n in range(len(headings)) if any(each[n] for each in cells)]
    lines = [[headings[n] for n in kept], ["---"] * len(kept)]
    lines += [[each[n].replace("|", r"\|") for n in kept] for each in cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def legend(lines: Sequence[Line]) -> list[str]:
    """What the columns and verdicts mean, as far as they occur."""
    said = []
    if any(line.low is not None for line in lines):
        said.append("*Middle half*: the ratios of single rounds, without the quarters at the ends.")
    if any(line.best is not None for line in lines):
        said.append("*Best*: the same from the fastest rounds.")
    verdicts = {line.verdict for line in lines}
    said += [f"*{name}*: {text}" for name, text in EXPLAINED.items() if name in verdicts]
    return [" ".join(said)] if said else []


def origin(result: Result) -> str:
    """When, where and with what."""
    busy = f", whose load was {result.load} when it began" if result.load else ""
    return (
        f"{result.date}, in {result.seconds:,.0f} s, on {result.machine}{busy}. "
        f"{_versions(result, packages=True)}."
    )


def behind(subject: Subject, result: Result) -> list[str]:
    """What `peers_ahead` has found, or that there is nothing."""
    peers = [name for name in subject.contenders if name in PEERS]
    if not peers:
        return ["No other package was measured here: none does this."]
    ahead = peers_ahead(result)
    if not ahead:
        return [f"In no line by {NOTABLE - 1:.0%} or more."]
    return [table(["case", "peer", "by"], ahead)]


def peers_ahead(result: Result) -> list[tuple[str, str, str]]:
    """Where a peer was notably faster: the case, who, and by what factor.

    Ours is compared with the peer itself, or both with the same third.
    """
    found = []
    for line in result.lines:
        if line.kind not in {"ratio", "more"} or line.ratio is None:
            continue
        if line.contender == OURS and line.baseline in PEERS:
            if line.kind == "more" and line.ratio > 0:
                found.append((line.case, line.baseline, f"{line.ratio:.0f} fewer"))
            elif line.kind == "ratio" and line.ratio >= NOTABLE:
                found.append((line.case, line.baseline, f"{line.ratio:.2f} times"))
        elif line.contender in PEERS and line.kind == "ratio":
            for ours in result.lines:
                same = (ours.case, ours.baseline, ours.kind) == (*line[:2], line.kind)
                if same and ours.contender == OURS and ours.ratio and line.ratio > 0:
                    by = ours.ratio / line.ratio
                    if by >= NOTABLE:
                        found.append((line.case, line.contender, f"{by:.2f} times"))
    return found


def _versions(result: Result, *, packages: bool) -> str:
    plain = ("Python", "PostgreSQL", "Django", "psycopg")
    return ", ".join(
        f"{name} {number}" if number[:1].isdigit() else f"{name} ({number})"
        for name, number in result.versions.items()
        if packages or name in plain
    )


def _where(result: Result) -> str:
    return f"{result.machine}, {_versions(result, packages=False)}"


def _packages(results: dict[str, Result]) -> str:
    known = {name: result.versions[name] for result in results.values() for name in result.versions}
    names = ("pgtrigger", *PEERS)
    return table(["package", "version"], [(name, known[name]) for name in names if name in known])


def _bars(results: dict[str, Result]) -> str:
    rows = []
    for name, result in results.items():
        verdicts = [line.verdict for line in result.lines]
        counts = [
            "trial run" if result.quick else str(verdicts.count(each) or "") for each in EXPLAINED
        ]
        seconds = f"{result.seconds:,.0f} s"
        rows.append([f"[{name}]({name}.md)", *counts, result.date, seconds, result.load])
    return table(["subject", *EXPLAINED, "measured", "in", "load"], rows)


def _by(results: dict[str, Result], key: Callable[[Result], str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, result in results.items():
        grouped.setdefault(key(result), []).append(name)
    return grouped
