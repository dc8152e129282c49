"""makemigrations finds changed triggers. Django manual: "Migrations", ``Command.autodetector``."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector, OperationDependency

from pgtrigger import conf
from pgtrigger.compilations import compile_once
from pgtrigger.compiler import CompiledTrigger
from pgtrigger.migrations._links import tie_links
from pgtrigger.migrations._operations import (
    AddTrigger,
    AlterTrigger,
    RemoveTrigger,
    TriggerOperation,
)
from pgtrigger.migrations._ordering import (
    TABLE,
    TRIGGER,
    ModelKey,
    bases_in_other_apps,
    join,
    let_tables_wait,
    satisfies,
    split,
    waits_for_table,
)
from pgtrigger.trigger import Trigger

# Most of what this class extends is missing from the autodetector's stubs.
_Autodetector: Any = MigrationAutodetector


class TriggerAutodetector(_Autodetector):  # type: ignore[misc]  # see above
    """The part of the autodetector that compares triggers."""

    from_state: Any
    to_state: Any

    def _detect_changes(self, convert_apps: Any = None, graph: Any = None) -> Any:
        self.declared = {
            key: [t for t in model.options.get("triggers") or () if isinstance(t, Trigger)]
            for key, model in self.to_state.models.items()
        }
        # Clones, because Django writes all options of a new model into its CreateModel.
        self.from_state, self.old_triggers = _take_triggers(self.from_state)
        self.to_state, self.new_triggers = _take_triggers(self.to_state)
        self.convert_apps = convert_apps or ()
        return super()._detect_changes(convert_apps, graph)

    def _sort_migrations(self) -> None:
        # Django orders by dependencies only, and for thousands of operations that takes long;
        # triggers simply come after everything else, and go before it.
        tie_links(self.generated_operations, self.from_state.models, self.to_state.models)
        super()._sort_migrations()
        if conf.migrations():
            # Not before: sorting asks for every pair of operations.
            self.check_dependency = self._check_ours_too
            self.generate_trigger_operations()
            proxies = [
                (key, base)
                for key in sorted(self.old_triggers)
                for base in bases_in_other_apps(key, self.from_state)
            ]
            let_tables_wait(self.generated_operations, proxies, self.check_dependency)

    def _optimize_migrations(self) -> None:
        # Triggers reduce with nothing here, and the optimizer would compare all with all.
        with self._triggers_aside():
            super()._optimize_migrations()

    @contextmanager
    def _triggers_aside(self) -> Iterator[None]:
        migrations = [*itertools.chain.from_iterable(self.migrations.values())]
        aside = []
        for migration in migrations:
            first, migration.operations, last = split(migration.operations)
            aside.append((first, last))
        yield
        for migration, (first, last) in zip(migrations, aside, strict=True):
            others = migration.operations
            migration.operations = join(first, others, last, migration.app_label)

    def _check_ours_too(self, operation: Any, dependency: OperationDependency) -> bool:
        if dependency.type in (TRIGGER, TABLE):
            return satisfies(operation, dependency)
        return bool(super().check_dependency(operation, dependency))

    def generate_trigger_operations(self) -> None:
        """Compare the triggers of all models, in an order that does not depend on the run."""
        self.deleted = self._deleted()
        keys = self.new_model_keys | self.new_proxy_keys | self.new_unmanaged_keys
        for app_label, model_name in sorted(keys):
            unmigrated = app_label in self.from_state.real_apps
            if unmigrated and app_label not in self.convert_apps:
                continue
            self._compare(app_label, model_name)
        for app_label, model_name in sorted(self.old_triggers):
            self._forget(app_label, model_name)

    def _compare(self, app_label: str, model_name: str) -> None:
        old_name = self.renamed_models.get((app_label, model_name), model_name)
        old_key = app_label, old_name.lower()
        # A model that is deleted to make room for another takes its triggers along.
        old = {} if old_key in self.deleted else self.old_triggers.get(old_key, {})
        new = self.new_triggers.get((app_label, model_name), {})
        name = self.to_state.models[app_label, model_name].name.lower()
        for trigger_name, trigger in new.items():
            if trigger_name not in old:
                self._append(app_label, AddTrigger(model_name=name, trigger=trigger))
            elif old[trigger_name] != trigger:
                self._append(app_label, AlterTrigger(model_name=name, trigger=trigger))
        removed = [trigger_name for trigger_name in old if trigger_name not in new]
        for trigger_name in reversed(removed):
            operation = RemoveTrigger(model_name=name, name=trigger_name)
            if old_name.lower() == model_name:
                self.add_operation(app_label, operation, beginning=True)
            else:
                self._append(app_label, operation)

    def _forget(self, app_label: str, model_name: str) -> None:
        """Remove the triggers of a deleted model, so that reversing brings them back."""
        if (app_label, model_name) in self.deleted:
            for trigger_name in reversed([*self.old_triggers[app_label, model_name]]):
                operation = RemoveTrigger(model_name=model_name, name=trigger_name)
                self.add_operation(app_label, operation, beginning=True)

    def _deleted(self) -> set[ModelKey]:
        deleted = {
            *(self.old_model_keys - self.new_model_keys - self.new_unmanaged_keys),
            *(self.old_unmanaged_keys - self.new_model_keys - self.new_unmanaged_keys),
            *(self.old_proxy_keys - self.new_proxy_keys),
        }
        renamed = {(label, old.lower()) for (label, _), old in self.renamed_models.items()}
        return deleted - renamed

    def _append(self, app_label: str, operation: TriggerOperation) -> None:
        key = app_label, operation.model_name_lower
        # A proxy's table belongs to the migrations of its base.
        needed = [*bases_in_other_apps(key, self.to_state)]
        for declared in self.declared.get(key, ()):
            if declared.name == operation.trigger_name:
                needed += [_model_key(label) for label in declared.depends_on]
        self.add_operation(app_label, operation, dependencies=[*map(waits_for_table, needed)])


def _model_key(label: str) -> ModelKey:
    app_label, name = label.lower().split(".")
    return app_label, name


def _take_triggers(state: Any) -> tuple[Any, dict[ModelKey, dict[str, CompiledTrigger]]]:
    """Split a project state into one without triggers, and the compiled triggers by model."""
    triggers: dict[ModelKey, dict[str, CompiledTrigger]] = {}
    without = state.clone()
    for key, model_state in state.models.items():
        declared = model_state.options.get("triggers")
        if declared is None:
            continue
        without.models[key].options.pop("triggers")
        compiled = [_compiled(trigger, key, declared, state) for trigger in declared]
        triggers[key] = {trigger.name: trigger for trigger in compiled}
    return without, triggers


def _compiled(trigger: Any, key: ModelKey, declared: Any, state: Any) -> CompiledTrigger:
    if not isinstance(trigger, Trigger):
        return trigger  # type: ignore[no-any-return]  # migrations hold compiled ones
    return compile_once(trigger, _model(key, declared, state))


def _model(key: ModelKey, declared: Any, state: Any) -> Any:
    # Rendering the models of a state takes long; the installed model is the same if the state
    # was made from it.
    try:
        model = apps.get_model(*key)
    except LookupError:
        return state.apps.get_model(*key)
    if model._meta.original_attrs.get("triggers") is declared:
        return model
    return state.apps.get_model(*key)


@functools.cache
def with_triggers(autodetector: type[Any]) -> type[Any]:
    """The class of an autodetector, extended by what knows about triggers."""
    if issubclass(autodetector, TriggerAutodetector):
        return autodetector
    return type(autodetector.__name__, (TriggerAutodetector, autodetector), {})
