"""Which events of a timeline a viewer asks for: by whom, of which label, changing which field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lead

from pgtrigger.lookups import IsDistinctFrom
from pgtrigger_history.admin.rows import Hidden
from pgtrigger_history.errors import NotTrackedError
from pgtrigger_history.fields import KEY
from pgtrigger_history.timelines import Narrow
from pgtrigger_history.trackings import Tracking

NOBODY: Final = "(nobody)"


class FilterForm(forms.Form):
    """What the filter has.

    Args:
        data: the query of the URL.
        trackings: what the timeline is made of, and the viewer may see.
        hidden: the names of the fields of a model whose values are not to be shown.
    """

    user = forms.CharField(
        required=False,
        max_length=254,
        widget=forms.TextInput(attrs={"list": "pgh-users", "autocomplete": "off"}),
    )
    label = forms.ChoiceField(required=False)
    field = forms.ChoiceField(required=False, label="Changed field")

    def __init__(self, data: Any, trackings: Sequence[Tracking], hidden: Hidden) -> None:
        super().__init__({name: data[name] for name in self.base_fields if name in data})
        labels = dict.fromkeys(event.label for each in trackings for event in each.events)
        self._set_choices("label", [(label, label) for label in labels])
        names: dict[str, str] = {}
        for each in trackings:
            if each.owner:
                model, name = each.owner
                field: Any = model._meta.get_field(name)
                names.setdefault(name, str(field.verbose_name))
                continue
            for field in each.fields():
                if not field.primary_key and field.name not in hidden(field.model):
                    names.setdefault(field.name, str(field.verbose_name))
        self._set_choices("field", [*names.items()])

    def _set_choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field: Any = self.fields[name]
        field.choices = [("", "all"), *choices]

    def narrow(self, obj: models.Model) -> Narrow | None:
        """What `timeline` of an object takes, if anything is asked for. The form must be valid."""
        wanted = {name: value for name, value in self.cleaned_data.items() if value}
        if not wanted:
            return None
        user = wanted.get("user")
        key = None if user in (None, NOBODY) else _key_of(user)

        def narrow(events: Any) -> Any:
            if user is not None:
                events = _by(events, key)
            if label := wanted.get("label"):
                events = events.labelled(label)
            if field := wanted.get("field"):
                events = _changing(events, field, obj)
            return events

        return narrow

    @property
    def is_used(self) -> bool:
        """Whether anything is asked for."""
        return any(self.data.values())


def _key_of(name: str) -> Any:
    """The key of the user of this name; else the text, which a context may have as it is."""
    model: Any = get_user_model()
    user = model._base_manager.filter(**{model.USERNAME_FIELD: name}).first()
    return name if user is None else user.pk


def _by(events: Any, key: Any) -> Any:
    try:
        return events.by(key)
    except NotTrackedError:  # they store no context
        return events if key is None else events.none()


def _changing(events: Any, field: str, obj: models.Model) -> Any:
    tracking: Tracking = events.tracking
    if tracking.owner:
        return events if tracking.owner[1] == field else events.none()
    known = {each.name: each.attname for each in tracking.fields()}
    if field not in known:
        return events.none()
    if tracking.model._meta.db_table != obj._meta.db_table:
        return events.changing(field)
    # Of one object: its events are read once, however many there are and few that change it.
    latest_first = models.F(KEY).desc()
    changing = (
        tracking.all_events(events.db)
        .of(obj)
        .alias(
            _before=models.Window(Lead(KEY), order_by=latest_first),
            _value=models.Window(Lead(known[field]), order_by=latest_first),
        )
        .filter(
            Q(pgh_operation="INSERT")
            | Q(_before__isnull=False)
            & Q(IsDistinctFrom(models.F(known[field]), models.F("_value")))
        )
    )
    return events.filter(pgh_id__in=changing.values(KEY))
