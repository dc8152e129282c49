"""How the values of fields and contexts are shown. What comes out is escaped by the templates."""

from __future__ import annotations

import datetime
import json
from typing import Any, Final

from django.contrib.admin.utils import display_for_field
from django.db import models
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from django.utils.hashable import make_hashable
from django.utils.html import format_html
from django.utils.translation import gettext

NONE: Final = format_html("<em>{}</em>", "none")
EMPTY: Final = format_html("<em>{}</em>", "empty")
NOT_SHOWN: Final = format_html("<em>{}</em>", "not shown")
LONGEST: Final = 2000
_BEFORE_DIFFERENCE: Final = 100
_BYTES: Final = 32


def shown(value: Any, field: models.Field[Any, Any]) -> str:
    """The value of a field, as people read it.

    Args:
        value: the value, as an event has it.
        field: the field of the tracked model.
    """
    if isinstance(value, FieldFile):
        value = value.name
    if value is None:
        return NONE
    if isinstance(value, bytes | memoryview):
        return _bytes(bytes(value))
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    if value == "":
        return EMPTY
    if field.flatchoices:
        choices = dict(make_hashable(field.flatchoices))
        # What is no choice any more was one then.
        return str(choices.get(make_hashable(value), value))
    found = display_for_field(value, field, "", avoid_link=True)
    return str(found) if found else str(value)


def exactly(value: Any) -> str:
    """A value to the last digit, where the usual form of two values is the same."""
    if isinstance(value, datetime.datetime) and timezone.is_aware(value):
        value = timezone.localtime(value).replace(tzinfo=None)
    return str(bytes(value) if isinstance(value, memoryview) else value)


def shown_in_context(value: Any) -> str:
    """A value of a context, on one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(text, text)[0]


def cut(old: str, new: str) -> tuple[str, str]:
    """Two texts, shortened to where they differ if they are long."""
    if max(len(old), len(new)) <= LONGEST:
        return old, new
    length = min(len(old), len(new))
    same = next((place for place in range(length) if old[place] != new[place]), length)
    start = 0 if old == new else max(same - _BEFORE_DIFFERENCE, 0)
    return _part(old, start), _part(new, start)


def _part(text: str, start: int) -> str:
    if len(text) <= LONGEST and not start:
        return text
    part = text[start : start + LONGEST]
    before = "…" if start and part else ""
    after = "…" if start + LONGEST < len(text) else ""
    return f"{before}{part}{after} ({len(text)} characters)"


def _bytes(value: bytes) -> str:
    if not value:
        return EMPTY
    rest = "…" if len(value) > _BYTES else ""
    return f"{value[:_BYTES].hex(' ')}{rest} ({len(value)} bytes)"
