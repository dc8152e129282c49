"""The model of the events of a tracked model."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from django.db import models
from django.db.backends.utils import names_digest

from pgtrigger.columns import columns_of, concrete_field
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError
from pgtrigger_history import trackings
from pgtrigger_history.accessors import CompositeReference, ObjectReference
from pgtrigger_history.declarations import Tracker
from pgtrigger_history.events import Event, EventManager
from pgtrigger_history.fields import (
    ARCHIVE,
    CONTEXT,
    GONE,
    OBJECT,
    OLD_PREFIX,
    PREFIX,
    TransactionIdField,
    copy_of,
)
from pgtrigger_history.partitions import partitioned_by
from pgtrigger_history.protection import EventProtection
from pgtrigger_history.trackings import Tracking

Storage = Literal["table", "inline"]
_CONTEXT_LABEL: Final = "pgtrigger_history.Context"


def make_event_model(
    model: Model,
    wanted: Sequence[Tracker],
    *,
    names: Sequence[str],
    name: str,
    accessor: str,
    storage: Storage | None,
    parents: Sequence[str],
    append_only: bool,
    partition: str | None,
    meta: Mapping[str, Any],
    archive: bool = False,
    owner: tuple[Model, str] | None = None,
) -> Tracking:
    """Make the model of events, beside the tracked one, and note what it is for.

    Arguments are those of `track`, and ``names``, those of the tracked fields; ``name``, that of
    the model; ``owner``, the model and the name of a many-to-many field.
    """
    label = model._meta.label
    for taken in [each for each in names if each.startswith(PREFIX)]:
        raise DeclarationError(
            f'"{label}.{taken}" begins with {PREFIX}, as the columns of an event do. Rename it, '
            f"or leave it out by exclude."
        )
    if storage not in ("table", "inline", None):
        raise DeclarationError(
            f'track() of "{label}": "context" can be "table", "inline" or None; got {storage!r}.'
        )
    if owner is None and hasattr(model, accessor):
        raise DeclarationError(
            f'"{label}" has an attribute "{accessor}" already. Give the events of this tracker '
            f"another one: track(accessor=…, model_name=…)."
        )
    attributes: dict[str, Any] = {"__module__": model.__module__, "objects": EventManager()}
    attributes |= _own_fields(storage)
    if archive:
        attributes[ARCHIVE] = models.JSONField(null=True, blank=True)
    tracked = [field for field in columns_of(model) if field.name in names]
    app_label = (model._meta.concrete_model or model)._meta.app_label
    for field in tracked:
        attributes[field.name] = copy_of(field, app_label)
        if any(each.row == "both" for each in wanted):
            old = copy_of(field, app_label)
            old.db_column = None
            attributes[f"{OLD_PREFIX}{field.name}"] = old
    if owner is None:
        attributes[OBJECT] = _reference(model, accessor)
    indexes = [[OBJECT, "pgh_id"]] if isinstance(attributes.get(OBJECT), ObjectReference) else []
    if not indexes and owner is None:
        indexes = [[*(field.name for field in model._meta.pk_fields), "pgh_id"]]
    indexes += [[concrete_field(model, parent).name, "pgh_id"] for parent in parents]
    options: dict[str, Any] = {
        "app_label": model._meta.app_label,
        "ordering": ["pgh_id"],
        "get_latest_by": "pgh_id",
        "default_permissions": ("view",),
        "indexes": [
            *(models.Index(fields=columns) for columns in indexes),
            *([] if owner else _deletions(f"{model._meta.app_label}.{name}", wanted)),
        ],
        "triggers": [EventProtection(name="append_only")] if append_only else [],
        **meta,
    }
    attributes["Meta"] = type("Meta", (), options)
    bases: tuple[type, ...] = (Event, models.Model)
    if partition is not None:
        bases = (Event, partitioned_by(partition), models.Model)
    event_model: Any = type(name, bases, attributes)
    setattr(sys.modules[model.__module__], name, event_model)
    tracking = Tracking(
        model=model,
        event_model=event_model,
        events=tuple(wanted),
        accessor="" if owner else accessor,
        owner=owner,
        parents=tuple(parents),
    )
    trackings.add(tracking)
    return tracking


def _own_fields(storage: Storage | None) -> dict[str, models.Field[Any, Any]]:
    found: dict[str, models.Field[Any, Any]] = {
        "pgh_id": models.BigAutoField(primary_key=True, serialize=False),
        "pgh_created_at": models.DateTimeField(),
        "pgh_label": models.TextField(),
        "pgh_operation": models.TextField(blank=True),
        "pgh_transaction": TransactionIdField(),
    }
    if storage == "table":
        found[CONTEXT] = models.ForeignKey(
            _CONTEXT_LABEL,
            on_delete=models.DO_NOTHING,
            db_constraint=False,
            null=True,
            blank=True,
            related_name="+",
        )
    elif storage == "inline":
        found[CONTEXT] = models.JSONField(null=True, blank=True)
    return found


def _reference(model: Model, accessor: str) -> Any:
    keys = model._meta.pk_fields
    if len(keys) > 1:
        names = [field.name for field in keys]
        return CompositeReference(
            model._meta.label,
            on_delete=models.DO_NOTHING,
            from_fields=names,
            to_fields=names,
            null=True,
            related_name=accessor,
        )
    return ObjectReference(
        model._meta.label,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
        related_name=accessor,
    )


def _deletions(label: str, wanted: Sequence[Tracker]) -> list[models.Index]:
    """What finds deleted objects without a look at all events. Others do not pay for it."""
    if not any(each.operation and "DELETE" in each.operation.names for each in wanted):
        return []
    gone = models.Q(pgh_operation__in=GONE)
    # One with a condition must have a name, which no other model's may have.
    room = models.Index.max_name_length - len("_123456_gone")
    name = f"{label.lower().replace('.', '_')[:room]}_{names_digest(label, length=6)}_gone"
    return [models.Index(fields=["pgh_id"], name=name, condition=gone)]
