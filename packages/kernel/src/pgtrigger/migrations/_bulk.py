"""Adding the triggers of many models at once. Django manual: "Migration Operations"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.operations.models import DeleteModel

from pgtrigger.migrations._changes import Stored, change_triggers
from pgtrigger.migrations._operations import (
    AddTrigger,
    AlterTrigger,
    RemoveTrigger,
    TriggerOperation,
    state_triggers,
)


class AddTriggers(Operation):
    """Install triggers on the tables of several models.

    For every operation Django copies the state of the whole project, so that hundreds of
    `AddTrigger` would take longer than all tables together.

    Args:
        triggers: the compiled triggers of each model, in the app of the migration.
    """

    category = OperationCategory.ADDITION

    def __init__(self, triggers: Mapping[str, Sequence[Stored]]) -> None:
        self.triggers = {name: [*added] for name, added in triggers.items()}

    def state_forwards(self, app_label: str, state: Any) -> None:
        for model_name, added in self.triggers.items():
            names = {trigger.name for trigger in added}
            kept = [t for t in state_triggers(state, app_label, model_name) if t.name not in names]
            model_state = state.models[app_label, model_name.lower()]
            model_state.options = {**model_state.options, "triggers": [*kept, *added]}
        # To be rendered anew as a whole, when somebody needs it.
        state.__dict__.pop("apps", None)

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        # The earlier state has the same tables, and is rendered already.
        models = from_state.apps
        changes = [(models.get_model(app_label, name), None, t) for name, t in self._each()]
        change_triggers(schema_editor, changes)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        models = to_state.apps
        changes = [(models.get_model(app_label, name), t, None) for name, t in self._each()]
        change_triggers(schema_editor, changes[::-1])

    def _each(self) -> Iterator[tuple[str, Stored]]:
        for model_name, added in self.triggers.items():
            for trigger in added:
                yield model_name, trigger

    def describe(self) -> str:
        return f"Create {len([*self._each()])} triggers on {len(self.triggers)} models"

    @property
    def migration_name_fragment(self) -> str:
        return "triggers"

    def references_model(self, name: str, app_label: str) -> bool:
        """Whether moving this operation past one on the model could matter."""
        return name.lower() in {model_name.lower() for model_name in self.triggers}

    def references_field(self, model_name: str, name: str, app_label: str) -> bool:
        """A compiled trigger may name any column of its model."""
        return self.references_model(model_name, app_label)

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        if isinstance(operation, AddTriggers):
            merged = self
            for model_name, trigger in operation._each():
                merged = merged._with(model_name, trigger)
            return [merged]
        if isinstance(operation, AddTrigger | AlterTrigger):
            if isinstance(operation, AddTrigger) or self._adds(operation):
                return [self._with(operation.model_name, operation.trigger)]
            return True
        if isinstance(operation, RemoveTrigger):
            return self._without(operation) if self._adds(operation) else True
        if isinstance(operation, DeleteModel) and self.references_model(operation.name, app_label):
            rest = {n: t for n, t in self.triggers.items() if n.lower() != operation.name_lower}
            return [*_unless_empty(rest), operation]
        return super().reduce(operation, app_label) or not any(
            operation.references_model(model_name, app_label) for model_name in self.triggers
        )

    def _adds(self, operation: TriggerOperation) -> bool:
        return any(
            trigger.name == operation.trigger_name
            and model_name.lower() == operation.model_name_lower
            for model_name, trigger in self._each()
        )

    def _with(self, model_name: str, trigger: Stored) -> AddTriggers:
        triggers = {name: [*added] for name, added in self.triggers.items()}
        key = next((name for name in triggers if name.lower() == model_name.lower()), model_name)
        added = triggers.setdefault(key, [])
        names = [known.name for known in added]
        if trigger.name in names:
            added[names.index(trigger.name)] = trigger
        else:
            added.append(trigger)
        return AddTriggers(triggers=triggers)

    def _without(self, operation: TriggerOperation) -> list[Operation]:
        rest = {
            name: [
                trigger
                for trigger in added
                if name.lower() != operation.model_name_lower
                or trigger.name != operation.trigger_name
            ]
            for name, added in self.triggers.items()
        }
        return _unless_empty({name: added for name, added in rest.items() if added})


def _unless_empty(triggers: Mapping[str, Sequence[Stored]]) -> list[Operation]:
    return [AddTriggers(triggers=triggers)] if triggers else []


def in_bulk(operations: Iterable[AddTrigger]) -> AddTriggers:
    """One operation for all of these."""
    triggers: dict[str, list[Stored]] = {}
    for operation in operations:
        triggers.setdefault(operation.model_name, []).append(operation.trigger)
    return AddTriggers(triggers=triggers)
