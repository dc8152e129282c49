"""One process of writers, as threads or as tasks: ``python -m reliability.depot.load``."""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import django
from asgiref.sync import ThreadSensitiveContext, sync_to_async

django.setup()

from django.db import connections  # noqa: E402 - needs the apps

import pgtrigger  # noqa: E402 - as above
from reliability.depot.models import Account, Parcel  # noqa: E402 - as above
from reliability.depot.writer import SHARED, Writer  # noqa: E402 - as above

# Between two programs of a writer: the load is many sessions that interleave, not a full machine.
PAUSE = 0.05


def by_threads(writers: list[Writer], deadline: float) -> None:
    """Each writer in a thread, which has a connection of its own."""

    def work(writer: Writer) -> None:
        try:
            while time.monotonic() < deadline:
                writer.program()
                if "pool" in connections["default"].settings_dict["OPTIONS"]:
                    connections.close_all()  # which gives the connection back
                time.sleep(writer.rng.uniform(0, 2 * PAUSE))
        except Exception as error:  # told by the test
            writer.complaints.append(f"writer {writer.number} ended with {error!r}")
            raise
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_tasks(writers: list[Writer], deadline: float) -> None:
    """Each writer in a task, whose ORM calls share a thread that is its own."""

    async def work(writer: Writer) -> None:
        async with ThreadSensitiveContext():
            try:
                while time.monotonic() < deadline:
                    await one_of(writer)
                    await asyncio.sleep(writer.rng.uniform(0, 2 * PAUSE))
            except Exception as error:  # told by the test
                writer.complaints.append(f"writer {writer.number} ended with {error!r}")
                raise
            finally:
                await sync_to_async(connections.close_all)()

    async def everybody() -> None:
        await asyncio.gather(*map(work, writers))

    asyncio.run(everybody())


async def one_of(writer: Writer) -> None:
    """A program, or asynchronous calls of the ORM within contexts of the task."""
    if writer.rng.random() < 0.5:
        await sync_to_async(writer.program)()
        return
    with writer.nested_contexts():
        row = await Parcel.objects.acreate(note=writer._next("note"))
        writer.commit("INSERT", row)
        await asyncio.sleep(0)  # others go on meanwhile, with their own contexts
        account = await Account.objects.acreate(note=writer._next("note"))
        writer.commit("INSERT", account)
        async with pgtrigger.ignore("depot.Account:keep"):
            await asyncio.sleep(0)
            await Account.objects.filter(pk=account.pk).adelete()
        writer.commit("DELETE", account)
        row.note = writer._next("note")
        await row.asave()
        writer.commit("UPDATE", row)
    writer.done["asynchronous"] += 1
    await sync_to_async(writer._probe)()


def furnish(writers: list[Writer], deadline: float) -> None:
    """The rows that all change."""
    (writer,) = writers
    for number in range(1, SHARED + 1):
        for model in (Parcel, Account):
            row = model.objects.create(note=f"shared {number}")
            assert row.pk == number
            writer.commit("INSERT", row)


WAYS: dict[str, Callable[[list[Writer], float], Any]] = {
    "threads": by_threads,
    "tasks": by_tasks,
    "furnish": furnish,
}


def main(way: str, first: int, count: int, seconds: float, seed: int) -> None:
    """Let writers write, and tell what they have committed as a line of JSON."""
    writers = [Writer(number, seed=seed) for number in range(first, first + count)]
    WAYS[way](writers, time.monotonic() + seconds)
    report = {
        "log": [entry for writer in writers for entry in writer.log],
        "complaints": [text for writer in writers for text in writer.complaints],
        "done": [dict(writer.done) for writer in writers],
        "pid": os.getpid(),
    }
    json.dump(report, sys.stdout)
    connections.close_all()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
