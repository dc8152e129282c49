"""Django's way to delete, which leaves to the triggers what they look after.

By itself Django deletes the rows that refer to a row before the row. A trigger would not know that
they went with it, and a restored row would come back without them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import models
from django.db.models.deletion import Collector

import pgtrigger
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError
from pgtrigger_softdelete.relations import follows_row, is_skipped, keys_to, label
from pgtrigger_softdelete.triggers import SoftDelete, soft_delete_of


def required_soft_delete(model: Model) -> SoftDelete:
    """The SoftDelete of a model. Raises `DeclarationError` without one."""
    found = soft_delete_of(model)
    if found is None:
        raise DeclarationError(
            f'Model "{model._meta.label}" has no SoftDelete among its triggers, so nothing says '
            f"what a deleted row is. Declare one in Meta.triggers."
        )
    return found


class SoftDeleteCollector(Collector):
    """Collects what Django is to delete, without the children that a SoftDelete looks after."""

    def related_objects(self, related_model: Any, related_fields: Any, objs: Any) -> Any:
        fields = [field for field in related_fields if not _is_followed(field)]
        if not fields:
            return related_model._base_manager.using(self.using).none()
        return super().related_objects(related_model, fields, objs)

    def can_fast_delete(self, objs: Any, from_field: Any = None) -> bool:
        if super().can_fast_delete(objs, from_field):
            return True
        model = getattr(objs, "model", None) or type(objs)
        options = getattr(model, "_meta", None)
        return (
            from_field is None
            and options is not None
            and soft_delete_of(model) is not None
            and not self._has_signal_listeners(model)  # type: ignore[attr-defined]  # no stub
            and not options.concrete_model._meta.parents
            and not any(hasattr(field, "bulk_related_objects") for field in options.private_fields)
            and all(is_skipped(key) or _is_followed(key) for key in keys_to(model, links=True))
        )


def _is_followed(key: models.ForeignKey[Any, Any]) -> bool:
    parent = key.remote_field.model
    soft = soft_delete_of(parent)
    followed = soft.children(parent) if soft else []
    return label(key) in {label(child.key) for child in followed}


@contextmanager
def really_deleting(model: Model, using: str) -> Generator[None]:
    """Within it, rows of a model are really deleted, and what goes with them too.

    What goes with them are the rows whose foreign key cascades, in Django or in the database.
    """
    with ExitStack() as stack:
        for other in _reached(model, set()):
            soft = soft_delete_of(other)
            if soft is not None:
                stack.enter_context(pgtrigger.ignore(model=other, trigger=soft, databases=[using]))
        yield


def _reached(model: Model, seen: set[Model]) -> Iterator[Model]:
    if model in seen:
        return
    seen.add(model)
    yield model
    for parent in model._meta.parents:
        yield from _reached(parent, seen)
    for key in keys_to(model, links=True):
        if follows_row(key):
            yield from _reached(key.model, seen)
