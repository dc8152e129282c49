"""Putting rows back as events have them: exactly, by one statement in the database.

PostgreSQL manual: "UPDATE"; "INSERT", ``OVERRIDING SYSTEM VALUE``.
"""

from __future__ import annotations

from typing import Any

from django.db import DataError, IntegrityError, connections, transaction

from pgtrigger import sql
from pgtrigger.columns import column_name
from pgtrigger.declaration import Model
from pgtrigger_history.errors import NotTrackedError, RevertError
from pgtrigger_history.fields import GONE, OLD_PREFIX
from pgtrigger_history.trackings import Tracking, tracking_of_events, trackings_of


def revert(event: Any, *, partial: bool = False, using: str | None = None) -> Any:
    """Put the object of an event back as the event has it; insert it again if it is gone.

    All values are those of the event, also of ``auto_now`` fields: nothing but the statement in
    the database touches them. Triggers fire, and the change is an event of its own.

    Args:
        event: an event of a tracked model.
        partial: set the tracked fields only, where others are not tracked.
        using: the database; by default the one that the event is from.

    Returns:
        The object, as it is now.

    Raises:
        NotTrackedError: the model has fields that are not tracked, and ``partial`` is not said.
        RevertError: the database refuses the row, or what it belongs to is gone.
    """
    tracking = tracking_of_events(type(event))
    database = using or event._state.db
    refuse_unknown(tracking, partial=partial)
    try:
        with transaction.atomic(using=database):
            if not _update(tracking, event, database):
                _insert(tracking, event, database)
            # What refers to nothing is told here, and not at the commit.
            connections[database].check_constraints()
    except (IntegrityError, DataError) as error:
        raise RevertError(f"{_name(tracking, event)} cannot be put back: {error}") from error
    manager = tracking.model._base_manager.using(database)
    return manager.get(pk=_key(tracking, event))


def refuse_unknown(tracking: Tracking, *, partial: bool = False) -> None:
    """Raise `NotTrackedError` if events do not tell all that a row holds."""
    unknown = [field.name for field in tracking.untracked()]
    if unknown and not partial:
        raise NotTrackedError(
            f'"{tracking.model._meta.label}" cannot be put back as an event has it: '
            f"{', '.join(unknown)} are not tracked. Say partial=True to set the other fields."
        )


def undo(tracking: Tracking, obj: Any, count: int, *, partial: bool, using: str) -> Any:
    """Take back the last changes of an object, by one more change.

    Args:
        tracking: the tracking of its model.
        obj: the object; it may have been deleted.
        count: how many events to take back.
        partial: as for `revert`.
        using: the database.

    Returns:
        The object as it is now, or None if it did not exist before these changes.

    Raises:
        NotTrackedError: fewer events are known, or events that do not tell what was there after
            them.
        RevertError: as for `revert`.
    """
    if count < 1:
        raise RevertError(f"undo() takes back one event or more; got {count}.")
    if why := tracking.missing_for_state():
        raise NotTrackedError(
            f"undo() needs events that tell the row after each change, and those of "
            f'"{tracking.model._meta.label}" lack {", ".join(why)}.'
        )
    events = tracking.all_events(using)
    latest = [*events.of(obj).order_by("-pgh_id")[: count + 1]]
    if len(latest) < count:
        raise NotTrackedError(
            f"undo({count}) takes back {count} events, and {len(latest)} are known of "
            f"{tracking.model._meta.label} {obj.pk!r}."
        )
    if len(latest) > count:
        before = latest[count]
        if before.pgh_operation not in GONE:
            return revert(before, partial=partial, using=using)
    elif latest[-1].pgh_operation != "INSERT":
        raise NotTrackedError(
            f"Nothing is known of {tracking.model._meta.label} {obj.pk!r} before the oldest of "
            f"its {count} events: it was there before it was tracked."
        )
    with transaction.atomic(using=using):
        rows = tracking.model._base_manager.using(using)
        rows.filter(pk=_key(tracking, latest[0])).delete()
    return None


