"""Putting an object back as an event has it: what that would change, and doing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.formats import localize
from django.utils.timezone import is_aware, localtime

from pgtrigger.columns import is_generated
from pgtrigger_history.admin.references import References
from pgtrigger_history.admin.rows import FieldChange, lines_of
from pgtrigger_history.admin.viewers import Found, Viewer
from pgtrigger_history.context import context
from pgtrigger_history.errors import HistoryError, NotTrackedError
from pgtrigger_history.events import Change
from pgtrigger_history.reverting import refuse_unknown
from pgtrigger_history.trackings import Tracking


class Reversal:
    """The difference between the present and an event.

    Args:
        tracking: the tracking of the event.
        event: the event.
    """

    def __init__(self, tracking: Tracking, event: Any) -> None:
        self.tracking, self.event = tracking, event
        self.read()

    def read(self, *, lock: bool = False) -> None:
        """Look at the object; with ``lock``, it stays as it is until the transaction ends."""
        tracking = self.tracking
        rows = tracking.model._base_manager.using(self.event._state.db)
        if lock:
            rows = rows.select_for_update(of=("self",))
        key = {ours: getattr(self.event, theirs) for ours, theirs in tracking.key_pairs}
        self.present: Any = rows.filter(**key).first()

    @property
    def changes(self) -> Sequence[FieldChange]:
        """What differs, now and then."""
        found = []
        for field in self.tracking.fields():
            now = getattr(self.present, field.attname, None)
            then = getattr(self.event, field.attname)
            if now != then and not is_generated(field):
                found.append((field, Change(now, then)))
        return found

    @property
    def digest(self) -> str:
        """Tells whether the object is still as it was when somebody was asked."""
        found: list[Any] = []
        if self.present is not None:
            for field in self.tracking.model._meta.concrete_fields:
                value = getattr(self.present, field.attname)
                found.append(bytes(value) if isinstance(value, memoryview) else value)
        return salted_hmac(__name__, repr(found), algorithm="sha256").hexdigest()

    def is_of(self, digest: str) -> bool:
        """Whether the object is as it was when this digest was made."""
        return constant_time_compare(self.digest, digest)


def revert_page(viewer: Viewer, found: Found, event_model: str, event_id: int) -> Any:
    """Asks whether to put an object back, and does so."""
    request, admin = viewer.request, viewer.admin
    if not admin.has_revert_permission(request, found.present):
        raise PermissionDenied
    tracking = viewer.own_tracking(event_model)
    events = tracking.all_events(found.obj._state.db).of(found.obj)
    event = events.filter(pgh_id=event_id).first()
    if event is None:
        raise Http404(f"There is no event {event_id} of this object.")
    if request.method == "POST":
        return _revert(viewer, found, Reversal(tracking, event))
    reversal, problem = Reversal(tracking, event), ""
    try:
        refuse_unknown(tracking, partial=admin.history_partial)
    except NotTrackedError as error:
        problem = str(error)
    changes = reversal.changes
    told = References(((field, value) for field, change in changes for value in change), event)
    return viewer.page(
        "revert.html",
        {
            "title": "Put back as it was?" if found.is_there else "Restore?",
            "object": found.obj,
            "object_name": found.name,
            "is_there": found.is_there,
            "event": event,
            "lines": lines_of(changes, viewer.hidden, told),
            "untracked": [str(field.verbose_name) for field in tracking.untracked()],
            "problem": problem,
            "digest": reversal.digest,
            "history_url": viewer.url("history", found.obj),
        },
    )


def _revert(viewer: Viewer, found: Found, reversal: Reversal) -> HttpResponse:
    request, admin, event = viewer.request, viewer.admin, reversal.event
    created_at = event.pgh_created_at
    moment = localize(localtime(created_at) if is_aware(created_at) else created_at)
    name = f"{viewer.opts.verbose_name} “{found.name}”"
    log = admin.log_change if found.is_there else admin.log_addition
    try:
        with (
            context(user=request.user.pk, reverted_to=event.pgh_id),
            transaction.atomic(using=event._state.db),
        ):
            reversal.read(lock=True)
            if not reversal.is_of(request.POST.get("present", "")):
                text = f"The {name} has changed in the meantime. This is what would change now."
                admin.message_user(request, text, messages.WARNING)
                return HttpResponseRedirect(request.path)
            obj = event.revert(partial=admin.history_partial)
            log(request, obj, f"Put back to event {event.pgh_id} ({moment}).")
    except (HistoryError, DatabaseError) as error:
        admin.message_user(request, _brief(error), messages.ERROR)
    else:
        done = "put back" if found.is_there else "restored"
        text = f"The {name} was {done}, as event {event.pgh_id} has it ({moment})."
        admin.message_user(request, text, messages.SUCCESS)
    return HttpResponseRedirect(viewer.url("history", found.obj))


def _brief(error: Exception) -> str:
    """What the database says, without where in its functions it says it."""
    first, *rest = str(error).splitlines()
    return " ".join([first, *(line for line in rest if line.startswith("DETAIL:"))])
