"""Where the operations on triggers stand among the others that makemigrations has found."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from django.db.migrations.autodetector import OperationDependency
from django.db.migrations.operations import (
    AddField,
    AlterField,
    AlterModelTable,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)

from pgtrigger.migrations._bulk import in_bulk
from pgtrigger.migrations._operations import (
    AddTrigger,
    AlterTrigger,
    RemoveTrigger,
    TriggerOperation,
)

ModelKey = tuple[str, str]

# As many additions in one migration are written as one operation.
BULK: Final = 50
# The types of our dependencies, beside those that Django knows: on an operation on a trigger, and
# on all that change a table but take nothing away from it.
TRIGGER: Final[Any] = "trigger"
TABLE: Final[Any] = "table"


def satisfies(operation: Any, dependency: OperationDependency) -> bool:
    """Whether an operation is one that a dependency of ours waits for."""
    name = dependency.model_name_lower
    if dependency.type == TRIGGER:
        return (
            isinstance(operation, TriggerOperation)
            and operation.model_name_lower == name
            and operation.trigger_name == dependency.field_name
        )
    if isinstance(operation, AddField | AlterField | RenameField):
        return operation.model_name_lower == name
    if isinstance(operation, RenameModel):
        return operation.new_name_lower == name
    return isinstance(operation, CreateModel | AlterModelTable) and operation.name_lower == name


def waits_for_table(key: ModelKey) -> OperationDependency:
    """The dependency of a trigger on a table that migrations of another app make and change."""
    return OperationDependency(*key, None, TABLE)


def bases_in_other_apps(key: ModelKey, state: Any) -> Iterator[ModelKey]:
    """The models of other apps whose table a proxy has."""
    model = state.models.get(key)
    if model is None or not model.options.get("proxy"):
        return
    for base in model.bases:
        if isinstance(base, str) and "." in base:
            app_label, name = base.lower().split(".", 1)
            if app_label != key[0]:
                yield app_label, name
            yield from bases_in_other_apps((app_label, name), state)


def let_tables_wait(
    generated: dict[str, list[Any]],
    proxies: Iterable[tuple[ModelKey, ModelKey]],
    check: Callable[[Any, OperationDependency], bool],
) -> None:
    """Let a table keep its fields until triggers on proxies of other apps have let go of them.

    And let it change them only when the migrations of those apps have made the triggers that they
    have made so far: on a new database, too.

    Args:
        generated: the operations of each app.
        proxies: proxies that have had triggers, each with the model of another app whose table
            it has.
        check: tells whether an operation satisfies a dependency.
    """
    late: dict[str, list[Any]] = {}
    for proxy, (base_app, base) in proxies:
        for operation in generated.get(base_app, ()):
            if isinstance(operation, AlterField | RenameField | RemoveField):
                concerned = operation.model_name_lower == base
                wanted = [OperationDependency(*proxy, None, OperationDependency.Type.CREATE)]
                if isinstance(operation, RemoveField):
                    wanted += [
                        OperationDependency(*proxy, other.trigger_name, TRIGGER)
                        for other in generated.get(proxy[0], ())
                        if isinstance(other, AlterTrigger | RemoveTrigger)
                        and other.model_name_lower == proxy[1]
                    ]
            elif isinstance(operation, DeleteModel):
                concerned = operation.name_lower == base
                wanted = [OperationDependency(*proxy, None, OperationDependency.Type.REMOVE)]
            else:
                continue
            if concerned:
                depending: Any = operation  # what the autodetector notes on its operations
                depending._auto_deps.extend(wanted)
                if isinstance(operation, DeleteModel | RemoveField):
                    late.setdefault(base_app, []).append(operation)
    for app_label, operations in late.items():
        generated[app_label] = _last(generated[app_label], operations, check)


def _last(
    operations: list[Any], late: list[Any], check: Callable[[Any, OperationDependency], bool]
) -> list[Any]:
    """Move operations to the end, unless one that stays needs them."""
    stay = [one for one in operations if not any(one is other for other in late)]
    needed = [dependency for one in stay for dependency in one._auto_deps]
    movable = [one for one in late if not any(check(one, dependency) for dependency in needed)]
    rest = [one for one in operations if not any(one is other for other in movable)]
    return [*rest, *(one for one in operations if any(one is other for other in movable))]


def split(operations: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """The operations on triggers that come first, the other operations, and those that come last.

    Nothing is split off where the triggers' operations stand between the others.
    """

    def on_trigger(operation: Any) -> bool:
        return isinstance(operation, TriggerOperation)

    first = [*itertools.takewhile(on_trigger, operations)]
    rest = operations[len(first) :]
    last = [*itertools.takewhile(on_trigger, reversed(rest))][::-1]
    return first, rest[: len(rest) - len(last)], last


def join(first: list[Any], others: list[Any], last: list[Any], app_label: str) -> list[Any]:
    """Put the operations on triggers and the others together again, each at its best place."""
    additions = [operation for operation in last if isinstance(operation, AddTrigger)]
    if len(additions) >= BULK:
        changes = [operation for operation in last if not isinstance(operation, AddTrigger)]
        last = [in_bulk(additions), *changes]
    joined = [*others]
    after = []
    for operation in last:
        place = _before_removal(operation, joined, app_label)
        if place is None:
            after.append(operation)
        else:
            joined.insert(place, operation)
    return [*first, *joined, *after]


def _before_removal(operation: Any, others: Sequence[Any], app_label: str) -> int | None:
    """Where the trigger can let go of a field that is removed: else Postgres drops it as well."""
    if not isinstance(operation, AlterTrigger):
        return None
    name = operation.model_name_lower
    about = [
        (index, other)
        for index, other in enumerate(others)
        if not isinstance(other, TriggerOperation) and other.references_model(name, app_label)
    ]
    removals = [*itertools.takewhile(lambda one: isinstance(one[1], RemoveField), reversed(about))]
    return removals[-1][0] if removals else None
