"""Where foreign keys, constraints and a soft delete contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.core.checks import CheckMessage, Warning
from django.db import models

from pgtrigger.declaration import Model
from pgtrigger_softdelete.managers import SoftDeleteMixin
from pgtrigger_softdelete.mark import Mark
from pgtrigger_softdelete.relations import (
    cascades_in_database,
    follows_row,
    is_skipped,
    keys_of,
    keys_to,
    label,
)
from pgtrigger_softdelete.triggers import SoftDelete, soft_delete_of


def contradictions(model: Model, trigger: SoftDelete) -> Iterable[CheckMessage]:
    """What a model with a SoftDelete is warned of."""
    uri = trigger.get_uri(model)
    for text, hint, number in (
        *_children(model, trigger),
        *_parents(model, trigger),
        *_tables(model),
        *_unique(model, trigger.mark),
    ):
        yield Warning(
            f'Trigger "{uri}": {text}',
            hint=f"{hint} See docs/checks.md.",
            obj=model,
            id=f"pgtrigger_softdelete.{number}",
        )


class Finding(NamedTuple):
    """A contradiction."""

    text: str
    hint: str
    number: str


def _children(model: Model, trigger: SoftDelete) -> Iterator[Finding]:
    followed = {label(child.key): child.action for child in trigger.children(model)}
    for key in keys_to(model):
        name, action = label(key), followed.get(label(key))
        is_soft = soft_delete_of(key.model) is not None
        if key.model._meta.auto_created:
            continue  # Rows that join two others are no loss that anyone could be warned of.
        if action is None and follows_row(key) and not is_soft and not is_skipped(key):
            yield Finding(
                f"a row is only marked as deleted, but Django really deletes the rows whose "
                f'"{name}" refers to it, because that cascades.',
                'Give that model a SoftDelete too, or choose "set_null" or "refuse" for the '
                "foreign key with cascade={…}, or another on_delete.",
                "W001",
            )
        if action is not None and not is_skipped(key) and not issubclass(model, SoftDeleteMixin):
            yield Finding(
                f'its cascade is about "{name}", which Django looks after by itself before an '
                f"instance is deleted.",
                "Put SoftDeleteMixin before models.Model in the bases of the model, or give the "
                "foreign key on_delete=models.DO_NOTHING.",
                "W005",
            )


def _parents(model: Model, trigger: SoftDelete) -> Iterator[Finding]:
    for key in keys_of(model):
        parent = key.remote_field.model
        if getattr(key.remote_field, "parent_link", False):
            continue
        if cascades_in_database(key) and trigger.orphaned == "refuse":
            yield Finding(
                f'"{label(key)}" has the database delete a row with the one that it refers to, '
                f"which the trigger refuses.",
                'Declare orphaned="delete" or orphaned="set_null", or another on_delete.',
                "W003",
            )
        elif follows_row(key) and not is_skipped(key) and soft_delete_of(parent) is None:
            yield Finding(
                f'a row is only marked as deleted when the row that its "{label(key)}" refers to '
                f"is really deleted, so the database refuses that.",
                f'Give "{parent._meta.label}" a SoftDelete too, or the foreign key another '
                f"on_delete.",
                "W002",
            )


def _tables(model: Model) -> Iterator[Finding]:
    for key in keys_to(model, links=True):
        if getattr(key.remote_field, "parent_link", False):
            yield Finding(
                f'a row of "{key.model._meta.label}" continues a row of this table, and is really '
                f"deleted where that is only marked.",
                "Soft deletion and multi-table inheritance do not go together; use an abstract "
                "base.",
                "W006",
            )
    if model._meta.parents and not model._meta.proxy:
        yield Finding(
            "a row is only marked as deleted, so that the row of its parent's table cannot go.",
            "Declare the SoftDelete on the parent model, or use an abstract base.",
            "W006",
        )


def _unique(model: Model, mark: Mark) -> Iterator[Finding]:
    hint = "Use unique_among_live(…) in Meta.constraints, which leaves deleted rows out."
    for field in model._meta.local_concrete_fields:
        if field.unique and not field.primary_key:
            yield Finding(_blocked(field.name), hint, "W004")
    for names in model._meta.unique_together:
        yield Finding(_blocked(*names), hint, "W004")
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and not _tells(constraint, mark):
            yield Finding(_blocked(*(constraint.fields or [constraint.name])), hint, "W004")


def _blocked(*names: str) -> str:
    return (
        f"a deleted row stays in the way of a new one with the same {', '.join(names)}, which is "
        f"to be unique."
    )


def _tells(constraint: models.UniqueConstraint, mark: Mark) -> bool:
    """Whether a constraint depends on the mark in any way."""
    if mark.field in constraint.fields:
        return True
    return constraint.condition is not None and mark.field in {*_names(constraint.condition)}


def _names(node: Any) -> Iterator[str]:
    for child in node.children:
        if isinstance(child, models.Q):
            yield from _names(child)
        elif isinstance(child, tuple):
            yield child[0].split("__")[0]
