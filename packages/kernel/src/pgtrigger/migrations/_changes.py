"""Bringing tables from one form of their triggers to another, within a schema editor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.db import DatabaseError

from pgtrigger import catalog, ddl, relations
from pgtrigger.catalog import InstalledTrigger
from pgtrigger.comparison import allowed
from pgtrigger.compiler import CompiledTrigger, is_postgres_id, state_sql
from pgtrigger.compiler.fingerprint import TriggerComment, comment_triggers_sql
from pgtrigger.errors import sqlstate
from pgtrigger.locks import installer
from pgtrigger.trigger import Trigger

Stored = CompiledTrigger | Trigger

# What Postgres says when a trigger does not fit the columns as they are at the moment.
_DOES_NOT_FIT: Final = frozenset(["42703", "42883", "42804", "42P01", "22P02", "22007", "22008"])
_NO_SUCH_TYPE: Final = "42704"


class Change(NamedTuple):
    """The form that a trigger of a table has and the one that it is to have, None being none."""

    db_table: str
    before: CompiledTrigger | None
    after: CompiledTrigger | None
    model: Any

    @property
    def pgids(self) -> list[str]:
        """The Postgres ids of both forms."""
        return [pgid for form in (self.before, self.after) if form for pgid in form.pgids]


class Postponed(NamedTuple):
    """A trigger to alter when the other operations of a migration are done."""

    relation: int
    change: Change
    backwards: bool


def compiled(trigger: Stored, model: Any) -> CompiledTrigger:
    """The compiled form of a trigger that a migration holds."""
    return trigger.compile(model) if isinstance(trigger, Trigger) else trigger


def change_trigger(
    schema_editor: Any,
    model: Any,
    *,
    old: Stored | None,
    new: Stored | None,
    backwards: bool = False,
) -> None:
    """Bring a model's table from one form of a trigger to another, None being no trigger.

    Does nothing on databases that are not PostgreSQL or where the routers refuse the model.

    A trigger that is altered, or that comes back, may be of use only with columns that a later
    operation of the same migration brings: when a migration is reversed, the trigger's turn comes
    before that of the field. Its own turn is then at the end of the migration; or, where a
    migration further back brings the column, when that one is reversed.
    """
    postponed = getattr(schema_editor, "postponed", None)
    name = (new or old).name  # type: ignore[union-attr]  # there is one of them
    try:
        change_triggers(schema_editor, [(model, old, new)])
    except DatabaseError as error:
        if postponed is None or not new or not (old or backwards) or not fits_not(error):
            raise
        change = _change(model, old, new)
        relation = relations.identify(schema_editor.connection, change.db_table)
        if relation is None:
            raise
        postponed[relation, name] = Postponed(relation, change, backwards)
    else:
        if postponed:
            db_table = model._meta.db_table
            relation = relations.identify(schema_editor.connection, db_table)
            postponed.pop((relation, name), None)


def change_triggers(
    schema_editor: Any, changes: Iterable[tuple[Any, Stored | None, Stored | None]]
) -> None:
    """Make several changes at once, each given as a model and its trigger before and after."""
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    wanted = [_change(*change) for change in changes if allowed(change[0], connection.alias)]
    if wanted:
        apply(schema_editor, wanted)


def create_triggers(schema_editor: Any, model: Any, triggers: Iterable[Stored]) -> None:
    """Install triggers on a table that has just been made.

    Those whose functions name the type of a table that is made next have their turn when the
    schema editor is done: without migrations all tables are made by one.
    """
    changes = [(model, None, trigger) for trigger in triggers]
    try:
        change_triggers(schema_editor, changes)
    except DatabaseError as error:
        if not (fits_not(error) or sqlstate(error) == _NO_SUCH_TYPE):
            raise
        relation = relations.identify(schema_editor.connection, model._meta.db_table)
        assert relation is not None
        for _, _, trigger in changes:
            change = _change(model, None, trigger)
            schema_editor.postponed[relation, trigger.name] = Postponed(relation, change, False)


def _change(model: Any, old: Stored | None, new: Stored | None) -> Change:
    before = compiled(old, model) if old else None
    after = compiled(new, model) if new else None
    return Change(model._meta.db_table, before, after, model)


def fits_not(error: DatabaseError) -> bool:
    """Whether Postgres says that a trigger does not fit the columns as they are."""
    return sqlstate(error) in _DOES_NOT_FIT


def apply(schema_editor: Any, changes: Sequence[Change]) -> None:
    """Run the smallest statements that make the changes."""
    if schema_editor.collect_sql:
        for change in changes:
            before = change.before
            installed = ddl.as_installed(before, change.db_table) if before else {}
            for statement in _statements(change, installed, None, {}, None):
                schema_editor.execute(statement, params=None)
        return
    connection = schema_editor.connection
    lost = getattr(schema_editor, "lost_triggers", {})
    tables = {change.db_table for change in changes}
    with installer(connection):
        read = catalog.read(
            connection,
            tables=tables,
            pgids=[pgid for change in changes for pgid in change.pgids],
        )
        schemas = relations.schemas_of(connection, tables)
        comments: list[TriggerComment] | None = [] if len(changes) > 1 else None
        for change in changes:
            found = read.of_table(change.db_table)
            schema = schemas.get(change.db_table)
            statements = _statements(change, found, schema, lost, comments)
            if comments is not None and statements:
                # Without parameters, so that the server takes all of them in one message.
                statements = [";\n".join(statements)]
            for statement in statements:
                schema_editor.execute(statement, params=None)
            for pgid in change.pgids:
                lost.pop(pgid, None)
        if comments:
            schema_editor.execute(comment_triggers_sql(comments), params=None)


def _statements(
    change: Change,
    found: Mapping[str, InstalledTrigger],
    schema: str | None,
    lost: Mapping[Any, Any],
    comments: list[TriggerComment] | None,
) -> list[str]:
    db_table, before, after, model = change
    if after is None:
        assert before is not None
        statements = ddl.uninstall_sql([found[pgid] for pgid in before.pgids if pgid in found])
        return statements + _orphaned_sql(change, lost)
    replaces = before.pgids if before else _former_pgids(after, found, model)
    statements = ddl.install_sql(
        after,
        db_table,
        found,
        schema=schema,
        replaces=replaces,
        comments=comments,
        before=before,
    )
    statements += _orphaned_sql(change, lost)
    if former := next((lost[pgid] for pgid in change.pgids if pgid in lost), None):
        state = ddl.state_to_be(after, former.state, former.declared, before)
        if state != after.state:
            statements += state_sql(after.pgids, db_table, state, schema)
    return statements


def _orphaned_sql(change: Change, lost: Mapping[str, Any]) -> list[str]:
    """The statements that drop what only a trigger has called that a column took along."""
    functions = {lost[pgid].function for pgid in change.pgids if pgid in lost}
    kept = change.after.function if change.after else None
    return ddl.drop_orphans_sql(f for f in functions if f.function != kept)


def _former_pgids(
    trigger: CompiledTrigger, found: Mapping[str, InstalledTrigger], model: Any
) -> list[str]:
    """The Postgres ids under which the table has this trigger already, of another model.

    A name is unique within a table. So where a table has passed to another model without the
    migrations saying so to the database, this is what has become of its triggers.
    """
    former = [
        pgid for pgid in found if is_postgres_id(pgid, trigger.name) and pgid not in trigger.pgids
    ]
    if not former:
        return []
    claimed = {pgid for form in declared_on(model) for pgid in form.pgids}
    return [pgid for pgid in former if pgid not in claimed]


def declared_on(model: Any) -> Iterator[CompiledTrigger]:
    """The triggers that a project state declares on the table of a model, through any model."""
    others = model._meta.apps.get_models(include_auto_created=True)
    same = [o for o in others if o._meta.db_table == model._meta.db_table and o is not model]
    for one in (model, *same):
        for trigger in getattr(one._meta, "triggers", None) or ():
            yield compiled(trigger, one)
