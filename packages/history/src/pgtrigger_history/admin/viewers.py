"""Who looks at the history, and what this user may see."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from django.contrib.admin.options import ModelAdmin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst

from pgtrigger.declaration import Model
from pgtrigger_history.admin.references import text_of
from pgtrigger_history.timelines import timeline_trackings
from pgtrigger_history.trackings import Tracking, trackings_of


class Found(NamedTuple):
    """An object, as it is, or as it was when it went."""

    obj: Any
    is_there: bool

    @property
    def present(self) -> Any:
        """The object, if it is still there."""
        return self.obj if self.is_there else None

    @property
    def name(self) -> str:
        """What it is called."""
        return text_of(self.obj)


class Viewer:
    """A user at a page of the history.

    Args:
        admin: a `HistoryAdmin`.
        request: the user's.
    """

    def __init__(self, admin: Any, request: HttpRequest) -> None:
        self.admin, self.request = admin, request
        self.site, self.model, self.opts = admin.admin_site, admin.model, admin.opts
        self._hidden: dict[Model, Collection[str]] = {}

    def find(self, object_id: str) -> Found | None:
        """The object of a page. None if there never was one; 403 if the user may not see it."""
        there = self.admin.get_object(self.request, unquote(object_id))
        obj = self._find_deleted(unquote(object_id)) if there is None else there
        if obj is None:
            return None
        if not self.admin.has_view_or_change_permission(self.request, obj):
            raise PermissionDenied
        return Found(obj, there is not None)

    def _find_deleted(self, object_id: str) -> Any:
        events = self.admin.get_deleted_events(self.request)
        if events is None:
            return None
        try:
            key = self.opts.pk.to_python(object_id)
            # What is there, and in no queryset of this user's, is not for this user.
            if self.model._base_manager.using(events.db).filter(pk=key).exists():
                return None
            last = events.of(key).order_by("-pgh_id").first()
        except (ValidationError, ValueError):
            return None
        return None if last is None else last.as_object()

    def is_own(self, tracking: Tracking) -> bool:
        """Whether events are those of the model of the page."""
        return not tracking.owner and tracking.model._meta.db_table == self.opts.db_table

    def own_tracking(self, event_model: str) -> Tracking:
        """What the events of a model are, by its label. 404 if they are not of this page's."""
        for tracking in trackings_of(self.model):
            if self.is_own(tracking) and tracking.event_model._meta.label_lower == event_model:
                return tracking
        raise Http404(f'"{event_model}" has no events of "{self.opts.label}".')

    def trackings(self) -> tuple[Sequence[Tracking], bool]:
        """What a timeline shows this user, and whether that is all there is."""
        whole = timeline_trackings(self.model, related=self.admin.history_related)
        visible = [tracking for tracking in whole if self._may_see(tracking)]
        return visible, len(visible) == len(whole)

    def _may_see(self, tracking: Tracking) -> bool:
        model: Any = tracking.owner[0] if tracking.owner else tracking.model
        if model._meta.db_table == self.opts.db_table:
            return True
        if self.site.is_registered(model):
            admin: ModelAdmin[Any] = self.site.get_model_admin(model)
            return bool(admin.has_view_or_change_permission(self.request))
        label, name = model._meta.app_label, model._meta.model_name
        user: Any = self.request.user
        return any(user.has_perm(f"{label}.{what}_{name}") for what in ("view", "change"))

    def hidden(self, model: Model) -> Collection[str]:
        """The names of the fields of a model whose values this user is not shown."""
        if model not in self._hidden:
            self._hidden[model] = self._excluded(model)
        return self._hidden[model]

    def _excluded(self, model: Model) -> Collection[str]:
        admin: Any = self.admin
        if model._meta.db_table != self.opts.db_table:
            if not self.site.is_registered(model):
                return {*admin.history_exclude}
            admin = self.site.get_model_admin(model)
        if hasattr(admin, "get_history_exclude"):
            return {*admin.get_history_exclude(self.request)}
        return {*(admin.get_exclude(self.request) or ()), *self.admin.history_exclude}

    def url(self, page: str, obj: Any, *arguments: Any) -> str:
        """The URL of a page of an object of the model."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"
        return reverse(name, args=[quote(obj.pk), *arguments], current_app=self.site.name)

    def revert_url(self, obj: Any, tracking: Tracking, event: Any) -> str:
        """The page that asks whether to put an object back; nothing for the events of others."""
        if not self.is_own(tracking):
            return ""
        return self.url("revert", obj, tracking.event_model._meta.label_lower, event.pgh_id)

    def page(self, template: str, values: dict[str, Any], own: str | None = None) -> Any:
        """A page of the admin.

        Args:
            template: its template in ``pgtrigger_history/``; a project's own may be in
                ``pgtrigger_history/<app>/<model>/``.
            values: what it shows.
            own: a template that comes before these.
        """
        request: Any = self.request
        request.current_app = self.site.name  # for {% url %}
        values = {
            **self.site.each_context(self.request),
            "opts": self.opts,
            "module_name": capfirst(str(self.opts.verbose_name_plural)),
            "subtitle": None,
            **values,
        }
        name = f"{self.opts.app_label}/{self.opts.model_name}"
        names = [f"pgtrigger_history/{name}/{template}", f"pgtrigger_history/{template}"]
        return TemplateResponse(self.request, own or names, values)
