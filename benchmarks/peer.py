"""What runs in the environment of the peers, see peers.py. Nothing of ours is there.

::

    python peer.py pgtrigger TABLE TRANSITIONS   installs django-pgtrigger's FSM on a table
    python peer.py fsm TABLE ROUNDS              seconds of the best round of django-fsm, as JSON
    python peer.py softdelete TABLE ""           installs django-pgtrigger's SoftDelete on a table
    python peer.py safedelete TABLE ROWS         seconds to delete so many with django-safedelete
"""

import json
import os
import sys
import time

import django
from django.conf import settings
from django.db import models

APPS = {"pgtrigger": ["pgtrigger"], "softdelete": ["pgtrigger"], "safedelete": ["safedelete"]}


def configure(apps: list[str]) -> None:
    """Django, on the database of the benchmarks."""
    names = {"NAME": "DATABASE", "HOST": "HOST", "USER": "USER", "PASSWORD": "PASSWORD"}
    names |= {"PORT": "PORT"}
    database = {key: os.environ[f"PEER_{name}"] for key, name in names.items()}
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **database}},
        INSTALLED_APPS=apps,
        USE_TZ=True,
    )


def main(what: str, table: str, argument: str) -> None:
    configure(APPS.get(what, []))
    django.setup()
    work = {
        "pgtrigger": install_pgtrigger,
        "fsm": time_django_fsm,
        "softdelete": install_soft_delete,
        "safedelete": time_safedelete,
    }
    work[what](table, argument)


def install_pgtrigger(table: str, transitions: str) -> None:
    import pgtrigger  # noqa: PLC0415 - the one of the two that is asked for

    pairs = [
        (source, target)
        for source, targets in json.loads(transitions)
        for target in (targets if isinstance(targets, list) else [targets])
    ]

    class Row(models.Model):  # noqa: DJ008  # nobody looks at it
        status = models.TextField()

        class Meta:
            app_label = "benchmarks"
            db_table = table

    pgtrigger.FSM(name="peer", field="status", transitions=pairs).install(Row)


def install_soft_delete(table: str, _argument: str) -> None:
    import pgtrigger  # noqa: PLC0415 - as above

    class Row(models.Model):  # noqa: DJ008  # as above
        status = models.TextField()

        class Meta:
            app_label = "benchmarks"
            db_table = table

    pgtrigger.SoftDelete(name="peer", field="status", value="deleted").install(Row)


def time_safedelete(table: str, rows: str) -> None:
    from django.db import connection  # noqa: PLC0415 - it wants the settings
    from safedelete.models import SafeDeleteModel  # noqa: PLC0415 - as above

    class Row(SafeDeleteModel):  # as above
        amount = models.IntegerField()

        class Meta:
            app_label = "benchmarks"
            db_table = table

    best = float("inf")
    with connection.schema_editor() as editor:
        editor.create_model(Row)
    for _ in range(3):
        Row.objects.bulk_create([Row(amount=1) for _ in range(int(rows))])
        begin = time.perf_counter()
        Row.objects.all().delete()
        best = min(best, time.perf_counter() - begin)
    with connection.schema_editor() as editor:
        editor.delete_model(Row)
    print(json.dumps(best))


def time_django_fsm(table: str, rounds: str) -> None:
    from django_fsm import (  # noqa: PLC0415 - as above
        ConcurrentTransitionMixin,
        FSMField,
        transition,
    )

    class Row(ConcurrentTransitionMixin, models.Model):  # noqa: DJ008  # as above
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

    best = {"change": float("inf"), "ask": float("inf")}
    for _ in range(int(rounds) + 1):
        for work in (change, ask):
            rows = [*Row.objects.order_by("pk")]
            begin = time.perf_counter()
            work()
            best[work.__name__] = min(best[work.__name__], time.perf_counter() - begin)
    print(json.dumps(best))


if __name__ == "__main__":
    main(*sys.argv[1:])
