"""What benchmarks measure with: CPU time of the server process, and rounds that take turns."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A process that has just answered may not be off the processor yet, and only then is its time
# written down.
SETTLE = 0.002


@dataclass(frozen=True)
class Scale:
    """How much work a benchmark does: the figures that count, a trial run, or the largest sizes."""

    quick: bool = False
    full: bool = False

    def pick(self, usual: Any, quick: Any, full: Any = None) -> Any:
        """What is meant for this run; ``full`` where the largest sizes differ from the usual."""
        if self.quick:
            return quick
        return usual if full is None or not self.full else full


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
