"""Schema changes carry a table's triggers along.

Django's PostgreSQL schema editor is extended by a subclass, so backends that bring their own keep
it. PostgreSQL manual: "ALTER TABLE", on columns that a trigger definition uses; ``pg_depend``.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddField, AlterField, RenameField

from pgtrigger import catalog, conf, ddl, relations
from pgtrigger.catalog import InstalledTrigger
from pgtrigger.errors import InstallationError
from pgtrigger.migrations._changes import (
    Change,
    Postponed,
    apply,
    compiled,
    create_triggers,
    declared_on,
    fits_not,
)
from pgtrigger.migrations._dependents import (
    Dependent,
    altered_columns,
    dependents_of,
    functions_of,
)
from pgtrigger.migrations._extending import extend
from pgtrigger.trigger import Trigger


class TriggerSchemaEditor(BaseDatabaseSchemaEditor):
    """The part of the schema editor that knows about triggers."""

    # The migration that is applied or reversed, if it is one.
    migration: Any = None

    def __enter__(self) -> Any:
        # Triggers that a change of a column took away, until an operation deals with them.
        self.lost_triggers: dict[str, Dependent] = {}
        # Those whose columns have got other names, which Postgres follows and declarations do not.
        self.renamed: list[Dependent] = []
        self.postponed: dict[Any, Postponed] = {}
        return super().__enter__()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if exc_type is None:
            try:
                self._finish_triggers()
            except BaseException as error:
                super().__exit__(type(error), error, error.__traceback__)
                raise
        super().__exit__(exc_type, exc_value, traceback)

    def _finish_triggers(self) -> None:
        for relation, change, backwards in self.postponed.values():
            # By now the table may have another name, or be gone.
            db_table = relations.name_of(self.connection, relation)
            try:
                if db_table is not None:
                    apply(self, [change._replace(db_table=db_table)])
            except DatabaseError as error:
                # Until then, the trigger as it is does the same.
                if not (backwards and change.before and fits_not(error)):
                    raise
        for dependent in self.renamed:
            self._renew(dependent)
        # A column of the same name may be there again; the table may have another one, or be gone.
        for pgid, dependent in [*self.lost_triggers.items()]:
            del self.lost_triggers[pgid]
            db_table = relations.name_of(self.connection, dependent.relation)
            if db_table is None:
                for statement in ddl.drop_orphans_sql([dependent.function]):
                    self.execute(statement, params=None)
            else:
                dependent.db_table = db_table
                self._restore(dependent)
        if self.lost_triggers:
            raise _lost_error(self.lost_triggers.values())

    def create_model(self, model: Any) -> None:
        super().create_model(model)
        triggers = getattr(model._meta, "triggers", None) or ()
        if not conf.model_meta():
            triggers = [trigger for trigger in triggers if not isinstance(trigger, Trigger)]
        create_triggers(self, model, triggers)

    def delete_model(self, model: Any) -> None:
        functions = self._functions_of(model)
        super().delete_model(model)
        for statement in functions:
            self.execute(statement, params=None)

    def _functions_of(self, model: Any) -> list[str]:
        db_table = model._meta.db_table
        found: dict[str, InstalledTrigger] = {}
        if self.collect_sql:
            for trigger in getattr(model._meta, "triggers", None) or ():
                found |= ddl.as_installed(compiled(trigger, model), db_table)
        else:
            found |= catalog.read(self.connection, tables=[db_table]).of_table(db_table)
        return ddl.drop_functions_sql([*found.values()])

    def alter_field(self, model: Any, old_field: Any, new_field: Any, strict: bool = False) -> None:
        changed: list[tuple[Any, str]] = []
        if not self.collect_sql and self._type(old_field) != self._type(new_field):
            changed = [*altered_columns(old_field)]
        dependents = self._dependents(changed)
        with self._at_once(dependents):
            for dependent in dependents:
                for statement in dependent.drop_sql():
                    self.execute(statement, params=None)
            super().alter_field(model, old_field, new_field, strict)
            for dependent in dependents:
                self._restore(dependent)
        for table in {other._meta.db_table for other, _ in changed}:
            # plpgsql goes on with the plans that it made for the old type in each session, until
            # somebody replaces the function.
            for statement in functions_of(self.connection, table):
                self.execute(statement, params=None)
        columns = {old_field.column, new_field.column}
        if not self.collect_sql and len(columns) == 2 and None not in columns:
            self.renamed += self._dependents([(model, new_field.column)])
            self._bring_back(model)

    def _dependents(self, columns: Iterable[tuple[Any, str]]) -> list[Dependent]:
        return [
            dependent
            for model, column in columns
            for dependent in dependents_of(self.connection, model, column)
        ]

    @contextmanager
    def _at_once(
        self, dependents: Sequence[Dependent], *, removed: bool = False
    ) -> Generator[None]:
        """Change a column and the triggers that use it at once, also without a transaction.

        Where that would lose a trigger, and nothing in the migration brings it back, stop here.
        """
        alone = not self.connection.in_atomic_block
        if not dependents or not alone:
            yield
            return
        with transaction.atomic(using=self.connection.alias):
            yield
            forgotten = {
                pgid: dependent
                for pgid, dependent in self.lost_triggers.items()
                if not (removed and dependent.column in self._columns_to_come())
                and not any(dependent.is_named(name) for name in self._named_triggers())
            }
            if forgotten:
                self.lost_triggers.clear()
                raise _lost_error(forgotten.values())

    def _columns_to_come(self) -> set[str]:
        # Those that an operation of the same migration adds or renames.
        operations = getattr(self.migration, "operations", ())
        fields = [o for o in operations if isinstance(o, AddField | AlterField)]
        names = {o.field.db_column or o.name for o in fields}
        return names | {o.new_name for o in operations if isinstance(o, RenameField)}

    def _named_triggers(self) -> set[str]:
        # Those that an operation of the same migration is about.
        operations = getattr(self.migration, "operations", ())
        return {str(o.trigger_name) for o in operations if hasattr(o, "trigger_name")}

    def _bring_back(self, model: Any) -> None:
        """Give a renamed column's triggers the form that did not fit while it had another name."""
        for trigger in declared_on(model):
            try:
                apply(self, [Change(model._meta.db_table, None, trigger, model)])
            except DatabaseError as error:
                if not fits_not(error):
                    raise

    def _renew(self, dependent: Dependent) -> None:
        """Make a trigger that no operation has altered refer to its columns by name again."""
        db_table = relations.name_of(self.connection, dependent.relation)
        if db_table is None:
            return
        found = catalog.read(self.connection, tables=[db_table], all_schemas=True)
        now = found.of_table(db_table).get(dependent.pgid)
        if now is None or now.comment != dependent.declared:
            return
        dependent.db_table = db_table
        try:
            with transaction.atomic(using=self.connection.alias):
                for statement in dependent.renew_sql():
                    self.execute(statement, params=None)
        except DatabaseError as error:
            # It is about the new name only in a later migration.
            if not fits_not(error):
                raise

    def _type(self, field: Any) -> Any:
        return field.db_parameters(connection=self.connection)["type"]

    def _restore(self, dependent: Dependent) -> None:
        try:
            with transaction.atomic(using=self.connection.alias):
                for statement in dependent.create_sql():
                    self.execute(statement, params=None)
        except DatabaseError:
            # It does not fit the new type; the operation that alters it comes later.
            self.lost_triggers[dependent.pgid] = dependent

    def remove_field(self, model: Any, field: Any) -> None:
        dependents = []
        if not self.collect_sql and field.column:
            dependents = self._dependents([(model, field.column)])
        with self._at_once(dependents, removed=True):
            # Since Django 6.1 a column is not dropped together with what depends on it.
            for dependent in dependents:
                for statement in dependent.drop_sql():
                    self.execute(statement, params=None)
            super().remove_field(model, field)
            self.lost_triggers |= {dependent.pgid: dependent for dependent in dependents}


