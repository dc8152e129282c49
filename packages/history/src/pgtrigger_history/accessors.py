"""``Order.history`` and ``order.history``."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.fields.related_descriptors import ReverseManyToOneDescriptor


class HistoryDescriptor(ReverseManyToOneDescriptor):  # type: ignore[type-arg]  # generic in stubs only
    """The events of a model, on the class; those of an object, on an instance."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self.rel.related_model._default_manager
        return super().__get__(instance, cls)


class ObjectReference(models.ForeignKey):  # type: ignore[type-arg]  # generic in stubs only
    """The reference of an event to its object, by whose other side the events are found."""

    related_accessor_class = HistoryDescriptor

    def deconstruct(self) -> Any:
        # Migrations need not know of the descriptor.
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs


class CompositeReference(models.ForeignObject):  # type: ignore[type-arg]  # generic in stubs only
    """The same for a composite primary key, whose columns the events have by their names."""

    related_accessor_class = HistoryDescriptor

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignObject", args, kwargs
