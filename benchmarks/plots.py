"""Plots of a result as SVG, the same bytes for the same result."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from lines import HAND, NONE, OURS, Line, exponent
from matplotlib.figure import Figure
from results import Result
from subject import Chart

WIDTH = 9.0
COLOURS = {
    OURS: "#3f51b5",
    HAND: "#757575",
    NONE: "#bdbdbd",
    "django-pgtrigger": "#e65100",
    "django-pghistory": "#e65100",
    "django-simple-history": "#00838f",
    "django-fsm": "#00838f",
    "django-safedelete": "#00838f",
}
OTHER = "#6d4c41"
STYLE = {
    "svg.hashsalt": "pgtrigger",  # otherwise ids are random
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",  # it comes with matplotlib
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(result: Result, directory: Path) -> list[Path]:
    """Write the plots of a result; their files, ratios first."""
    directory.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figures = [_ratios(lines)] if (lines := comparable(result)) else []
        figures += [_chart(chart) for chart in result.charts]
    files = []
    for number, figure in enumerate(figures):
        file = directory / f"{result.subject}-{number}.svg"
        with mpl.rc_context(STYLE):
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        # Editors and pre-commit hooks take white space at the end of a line away.
        file.write_text("".join(f"{line.rstrip()}\n" for line in file.read_text().splitlines()))
        files.append(file)
    return files


def comparable(result: Result) -> list[Line]:
    """The lines that are ratios, which one plot can show beside each other."""
    return [line for line in result.lines if line.kind == "ratio" and line.ratio is not None]


def _ratios(lines: list[Line]) -> Figure:
    figure = Figure(figsize=(WIDTH, 1.1 + 0.24 * len(lines)), layout="constrained")
    axes: Any = figure.subplots()
    named: set[str] = set()
    for place, line in enumerate(lines):
        assert line.ratio is not None
        low, high = line.low or line.ratio, line.high or line.ratio
        colour = COLOURS.get(line.contender, OTHER)
        axes.plot([low, high], [place, place], color=colour, linewidth=3, alpha=0.35)
        label = "" if line.contender in named else line.contender
        named.add(line.contender)
        axes.plot([line.ratio], [place], "o", color=colour, markersize=5, label=label or None)
        if line.bar is not None:
            label = None if "bar" in named else "bar"
            named.add("bar")
            axes.plot([line.bar], [place], "|", color="#c62828", markersize=11, label=label)
    axes.axvline(1, color="#9e9e9e", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_formatter(_labelled(axes))
    axes.set_yticks(range(len(lines)), [f"{line.case} / {line.baseline}" for line in lines])
    axes.invert_yaxis()
    axes.set_xlabel("ratio of medians, and the middle half of rounds; less is better")
    axes.legend(loc="best", frameon=False)
    return figure


def _labelled(axes: Any) -> Any:
    def label(x: float, _: object) -> str:
        low, high = axes.get_xlim()
        return f"{x:g}" if high / low < 12 else ""

    return label


def _chart(chart: Chart) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axes: Any = figure.subplots()
    for name, points in chart.series.items():
        seen = [(x, y) for x, y in points if y > 0]
        if not seen:
            continue
        slope = exponent(seen)
        label = name if slope is None else f"{name}: exponent {slope:.2f}"
        contender = name.split(",")[0]
        dashes = "--" if "," in name else "-"
        colour = COLOURS.get(contender, OTHER)
        axes.plot(*zip(*seen, strict=True), f"o{dashes}", color=colour, markersize=4, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    sizes = sorted({x for points in chart.series.values() for x, _ in points})
    axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    axes.set_xlabel(chart.x)
    axes.set_ylabel(chart.y)
    axes.set_title(chart.title, loc="left")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", frameon=False)
    axes.grid(visible=True, color="#eeeeee")
    return figure
