"""Lines of a table: what was compared, the ratio, how far rounds differ, and the bar."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from measure import Samples

OURS, HAND, NONE = "pgtrigger", "by hand", "without"
# Beyond this, a difference to a peer is called one.
NOTABLE = 1.05

Summary = Callable[[Sequence[float]], float]
Kind = Literal["ratio", "exponent", "count", "more"]


class Line(NamedTuple):
    """A line of the table: a contender beside what it is compared with.

    Args:
        case: what both did.
        baseline: what the contender is compared with: another contender, ``by hand``, ``without``.
        base: what was measured of it, written out.
        contender: whose figure it is.
        value: what was measured of it, written out.
        ratio: what is judged against the bar, from medians. None where it drowned in noise.
        low, high: the middle half of the ratios of single rounds.
        best: the same ratio from the fastest rounds.
        bar: what the ratio may be at most.
        note: anything else.
        kind: what sort of figure the ratio is; ``more`` is a difference.
    """

    case: str
    baseline: str
    base: str
    contender: str = OURS
    value: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    best: float | None = None
    bar: float | None = None
    note: str = ""
    kind: Kind = "ratio"

    @property
    def verdict(self) -> str:
        """``met``, ``MISSED``, or ``unclear`` where medians and fastest rounds disagree."""
        if self.bar is None:
            return ""
        if self.ratio is None:
            return "unclear"  # noise: run it again when the machine is quiet
        held = {ratio <= self.bar for ratio in (self.ratio, self.best) if ratio is not None}
        if len(held) != 1:
            return "unclear"
        return "met" if held == {True} else "MISSED"


def added(
    case: str,
    samples: Mapping[str, Samples],
    base: str,
    name: str,
    *,
    rows: int,
    none: str = "none",
    baseline: str = HAND,
    contender: str = OURS,
    bar: float | None = None,
    note: str = "",
) -> Line:
    """Compare what two contenders add to the statement without a trigger, for a row.

    Args:
        case: what is measured.
        samples: of each variant.
        base: the variant that the other is divided by.
        name: the variant that it is about.
        rows: how many rows the statement has.
        none: the variant without a trigger.
        baseline, contender: whose the two variants are.
        bar: what the ratio may be at most.
        note: is put in front of the ratio of wall time.
    """

    def more(variant: str, summary: Summary, kind: str = "seconds") -> float:
        return summary(getattr(samples[variant], kind)) - summary(getattr(samples[none], kind))

    wall = quotient(more(name, statistics.median, "wall"), more(base, statistics.median, "wall"))
    low, high = _middle(
        quotient(ours - without, theirs - without)
        for without, theirs, ours in zip(
            *(samples[each].seconds for each in (none, base, name)), strict=False
        )
    )
    return Line(
        case,
        baseline,
        f"{more(base, statistics.median) / rows * 1e9:+,.0f} ns/row",
        contender,
        f"{more(name, statistics.median) / rows * 1e9:+,.0f} ns/row",
        ratio=quotient(more(name, statistics.median), more(base, statistics.median)),
        low=low,
        high=high,
        best=quotient(more(name, min), more(base, min)),
        bar=bar,
        note=_joined(note, _wall(wall, seen=bool(samples[none].cpu))),
    )


def relative(
    case: str,
    base: Samples,
    ours: Samples,
    *,
    baseline: str = NONE,
    contender: str = OURS,
    per: int = 1,
    bar: float | None = None,
    note: str = "",
) -> Line:
    """Compare two whole durations, each of ``per`` repetitions."""
    low, high = _middle(
        quotient(one, other) for one, other in zip(ours.seconds, base.seconds, strict=False)
    )
    wall = quotient(statistics.median(ours.wall), statistics.median(base.wall))
    return Line(
        case,
        baseline,
        duration(base.median / per),
        contender,
        duration(ours.median / per),
        ratio=quotient(ours.median, base.median),
        low=low,
        high=high,
        best=quotient(min(ours.seconds), min(base.seconds)),
        bar=bar,
        note=_joined(note, _wall(wall, seen=bool(base.cpu and ours.cpu))),
    )


def growth(
    case: str,
    sizes: Mapping[int, tuple[Samples, Samples]],
    *,
    contender: str = OURS,
    bar: float | None = 1.15,
) -> Line:
    """How what is added grows with the size: an exponent of 1 is linear, 2 is square.

    Args:
        case: what is measured; the sizes are put behind it.
        sizes: the samples without and with it, of each size.
        contender: whose it is.
        bar: what the exponent may be at most.
    """

    def fitted(summary: Summary) -> float | None:
        return exponent(
            [
                (size, summary(ours.seconds) - summary(base.seconds))
                for size, (base, ours) in sizes.items()
            ]
        )

    return grown(case, [*sizes], fitted(statistics.median), fitted(min), contender, bar)


def grown(
    case: str,
    sizes: Sequence[int],
    by_median: float | None,
    by_best: float | None = None,
    contender: str = OURS,
    bar: float | None = 1.15,
) -> Line:
    """The line of an exponent that is known already."""
    return Line(
        f"{case}, from {min(sizes):,} to {max(sizes):,}",
        "linear growth",
        "exponent 1",
        contender,
        "lost in the noise" if by_median is None else f"exponent {by_median:.2f}",
        ratio=by_median,
        best=by_best,
        bar=bar,
        note=f"fitted to {len(sizes)} sizes",
        kind="exponent",
    )


def exponent(points: Iterable[tuple[float, float]]) -> float | None:
    """The slope of the straight line that fits best in a log-log plot.

    Points that are not above zero are left out; with fewer than two others there is none.
    """
    seen = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len({x for x, _ in seen}) < 2:
        return None
    return statistics.linear_regression(*zip(*seen, strict=True)).slope


def quotient(ours: float, base: float) -> float | None:
    """A ratio; None where there is nothing to divide by, or noise has made it negative."""
    return ours / base if base > 0 and ours > 0 else None


def _middle(ratios: Iterable[float | None]) -> tuple[float | None, float | None]:
    known = sorted(ratio for ratio in ratios if ratio is not None)
    if len(known) < 3:
        return None, None
    low, _, high = statistics.quantiles(known, n=4, method="inclusive")
    return low, high


def _wall(ratio: float | None, *, seen: bool) -> str:
    if not seen:
        return "wall time"
    return "" if ratio is None else f"wall {ratio:.2f}"


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def duration(seconds: float) -> str:
    """A time as people write it."""
    if abs(seconds) >= 1:
        return f"{seconds:,.2f} s"
    if abs(seconds) >= 1e-3:
        return f"{seconds * 1e3:,.1f} ms"
    return f"{seconds * 1e6:,.0f} µs"
