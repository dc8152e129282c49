"""``Order.history.as_of(moment)``: querysets of objects as they were, and what they refer to."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from typing import Any, Final

from django.db import NotSupportedError, models
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.db.models.query import ModelIterable
from django.utils import timezone

from pgtrigger.declaration import Model
from pgtrigger_history.asof import AsOfQuery
from pgtrigger_history.errors import NotTrackedError
from pgtrigger_history.trackings import Tracking, state_tracking_of, trackings_of

_ATTRIBUTE: Final = "pgh_moment"


def as_of(model: Model, moment: datetime.datetime, using: str | None = None) -> Any:
    """The objects of a model as they were, as a queryset to read.

    Args:
        model: a tracked model.
        moment: what was changed until then is seen, by the clock of the database server.
        using: the database.

    Raises:
        NotTrackedError: the model's events do not tell what its table held.
        ValueError: a moment without a time zone.
    """
    if not isinstance(moment, datetime.datetime):
        raise TypeError(f"as_of() takes a datetime; got {moment!r}.")
    if timezone.is_naive(moment):
        raise ValueError(f"as_of() takes a moment with a time zone; got {moment!r}.")
    tracking = _tracking(model)
    _follow(model)
    kind = _queryset_class(type(model._default_manager.all()))
    found = kind(model, query=AsOfQuery(model, moment=moment), using=using)
    unknown = [field.name for field in tracking.untracked()]
    return found.defer(*unknown) if unknown else found


def _tracking(model: Model) -> Tracking:
    for each in [model, *model._meta.get_parent_list()]:
        if each._meta.proxy:
            continue
        found = state_tracking_of(each)
        if found is not None:
            continue
        known = [tracking for tracking in trackings_of(each) if not tracking.owner]
        lacking = (
            f"its events lack {', '.join(known[0].missing_for_state())}"
            if known
            else ("it is not tracked")
        )
        raise NotTrackedError(
            f'Nobody knows what the table of "{each._meta.label}" held at a time: {lacking}. '
            f'as_of() needs track() with its default events, and row other than "old".'
        )
    tracking = state_tracking_of(model)
    assert tracking is not None
    return tracking


def moment_of(instance: Any) -> datetime.datetime | None:
    """The moment that an object is of; None if it is of the present."""
    found: datetime.datetime | None = getattr(instance._state, _ATTRIBUTE, None)
    return found


class _AsOfIterable(ModelIterable):  # type: ignore[type-arg]  # generic in stubs only
    def __iter__(self) -> Iterator[Any]:
        query: Any = self.queryset.query
        for instance in super().__iter__():
            _mark(instance, query.moment)
            yield instance


def _mark(instance: Any, moment: datetime.datetime) -> None:
    """Let an object, and those that were selected with it, know of which moment they are."""
    if moment_of(instance) is not None or state_tracking_of(type(instance)) is None:
        return
    setattr(instance._state, _ATTRIBUTE, moment)
    if instance.get_deferred_fields():
        instance.refresh_from_db = functools.partial(_refuse_present, instance)
    _follow(type(instance))  # type: ignore[arg-type]  # a class is hashable
    for related in instance._state.fields_cache.values():
        if isinstance(related, models.Model):
            _mark(related, moment)


def _refuse_present(instance: Any, *args: Any, fields: Any = None, **kwargs: Any) -> None:
    raise NotTrackedError(
        f"{instance._meta.label} {instance.pk!r} is as it was, and {', '.join(fields or ['it'])} "
        f"cannot be read: it is not tracked, or was left out of the query."
    )


class _ReadOnly:
    """What makes a queryset one of the past."""

    _iterable_class = _AsOfIterable

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._iterable_class = _AsOfIterable

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise NotSupportedError("What was cannot be changed: as_of() is for reading.")

    update = delete = create = bulk_create = bulk_update = get_or_create = update_or_create = (
        _refuse
    )
    aupdate = adelete = acreate = abulk_create = abulk_update = _refuse
    aget_or_create = aupdate_or_create = _raw_delete = _refuse


@functools.cache
def _queryset_class(kind: Any) -> Any:
    return type(f"AsOf{kind.__name__}", (_ReadOnly, kind), {})


@functools.cache
def _follow(model: Model) -> None:
    """Have the relations of a model's objects look at the moment that the object is of."""
    concrete = model._meta.concrete_model or model
    for kind in {model, *concrete.__mro__}:
        for descriptor in [*vars(kind).values()]:
            extended = _extended(type(descriptor))  # type: ignore[arg-type]  # a class is hashable
            if extended is not None:
                descriptor.__class__ = extended
                # Made before, it would not know.
                vars(descriptor).pop("related_manager_cls", None)


@functools.cache
def _extended(kind: Any) -> Any:
    if issubclass(kind, _Single | _Many):
        return None
    if issubclass(kind, ForwardManyToOneDescriptor | ReverseOneToOneDescriptor):
        return type(f"AsOf{kind.__name__}", (_Single, kind), {})
    if issubclass(kind, ReverseManyToOneDescriptor):
        return type(f"AsOf{kind.__name__}", (_Many, kind), {})
    return None


def _objects(model: Model, instance: Any, using: str | None = None) -> Any:
    """The objects of a model at the moment of an instance; None where nobody knows."""
    moment = moment_of(instance)
    if moment is None or state_tracking_of(model) is None:
        return None
    return as_of(model, moment, using or instance._state.db)


class _Single:
    """A relation to one object."""

    def _related(self) -> Model:
        field: Any = getattr(self, "field", None)
        if field is not None:
            related: Model = field.remote_field.model
        else:
            related = self.related.related_model  # type: ignore[attr-defined]  # the other one has it
        return related

    def get_queryset(self, **hints: Any) -> Any:
        instance = hints.get("instance")
        found = _objects(self._related(), instance) if instance is not None else None
        return super().get_queryset(**hints) if found is None else found  # type: ignore[misc]  # mixed in

    def get_prefetch_querysets(self, instances: Any, querysets: Any = None) -> Any:
        if querysets is None and (found := _objects(self._related(), instances[0])) is not None:
            querysets = [found]
        return super().get_prefetch_querysets(instances, querysets)  # type: ignore[misc]  # mixed in


class _Many:
    """A relation to many objects."""

    @functools.cached_property
    def related_manager_cls(self) -> Any:
        # cached_property finds the one of the class that this is mixed into by another name.
        made = type(self).__mro__[2].related_manager_cls.func(self)  # type: ignore[attr-defined]  # Django makes that class when it runs
        return type(made.__name__, (_ManagerOfThen, made), {})


class _ManagerOfThen:
    def get_queryset(self) -> Any:
        own: Any = self
        found = None if self._is_prefetched() else _objects(own.model, own.instance)
        return super().get_queryset() if found is None else own._apply_rel_filters(found)  # type: ignore[misc]  # mixed in

    def _is_prefetched(self) -> bool:
        own: Any = self
        cache = getattr(own.instance, "_prefetched_objects_cache", {})
        name = getattr(own, "prefetch_cache_name", None) or own.field.remote_field.cache_name
        return name in cache

    def get_prefetch_querysets(self, instances: Any, querysets: Any = None) -> Any:
        own: Any = self
        if querysets is None and (found := _objects(own.model, instances[0])) is not None:
            querysets = [found]
        return super().get_prefetch_querysets(instances, querysets)  # type: ignore[misc]  # mixed in
