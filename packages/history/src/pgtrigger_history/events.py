"""Events, as Django sees them: rows of an event model, and querysets of them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.db import models, router
from django.db.models import OuterRef, Q, Subquery
from django.db.models.fields.json import KT

from pgtrigger.lookups import IsDistinctFrom
from pgtrigger_history.errors import NotTrackedError
from pgtrigger_history.fields import KEY, OLD_PREFIX, context_field
from pgtrigger_history.reverting import revert, undo
from pgtrigger_history.states import as_of
from pgtrigger_history.trackings import Tracking, tracking_of_events


class Change(NamedTuple):
    """What a field was and what it became."""

    old: Any
    new: Any


Diff = Mapping[str, Change]


class Event:
    """What event models have besides their fields.

    ``pgh_id`` is the key: of two events of one object, the later one has the greater key.
    """

    def _pgh_tracking(self) -> Tracking:
        return tracking_of_events(type(self))  # type: ignore[arg-type]  # mixed into models

    def previous(self) -> Any:
        """The event of the same object before this one, or None."""
        return self._pgh_others(pgh_id__lt=self.pgh_id).order_by("-pgh_id").first()  # type: ignore[attr-defined]  # of each event model

    def following(self) -> Any:
        """The event of the same object after this one, or None."""
        return self._pgh_others(pgh_id__gt=self.pgh_id).order_by("pgh_id").first()  # type: ignore[attr-defined]  # of each event model

    def _pgh_others(self, **lookups: Any) -> models.QuerySet[Any]:
        own = {name: getattr(self, name) for name in self._pgh_tracking().key}
        database = self._state.db  # type: ignore[attr-defined]  # of models
        manager = type(self)._default_manager.using(database)  # type: ignore[attr-defined]  # of models
        found: models.QuerySet[Any] = manager.filter(**own, **lookups)
        return found

    def diff(self, against: Any = None) -> Diff:
        """What has changed since the event of the same object before this one.

        An insert is a change of everything from None. An event that records both rows needs no
        other one. Where nothing is known of the time before, nothing is told.

        Args:
            against: another event of the object, in place of the one before.

        Returns:
            For each field that differs, what it was and what it is.
        """
        if against is None and not self._pgh_tells_alone():
            against = self.previous()
        return diff(self, against)

    def _pgh_tells_alone(self) -> bool:
        return self.pgh_operation == "INSERT" or bool(_old_values(self))  # type: ignore[attr-defined]  # of each event model

    def revert(self, *, partial: bool = False, using: str | None = None) -> Any:
        """Put the object back as this event has it. Arguments and errors as of `revert`.

        Example::

            order.history.labelled("order_paid").latest().revert()
        """
        return revert(self, partial=partial, using=using)

    def as_object(self) -> Any:
        """The object as this event has it: an instance that is not saved.

        Fields that are not tracked are deferred, and cannot be read of an object that is gone.
        """
        return _as_object(self)


def _as_object(event: Any) -> Any:
    tracking = tracking_of_events(type(event))
    model = tracking.model
    values = {field.attname: getattr(event, field.attname) for field in tracking.fields()}
    values |= {ours: getattr(event, theirs) for ours, theirs in tracking.key_pairs}
    names = [f.attname for f in model._meta.concrete_fields if f.attname in values]
    instance = model.from_db(event._state.db, names, [values[name] for name in names])
    instance._state.adding = True
    return instance


def diff_in_turn(event: Any, before: Any) -> Diff:
    """What differs between an event and the one before it; an insert begins anew."""
    return diff(event, None if event.pgh_operation == "INSERT" else before)


def diff(event: Any, before: Any) -> Diff:
    """What differs between an event and another one, or between the rows that it has."""
    tracking = tracking_of_events(type(event))
    own = _old_values(event)
    if before is None and not own and event.pgh_operation != "INSERT":
        return {}
    found = {}
    for field in tracking.fields():
        name = field.attname
        old = own[name] if own else getattr(before, name, None)
        new = getattr(event, name)
        if old != new:
            found[field.name] = Change(old, new)
    return found


def _old_values(event: Any) -> dict[str, Any]:
    if event.pgh_operation != "UPDATE":
        return {}
    found = {
        field.attname.removeprefix(OLD_PREFIX): getattr(event, field.attname)
        for field in event._meta.concrete_fields
        if field.name.startswith(OLD_PREFIX)
    }
    # Another tracker of the same model may record one row only.
    return found if any(value is not None for value in found.values()) else {}


def diffs(events: Iterable[Any]) -> list[tuple[Any, Diff]]:
    """Events of one model with what has changed in each, in at most two queries."""
    found = [*events]
    if not found:
        return []
    kind = type(found[0])
    key = tracking_of_events(kind).key
    lookups: dict[str, Any] = {name: OuterRef(name) for name in key}
    before = kind._default_manager.filter(**lookups, pgh_id__lt=OuterRef(KEY)).order_by("-pgh_id")
    manager = kind._default_manager.using(found[0]._state.db)
    pairs = manager.filter(pk__in=[event.pk for event in found]).order_by()
    earlier = dict(pairs.values_list(KEY, Subquery(before.values(KEY)[:1])))
    # On a page of an object's events, nearly all of them are at hand.
    known = {event.pk: event for event in found if not event.get_deferred_fields()}
    unknown = {key for key in earlier.values() if key is not None} - known.keys()
    if unknown:
        known |= manager.in_bulk(unknown)
    return [(event, diff_in_turn(event, known.get(earlier.get(event.pk)))) for event in found]


class EventQuerySet(models.QuerySet[Any]):
    """Events; ``Order.history`` are those of a model, ``order.history`` those of an object."""

    @property
    def tracking(self) -> Tracking:
        """What the events are of."""
        return tracking_of_events(self.model)

    def of(self, obj: Any) -> EventQuerySet:
        """Those of one object.

        Args:
            obj: the object, or its primary key; it may be deleted long since.
        """
        value = obj.pk if isinstance(obj, models.Model) else obj
        key = self.tracking.key
        values = value if len(key) > 1 else (value,)
        found: EventQuerySet = self.filter(**dict(zip(key, values, strict=True)))
        return found

    def by(self, user: Any) -> EventQuerySet:
        """Those made in a context whose ``user`` is this one.

        Args:
            user: the user, or the primary key; None for changes that no user is known of.

        Raises:
            NotTrackedError: the events store no context.
        """
        context = context_field(self.model)
        if context is None:
            raise NotTrackedError(
                f'"{self.model._meta.label}" stores no context, so it does not tell who made a '
                f"change: it is tracked with context=None."
            )
        value = user.pk if isinstance(user, models.Model) else user
        if context.remote_field:
            if value is None:
                return self.filter(Q(pgh_context=None) | Q(pgh_context__user=None))
            return self.filter(pgh_context__user=str(value))
        if value is None:
            return self.filter(Q(pgh_context__user=None) | Q(pgh_context__user__isnull=True))
        found: EventQuerySet = self.alias(_pgh_user=KT("pgh_context__user"))
        return found.filter(_pgh_user=str(value))

    def labelled(self, *labels: str) -> EventQuerySet:
        """Those with one of these labels."""
        return self.filter(pgh_label__in=labels)

    def between(
        self, start: datetime.datetime | None = None, end: datetime.datetime | None = None
    ) -> EventQuerySet:
        """Those from a moment on, and before another one."""
        found = self
        if start is not None:
            found = found.filter(pgh_created_at__gte=start)
        if end is not None:
            found = found.filter(pgh_created_at__lt=end)
        return found

    def changing(self, *fields: str) -> EventQuerySet:
        """Those in which one of these fields differs from the event of the object before.

        Raises:
            NotTrackedError: a field that is not tracked.
        """
        known = {field.name: field for field in self.tracking.fields()}
        for name in fields:
            if name not in known:
                raise NotTrackedError(
                    f'"{self.model._meta.label}" does not have "{name}"; it has {", ".join(known)}.'
                )
        lookups: dict[str, Any] = {name: OuterRef(name) for name in self.tracking.key}
        manager = self.model._base_manager
        before = manager.filter(**lookups, pgh_id__lt=OuterRef(KEY)).order_by("-pgh_id")
        found: EventQuerySet = self
        differs = Q()
        for name in fields:
            alias, attname = f"_pgh_before_{name}", known[name].attname
            found = found.alias(**{alias: Subquery(before.values(attname)[:1])})
            differs |= Q(IsDistinctFrom(models.F(attname), models.F(alias)))
        known_before = Q(models.Exists(before))
        return found.filter(Q(pgh_operation="INSERT") | (known_before & differs))

    def diff(self) -> list[tuple[Any, Diff]]:
        """The events with what has changed in each, as `Event.diff` has it; at most 3 queries."""
        return diffs(self)


class EventManager(models.Manager.from_queryset(EventQuerySet)):  # type: ignore[misc]  # made at run time
    """The manager of event models: what `EventQuerySet` has, and more on ``order.history``."""

    def as_of(self, moment: datetime.datetime) -> Any:
        """The objects as they were: a queryset to read, in one query.

        It can be filtered, ordered, counted as any other. Foreign keys and many-to-many fields to
        models that are tracked lead to objects of the same moment; others to those of the present.
        On the history of one object, it is that object.

        Args:
            moment: what was changed until then is seen, by the clock of the database server.

        Raises:
            NotTrackedError: the events do not tell what the table held at a time: they lack
                inserts, updates or deletes, have conditions, or tell the row before.
            ValueError: a moment without a time zone.
            DoesNotExist: on the history of one object, that there was no such object then.

        Example::

            Order.history.as_of(closing_time).filter(customer__city="Ulm").aggregate(Sum("total"))
        """
        tracking = tracking_of_events(self.model)
        found = as_of(tracking.model, moment, self._db)
        obj = getattr(self, "instance", None)
        return found if obj is None else found.get(pk=obj.pk)

    def undo(self, count: int = 1, *, partial: bool = False) -> Any:
        """Take back the last changes of an object: ``order.history.undo()``.

        Args:
            count: how many.
            partial: as for `Event.revert`.

        Returns:
            The object as it is now, or None if it did not exist before these changes.

        Raises:
            NotTrackedError, RevertError: as for `Event.revert`; and fewer events are known.
        """
        obj = getattr(self, "instance", None)
        if obj is None:
            raise TypeError("undo() is for the history of an object, such as order.history.undo().")
        tracking = tracking_of_events(self.model)
        return undo(
            tracking,
            obj,
            count,
            partial=partial,
            using=router.db_for_write(type(obj), instance=obj),
        )
