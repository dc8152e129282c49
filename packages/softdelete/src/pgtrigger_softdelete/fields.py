"""The field in which a row remembers with which parent it was soft-deleted."""

from __future__ import annotations

from typing import Any

from django.db import models


class DeletedWithField(models.TextField):  # type: ignore[type-arg]  # generic only in the stubs
    """Which parent took this row along, such as ``shop.Order:5``; NULL if none did.

    `SoftDelete` writes it, for the ``cascade_field`` that it names.

    Example::

        deleted_with = DeletedWithField()

    Django manual: "Writing custom model fields".
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        defaults = {"null": True, "blank": True, "editable": False, "default": None}
        super().__init__(*args, **{**defaults, **kwargs})
