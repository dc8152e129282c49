"""What is to be done to a database, as statements that can be shown first.

PostgreSQL manual: "Explicit Locking", for the lock that each statement takes.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import catalog, ddl, relations
from pgtrigger.catalog import Catalog, InstalledTrigger, OrphanFunction
from pgtrigger.comparison import Unwanted, Wanted, read_catalog, status_words, unwanted
from pgtrigger.compiler import CompiledTrigger, drop_triggers_sql
from pgtrigger.compiler.fingerprint import TriggerComment, comment_triggers_sql
from pgtrigger.errors import InstallationError


class Action(enum.Enum):
    """What can be done to the triggers of a database; the value says it of one of them."""

    INSTALL = "Installing"
    UNINSTALL = "Uninstalling"
    ENABLE = "Enabling"
    DISABLE = "Disabling"
    PRUNE = "Pruning"

    def statements(self, found: Sequence[InstalledTrigger], compiled: CompiledTrigger) -> list[str]:
        """The statements that do it to a trigger that is installed."""
        match self:
            case Action.UNINSTALL:
                return ddl.uninstall_sql(found)
            case Action.ENABLE:
                return ddl.enable_sql(found, compiled)
            case Action.DISABLE:
                return ddl.disable_sql(found)
            case Action.INSTALL | Action.PRUNE:
                return []
            case _:  # pragma: no cover  # for the type checkers
                assert_never(self)


@dataclass(frozen=True, kw_only=True)
class Step:
    """The statements for one trigger.

    Args:
        action: what they do.
        name: the trigger's URI, or the Postgres id of a leftover, or a function.
        table: its table; None for a function without a trigger.
        changes: SQL without parameters.
        comments: those of its Postgres triggers, to be written when all steps are done.
    """

    action: Action
    name: str
    table: str | None
    changes: tuple[str, ...]
    comments: tuple[TriggerComment, ...] = ()

    @property
    def statements(self) -> tuple[str, ...]:
        """The whole step as SQL without parameters."""
        if not self.comments:
            return self.changes
        return (*self.changes, comment_triggers_sql(self.comments))

    def __str__(self) -> str:
        if self.table is None:
            return f"{self.action.value} function {self.name}"
        return f"{self.action.value} {self.name} trigger for {self.table} table"


@dataclass(frozen=True, kw_only=True)
class Work:
    """One action on some triggers of a database, in its search path or in one of its schemas.

    Args:
        database: the alias of a PostgreSQL database.
        action: what is to be done.
        wanted: the triggers to do it to; with ``prune`` all that are declared.
        statuses: do it only to triggers that have one of these now, such as ``OUTDATED`` or
            ``DISABLED``; to all of them if there are none.
        prune: remove what nobody declares, too.
        schema: do it in this schema; in the search path by default.
        all_schemas: prune beyond the search path.
        tables_may_be_missing: leave out triggers whose table does not exist.
    """

    database: str
    action: Action
    wanted: Sequence[Wanted]
    statuses: frozenset[str] = frozenset()
    prune: bool = False
    schema: str | None = None
    all_schemas: bool = False
    tables_may_be_missing: bool = False

    def steps(self) -> list[Step]:
        """What is to be done now: one query, and a second where something is to be installed.

        Raises `InstallationError` for a table that does not exist.
        """
        found = read_catalog(
            self.connection,
            self.wanted,
            whole=self.prune,
            all_schemas=self.all_schemas,
            within=self.schema,
        )
        everywhere = self.all_schemas or self.schema is not None
        left = unwanted(found, self.wanted, all_schemas=everywhere) if self.prune else []
        plan = self._plan(found, left)
        return plan() if plan else []

    def by_schema(self) -> dict[str, Callable[[], list[Step]]]:
        """What tells what is to be done in each schema where there is something: two queries."""
        found = read_catalog(self.connection, self.wanted, whole=self.prune, all_schemas=True)
        places = relations.places(self.connection, {w.db_table for w in self.wanted})
        schemas = {schema for there in places.values() for schema in there}
        schemas |= {trigger.schema for trigger in found.triggers}
        schemas |= {function.schema for function in found.functions}
        plans: dict[str, Callable[[], list[Step]]] = {}
        for schema in sorted(schemas):
            here = [w for w in self.wanted if schema in places.get(w.db_table, ())]
            work = self.within(schema, here)
            part = found.within(schema)
            # A table has the declarations of every table of its name.
            left = unwanted(part, self.wanted, all_schemas=True) if self.prune else []
            if plan := work._plan(part, left, dict.fromkeys(places, schema)):
                plans[schema] = plan
        return plans

    def _plan(
        self,
        found: Catalog,
        left: Sequence[Unwanted],
        schemas: Mapping[str, str] | None = None,
    ) -> Callable[[], list[Step]] | None:
        """What tells the steps, or None if there are none.

        Args:
            found: what there is.
            left: what is to be pruned.
            schemas: those of the tables; asked for when the steps are, by default.
        """
        if self.action is not Action.INSTALL:
            steps = self._changing(found) + _pruning_steps(left)
            return (lambda: steps) if steps else None
        changed = self._changed(found)
        if not changed:
            return (lambda: _pruning_steps(left)) if left else None

        def steps_to_install() -> list[Step]:
            where = self._schemas(changed) if schemas is None else schemas
            return self._installing(changed, found, where) + _pruning_steps(left)

        return steps_to_install

    def within(self, schema: str, wanted: Sequence[Wanted] | None = None) -> Work:
        """The same in one schema."""
        wanted = self.wanted if wanted is None else wanted
        return replace(self, schema=schema, wanted=wanted, tables_may_be_missing=True)

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """That of the current thread."""
        return connections[self.database]

    def _chosen(self, found: Catalog) -> list[Wanted]:
        schema = self.schema
        return [
            w
            for w in self.wanted
            if (schema is None or w.belongs_in(schema))
            and (not self.statuses or self.statuses & status_words(*w.status(found, schema)))
        ]

    def _changed(self, found: Catalog) -> list[Wanted]:
        return [
            w for w in self._chosen(found) if w.status(found, self.schema)[0] != catalog.INSTALLED
        ]

    def _schemas(self, changed: Sequence[Wanted]) -> Mapping[str, str]:
        tables = {w.db_table for w in changed}
        if self.schema is None:
            return relations.schemas_of(self.connection, tables)
        places = relations.places(self.connection, tables, within=self.schema)
        return {table: self.schema for table, there in places.items() if there}

    def _installing(
        self, changed: Sequence[Wanted], found: Catalog, schemas: Mapping[str, str]
    ) -> list[Step]:
        steps = []
        for uri, db_table, compiled in changed:
            if db_table not in schemas:
                if self.tables_may_be_missing:
                    continue
                raise InstallationError(
                    f'Trigger "{uri}" cannot be installed: database "{self.connection.alias}" has '
                    f'no table "{db_table}" in its search path. Run migrate first.'
                )
            comments: list[TriggerComment] = []
            statements = ddl.install_sql(
                compiled,
                db_table,
                found.of_table(db_table, self.schema),
                schema=schemas[db_table],
                comments=comments,
            )
            steps.append(self._step(uri, db_table, statements, comments))
        return steps

    def _changing(self, found: Catalog) -> list[Step]:
        steps = []
        for wanted in self._chosen(found):
            there = wanted.found_in(found, self.schema)
            statements = self.action.statements(there, wanted.compiled)
            if statements:
                steps.append(self._step(wanted.uri, wanted.db_table, statements))
        return steps

    def _step(
        self,
        name: str,
        table: str,
        statements: Sequence[str],
        comments: Iterable[TriggerComment] = (),
    ) -> Step:
        return Step(
            action=self.action,
            name=name,
            table=table,
            changes=tuple(statements),
            comments=tuple(comments),
        )


def _pruning_steps(left: Sequence[Unwanted]) -> list[Step]:
    triggers = [one for one in left if isinstance(one, InstalledTrigger)]
    steps = []
    for trigger in triggers:
        drop = drop_triggers_sql([trigger.pgid], trigger.table, trigger.schema)
        if trigger is triggers[-1]:
            # Several may share a function.
            drop += ddl.drop_functions_sql(triggers)
        steps.append(_pruning_step(trigger.pgid, trigger.table, drop))
    orphans = [one for one in left if isinstance(one, OrphanFunction)]
    return steps + [_pruning_step(str(one), None, ddl.drop_orphans_sql([one])) for one in orphans]


def _pruning_step(name: str, table: str | None, statements: Sequence[str]) -> Step:
    return Step(action=Action.PRUNE, name=name, table=table, changes=tuple(statements))
