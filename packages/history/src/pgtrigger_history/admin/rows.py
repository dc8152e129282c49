"""The events of a page, as the templates show them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.sites import AdminSite
from django.db import models
from django.http import HttpRequest

from pgtrigger.declaration import Model
from pgtrigger_history.admin.references import People, Person, References, object_url
from pgtrigger_history.admin.values import NOT_SHOWN, cut, exactly, shown, shown_in_context
from pgtrigger_history.events import Change
from pgtrigger_history.fields import CONTEXT, GONE
from pgtrigger_history.timelines import Entry
from pgtrigger_history.trackings import Tracking, link_names

Hidden = Callable[[Model], Collection[str]]
FieldChange = tuple["models.Field[Any, Any]", Change]


@dataclass(frozen=True)
class Line:
    """What one field was and what it became."""

    name: str
    old: str
    new: str


@dataclass(frozen=True)
class Subject:
    """The object of an event that is not the one of the page."""

    name: str
    url: str


@dataclass(frozen=True)
class Row:
    """An event.

    Args:
        event: the event itself.
        what: what happened, in a word.
        who: who did it, if that is known.
        context: the rest of the context.
        lines: what has changed.
        is_whole: whether the lines are a whole object, that came or went.
        subject: what it happened to, if not to the object of the page.
        revert_url: the page that asks whether to revert to it, if the viewer may.
    """

    event: Any
    what: str
    who: Person | None
    context: Sequence[tuple[str, str]]
    lines: Sequence[Line]
    is_whole: bool
    subject: Subject | None
    revert_url: str


WORDS = {
    "INSERT": "added",
    "UPDATE": "changed",
    "DELETE": "deleted",
    "TRUNCATE": "deleted with all others",
}
_LINKS = {"INSERT": "added to", "DELETE": "removed from", "TRUNCATE": "removed from"}


def context_of(event: Any) -> tuple[str | None, list[tuple[str, str]]]:
    """The user that the context of an event names, and what else it says."""
    stored = getattr(event, CONTEXT, None)
    data = getattr(stored, "data", stored)  # of a row in the table of contexts, or inline
    if not isinstance(data, dict):
        return None, [] if data is None else [("context", shown_in_context(data))]
    user = data.get("user")
    rest = [(key, shown_in_context(value)) for key, value in data.items() if key != "user"]
    return None if user is None else shown_in_context(user), rest


def lines_of(changes: Sequence[FieldChange], hidden: Hidden, references: References) -> list[Line]:
    """Changes, as people read them.

    Args:
        changes: fields of a tracked model, and what they were and are.
        hidden: the names of the fields of a model whose values are not to be shown.
        references: what the values refer to.
    """
    found = []
    for field, (old, new) in changes:
        name = str(field.verbose_name)
        if field.name in hidden(field.model):
            found.append(Line(name, NOT_SHOWN, NOT_SHOWN))
            continue
        texts = [
            references.text(field, value)
            if isinstance(field, models.ForeignKey) and value is not None
            else shown(value, field)
            for value in (old, new)
        ]
        if texts[0] == texts[1]:
            texts = [exactly(value) for value in (old, new)]
        found.append(Line(name, *cut(*texts)))
    return found


class Rows:
    """Makes rows for a viewer.

    Args:
        request: the viewer's.
        site: the admin.
        model: the model of the page; events of others say what they are about.
        hidden: as for `lines_of`.
    """

    def __init__(self, request: HttpRequest, site: AdminSite, model: Model, hidden: Hidden) -> None:
        self._request, self._site, self._model, self._hidden = request, site, model, hidden

    def of(self, entries: Sequence[Entry], revert_url: Callable[[Entry], str]) -> list[Row]:
        """One row for each entry, in a few queries however many there are."""
        if not entries:
            return []
        changes = [_changes(entry) for entry in entries]
        references = References(
            ((field, value) for each in changes for field, change in each for value in change),
            entries[0].event,
        )
        contexts = [context_of(entry.event) for entry in entries]
        people = self.people(user for user, _ in contexts)
        return [
            Row(
                event=entry.event,
                what=_word(entry),
                who=None if user is None else people.person(user),
                context=rest,
                lines=lines_of(each, self._hidden, references),
                is_whole=entry.event.pgh_operation != "UPDATE" and not entry.tracking.owner,
                subject=self._subject(entry),
                revert_url=revert_url(entry),
            )
            for entry, each, (user, rest) in zip(entries, changes, contexts, strict=True)
        ]

    def people(self, keys: Iterable[str | None]) -> People:
        """The users of some contexts, in one query."""
        return People([key for key in keys if key is not None], self._request, self._site)

    def _subject(self, entry: Entry) -> Subject | None:
        model = entry.tracking.model
        if entry.tracking.owner or model._meta.db_table == self._model._meta.db_table:
            return None
        values = [getattr(entry.event, name) for name in entry.tracking.key]
        key = values[0] if len(values) == 1 else tuple(values)
        name = f"{model._meta.verbose_name} {', '.join(map(str, values))}"
        url = object_url(self._request, self._site, model(pk=key), "history")
        return Subject(name, url)


def _changes(entry: Entry) -> list[FieldChange]:
    tracking, event = entry.tracking, entry.event
    fields = {field.name: field for field in tracking.fields()}
    if tracking.owner:
        _, theirs = link_names(*tracking.owner)
        field = fields[theirs]
        value = getattr(event, field.attname)
        gone = event.pgh_operation in GONE
        return [(field, Change(value, None) if gone else Change(None, value))]
    if event.pgh_operation in GONE:
        # What went: the row that the event has.
        values = {name: getattr(event, field.attname) for name, field in fields.items()}
        changed = {name: Change(value, None) for name, value in values.items() if value is not None}
    else:
        changed = {**entry.changes}
    return [(fields[name], change) for name, change in changed.items()]


def _word(entry: Entry) -> str:
    operation = entry.event.pgh_operation
    if entry.tracking.owner:
        return f"{_LINKS.get(operation, 'recorded in')} {_link_name(entry.tracking)}"
    return WORDS.get(operation, "recorded")


def _link_name(tracking: Tracking) -> str:
    assert tracking.owner is not None
    model, name = tracking.owner
    return str(model._meta.get_field(name).verbose_name)  # type: ignore[union-attr]  # no reverse one
