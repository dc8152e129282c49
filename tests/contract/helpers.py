"""What several contract tests need: triggers that leave a trace, and a look into the catalog."""

from contextlib import contextmanager

import pytest
from django.db import DatabaseError, connections, transaction

import pgtrigger
from contract.models import Log

Before, After = pgtrigger.Before, pgtrigger.After
Insert, Update, Delete, Truncate = (
    pgtrigger.Insert,
    pgtrigger.Update,
    pgtrigger.Delete,
    pgtrigger.Truncate,
)


def noop(name="noop", **kwargs):
    """A row trigger before updates that changes nothing."""
    return pgtrigger.Trigger(
        **{"name": name, "when": Before, "operation": Update, "func": "RETURN NEW;", **kwargs}
    )


def logs(text="fired", name="logs", **kwargs):
    """A row trigger after updates that writes one Log row."""
    func = f"INSERT INTO {Log._meta.db_table}(new) VALUES ('{text}'); RETURN NULL;"
    return pgtrigger.Trigger(
        **{"name": name, "when": After, "operation": Update, "func": func, **kwargs}
    )


def protects(operation=Delete, name="protects", **kwargs):
    return pgtrigger.Protect(name=name, operation=operation, **kwargs)


def logged(using="default"):
    """The texts that triggers have written, oldest first."""
    return list(Log.objects.using(using).order_by("pk").values_list("new", flat=True))


@contextmanager
def refused(match, using="default", error=DatabaseError):
    """The block is refused by the database; the surrounding transaction stays usable."""
    with pytest.raises(error, match=match) as info, transaction.atomic(using):
        yield info


@contextmanager
def undone():
    """The block succeeds and is rolled back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def one(sql, params=None, using="default"):
    """The first column of the first row."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
        return row and row[0]


def column(sql, params=None, using="default"):
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return [row[0] for row in cursor.fetchall()]


def run(sql, using="default"):
    with connections[using].cursor() as cursor:
        cursor.execute(sql)


def definitions(table, using="default"):
    """What is really on a table: `{trigger name: CREATE TRIGGER …}`."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c"
            " ON c.oid = tgrelid WHERE relname = %s AND NOT tgisinternal"
            " AND pg_table_is_visible(c.oid)",
            [table],
        )
        return dict(cursor.fetchall())


def trigger_functions(pattern="pgtrigger%", using="default"):
    """Names of the functions in the database that return a trigger."""
    return column(
        "SELECT proname FROM pg_proc WHERE prorettype = 'trigger'::regtype AND proname LIKE %s",
        [pattern],
        using,
    )


class Router:
    """Refuses what the test says, and remembers every question."""

    def __init__(self, allow=lambda db, app_label, model_name: True):
        self.allow = allow
        self.asked = []

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        self.asked.append((db, app_label, model_name))
        return self.allow(db, app_label, model_name)


# The classes that lived in django-pgtrigger, and live in the kernel.
KERNEL_NAMES = [
    "Row",
    "Statement",
    "Level",
    "Before",
    "After",
    "InsteadOf",
    "When",
    "Insert",
    "Update",
    "Delete",
    "Truncate",
    "UpdateOf",
    "Operation",
    "Operations",
    "Immediate",
    "Deferred",
    "Timing",
    "Referencing",
    "Func",
    "Condition",
    "Q",
    "F",
    "AnyChange",
    "AnyDontChange",
    "AllChange",
    "AllDontChange",
    "IsDistinctFrom",
    "IsNotDistinctFrom",
    "Trigger",
    "Composer",
]
