"""The same work in many places, several at a time; what fails in one does not stop the others."""

from __future__ import annotations

import contextvars
import itertools
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import Error, connections

from pgtrigger.errors import PgTriggerError

# A session of the server never forgets what it has known of tables and functions: some 25 KiB for
# each trigger that it installs. So no connection of a job works in more places than these.
_PLACES_OF_A_CONNECTION = 100

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Outcome(Generic[P, R]):
    """What came of the work in one place: a result or an error."""

    place: P
    result: R | None = None
    error: Exception | None = None


def work_in(
    places: Sequence[P], work: Callable[[P], R], *, jobs: int = 1
) -> Iterator[Outcome[P, R]]:
    """Work in each place, and tell what came of it as soon as it is known.

    Args:
        places: where, such as databases and schemas.
        work: what to do in a place. Database errors and errors of ours are kept; others end the
            whole.
        jobs: how many places at a time. With more than one, each job is a thread with database
            connections of its own, and sees the contexts of the caller.
    """
    if jobs == 1 or len(places) < 2:
        for place in places:
            yield _attempt(work, place)
        return
    waiting: queue.SimpleQueue[P] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome[P, R] | BaseException] = queue.SimpleQueue()
    for place in places:
        waiting.put(place)
    stopped = False

    def job() -> None:
        try:
            for number in itertools.count():
                if stopped:
                    break
                if number % _PLACES_OF_A_CONNECTION == 0:
                    connections.close_all()
                done.put(_attempt(work, waiting.get_nowait()))
        except queue.Empty:
            pass
        except BaseException as error:  # raised again by the caller's thread
            done.put(error)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(min(jobs, len(places)), thread_name_prefix="pgtrigger") as pool:
        try:
            for _ in range(min(jobs, len(places))):
                pool.submit(contextvars.copy_context().run, job)
            for _ in places:
                outcome = done.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
        finally:
            # What has begun is brought to its end.
            stopped = True


def _attempt(work: Callable[[P], R], place: P) -> Outcome[P, R]:
    try:
        return Outcome(place, work(place))
    except (PgTriggerError, Error) as error:
        return Outcome(place, error=error)
