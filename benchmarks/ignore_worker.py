"""Runs the workloads of the ignore benchmark with the pgtrigger that its Python has.

Started as ``ignore_worker.py URL TABLE STATEMENTS``; for each line on its standard input it does
one round and prints the seconds of each workload.
"""

import json
import sys
import time
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import django
from django.conf import settings

url, table, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
parts = urlsplit(url)
options = dict(parse_qsl(parts.query))
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path.lstrip("/"),
            "USER": parts.username or "",
            "PASSWORD": parts.password or "",
            "HOST": options.get("host") or parts.hostname or "",
            "PORT": options.get("port") or parts.port or "",
        }
    },
    INSTALLED_APPS=["pgtrigger"],
    USE_TZ=True,
)
django.setup()

from django.db import connection, models, transaction  # noqa: E402  # it wants the settings

import pgtrigger  # noqa: E402  # as above

MANY = 1_000


class Row(models.Model):  # noqa: DJ008  # nobody looks at one
    amount = models.IntegerField()

    class Meta:
        app_label = "benchmarks"
        db_table = table


def triggers(count):
    for index in range(count):
        yield pgtrigger.Trigger(
            name=f"unchanged_{index}",
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            func="NEW.amount = NEW.amount; RETURN NEW;",
        )


def update(row):
    Row.objects.filter(pk=row).update(amount=row)


def read(row):
    Row.objects.filter(pk=row).values_list("amount").get()


def update_by_sql(row):
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET amount = amount + 1 WHERE id = %s", [row])


def read_by_sql(row):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT amount FROM {table} WHERE id = %s", [row])


@contextmanager
def unwatched():
    """The connection as it is without pgtrigger."""
    driver, wrappers = connection.connection, [*connection.execute_wrappers]
    factory = driver.cursor_factory
    connection.execute_wrappers.clear()
    driver.cursor_factory = getattr(factory, "unwatched", factory)
    yield
    connection.execute_wrappers.extend(wrappers)
    driver.cursor_factory = factory


def one():
    return pgtrigger.ignore("benchmarks.Row:unchanged_0")


def several(statement, *contexts):
    """So many statements within these contexts."""

    def work():
        with ExitStack() as stack:
            for context in contexts:
                stack.enter_context(context())
            for row in range(1, number + 1):
                statement(row)

    return work


def each(statement, *contexts, around=nullcontext):
    """So many statements, each within contexts of its own."""

    def work():
        with around():
            for row in range(1, number + 1):
                with ExitStack() as stack:
                    for context in contexts:
                        stack.enter_context(context())
                    statement(row)

    return work


WORKLOADS = {
    "update in a transaction": (
        several(update, transaction.atomic),
        several(update, transaction.atomic, one),
    ),
    "update by SQL in a transaction": (
        several(update_by_sql, transaction.atomic),
        several(update_by_sql, transaction.atomic, one),
    ),
    "read in a transaction": (
        several(read, transaction.atomic),
        several(read, transaction.atomic, one),
    ),
    "update in autocommit": (several(update), several(update, one)),
    "update by SQL in autocommit": (several(update_by_sql), several(update_by_sql, one)),
    "read in autocommit": (several(read), several(read, one)),
    "ignore() of 1,000 around an update": (
        each(update),
        each(update, pgtrigger.ignore),
    ),
    "the same, in a transaction of its own": (
        each(update, transaction.atomic),
        each(update, transaction.atomic, pgtrigger.ignore),
    ),
    "the same, all in one transaction": (
        each(update, around=transaction.atomic),
        each(update, pgtrigger.ignore, around=transaction.atomic),
    ),
    "read outside any ignore": (several(read, unwatched), several(read)),
    "update outside any ignore": (several(update, unwatched), several(update)),
    "read by SQL outside any ignore": (several(read_by_sql, unwatched), several(read_by_sql)),
}


def main():
    with connection.cursor() as cursor:
        cursor.execute("SET jit = off")
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(
            f"CREATE TABLE {table} (id bigint PRIMARY KEY, amount int) "
            f"WITH (fillfactor = 10, autovacuum_enabled = off)"
        )
        cursor.execute(f"INSERT INTO {table} SELECT n, 0 FROM generate_series(1, {number}) n")
    for trigger in triggers(MANY):
        trigger.register(Row)
    next(triggers(1)).install(Row)
    backend = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")

    def cpu():
        time.sleep(0.002)  # its time is written down when it has left the processor
        server = int(backend.read_text().split()[0]) / 1e9 if backend.exists() else 0
        return server + time.process_time()

    print(json.dumps({"sees_cpu": backend.exists()}), flush=True)
    for _line in sys.stdin:
        seconds = {}
        for name, pair in WORKLOADS.items():
            for which, work in zip(("without", "with"), pair, strict=True):
                with connection.cursor() as cursor:
                    cursor.execute(f"VACUUM {table}")
                before, begin = cpu(), time.perf_counter()
                work()
                wall = time.perf_counter() - begin
                seconds[f"{name} {which}"] = wall, cpu() - before
        print(json.dumps(seconds), flush=True)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {table}")


main()
