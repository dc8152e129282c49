"""The models and triggers whose changes are tested: names of every style, triggers of every kind."""

from dataclasses import dataclass

from django.db import models
from django.db.migrations.state import ModelState

import pgtrigger
from schema_changes.history import SCHEMA

APP = "alpha"


@dataclass(frozen=True)
class Names:
    """The names of a table, a field and its column, and what they are changed to."""

    table: str
    other_table: str
    field: str
    other_field: str
    column: str | None = None
    other_column: str | None = None


STYLES = {
    "plain": Names("thing", "gadget", "size", "amount"),
    "mixed": Names("MixedThing", "mixedTHING", "sizeOf", "SizeOf"),
    "hyphen": Names("hy-phen", "hyp-hen", "size", "amount", "si-ze", "siz-e"),
    "dotted": Names("with.dots", "wi.th.dots", "size", "amount", "si.ze", "s.i.ze"),
    "reserved": Names("order", "user", "select", "table"),
    "spaced": Names("Größe in €", "in € größe", "size", "amount", "Wert in €", "€"),
    "schema": Names('"audit"."log"', "", "size", "amount", "si-ze", "siz-e"),
}


def log(name, value="''", end="RETURN NEW;"):
    return f"INSERT INTO {SCHEMA}.fired SELECT '{name}' WHERE {value} IS NOT NULL; {end}"


def value_of(field):
    return "5" if isinstance(field, models.CharField | models.TextField) else 5


def row(fields, name, field):
    return pgtrigger.Trigger(
        name="row",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.Q(**{f"new__{name}": value_of(field)}),
        func=log("row"),
    )


def update_of(fields, name, field):
    return pgtrigger.Trigger(
        name="update-of",
        when=pgtrigger.After,
        operation=pgtrigger.UpdateOf(*fields),
        func=log("update-of"),
    )


def func(fields, name, field):
    body = log("func", f"NEW.{{columns.{name}}}") + " -- {meta.db_table}"
    return pgtrigger.Trigger(
        name="func",
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        func=pgtrigger.Func(body),
    )


def whole(fields, name, field):
    return pgtrigger.Trigger(
        name="Whole_Row",
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        condition=pgtrigger.AnyChange(),
        func=log("Whole_Row"),
    )


def statement(fields, name, field):
    column = f"new_rows.{{columns.{name}}}"
    return pgtrigger.Trigger(
        name="statement",
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        referencing=pgtrigger.Referencing(new="new_rows"),
        func=pgtrigger.Func(
            f"INSERT INTO {SCHEMA}.fired SELECT 'statement' FROM new_rows"
            f" WHERE {column} IS NOT NULL; RETURN NULL;"
        ),
    )


def composer(fields, name, field):
    return pgtrigger.Composer(
        name="composer",
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Update | pgtrigger.Delete,
        condition=pgtrigger.Q(**{f"old__{name}__df": None}),
        func=pgtrigger.Func(
            f"INSERT INTO {SCHEMA}.fired SELECT 'composer' FROM {{cond_old_values}}; RETURN NULL;"
        ),
    )


def joined(fields, name, field):
    return pgtrigger.Composer(
        name="joined",
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        condition=pgtrigger.AnyChange(name),
        func=pgtrigger.Func(
            f"INSERT INTO {SCHEMA}.fired SELECT 'joined' FROM {{cond_joined_values}}; RETURN NULL;"
        ),
    )


def deferred(fields, name, field):
    return pgtrigger.Trigger(
        name="deferred",
        when=pgtrigger.After,
        operation=pgtrigger.Insert | pgtrigger.UpdateOf(name),
        timing=pgtrigger.Deferred,
        condition=pgtrigger.Q(**{f"new__{name}": value_of(field)}),
        func=log("deferred"),
    )


def immediate(fields, name, field):
    return pgtrigger.Trigger(
        name="immediate",
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        timing=pgtrigger.Immediate,
        condition=pgtrigger.AnyChange(name),
        func=log("immediate"),
    )


def parts(fields, name, field):
    return pgtrigger.Trigger(
        name="parts",
        when=pgtrigger.After,
        operation=pgtrigger.Update | pgtrigger.Delete | pgtrigger.Truncate,
        func=log("parts"),
    )


KINDS = {
    make.__name__.replace("_", "-"): make
    for make in (
        row,
        update_of,
        func,
        whole,
        statement,
        composer,
        joined,
        deferred,
        immediate,
        parts,
    )
}


# One of each level, timing and form, for what does not depend on more.
SOME = ("row", "update-of", "joined", "deferred", "parts")


def thing(kinds=SOME, *, name="Thing", app=APP, key=None, fields=None, **options):
    """A model with triggers of these kinds on its fields, of which the first is the subject."""
    fields = fields or {"size": models.IntegerField(default=0)}
    key = key or ("id", models.BigAutoField(primary_key=True))
    (subject, field), *_ = fields.items()
    made = [KINDS[kind]([*fields], subject, field) for kind in kinds]
    options = {"triggers": made, **{k: v for k, v in options.items() if v is not None}}
    return ModelState(app, name, [key, *fields.items()], options)
