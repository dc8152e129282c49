"""Random programs: at every moment, the events tell what the table held."""

from contextlib import suppress

import pytest
from django.db import Error, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.models import Customer, Payment

MODELS = {"statement": (Customer, '"Town"'), "row": (Payment, "amount")}

keys = st.integers(1, 5)
key_lists = st.lists(keys, min_size=1, max_size=5, unique=True)
values = st.integers(0, 3)
changes = st.one_of(
    st.tuples(st.just("insert"), key_lists, values),
    st.tuples(st.just("upsert"), key_lists, values),
    st.tuples(st.just("update"), key_lists, values),
    st.tuples(st.just("rekey"), st.permutations([1, 2, 3, 4, 5]), values),
    st.tuples(st.just("shift"), st.sampled_from([-1, 1, 2, 10]), values),
    st.tuples(st.just("delete"), key_lists, values),
    st.tuples(st.just("truncate"), values, values),
)
steps = st.one_of(changes, st.tuples(st.just("rollback"), st.lists(changes, max_size=4), values))


class Table:
    def __init__(self, model, column):
        self.model, self.column = model, column
        self.name = model._meta.db_table
        self.given = "invoice_id, amount" if model is Payment else 'name, "Town"'

    def run(self, statement):
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def change(self, kind, what, value):
        ids = ", ".join(map(str, what)) if isinstance(what, list) else ""
        insert = f"INSERT INTO {self.name} (id, {self.given}{self._more()}) OVERRIDING SYSTEM VALUE VALUES "
        match kind:
            case "insert":
                self.run(insert + self._rows(what, value))
            case "upsert":
                self.run(
                    insert
                    + self._rows(what, value)
                    + f" ON CONFLICT (id) DO UPDATE SET {self.column} = excluded.{self.column}"
                )
            case "update":
                self.run(
                    f"UPDATE {self.name} SET {self.column} = {self._value(value)} WHERE id IN ({ids})"
                )
            case "rekey":
                cases = " ".join(f"WHEN {i} THEN {to}" for i, to in enumerate(what, 1))
                self.run(
                    f"UPDATE {self.name} SET id = CASE id {cases} ELSE id END, {self.column} = {self._value(value)}"
                )
            case "shift":
                self.run(f"UPDATE {self.name} SET id = id + {what}")
            case "delete":
                self.run(f"DELETE FROM {self.name} WHERE id IN ({ids})")
            case "truncate":
                self.run(f"TRUNCATE {self.name} CASCADE")

    def _rows(self, ids, value):
        more = ", clock_timestamp()" if self.model is Payment else ""
        return ", ".join(f"({i}, {self._first()}, {self._value(value)}{more})" for i in ids)

    def _first(self):
        return "0" if self.model is Payment else "''"

    def _more(self):
        return ", changed_at" if self.model is Payment else ""

    def _value(self, value):
        return str(value) if self.model is Payment else f"'{value}'"

    def held(self):
        return sorted(self.run(f"SELECT id, {self.column}::text FROM {self.name}"))

    def told(self, moment):
        name = "amount" if self.model is Payment else "city"
        found = self.model.history.as_of(moment).values_list("pk", name)
        return sorted((key, str(value)) for key, value in found)


@pytest.mark.parametrize("keys", ["checked", "free"])
@pytest.mark.parametrize("level", MODELS)
@pytest.mark.django_db
@settings(max_examples=settings.default.max_examples // 5)
@given(program=st.lists(steps, max_size=12))
def test_the_events_tell_what_the_table_held_at_every_moment(level, keys, program):
    table = Table(*MODELS[level])
    with transaction.atomic():
        if keys == "free":  # so that one statement can move them past each other
            table.run(f"ALTER TABLE {table.name} DROP CONSTRAINT {table.name}_pkey CASCADE")
        moments = []
        for step in program:
            with suppress(Undone, Error), transaction.atomic():
                take(table, *step)
            ((now,),) = table.run("SELECT clock_timestamp()")
            moments.append((now, table.held()))
        for moment, held in moments:
            assert table.told(moment) == held
        transaction.set_rollback(True)


def take(table, kind, what, value):
    """Take a step, and undo it if it was to be undone, or if two rows have one key."""
    for change in what if kind == "rollback" else [(kind, what, value)]:
        table.change(*change)
    held = [key for key, _ in table.held()]
    if kind == "rollback" or len({*held}) < len(held):
        raise Undone


class Undone(Exception):
    pass
