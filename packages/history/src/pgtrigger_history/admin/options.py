"""HistoryAdmin: the timeline of an object, deleted objects, and putting back what was."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import update_wrapper
from typing import Any

from django.contrib.admin.options import ModelAdmin
from django.db import router
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from pgtrigger_history.admin.deletions import deletion_tracking
from pgtrigger_history.admin.pages import deleted_page, timeline_page
from pgtrigger_history.admin.reversals import revert_page
from pgtrigger_history.admin.viewers import Viewer


class HistoryAdmin(ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """A base, before ``ModelAdmin``, for the admin of a tracked model.

    The page "History" of an object is its timeline, from which it can be put back as it was. The
    list has a link to the objects that are gone, and those can be restored.

    Attributes:
        history_related: whether a timeline has the events of what belongs to the object, too, as
            ``timeline(obj, related=True)`` has. Of models that the viewer may see.
        history_per_page: how many events, or deleted objects, a page has.
        history_exclude: the names of fields whose values are not shown, besides those in
            ``exclude``.
        history_partial: whether objects with fields that are not tracked can be put back: those
            fields stay as they are.

    Example::

        @admin.register(Order)
        class OrderAdmin(HistoryAdmin, admin.ModelAdmin):
            history_related = True
    """

    history_related: bool = False
    history_per_page: int = 50
    history_exclude: Sequence[str] = ("password",)
    history_partial: bool = False

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        own = [
            path("deleted/", self._wrap(self.deleted_view), name=f"{name}_deleted"),
            path(
                "<path:object_id>/history/<str:event_model>/<int:event_id>/revert/",
                self._wrap(self.revert_view),
                name=f"{name}_revert",
            ),
        ]
        return [*own, *super().get_urls()]

    def _wrap(self, view: Callable[..., HttpResponse]) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return self.admin_site.admin_view(view)(*args, **kwargs)

        return update_wrapper(wrapped, view)

    # --- What a project may decide otherwise -------------------------------------------------

    def has_revert_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this user may put an object back: by default, who may change it.

        Args:
            request: the user's.
            obj: the object; None for one that is gone, which is for those who may add one.
        """
        if obj is None:
            return bool(self.has_add_permission(request))
        return bool(self.has_change_permission(request, obj))

    def get_history_exclude(self, request: HttpRequest) -> Collection[str]:
        """The names of the fields whose values this user is not shown."""
        return {*(self.get_exclude(request) or ()), *self.history_exclude}

    def get_deleted_events(self, request: HttpRequest) -> Any:
        """The events among which this user may see objects that are gone: by default, all.

        Override it where ``get_queryset()`` keeps objects from some users: what is gone is in no
        queryset. Returns an `EventQuerySet`, or None where deletions are not recorded.
        """
        tracking = deletion_tracking(self.model)
        return None if tracking is None else tracking.all_events(router.db_for_read(self.model))

    # --- Pages --------------------------------------------------------------------------------

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        response: Any = super().changelist_view(request, extra_context)
        values: Any = getattr(response, "context_data", None)
        is_list = isinstance(response, TemplateResponse) and values and "cl" in values
        if is_list and self.get_deleted_events(request) is not None:
            # Whichever template the list has, with one link more.
            values["pgh_list"] = response.resolve_template(response.template_name)
            response.template_name = "pgtrigger_history/change_list.html"
        return response

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The timeline of an object, also of one that is gone."""
        viewer = Viewer(self, request)
        found = viewer.find(object_id)
        if found is None:
            return self._not_found(request, object_id)
        return timeline_page(viewer, found, extra_context)

    def deleted_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The objects that are gone."""
        return deleted_page(Viewer(self, request), extra_context)

    def revert_view(
        self, request: HttpRequest, object_id: str, event_model: str, event_id: int
    ) -> Any:
        """Asks whether to put an object back as an event has it, and does so."""
        viewer = Viewer(self, request)
        found = viewer.find(object_id)
        if found is None:
            return self._not_found(request, object_id)
        return revert_page(viewer, found, event_model, event_id)

    def _not_found(self, request: HttpRequest, object_id: str) -> Any:
        own: Any = self
        return own._get_obj_does_not_exist_redirect(request, self.opts, object_id)
