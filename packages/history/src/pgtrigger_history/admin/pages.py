"""The timeline of an object, and the list of those that are gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseRedirect

from pgtrigger_history.admin.deletions import last_deletions
from pgtrigger_history.admin.filters import FilterForm
from pgtrigger_history.admin.references import text_of
from pgtrigger_history.admin.rows import Rows, context_of
from pgtrigger_history.admin.viewers import Found, Viewer
from pgtrigger_history.errors import NotTrackedError
from pgtrigger_history.timelines import Entry, Narrow, timeline
from pgtrigger_history.trackings import Tracking


def timeline_page(viewer: Viewer, found: Found, extra: dict[str, Any] | None) -> Any:
    """The events of an object, the latest first."""
    request, admin = viewer.request, viewer.admin
    trackings, is_all = viewer.trackings()
    form = FilterForm(request.GET, trackings, viewer.hidden)
    wanted = form.narrow(found.obj) if form.is_valid() else None
    after = request.GET.get("after", "")
    try:
        page = timeline(
            model=viewer.model,
            key=found.obj.pk,
            related=admin.history_related,
            size=admin.history_per_page,
            after=after,
            narrow=wanted if is_all else _among(trackings, wanted),
            using=found.obj._state.db,
        )
    except NotTrackedError as error:
        if not after:
            raise
        admin.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(request.path)
    may_revert = admin.has_revert_permission(request, found.present)

    def revert_url(entry: Entry) -> str:
        return viewer.revert_url(found.obj, entry.tracking, entry.event) if may_revert else ""

    entries = [*page] if form.is_valid() else []
    rows = Rows(request, viewer.site, viewer.model, viewer.hidden).of(entries, revert_url)
    older = request.GET.copy()
    older["after"] = page.cursor
    values = {
        "title": f"History: {found.name}",
        "object": found.obj,
        "object_name": found.name,
        "is_there": found.is_there,
        "form": form,
        "people": sorted({row.who.search for row in rows if row.who is not None}),
        "rows": rows,
        "older": f"?{older.urlencode()}" if page.cursor and entries else "",
        "after": after,
        **(extra or {}),
    }
    return viewer.page("timeline.html", values, admin.object_history_template)


def _among(trackings: Sequence[Tracking], wanted: Narrow | None) -> Narrow:
    def narrow(events: Any) -> Any:
        if events.tracking not in trackings:
            return events.none()
        return events if wanted is None else wanted(events)

    return narrow


def deleted_page(viewer: Viewer, extra: dict[str, Any] | None) -> Any:
    """The objects that are gone, the latest first."""
    request, admin = viewer.request, viewer.admin
    if not admin.has_view_or_change_permission(request):
        raise PermissionDenied
    events = admin.get_deleted_events(request)
    if events is None:
        raise Http404(f'The deletions of "{viewer.opts.label}" are not recorded.')
    size, before = admin.history_per_page, _key(request)
    found = last_deletions(events, size=size + 1, before=before)
    shown = found[:size]
    people = Rows(request, viewer.site, viewer.model, viewer.hidden).people(
        context_of(event)[0] for event in shown
    )
    may_restore = admin.has_revert_permission(request)
    rows = []
    for event in shown:
        obj = event.as_object()
        if not admin.has_view_or_change_permission(request, obj):
            continue
        user, _ = context_of(event)
        restore = viewer.revert_url(obj, events.tracking, event) if may_restore else ""
        rows.append(
            {
                "name": text_of(obj),
                "event": event,
                "who": None if user is None else people.person(user),
                "url": viewer.url("history", obj),
                "revert_url": restore,
            }
        )
    values = {
        "title": f"Deleted {viewer.opts.verbose_name_plural}",
        "rows": rows,
        "before": before,
        "older": f"?before={shown[-1].pgh_id}" if len(found) > size else "",
        **(extra or {}),
    }
    return viewer.page("deleted.html", values)


def _key(request: HttpRequest) -> int | None:
    text = request.GET.get("before", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise Http404(f"{text!r} is not the key of an event.")
    return int(text)
