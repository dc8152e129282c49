"""What runs in the environment of a peer, see peers.py. Nothing of ours is there.

::

    python peer.py install '{"TABLE": "pgtrigger.Protect(…)"}'   has django-pgtrigger install them
    python peer.py fsm TABLE ROUNDS           seconds of rounds of django-fsm, as JSON
    python peer.py safedelete TABLE ROWS      seconds of rounds of deletes with django-safedelete
"""

import json
import os
import sys
import time
from typing import Any

import django
from django.conf import settings
from django.db import models

APPS = {"install": ["pgtrigger"], "safedelete": ["safedelete"]}
ROUNDS = 5


def configure(apps: list[str], **more: str) -> None:
    """Django, on the database of the benchmarks."""
    names = {"NAME": "DATABASE", "HOST": "HOST", "USER": "USER", "PASSWORD": "PASSWORD"}
    names |= {"PORT": "PORT"}
    database = {key: os.environ[f"PEER_{name}"] for key, name in names.items()}
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **database}},
        INSTALLED_APPS=apps,
        USE_TZ=True,
        **more,
    )


def main(what: str, *arguments: str) -> None:
    configure(APPS.get(what, []))
    django.setup()
    work = {"install": install, "fsm": time_django_fsm, "safedelete": time_safedelete}
    work[what](*arguments)


def row_model(table: str) -> Any:
    """The model of a table of tables.Table, or of the one of the search benchmark."""
    from django.contrib.postgres.search import SearchVectorField  # noqa: PLC0415  # wants settings

    meta = type("Meta", (), {"app_label": "benchmarks", "db_table": table})
    numbers = {name: models.IntegerField(null=True) for name in ("owner", "amount", "version")}
    texts = {name: models.TextField() for name in ("status", "title", "body")}
    known = {"id": models.BigIntegerField(primary_key=True), "vector": SearchVectorField()}
    body = {"__module__": __name__, "Meta": meta, **numbers, **texts, **known}
    return type(table.title().replace("_", ""), (models.Model,), body)


def install(declarations: str) -> None:
    import pgtrigger  # noqa: PLC0415  # only this environment has it

    for table, text in json.loads(declarations).items():
        eval(text, {"pgtrigger": pgtrigger}).install(row_model(table))


def time_safedelete(table: str, rows: str) -> None:
    from django.db import connection  # noqa: PLC0415  # it wants the settings
    from safedelete.models import SafeDeleteModel  # noqa: PLC0415  # it wants the settings

    class Row(SafeDeleteModel):
        amount = models.IntegerField()

        class Meta:
            app_label = "benchmarks"
            db_table = table

    seconds = []
    with connection.schema_editor() as editor:
        editor.create_model(Row)
    for _ in range(ROUNDS):
        Row.objects.bulk_create([Row(amount=1) for _ in range(int(rows))])
        begin = time.perf_counter()
        Row.objects.all().delete()
        seconds.append(time.perf_counter() - begin)
    with connection.schema_editor() as editor:
        editor.delete_model(Row)
    print(json.dumps(seconds))


def time_django_fsm(table: str, rounds: str) -> None:
    from django_fsm import (  # noqa: PLC0415  # it wants the settings
        ConcurrentTransitionMixin,
        FSMField,
        transition,
    )

    class Row(ConcurrentTransitionMixin, models.Model):  # noqa: DJ008  # nobody looks at it
        id = models.BigIntegerField(primary_key=True)
        status = FSMField(default="open")
        owner = models.IntegerField(null=True)
        amount = models.IntegerField(null=True)
        version = models.IntegerField(null=True)

        class Meta:
            app_label = "benchmarks"
            db_table = table

        @transition(field=status, source="open", target="closed")
        def close(self) -> None: ...

        @transition(field=status, source="closed", target="open")
        def reopen(self) -> None: ...

        @transition(field=status, source=["open", "paid"], target="void")
        def cancel(self) -> None: ...

        @transition(field=status, source="closed", target="paid")
        def pay(self) -> None: ...

    def change() -> None:
        for row in rows:
            row.close() if row.status == "open" else row.reopen()
            row.save(update_fields=["status"])

    def ask() -> None:
        for row in rows:
            list(row.get_available_status_transitions())

    seconds: dict[str, list[float]] = {"change": [], "ask": []}
    for turn in range(int(rounds) + 1):
        for work in (change, ask):
            rows = [*Row.objects.order_by("pk")]
            begin = time.perf_counter()
            work()
            if turn:
                seconds[work.__name__].append(time.perf_counter() - begin)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
