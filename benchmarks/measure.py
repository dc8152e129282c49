"""What benchmarks measure with: backend CPU time, interleaved rounds, ratios of added cost."""

import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

# A process that has just answered may not be off the processor yet, and only then is its time
# written down.
SETTLE = 0.002


@dataclass(frozen=True)
class Scale:
    """How much work a benchmark does: the figures that count, or a trial run."""

    quick: bool = False

    def pick(self, full: Any, quick: Any) -> Any:
        return quick if self.quick else full


class Line(NamedTuple):
    """A line of the table.

    ``ratio`` is judged against ``bar``; ``best`` is the same ratio from the fastest rounds.
    """

    case: str
    baseline: str
    ours: str
    ratio: float | None = None
    best: float | None = None
    bar: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.ratio is None or self.bar is None:
            return ""
        held = {ratio <= self.bar for ratio in (self.ratio, self.best) if ratio is not None}
        if len(held) > 1:
            return "unclear"  # noise: run it again when the machine is quiet
        return "met" if held == {True} else "MISSED"


@dataclass
class Samples:
    """Seconds, one for each round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """CPU time where this machine tells it, because other processes do not disturb it."""
        return self.cpu or self.wall

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


Pair = tuple[Samples, Samples]


class Clock:
    """Times a piece of work on one database connection.

    Args:
        connection: Django's; its backend's CPU time is read where it runs on this machine.
        client: whether the CPU time of this process counts too.
    """

    def __init__(self, connection: Any, *, client: bool = False) -> None:
        connection.ensure_connection()
        pid = connection.connection.info.backend_pid
        self.client = client
        self._schedstat = Path(f"/proc/{pid}/schedstat")
        self.sees_cpu = _is_local_postgres(pid)

    def cpu(self) -> float:
        """Seconds on a processor so far."""
        time.sleep(SETTLE)
        backend = int(self._schedstat.read_text().split()[0]) / 1e9
        return backend + (time.process_time() if self.client else 0)

    def time(self, work: Callable[[], Any], samples: Samples) -> None:
        before = self.cpu() if self.sees_cpu else 0
        begin = time.perf_counter()
        work()
        samples.wall.append(time.perf_counter() - begin)
        if self.sees_cpu:
            samples.cpu.append(self.cpu() - before)


def _is_local_postgres(pid: int) -> bool:
    try:
        # A server elsewhere may have a number that here is another process's.
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        Path(f"/proc/{pid}/schedstat").read_bytes()
    except OSError:
        return False
    return b"postgres" in command


def rounds(names: Iterable[str], number: int, work: Callable[[str, Samples], None]) -> dict:
    """Run all variants in turn, each round beginning with another; the first round is a warm-up.

    Returns:
        the `Samples` of each variant.
    """
    order = [*names]
    samples = {name: Samples() for name in order}
    for turn in range(number + 1):
        if turn == 1:
            samples = {name: Samples() for name in order}
        first = turn % len(order)
        for name in order[first:] + order[:first]:
            work(name, samples[name])
    return samples


def added(
    case: str,
    samples: Mapping[str, Samples],
    hand: str,
    ours: str,
    *,
    rows: int,
    none: str = "none",
    bar: float | None = None,
) -> Line:
    """Compare what two triggers add to the statement without a trigger, per row."""

    def compare(summary: Callable[[list[float]], float], kind: str) -> tuple[float, float]:
        base = summary(getattr(samples[none], kind))
        return tuple(summary(getattr(samples[name], kind)) - base for name in (hand, ours))

    by_hand, by_us = compare(statistics.median, "seconds")
    wall = compare(statistics.median, "wall")
    return Line(
        case,
        f"+{by_hand / rows * 1e9:,.0f} ns/row",
        f"+{by_us / rows * 1e9:,.0f} ns/row",
        ratio=by_us / by_hand,
        best=_quotient(*compare(min, "seconds")),
        bar=bar,
        note=f"wall {_quotient(*wall):.2f}" if samples[none].cpu else "wall time only",
    )


def _quotient(by_hand: float, by_us: float) -> float:
    return by_us / by_hand if by_hand > 0 else math.nan


def relative(
    case: str, base: Samples, ours: Samples, *, per: int = 1, bar: float | None = None
) -> Line:
    """Compare two whole durations, each of ``per`` repetitions."""
    wall = statistics.median(ours.wall) / statistics.median(base.wall)
    return Line(
        case,
        duration(base.median / per),
        duration(ours.median / per),
        ratio=ours.median / base.median,
        best=min(ours.seconds) / min(base.seconds),
        bar=bar,
        note=f"wall {wall:.2f}" if base.cpu else "wall time",
    )


def growth(case: str, small: Pair, large: Pair, factor: float, bar: float = 1.15) -> Line:
    """How an added cost grows with size: 1 is linear, 2 is square.

    Args:
        small, large: the samples without and with what is measured, at two sizes.
        factor: how much larger the second size is.
    """

    def exponent(summary: Callable[[list[float]], float]) -> float:
        first, second = (summary(ours.seconds) - summary(base.seconds) for base, ours in pairs)
        return math.log(second / first) / math.log(factor) if min(first, second) > 0 else math.nan

    pairs = (small, large)
    by_median = exponent(statistics.median)
    return Line(case, "linear is 1", f"exponent {by_median:.2f}", by_median, exponent(min), bar=bar)


def duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:,.2f} s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:,.1f} ms"
    return f"{seconds * 1e6:,.0f} µs"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    name = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    return f"{os.cpu_count()} processors, {name}"
