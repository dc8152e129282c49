"""What `Trigger.register`, `Trigger.install` and their kin do for a single trigger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from django.db.utils import DEFAULT_DB_ALIAS

from pgtrigger import catalog, comparison, installation, registry
from pgtrigger.catalog import INSTALLED, UNALLOWED, UNINSTALLED
from pgtrigger.comparison import Wanted
from pgtrigger.declaration import Model, ModelOrRow
from pgtrigger.planning import Action, Work
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
        self._carry_out(trigger, model, database, Action.INSTALL)
        return Undoing(lambda: self.uninstall(trigger, model, database))

    def uninstall(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undoing:
        """Remove a trigger; undoing installs it again if it was there."""
        if self.status(trigger, model, database)[0] in (UNINSTALLED, UNALLOWED):
            return Undoing(None)
        self._carry_out(trigger, model, database, Action.UNINSTALL)
        return Undoing(lambda: self.install(trigger, model, database))

    def enable(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undoing:
        """Enable a trigger; undoing disables it if it was disabled."""
        if self.status(trigger, model, database)[1] in (True, None):
            return Undoing(None)
        self._carry_out(trigger, model, database, Action.ENABLE)
        return Undoing(lambda: self.disable(trigger, model, database))

    def disable(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undoing:
        """Disable a trigger; undoing enables it if it was enabled."""
        if self.status(trigger, model, database)[1] in (False, None):
            return Undoing(None)
        self._carry_out(trigger, model, database, Action.DISABLE)
        return Undoing(lambda: self.enable(trigger, model, database))

    def _carry_out(
        self, trigger: Trigger, model: ModelOrRow, database: str | None, action: Action
    ) -> None:
        if connection := catalog.postgres(database):
            wanted = [_wanted(trigger, model)]
            work = Work(database=connection.alias, action=action, wanted=wanted)
            installation.carry_out(work)

    def allow_migrate(self, model: ModelOrRow, database: str | None) -> bool:
        """Ask the database routers about the model's table."""
        return comparison.allowed(model, database or DEFAULT_DB_ALIAS)

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
        found = comparison.read_catalog(connection, [wanted], whole=False)
        return wanted.status(found)


def _wanted(trigger: Trigger, model: Any) -> Wanted:
    return Wanted(trigger.get_uri(model), model._meta.db_table, trigger.compile(model))
