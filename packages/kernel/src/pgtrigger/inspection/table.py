"""The triggers of a table as one Python source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import handwritten, sql
from pgtrigger.declaration import Model
from pgtrigger.handwritten import FoundTrigger
from pgtrigger.inspection import layout
from pgtrigger.inspection.drafting import Draft, draft
from pgtrigger.registry import registered

# By which of some names the search path finds a table.
_NAME: Final = (
    "SELECT wanted.name FROM pg_catalog.unnest(%s::text[]) AS wanted(name) "
    "WHERE pg_catalog.to_regclass(wanted.name) = %s::oid"
)


def source_of_table(connection: BaseDatabaseWrapper, name: str, *, ours: bool = False) -> str:
    """Declarations for the triggers of a table, to paste.

    Args:
        connection: a PostgreSQL connection.
        name: the table, as SQL names it or as it is; or a model, as ``app_label.Model``.
        ours: those that have been installed from declarations, too.

    Returns:
        A Python module with a list ``triggers``. What cannot be declared is a comment in it.

    Raises:
        TableNotFoundError: there is no such table.
    """
    model = _model_labelled(name)
    table = model._meta.db_table if model else name
    relation = handwritten.relation_named(connection, table)
    triggers = handwritten.read(connection, relation, ours=ours)
    model = model or _model_of(connection, relation)
    return "\n".join(_lines(name, triggers, model)) + "\n"


def _model_labelled(name: str) -> Model | None:
    try:
        return apps.get_model(name)
    except (LookupError, ValueError):
        return None


def _model_of(connection: BaseDatabaseWrapper, relation: int) -> Model | None:
    """The model of a table, by the name that the search path finds it by."""
    models = [m for m in apps.get_models(include_auto_created=True) if not m._meta.proxy]
    names = {sql.quote_relation(m._meta.db_table): m for m in models}
    with connection.cursor() as cursor:
        cursor.execute(sql.catalog_query(_NAME), [[*names], relation])
        row = cursor.fetchone()
    return names[row[0]] if row else None


def _lines(name: str, triggers: list[FoundTrigger], model: Model | None) -> Iterator[str]:
    if not triggers:
        yield from layout.comment(f"Table {name} has no triggers that were made by hand.")
        return
    place = triggers[0].db_table
    yield from layout.comment(f"The triggers of table {place}.")
    if model is None:
        yield from layout.comment("No model has this table: they need one with its db_table.")
    else:
        yield from layout.comment(f"For Meta.triggers of {model._meta.label} ({model.__module__}).")
    drafts = [*_drafts(triggers, model)]
    if _order_may_change(drafts):
        yield from layout.comment(
            "Postgres fires the triggers of one moment in the order of their names, and that of "
            "the declarations may be another. See to it where the order matters."
        )
    yield ""
    yield "import pgtrigger"
    yield ""
    yield "triggers = ["
    for drafted in drafts:
        yield from drafted.lines()
    yield "]"
    yield from _drops([drafted for drafted in drafts if drafted.arguments])


def _drafts(triggers: list[FoundTrigger], model: Model | None) -> Iterator[Draft]:
    taken = {
        str(trigger.name)
        for other, trigger in registered()
        if model is not None and other._meta.db_table == model._meta.db_table
    }
    for found in triggers:
        drafted = draft(found, model, taken)
        taken.add(drafted.name)
        yield drafted


def _order_may_change(drafts: list[Draft]) -> bool:
    """Whether any two that fire at one moment may change places."""
    for index, first in enumerate(drafts):
        for second in drafts[index + 1 :]:
            one, two = first.found, second.found
            if (one.when, one.for_each_row) != (two.when, two.for_each_row) or not {
                *one.operations
            } & {*two.operations}:
                continue
            # What is declared is called pgtrigger_…, and five digits follow its name.
            if bool(first.arguments) != bool(second.arguments):
                return True
            one_name, two_name = (f"{drafted.name}_".lower() for drafted in (first, second))
            if first.arguments and (one_name > two_name or two_name.startswith(one_name)):
                return True
    return False


def _drops(drafts: list[Draft]) -> Iterator[str]:
    if not drafts:
        return
    yield ""
    yield from layout.comment("Drop what was made by hand in the migration that adds these:")
    for drafted in drafts:
        yield f"#     DROP TRIGGER {sql.quote(drafted.found.name)} ON {drafted.found.db_table};"
    dropped = [drafted.found for drafted in drafts]
    for function in dict.fromkeys(found.function_oid for found in dropped):
        callers = [found for found in dropped if found.function_oid == function]
        if len(callers) == callers[0].uses:
            name = sql.quote_relation(callers[0].function, callers[0].function_schema)
            yield f"#     DROP FUNCTION {name}();"