def _update(tracking: Tracking, event: Any, database: str) -> int:
    pairs = [
        (ours, theirs)
        for ours, theirs in _columns(tracking)
        if ours not in {column_name(field) for field in tracking.model._meta.pk_fields}
    ]
    table, events, where = _tables(tracking)
    with connections[database].cursor() as cursor:
        if not pairs:
            query = f"SELECT FROM {table} AS own, {events} AS event WHERE {where}"
            cursor.execute(f"{query} FOR UPDATE OF own", [event.pgh_id])
        else:
            sets = ", ".join(f"{ours} = event.{theirs}" for ours, theirs in _quoted(pairs))
            cursor.execute(
                f"UPDATE {table} AS own SET {sets} FROM {events} AS event WHERE {where}",
                [event.pgh_id],
            )
        return int(cursor.rowcount)


def _insert(tracking: Tracking, event: Any, database: str) -> None:
    for parent in tracking.model._meta.parents:
        _restore_parent(tracking, parent, event, database)
    missing = [
        field.name
        for field in tracking.untracked()
        if not (field.null or field.has_db_default() or field.primary_key)
    ]
    if missing:
        raise RevertError(
            f"{_name(tracking, event)} is gone, and cannot be put back: {', '.join(missing)} "
            f"cannot be NULL and are not tracked."
        )
    pairs = _quoted(_columns(tracking))
    table, events, _ = _tables(tracking)
    ours = ", ".join(ours for ours, _ in pairs)
    theirs = ", ".join(f"event.{theirs}" for _, theirs in pairs)
    with connections[database].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({ours}) OVERRIDING SYSTEM VALUE SELECT {theirs} "
            f"FROM {events} AS event WHERE event.pgh_id = %s",
            [event.pgh_id],
        )


def _restore_parent(tracking: Tracking, parent: Model, event: Any, database: str) -> None:
    """Put back the row of a parent model, which a child's own events do not tell."""
    link = tracking.model._meta.parents[parent]
    if parent._meta.proxy or link is None:
        return
    key = getattr(event, link.attname)
    if parent._base_manager.using(database).filter(pk=key).exists():
        return
    for known in trackings_of(parent):
        events = known.all_events(database).of(key)
        last = events.between(end=event.pgh_created_at).order_by("-pgh_id").first()
        if last is not None and not known.untracked():
            revert(last, using=database)
            return
    raise RevertError(
        f"{_name(tracking, event)} is gone, and so is its row of the parent "
        f'"{parent._meta.label}", of which no events tell. Track that model too.'
    )


def _columns(tracking: Tracking) -> list[tuple[str, str]]:
    """The columns of the table that events tell, and what they are called in those."""
    names = {f.name: column_name(f) for f in tracking.event_model._meta.concrete_fields if f.column}
    generated = {f.name for f in tracking.fields() if getattr(f, "generated", False)}
    return [
        (column_name(field), names[field.name])
        for field in tracking.fields()
        if field.name not in generated and not field.name.startswith(OLD_PREFIX)
    ]


def _quoted(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(sql.quote(ours), sql.quote(theirs)) for ours, theirs in pairs]


def _tables(tracking: Tracking) -> tuple[str, str, str]:
    same = " AND ".join(
        f"own.{sql.quote(ours)} = event.{sql.quote(theirs)}"
        for ours, theirs in tracking.key_columns.items()
    )
    return (
        sql.quote_relation(tracking.model._meta.db_table),
        sql.quote_relation(tracking.event_model._meta.db_table),
        f"event.pgh_id = %s AND {same}",
    )


def _key(tracking: Tracking, event: Any) -> Any:
    values = [getattr(event, name) for name in tracking.key]
    return tuple(values) if len(values) > 1 else values[0]


def _name(tracking: Tracking, event: Any) -> str:
    return f"{tracking.model._meta.label} {_key(tracking, event)!r}"
