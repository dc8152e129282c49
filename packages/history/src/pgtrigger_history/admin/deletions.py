"""The objects of a model that are gone, found by the last of their events."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef

from pgtrigger.declaration import Model
from pgtrigger_history.fields import CONTEXT, GONE, KEY, refers_to_contexts
from pgtrigger_history.trackings import Tracking, trackings_of


def deletion_tracking(model: Model) -> Tracking | None:
    """The tracking that records the deletions of a model, if there is one."""
    return next(
        (
            tracking
            for tracking in trackings_of(model)
            if not tracking.owner
            and any(
                event.operation is not None and "DELETE" in event.operation.names
                for event in tracking.events
            )
        ),
        None,
    )


def last_deletions(events: Any, *, size: int, before: int | None = None) -> list[Any]:
    """The events by which objects have gone that have not come back, the latest first.

    Args:
        events: those to look among, an `EventQuerySet` of one model.
        size: how many there are at most.
        before: the key of an event: those before it.
    """
    tracking: Tracking = events.tracking
    same = {name: OuterRef(name) for name in tracking.key}
    later = tracking.all_events(events.db).filter(**same, pgh_id__gt=OuterRef(KEY))
    key = {ours: OuterRef(theirs) for ours, theirs in tracking.key_pairs}
    there = tracking.model._base_manager.using(events.db).filter(**key)
    found = events.filter(~Exists(later), ~Exists(there), pgh_operation__in=GONE)
    if before is not None:
        found = found.filter(pgh_id__lt=before)
    if refers_to_contexts(events.model):
        found = found.select_related(CONTEXT)
    return [*found.order_by(f"-{KEY}")[:size]]
