"""Proxies of automatic many-to-many tables, which migrations know only by the field they are of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db import models
from django.db.migrations.autodetector import OperationDependency
from django.db.migrations.operations import CreateModel, DeleteModel, RemoveField

ModelKey = tuple[str, str]

_CREATE = OperationDependency.Type.CREATE
_REMOVE = OperationDependency.Type.REMOVE


def tie_links(
    generated: Mapping[str, Iterable[Any]],
    old: Mapping[ModelKey, Any],
    new: Mapping[ModelKey, Any],
) -> None:
    """Let a proxy of such a table come after the field, and go before it.

    Args:
        generated: the operations of each app.
        old: the states of all models before.
        new: those after.
    """
    for app_label, operations in generated.items():
        for operation in operations:
            if isinstance(operation, CreateModel) and operation.options.get("proxy"):
                for owner, field in _fields_of(operation.bases or (), new):
                    _add(operation, OperationDependency(*owner, field, _CREATE))
            elif isinstance(operation, DeleteModel):
                state = old.get((app_label, operation.name_lower))
                if state is None or not state.options.get("proxy"):
                    continue
                for owner, field in _fields_of(state.bases, old):
                    _let_wait(generated, owner, field, (app_label, operation.name_lower))


def _fields_of(
    bases: Iterable[Any], states: Mapping[ModelKey, Any]
) -> Iterator[tuple[ModelKey, str]]:
    """The many-to-many fields whose automatic tables are among the bases of a model."""
    for base in bases:
        if not isinstance(base, str) or "." not in base:
            continue
        app_label, name = base.lower().split(".")
        if (app_label, name) in states:
            continue
        for (owner_app, owner), state in states.items():
            if owner_app != app_label or not name.startswith(f"{owner}_"):
                continue
            for field_name, field in state.fields.items():
                if (
                    isinstance(field, models.ManyToManyField)
                    and f"{owner}_{field_name}".lower() == name
                ):
                    yield (owner_app, owner), field_name


def _let_wait(
    generated: Mapping[str, Iterable[Any]], owner: ModelKey, field: str, proxy: ModelKey
) -> None:
    for operation in generated.get(owner[0], ()):
        if (
            isinstance(operation, RemoveField)
            and (operation.model_name_lower, operation.name) == (owner[1], field)
        ) or (isinstance(operation, DeleteModel) and operation.name_lower == owner[1]):
            _add(operation, OperationDependency(*proxy, None, _REMOVE))


def _add(operation: Any, dependency: OperationDependency) -> None:
    operation._auto_deps.append(dependency)