def _lost_error(lost: Iterable[Dependent]) -> InstallationError:
    names = ", ".join(f'"{trigger.pgid}" of table {trigger.db_table}' for trigger in lost)
    return InstallationError(
        f"This migration changes or removes a column that trigger {names} uses, and the trigger "
        f"cannot be as it was afterwards. Change the declaration of the trigger together with the "
        f"field, so that makemigrations writes both into one migration. Where it is declared on a "
        f"proxy in another app, remove it in an earlier migration and add it again in a later one."
    )


@functools.cache
def with_triggers(editor: type[Any]) -> type[Any]:
    """The class of a schema editor, extended by what knows about triggers."""
    if issubclass(editor, TriggerSchemaEditor):
        return editor
    return type(editor.__name__, (TriggerSchemaEditor, editor), {"__module__": editor.__module__})


def extend_migration(kind: type[Any]) -> None:
    """Make migrations tell the schema editor which one it works for."""
    for name in ("apply", "unapply"):
        extend(kind, name, _telling)


def _telling(original: Any) -> Any:
    def tell(self: Any, project_state: Any, schema_editor: Any, *args: Any, **kwargs: Any) -> Any:
        schema_editor.migration = self
        return original(self, project_state, schema_editor, *args, **kwargs)

    return tell


def extend_schema_editor(wrapper: type[Any]) -> None:
    """Make a PostgreSQL backend hand out schema editors that know about triggers."""
    extend(wrapper, "schema_editor", _with_triggers)


def _with_triggers(original: Any) -> Any:
    def schema_editor(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not conf.schema_editor():
            return original(self, *args, **kwargs)
        return with_triggers(self.SchemaEditorClass)(self, *args, **kwargs)

    return schema_editor
