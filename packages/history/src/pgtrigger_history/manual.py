"""Events that are written from Python, and not by a trigger."""

from __future__ import annotations

from typing import Any

from django.db import models, router

from pgtrigger import sql
from pgtrigger.columns import column_name
from pgtrigger_history.declarations import ManualEvent
from pgtrigger_history.errors import NotTrackedError
from pgtrigger_history.snapshots import ROW, record_rows
from pgtrigger_history.trackings import Tracking, trackings_of


def create_event(obj: models.Model, *, label: str, using: str | None = None) -> Any:
    """Record an object as it is in the database now.

    Args:
        obj: an object of a tracked model.
        label: that of a `ManualEvent` of its tracker.
        using: the database; by default the one that the object is from.

    Returns:
        The event.

    Raises:
        NotTrackedError: no tracker of the model has a `ManualEvent` of this label; or the database
            does not have the object.

    Example::

        pgtrigger_history.create_event(order, label="exported")
    """
    tracking = _tracking(type(obj), label)
    database = using or obj._state.db or router.db_for_write(type(obj))
    columns = [column_name(field) for field in tracking.model._meta.pk_fields]
    values = obj.pk if len(columns) > 1 else [obj.pk]
    where = " AND ".join(f"{ROW}.{sql.quote(column)} = %s" for column in columns)
    keys = record_rows(tracking, database, label=label, where=where, parameters=values)
    if not keys:
        raise NotTrackedError(
            f'Database "{database}" has no "{tracking.model._meta.label}" with the primary key '
            f"{obj.pk!r} to record."
        )
    return tracking.all_events(database).get(pgh_id=keys[0])


def _tracking(model: type[models.Model], label: str) -> Tracking:
    known = {
        event.label: tracking
        for tracking in trackings_of(model)
        for event in tracking.events
        if isinstance(event, ManualEvent)
    }
    if label not in known:
        raise NotTrackedError(
            f'"{model._meta.label}" has no ManualEvent("{label}"). It has: '
            f"{', '.join(known) or 'none'}."
        )
    return known[label]
