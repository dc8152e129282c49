"""The events of an object, and of what belongs to it, in one line.

Pages are found by key and index, so the thousandth takes as long as the first.
"""

from __future__ import annotations

import heapq
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import models, router

from pgtrigger.columns import concrete_field
from pgtrigger_history.errors import NotTrackedError
from pgtrigger_history.events import Diff, EventQuerySet, diff_in_turn, diffs
from pgtrigger_history.fields import CONTEXT, refers_to_contexts
from pgtrigger_history.trackings import Tracking, trackings, trackings_of

Narrow = Callable[[EventQuerySet], EventQuerySet]


@dataclass(frozen=True)
class Entry:
    """One event of a timeline.

    Args:
        event: the event.
        changes: what has changed in it, by field.
        tracking: the tracking it is from.
    """

    event: Any
    changes: Diff
    tracking: Tracking


class Page(Sequence[Entry]):
    """Some entries of a timeline, the latest first.

    Args:
        entries: the entries.
        cursor: what `timeline` takes as ``after`` for the next page; nothing on the last one.
    """

    def __init__(self, entries: Sequence[Entry], cursor: str) -> None:
        self.entries, self.cursor = entries, cursor

    def __getitem__(self, index: Any) -> Any:
        return self.entries[index]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)


def timeline(
    obj: models.Model | None = None,
    *,
    model: type[models.Model] | None = None,
    key: Any = None,
    related: bool = False,
    size: int = 50,
    after: str = "",
    narrow: Narrow | None = None,
    using: str | None = None,
) -> Page:
    """A page of the events of an object, the latest first.

    Args:
        obj: the object.
        model: the model of an object that is gone, with its ``key``.
        key: the primary key of that object.
        related: the events of what belongs to it, too: of models that are tracked with a foreign
            key to it among their ``parents``, and of its tracked many-to-many fields.
        size: how many events a page has at most.
        after: the ``cursor`` of the page before.
        narrow: takes a queryset of events and returns one of fewer, such as
            ``lambda events: events.by(user)``.
        using: the database; by default the one that the object is from.

    Raises:
        NotTrackedError: nothing is recorded of the model; or an ``after`` of another timeline.

    Example::

        page = pgtrigger_history.timeline(order, related=True)
        for entry in page:
            print(entry.event.pgh_created_at, entry.event.pgh_label, entry.changes)
        page = pgtrigger_history.timeline(order, related=True, after=page.cursor)
    """
    if obj is not None:
        model, key = type(obj), obj.pk
    if model is None or key is None:
        raise TypeError("timeline() takes an object, or a model and a key.")
    database = using or (obj and obj._state.db) or router.db_for_read(model)
    sources = _sources(model, key, database, related=related)
    if not sources:
        raise NotTrackedError(
            f'Nothing is recorded of "{model._meta.label}": decorate it with track().'
        )
    places = _places(after, sources)
    found = {
        name: [*_latest(source.events, places.get(name), narrow)[: size + 1]]
        for name, source in sources.items()
        if places.get(name, 0) is not None
    }
    # Within a model, the order is that of the keys, whatever the clock did.
    merged = [
        *heapq.merge(
            *([(event, name) for event in events] for name, events in found.items()),
            key=lambda entry: entry[0].pgh_created_at.timestamp(),
            reverse=True,
        )
    ]
    page = merged[:size]
    cursor = _cursor(places, page, merged, sources) if len(merged) > size else ""
    changes: dict[tuple[str, Any], Diff] = {}
    for name, events in found.items():
        shown = [event for event, its in page if its == name]
        if sources[name].is_own and narrow is None:
            # All events of one object: each has the one before it behind it.
            pairs = zip(shown, [*events[1:], None], strict=False)
            told = [(event, diff_in_turn(event, before)) for event, before in pairs]
        else:
            told = diffs(shown)
        changes |= {(name, event.pk): changed for event, changed in told}
    return Page(
        [Entry(event, changes[name, event.pk], sources[name].tracking) for event, name in page],
        cursor,
    )


def timeline_trackings(model: type[models.Model], *, related: bool = False) -> list[Tracking]:
    """What the timeline of an object is made of.

    Args:
        model: the model of the object.
        related: with what belongs to it, as for `timeline`.
    """
    return [*dict.fromkeys(tracking for tracking, _ in _trackings(model, related=related))]


class _Source(NamedTuple):
    """The events of one model in a timeline; whether they are those of its object."""

    tracking: Tracking
    events: Any
    is_own: bool


def _trackings(
    model: type[models.Model], *, related: bool
) -> list[tuple[Tracking, tuple[str, ...]]]:
    """What a timeline is made of, and the attributes of its events that name the object."""
    found = [(tracking, tracking.key) for tracking in trackings_of(model) if not tracking.owner]
    if related:
        found += [
            (tracking, (concrete_field(tracking.model, name).attname,))
            for tracking in trackings()
            for name in tracking.parents
            if _refers(tracking, name, model)
        ]
    return found


def _sources(
    model: type[models.Model], key: Any, database: str, *, related: bool
) -> dict[str, _Source]:
    """The querysets that a timeline is made of, by the labels of their models."""
    found: dict[str, _Source] = {}
    for tracking, names in _trackings(model, related=related):
        label = tracking.event_model._meta.label_lower
        values = key if len(names) > 1 else (key,)
        events = tracking.all_events(database).filter(**dict(zip(names, values, strict=True)))
        if known := found.get(label):  # two foreign keys to the object, or one to its own model
            found[label] = _Source(tracking, known.events | events, is_own=False)
        else:
            found[label] = _Source(tracking, events, is_own=names == tracking.key)
    return found


def _latest(events: EventQuerySet, before: int | None, narrow: Narrow | None) -> Any:
    if before is not None:
        events = events.filter(pgh_id__lt=before)
    if narrow is not None:
        events = narrow(events)
    if refers_to_contexts(events.model):
        events = events.select_related(CONTEXT)
    return events.order_by("-pgh_id")


def _refers(tracking: Tracking, name: str, model: type[models.Model]) -> bool:
    remote = concrete_field(tracking.model, name).remote_field
    concrete: Any = remote and remote.model
    return bool(concrete and concrete._meta.concrete_model is model._meta.concrete_model)


def _cursor(
    before: Mapping[str, int | None],
    page: Sequence[tuple[Any, str]],
    merged: Sequence[tuple[Any, str]],
    sources: Mapping[str, Any],
) -> str:
    """Where the next page begins in each model; None where there is nothing more."""
    places = {**before}
    left = {name for _, name in merged[len(page) :]}
    for event, name in page:
        places[name] = event.pgh_id
    for name in sources:
        if name not in left:
            places[name] = None
    return urlsafe_b64encode(json.dumps(places).encode()).decode().rstrip("=")


def _places(after: str, sources: Mapping[str, Any]) -> dict[str, int | None]:
    if not after:
        return {}
    try:
        found = json.loads(urlsafe_b64decode(after + "=" * (-len(after) % 4)))
    except (ValueError, NotBase64) as error:
        raise NotTrackedError(f"{after!r} is no cursor of a timeline.") from error
    if (
        not isinstance(found, dict)
        or not found.keys() <= sources.keys()
        or not all(place is None or isinstance(place, int) for place in found.values())
    ):
        raise NotTrackedError(f"{after!r} is the cursor of another timeline.")
    return found
