"""The Django admin of a soft-deleted model. Django manual: "The Django admin site"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import ModelAdmin
from django.contrib.admin.utils import model_ngettext
from django.core.exceptions import PermissionDenied
from django.template import engines
from django.template.response import TemplateResponse

from pgtrigger_softdelete.deletion import required_soft_delete
from pgtrigger_softdelete.managers import SoftDeleteQuerySet

# Not a file: the package need not be an installed app.
_CONFIRMATION: Final = """\
{% extends "admin/base_site.html" %}
{% load admin_urls %}
{% block content %}
{% if problems %}
<p>These keep the selected {{ items }} from being really deleted:</p>
<ul>{{ problems|unordered_list }}</ul>
{% else %}
<p>Really delete the selected {{ items }}? They cannot be restored. With them go:</p>
<ul>{{ objects|unordered_list }}</ul>
<form method="post">{% csrf_token %}
{% for row in queryset %}
<input type="hidden" name="{{ checkbox }}" value="{{ row.pk }}">
{% endfor %}
<input type="hidden" name="action" value="hard_delete_selected">
<input type="hidden" name="post" value="yes">
<input type="submit" value="Yes, really delete them">
</form>
{% endif %}
{% endblock %}
"""

_REALLY: Final = "pgtrigger_softdelete_really"


class DeletedFilter(admin.SimpleListFilter):
    """Which rows the list shows: live ones, unless one asks for more."""

    title = "deleted"
    parameter_name = "deleted"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Deleted"), ("all", "All")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            is_default = choice["query_string"] == changelist.get_query_string(
                remove=[self.parameter_name]
            )
            yield {**choice, "display": "Live"} if is_default else choice

    def queryset(self, request: Any, queryset: Any) -> Any:
        match self.value():
            case "yes":
                return queryset.deleted()
            case "all":
                return queryset
        return queryset.active()


class SoftDeleteAdminMixin(ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """A base, before ``ModelAdmin``, for the admin of a model with a SoftDelete.

    The list shows live rows, and deleted ones on request. Two actions restore rows and really
    delete them, after asking. Restoring needs the permission to change, really deleting what
    `has_hard_delete_permission` says. A row that is deleted cannot be deleted again.

    Example::

        @admin.register(Order)
        class OrderAdmin(SoftDeleteAdminMixin, admin.ModelAdmin): ...
    """

    actions = ("restore_selected", "hard_delete_selected")

    def get_queryset(self, request: Any) -> Any:
        """All rows, deleted or not, whatever the default manager shows."""
        rows: SoftDeleteQuerySet[Any] = SoftDeleteQuerySet(self.model)
        ordering = self.get_ordering(request)
        return rows.order_by(*ordering) if ordering else rows

    def get_list_filter(self, request: Any) -> Any:
        return [DeletedFilter, *super().get_list_filter(request)]

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        allowed = bool(super().has_delete_permission(request, obj))
        return allowed and (hasattr(request, _REALLY) or not self._is_deleted(obj))

    def has_hard_delete_permission(self, request: Any) -> bool:
        """Whether this user may really delete rows: by default, who may delete them."""
        allowed: bool = super().has_delete_permission(request)
        return allowed

    def delete_model(self, request: Any, obj: Any) -> None:
        """Delete one row, as a queryset does."""
        self.get_queryset(request).filter(pk=obj.pk).delete()

    def _is_deleted(self, obj: Any) -> bool:
        if obj is None or obj.pk is None:
            return False
        deleted = required_soft_delete(self.model).mark.deleted_q()
        found: bool = self.model._base_manager.filter(deleted, pk=obj.pk).exists()
        return found

    @admin.action(description="Restore selected %(verbose_name_plural)s", permissions=["change"])
    def restore_selected(self, request: Any, queryset: Any) -> None:
        """Make the selected rows live again, with the children that went with them."""
        rows = [*queryset.deleted()]
        count = SoftDeleteQuerySet(self.model).filter(pk__in=[row.pk for row in rows]).restore()
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, change_message="Restored.")
        self._say(request, f"Restored {count} {model_ngettext(self.opts, count)}.")

    @admin.action(
        description="Really delete selected %(verbose_name_plural)s", permissions=["hard_delete"]
    )
    def hard_delete_selected(self, request: Any, queryset: Any) -> Any:
        """Really delete the selected rows and what goes with them, after asking."""
        setattr(request, _REALLY, True)  # for the admin of each model that goes along
        objects, _, missing, protected = self.get_deleted_objects(queryset, request)
        if request.POST.get("post") and not protected:
            if missing:
                raise PermissionDenied
            count = len(queryset)
            self.log_deletions(request, queryset)
            queryset.hard_delete()
            self._say(request, f"Really deleted {count} {model_ngettext(self.opts, count)}.")
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Are you sure?",
            "items": model_ngettext(queryset),
            "objects": [objects],
            "problems": [*protected, *(f"Your account may not delete: {name}" for name in missing)],
            "queryset": queryset,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
            "opts": self.opts,
        }
        return TemplateResponse(request, engines["django"].from_string(_CONFIRMATION), context)

    def _say(self, request: Any, text: str) -> None:
        self.message_user(request, text, messages.SUCCESS)
