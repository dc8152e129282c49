"""A subject: what is measured, against whom, and what it is held to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lines import Line
from measure import Scale


class Table(NamedTuple):
    """What is no ratio."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


class Chart(NamedTuple):
    """Seconds against a size, on logarithmic axes.

    Args:
        title: what it shows.
        x, y: what stands at the axes.
        series: points of each contender.
    """

    title: str
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float, float]]]


Finding = Line | Table | Chart


class Subject(NamedTuple):
    """What a module of the benchmarks measures.

    Args:
        title: the heading of its page.
        about: what is measured and how, in Markdown.
        unit: what the figures are.
        contenders: who is measured.
        bar: what ours is held to, in words.
        run: measures it.
    """

    title: str
    about: str
    unit: str
    contenders: tuple[str, ...]
    bar: str
    run: Callable[[Scale], Iterator[Finding]]
