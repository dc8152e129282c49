"""Every change with names of every style, triggers of every kind, in every state."""

import pytest
from django.db import models

from schema_changes.history import LEFT_OVER, History
from schema_changes.shapes import APP, KINDS, STYLES, thing

PLAIN = STYLES["plain"]


def integer(column=None, **options):
    return models.IntegerField(default=0, db_column=column, **options)


def fields(names, **more):
    return {names.field: integer(names.column), **more}


def of(change):
    """The versions of a model that go through a change."""

    def versions(names, kinds):
        return [thing(kinds, **version) for version in change(names)]

    versions.__name__ = change.__name__
    return versions


@of
def rename_model(names):
    given = {"db_table": names.table, "fields": fields(names)}
    return [given, {**given, "name": "Gadget"}]


@of
def rename_model_and_its_table(names):
    return [{"fields": fields(names)}, {"fields": fields(names), "name": "Gadget"}]


@of
def change_db_table(names):
    return [{"db_table": t, "fields": fields(names)} for t in (names.table, names.other_table)]


@of
def rename_field(names):
    new = {names.other_field: integer(names.other_column)}
    return [{"db_table": names.table, "fields": f} for f in (fields(names), new)]


@of
def rename_field_and_keep_its_column(names):
    column = names.column or names.field
    new = {names.other_field: integer(column)}
    return [{"db_table": names.table, "fields": f} for f in (fields(names), new)]


@of
def change_db_column(names):
    column = names.other_column or names.other_field
    new = {names.field: integer(column)}
    return [{"db_table": names.table, "fields": f} for f in (fields(names), new)]


@of
def change_type(names):
    wide = {names.field: models.BigIntegerField(default=0, db_column=names.column)}
    return [{"db_table": names.table, "fields": f} for f in (fields(names), wide)]


@of
def change_type_and_literals(names):
    text = {names.field: models.CharField(default="0", max_length=9, db_column=names.column)}
    return [{"db_table": names.table, "fields": f} for f in (fields(names), text)]


@of
def change_type_and_column(names):
    column = names.other_column or names.other_field
    wide = {names.field: models.BigIntegerField(default=0, db_column=column)}
    return [{"db_table": names.table, "fields": f} for f in (fields(names), wide)]


@of
def remove_field(names):
    extra = integer(names.other_column)
    more = fields(names, **{names.other_field: extra})
    return [{"db_table": names.table, "fields": f} for f in (more, fields(names))]


@of
def add_field(names):
    extra = integer(names.other_column)
    more = fields(names, **{names.other_field: extra})
    return [{"db_table": names.table, "fields": f} for f in (fields(names), more)]


@of
def replace_field(names):
    other = {names.other_field: models.TextField(default="0", db_column=names.other_column)}
    return [{"db_table": names.table, "fields": f} for f in (fields(names), other)]


@of
def add_primary_key(names):
    key = names.other_field, models.IntegerField(primary_key=True, db_column=names.other_column)
    given = {"db_table": names.table, "fields": fields(names)}
    return [given, {**given, "key": key}]


@of
def promote_to_primary_key(names):
    column = names.other_column
    given = {"db_table": names.table}
    plain = {names.other_field: models.IntegerField(default=0, db_column=column)}
    key = names.other_field, models.IntegerField(primary_key=True, db_column=column)
    return [
        {**given, "fields": fields(names, **plain)},
        {**given, "fields": fields(names), "key": key},
    ]


@of
def change_type_of_primary_key(names):
    small = "id", models.AutoField(primary_key=True, db_column=names.other_column)
    big = "id", models.BigAutoField(primary_key=True, db_column=names.other_column)
    given = {"db_table": names.table, "fields": fields(names)}
    return [{**given, "key": small}, {**given, "key": big}]


CHANGES = {
    change.__name__: change
    for change in (
        rename_model,
        rename_model_and_its_table,
        change_db_table,
        rename_field,
        rename_field_and_keep_its_column,
        change_db_column,
        change_type,
        change_type_and_literals,
        change_type_and_column,
        remove_field,
        add_field,
        replace_field,
        add_primary_key,
        promote_to_primary_key,
        change_type_of_primary_key,
    )
}


def cases():
    """Each change with all names and kinds at once, and with each kind and each state alone.

    Those that are not slow have each change, and each style, state and kind several times.
    """
    for number, name in enumerate(CHANGES):
        # What Django cannot do in another schema: rename a table, find its primary key.
        there = name not in ("change_db_table", "promote_to_primary_key")
        for shift, style in enumerate([style for style in STYLES if there or style != "schema"]):
            slow = (number + shift) % len(STYLES) != 0
            yield case(name, style, "every-kind", "O", atomic=True, slow=slow)
            if style in ("plain", "reserved"):
                yield case(name, style, "every-kind", "O", atomic=False, slow=True)
        for shift, state in enumerate("DAR"):
            atomic, slow = bool((number + shift) % 2), number % 3 != shift
            yield case(name, "plain", "every-kind", state, atomic=atomic, slow=slow)
        for shift, kind in enumerate(KINDS):
            atomic, slow = bool((number + shift) % 2), number % len(KINDS) != shift
            yield case(name, "plain", kind, "D", atomic=atomic, slow=slow)


def case(*names, atomic, slow):
    marks = [pytest.mark.slow] if slow else []
    return pytest.param(*names, atomic, id="-".join([*names, ATOMIC[atomic]]), marks=marks)


ATOMIC = {True: "atomic", False: "loose"}


@pytest.mark.parametrize(("change", "style", "kind", "state", "atomic"), [*cases()])
def test_exactly_the_declared_triggers_are_left_forwards_and_backwards(
    database, change, style, kind, state, atomic
):
    history = History(atomic=atomic)
    kinds = [*KINDS] if kind == "every-kind" else [kind]
    for version in CHANGES[change](STYLES[style], kinds):
        history.declare(version)
        if history.at == 1:
            history.set_states(state)
        else:
            history.check()
    history.migrate(1)
    history.check()
    history.migrate(2)
    history.check()
    assert [app for app, _ in history.graph.nodes] == [APP, APP], "each version is one migration"


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_is_reversed_with_the_creation_of_the_table_leaves_nothing(database, change):
    history = History(atomic=bool(len(change) % 2))
    for version in CHANGES[change](PLAIN, [*KINDS]):
        history.declare(version)
    history.migrate(0)
    assert history.catalog() == []
    assert history.sql(LEFT_OVER) == []
    history.migrate(2)
    history.check()
