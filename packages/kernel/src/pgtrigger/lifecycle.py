"""What `Trigger.register`, `Trigger.install` and their kin do for a single trigger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from django.db.utils import DEFAULT_DB_ALIAS

from pgtrigger import catalog, ddl, installation, registry
from pgtrigger.catalog import INSTALLED, UNALLOWED, UNINSTALLED
from pgtrigger.declaration import Model, ModelOrRow
from pgtrigger.installation import Wanted
from pgtrigger.trigger import Trigger


class Undoing:
    """Undoes, once, when the ``with`` block ends."""

    def __init__(self, undo: Callable[[], object] | None) -> None:
        self._undo = undo

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()


class SingleTrigger:
    """Registers and installs one trigger on one model at a time."""

    def register(self, trigger: Trigger, models: Sequence[Model]) -> Undoing:
        """Declare a trigger; undoing retracts what was new."""
        new = [model for model in models if registry.declare(model, trigger)]
        return Undoing(lambda: [registry.retract(model, trigger) for model in new])

    def unregister(self, trigger: Trigger, models: Sequence[Model]) -> Undoing:
        """Retract a declaration; undoing declares it again."""
        known = [model for model in models if registry.retract(model, trigger)]
        return Undoing(lambda: [registry.declare(model, trigger) for model in known])

    def install(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undoing:
        """Install a trigger; undoing removes it unless it was there before."""
        if self.status(trigger, model, database)[0] in (INSTALLED, UNALLOWED):
            return Undoing(None)
        if connection := catalog.postgres(database):
            installation.install_triggers(connection, [_wanted(trigger, model)])
        return Undoing(lambda: self.uninstall(trigger, model, database))

    def uninstall(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undoing:
        """Remove a trigger; undoing installs it again if it was there."""
        if self.status(trigger, model, database)[0] in (UNINSTALLED, UNALLOWED):
            return Undoing(None)
        self._change(trigger, model, database, "Uninstalling", ddl.uninstall_sql)
        return Undoing(lambda: self.install(trigger, model, database))

    def enable(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undoing:
        """Enable a trigger; undoing disables it if it was disabled."""
        if self.status(trigger, model, database)[1] in (True, None):
            return Undoing(None)
        self._change(trigger, model, database, "Enabling", ddl.enable_sql)
        return Undoing(lambda: self.disable(trigger, model, database))

    def disable(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undoing:
        """Disable a trigger; undoing enables it if it was enabled."""
        if self.status(trigger, model, database)[1] in (False, None):
            return Undoing(None)
        self._change(trigger, model, database, "Disabling", ddl.disable_sql)
        return Undoing(lambda: self.enable(trigger, model, database))

    def _change(
        self,
        trigger: Trigger,
        model: ModelOrRow,
        database: str | None,
        action: str,
        statements: Any,
    ) -> None:
        if connection := catalog.postgres(database):
            wanted = [_wanted(trigger, model)]
            installation.change_installed(connection, wanted, action, statements)

    def allow_migrate(self, model: ModelOrRow, database: str | None) -> bool:
        """Ask the database routers about the model's table."""
        return installation.allowed(model, database or DEFAULT_DB_ALIAS)

    def status(
        self, trigger: Trigger, model: ModelOrRow, database: str | None
    ) -> tuple[str, bool | None]:
        """What the catalog of the database says about a trigger."""
        if not self.allow_migrate(model, database):
            return UNALLOWED, None
        connection = catalog.postgres(database)
        if connection is None:
            return UNINSTALLED, None
        wanted = _wanted(trigger, model)
        found = installation.read_catalog(connection, [wanted], whole=False)
        return found.status(wanted.compiled, wanted.db_table)


def _wanted(trigger: Trigger, model: Any) -> Wanted:
    return Wanted(trigger.get_uri(model), model._meta.db_table, trigger.compile(model))
