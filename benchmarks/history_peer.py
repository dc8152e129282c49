"""What runs in the environment of the peers for the benchmark of history. Nothing of ours is there.

::

    python history_peer.py install TABLE LEVEL     django-pghistory on a table; names that of events
    python history_peer.py pghistory TABLE ROUNDS  seconds of rounds of saves, as JSON
    python history_peer.py simple TABLE ROUNDS     the same with django-simple-history
    python history_peer.py bulk TABLE ROWS         seconds of its bulk functions, as JSON
"""

import json
import sys
import time
from typing import Any

import django
from django.core.management import call_command
from peer import configure

APPS = ["flight_tables.Benchmarks", "django.contrib.auth", "django.contrib.contenttypes"]
SAVES = 300
BULK_ROUNDS = 3


def main(what: str, table: str, argument: str) -> None:
    simple = what in ("simple", "bulk")
    configure([*APPS, "simple_history"] if simple else [*APPS, "pghistory", "pgtrigger"])
    django.setup()
    work = {"install": install, "pghistory": save, "simple": save, "bulk": time_bulk}
    print(json.dumps(work[what](table, argument)))


def by_pghistory(name: str, level: str, *, new: bool) -> Any:
    import pghistory  # noqa: PLC0415 - the one of the two that is asked for
    from flight_tables import create, flights_model  # noqa: PLC0415 - it wants the settings

    call_command("migrate", "pghistory", verbosity=0)
    sys.modules["flight_tables.models"] = sys.modules["flight_tables"]  # where it looks for models
    model = flights_model(name)
    events = (pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
    pghistory.track(*events, level=getattr(pghistory, level), append_only=False)(model)
    (tracked,) = [
        relation.related_model
        for relation in model._meta.related_objects
        if relation.related_model.__name__ == f"{model.__name__}Event"
    ]
    create(*([model] if new else []), tracked)
    for trigger in model._meta.triggers:
        trigger.install(model)
    return model, tracked


def install(name: str, level: str) -> str:
    _, events = by_pghistory(name, level, new=False)
    return events._meta.db_table


def by_simple_history(name: str) -> Any:
    from flight_tables import create, flights_model  # noqa: PLC0415 - as above
    from simple_history import register  # noqa: PLC0415 - as above

    model = flights_model(name)
    register(model)
    call_command("migrate", "auth", verbosity=0)
    create(model, model.history.model)
    return model


def save(name: str, rounds: str) -> dict[str, list[list[float]]]:
    """Seconds of rounds of SAVES saves, without and with history."""
    from contextlib import nullcontext  # noqa: PLC0415 - as above

    from django.db import connection  # noqa: PLC0415 - as above
    from flight_tables import create, fill, flights_model  # noqa: PLC0415 - as above
    from measure import Clock, Samples  # noqa: PLC0415 - as above
    from saves import AROUND, time_saves  # noqa: PLC0415 - as above

    plain = flights_model(f"{name}_plain")
    create(plain)
    contexts = {"": nullcontext}
    if sys.argv[1] == "simple":
        tracked = by_simple_history(f"{name}_tracked")
    else:
        import pghistory  # noqa: PLC0415 - as above

        tracked, _ = by_pghistory(f"{name}_tracked", "Row", new=True)
        contexts[", in a context"] = lambda: pghistory.context(user=1)
    fill(plain, SAVES)
    fill(tracked, SAVES)
    clock = Clock(connection, client=True)
    found: dict[str, list[Samples]] = {}
    for turn in range(int(rounds) + 1):
        for kind, around in AROUND.items():
            for said, context in contexts.items():
                pair = [Samples(), Samples()]
                if turn:
                    pair = found.setdefault(kind + said, pair)
                time_saves(clock, plain, SAVES, pair[0], around)
                time_saves(clock, tracked, SAVES, pair[1], around, context)
    return {case: [samples.seconds for samples in pair] for case, pair in found.items()}


def time_bulk(name: str, rows: str) -> dict[str, list[float]]:
    from django.db import connection  # noqa: PLC0415 - as above
    from flight_tables import COLUMNS, SOURCE  # noqa: PLC0415 - as above
    from simple_history.utils import (  # noqa: PLC0415 - as above
        bulk_create_with_history,
        bulk_update_with_history,
    )

    model = by_simple_history(name)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM {SOURCE} LIMIT {int(rows)}")
        given = cursor.fetchall()
    found: dict[str, list[float]] = {}

    def clocked(case: str, work: Any) -> None:
        begin = time.perf_counter()
        work()
        found.setdefault(case, []).append(time.perf_counter() - begin)

    for _ in range(BULK_ROUNDS):
        made = [model(**dict(zip(COLUMNS, values, strict=True))) for values in given]
        clocked("insert", lambda made=made: bulk_create_with_history(made, model))
        made = [*model.objects.all()]
        for row in made:
            row.dep_delay = (row.dep_delay or 0) + 1
        clocked("update", lambda made=made: bulk_update_with_history(made, model, ["dep_delay"]))
        clocked("delete", lambda: model.objects.all().delete())
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
