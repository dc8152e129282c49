"""The migration operations on triggers. Django manual: "Migration Operations"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import DeleteModel

from pgtrigger.compiler import CompiledTrigger
from pgtrigger.errors import DeclarationError
from pgtrigger.migrations._changes import change_trigger
from pgtrigger.trigger import Trigger

Stored = CompiledTrigger | Trigger


def state_triggers(state: Any, app_label: str, model_name: str) -> list[Stored]:
    """The triggers that a model has in a project state."""
    return [*state.models[app_label, model_name.lower()].options.get("triggers", [])]


class TriggerOperation(Operation):
    """What the operations on a model's trigger have in common."""

    model_name: str

    @property
    def model_name_lower(self) -> str:
        """The model as project states know it."""
        return self.model_name.lower()

    @property
    def trigger_name(self) -> str:
        """The declared name of the trigger."""
        raise NotImplementedError

    def references_model(self, name: str, app_label: str) -> bool:
        """Whether moving this operation past one on the model could matter."""
        return name.lower() == self.model_name_lower

    def references_field(self, model_name: str, name: str, app_label: str) -> bool:
        """A compiled trigger may name any column of its model."""
        return self.references_model(model_name, app_label)

    def _store(self, state: Any, app_label: str, triggers: Sequence[Stored]) -> None:
        model_state = state.models[app_label, self.model_name_lower]
        model_state.options = {**model_state.options, "triggers": [*triggers]}
        _reload(state, app_label, self.model_name_lower)

    def _others(self, state: Any, app_label: str) -> list[Stored]:
        triggers = state_triggers(state, app_label, self.model_name)
        return [trigger for trigger in triggers if trigger.name != self.trigger_name]

    def _find(self, state: Any, app_label: str) -> Stored:
        for trigger in state_triggers(state, app_label, self.model_name):
            if trigger.name == self.trigger_name:
                return trigger
        raise DeclarationError(
            f'{self!r} of app "{app_label}": at this point of the migrations, model '
            f'"{self.model_name_lower}" has no trigger "{self.trigger_name}".'
        )

    def _change(
        self,
        schema_editor: Any,
        app_label: str,
        state: Any,
        old: Stored | None,
        new: Stored | None,
        *,
        backwards: bool = False,
    ) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        change_trigger(schema_editor, model, old=old, new=new, backwards=backwards)


class AddTrigger(TriggerOperation):
    """Install a trigger on the table of a model.

    Args:
        model_name: the model, in the app of the migration.
        trigger: the compiled trigger; a declared one, as old migration files may hold, is
            compiled when the operation runs.
    """

    category = OperationCategory.ADDITION

    def __init__(self, model_name: str, trigger: Stored) -> None:
        self.model_name = model_name
        self.trigger = trigger

    @property
    def trigger_name(self) -> str:
        return str(self.trigger.name)

    def state_forwards(self, app_label: str, state: Any) -> None:
        self._store(state, app_label, [*self._others(state, app_label), self.trigger])

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._change(schema_editor, app_label, to_state, None, self.trigger)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._change(schema_editor, app_label, to_state, self.trigger, None)

    def describe(self) -> str:
        return f"Create trigger {self.trigger_name} on model {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        return _fragment(self.model_name, self.trigger_name)

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        if _same_trigger(self, operation):
            if isinstance(operation, RemoveTrigger):
                return []
            if isinstance(operation, AlterTrigger):
                return [AddTrigger(model_name=self.model_name, trigger=operation.trigger)]
        return _reduce(self, operation, app_label)


class AlterTrigger(TriggerOperation):
    """Bring an installed trigger to a new form by the smallest change.

    Args:
        model_name: the model, in the app of the migration.
        trigger: the new form; its name is that of the trigger to alter.
    """

    category = OperationCategory.ALTERATION

    def __init__(self, model_name: str, trigger: Stored) -> None:
        self.model_name = model_name
        self.trigger = trigger

    @property
    def trigger_name(self) -> str:
        return str(self.trigger.name)

    def state_forwards(self, app_label: str, state: Any) -> None:
        self._find(state, app_label)
        triggers = [
            self.trigger if trigger.name == self.trigger_name else trigger
            for trigger in state_triggers(state, app_label, self.model_name)
        ]
        self._store(state, app_label, triggers)

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        old = self._find(from_state, app_label)
        self._change(schema_editor, app_label, to_state, old, self.trigger)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        new = self._find(to_state, app_label)
        self._change(schema_editor, app_label, to_state, self.trigger, new, backwards=True)

    def describe(self) -> str:
        return f"Alter trigger {self.trigger_name} on model {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        return _fragment("alter", self.model_name, self.trigger_name)

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        if _same_trigger(self, operation) and isinstance(operation, AlterTrigger | RemoveTrigger):
            return [operation]
        return _reduce(self, operation, app_label)


class RemoveTrigger(TriggerOperation):
    """Remove a trigger and its function from the table of a model.

    Args:
        model_name: the model, in the app of the migration.
        name: the declared name of the trigger.
    """

    category = OperationCategory.REMOVAL

    def __init__(self, model_name: str, name: str) -> None:
        self.model_name = model_name
        self.name = name

    @property
    def trigger_name(self) -> str:
        return self.name

    def state_forwards(self, app_label: str, state: Any) -> None:
        self._find(state, app_label)
        self._store(state, app_label, self._others(state, app_label))

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        old = self._find(from_state, app_label)
        self._change(schema_editor, app_label, to_state, old, None)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        new = self._find(to_state, app_label)
        self._change(schema_editor, app_label, to_state, None, new, backwards=True)

    def describe(self) -> str:
        return f"Remove trigger {self.name} from model {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        return _fragment("remove", self.model_name, self.name)

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        return _reduce(self, operation, app_label)


def _reload(state: Any, app_label: str, model_name: str) -> None:
    """Render a model and its relations anew, if the state is rendered.

    As ``ProjectState.reload_model``, which for a proxy would forget the automatic many-to-many
    tables of its parent, and then not find them as bases of other proxies.
    """
    if "apps" not in state.__dict__:
        return
    related = state._find_reload_model(app_label, model_name, delay=True)
    real = {(model.app_label, model.name_lower) for model in state.apps.real_models}
    state._reload({key for key in related if key in state.models or key in real})


def _fragment(*words: str) -> str:
    return "_".join(word.lower().replace("-", "_") for word in words)


def _same_trigger(one: TriggerOperation, other: Operation) -> bool:
    return (
        isinstance(other, TriggerOperation)
        and other.model_name_lower == one.model_name_lower
        and other.trigger_name == one.trigger_name
    )


def _reduce(
    operation: TriggerOperation, other: Operation, app_label: str
) -> bool | list[Operation]:
    if isinstance(other, DeleteModel) and other.name_lower == operation.model_name_lower:
        # Dropping the table takes its triggers along; only a removal is needed to bring them back.
        return False if isinstance(operation, RemoveTrigger) else [other]
    if isinstance(other, TriggerOperation):
        # Other triggers of the same table are independent of this one.
        return not _same_trigger(operation, other)
    if isinstance(other, FieldOperation):
        return not other.references_model(operation.model_name, app_label)
    return Operation.reduce(operation, other, app_label) or not other.references_model(
        operation.model_name, app_label
    )
