"""What the values of a page refer to, looked up together: one query for each model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.sites import AdminSite
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models, router
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


class References:
    """The objects that foreign keys point to.

    Args:
        pairs: fields, and their values in events; other fields are passed over.
        event: one of the events; what they refer to is in the same database, unless a router
            knows better.
    """

    def __init__(
        self, pairs: Iterable[tuple[models.Field[Any, Any], Any]], event: models.Model
    ) -> None:
        wanted: dict[tuple[type[models.Model], str], set[Any]] = {}
        for field, value in pairs:
            if isinstance(field, models.ForeignKey) and value is not None:
                wanted.setdefault(_target(field), set()).add(value)
        self._names = {
            (model, name): {
                getattr(obj, name): text_of(obj)
                for obj in model._base_manager.using(
                    router.db_for_read(model, instance=event)
                ).filter(**{f"{name}__in": values})
            }
            for (model, name), values in wanted.items()
        }

    def text(self, field: models.ForeignKey[Any, Any], value: Any) -> str:
        """The name of an object and its key; of one that is gone, that it is."""
        name = self._names[_target(field)].get(value)
        if name is None:
            return f"{value} (gone)"
        return name if name.endswith(f"({value})") else f"{name} ({value})"


def _target(field: models.ForeignKey[Any, Any]) -> tuple[type[models.Model], str]:
    return field.related_model, field.target_field.attname


def text_of(obj: models.Model) -> str:
    """An object's own name, where what that needs is still there."""
    try:
        # A plain text again, which is escaped, if a model says that its own is safe.
        return "".join([str(obj)])
    except ObjectDoesNotExist:
        return f"{obj._meta.verbose_name} {obj.pk}"


@dataclass(frozen=True)
class Person:
    """Who made a change.

    Args:
        name: the user's name; what the context has, if that is no user.
        search: what the filter finds this person by.
        full_name: the user's, if there is one.
        url: the page of the user, if the viewer may see it.
    """

    name: str
    search: str
    full_name: str = ""
    url: str = ""


class People:
    """The users of a page.

    Args:
        keys: what contexts have of them.
    """

    def __init__(self, keys: Iterable[str], request: HttpRequest, site: AdminSite) -> None:
        self._request, self._site = request, site
        model = get_user_model()
        values = {}
        for key in {*keys}:
            try:
                values[model._meta.pk.to_python(key)] = key
            except (ValidationError, ValueError):
                continue  # no user, but a word such as "cron"
        users = model._base_manager.filter(pk__in=[*values]) if values else ()
        self._known = {values[user.pk]: user for user in users}

    def person(self, key: str) -> Person:
        """Whom a key is of."""
        user: Any = self._known.get(key)
        if user is None:
            return Person(key, key)
        name = user.get_username()
        full_name = user.get_full_name() if hasattr(user, "get_full_name") else ""
        return Person(name, name, full_name if full_name != name else "", self._url(user))

    def _url(self, user: Any) -> str:
        return object_url(self._request, self._site, user, "change")


def object_url(request: HttpRequest, site: AdminSite, obj: models.Model, page: str) -> str:
    """A page of an object, if the viewer may see it; nothing else.

    Args:
        request: the viewer's.
        site: the admin.
        obj: the object.
        page: such as ``"change"`` or ``"history"``.
    """
    model = type(obj)
    if not site.is_registered(model):
        return ""
    if not site.get_model_admin(model).has_view_or_change_permission(request, obj):
        return ""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    try:
        return reverse(name, args=[quote(obj.pk)], current_app=site.name)
    except NoReverseMatch:  # the admin of that model has other pages
        return ""
