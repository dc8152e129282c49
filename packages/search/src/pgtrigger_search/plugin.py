"""The hooks of pgtrigger that this package implements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.core.checks import CheckMessage, Warning
from django.db import models

from pgtrigger.declaration import Model
from pgtrigger.hookspecs import Subcommand, hookimpl
from pgtrigger.trigger import Trigger
from pgtrigger_search.subcommands import Reindex
from pgtrigger_search.triggers import UpdateSearchVector
from pgtrigger_search.vectors import column_type


@hookimpl
def pgtrigger_register_trigger_types() -> Iterable[type[Trigger]]:
    """``pgtrigger.UpdateSearchVector``."""
    return [UpdateSearchVector]


@hookimpl
def pgtrigger_register_subcommands() -> Iterable[type[Subcommand]]:
    """``manage.py pgtrigger reindex``."""
    return [Reindex]


@hookimpl
def pgtrigger_check(model: Model, trigger: Trigger) -> Iterable[CheckMessage]:
    """Warn of a vector that is none, and of one that cannot be searched quickly."""
    if not isinstance(trigger, UpdateSearchVector):
        return
    field = trigger.get_vector_field(model)
    if column_type(field) != "tsvector":
        yield Warning(
            f'Trigger "{trigger.get_uri(model)}" writes a search vector into "{field.name}", '
            f"which is a {type(field).__name__}.",
            hint=f'Make "{field.name}" a SearchVectorField. See docs/checks.md.',
            obj=model,
            id="pgtrigger_search.W001",
        )
    elif not any(_is_for(index, field.name) for index in _indexes(model)):
        yield Warning(
            f'"{field.name}", which trigger "{trigger.get_uri(model)}" fills, has no index that '
            f"a search could use, so every search reads the whole table.",
            hint=f'Add GinIndex(fields=["{field.name}"]) to Meta.indexes. See docs/checks.md.',
            obj=model,
            id="pgtrigger_search.W002",
        )


def _indexes(model: Model) -> Sequence[models.Index]:
    concrete = model._meta.concrete_model or model
    return concrete._meta.indexes


def _is_for(index: models.Index, name: str) -> bool:
    """Whether an index is on a field, and of a kind that knows search vectors (GIN, GiST, …)."""
    indexed = name in index.fields or models.F(name) in index.expressions
    return indexed and type(index) is not models.Index
