"""Uniqueness among the rows that are not deleted."""

from __future__ import annotations

from typing import Any

from django.db import models

from pgtrigger.errors import DeclarationError
from pgtrigger_softdelete.mark import UNSET, Mark
from pgtrigger_softdelete.triggers import SoftDelete


def unique_among_live(
    *fields: str,
    name: str,
    soft_delete: SoftDelete | None = None,
    field: str | None = None,
    value: Any = False,
    live: Any = UNSET,
    **kwargs: Any,
) -> models.UniqueConstraint:
    """A constraint that live rows differ in some fields; deleted ones are not in the way.

    Args:
        *fields: the names of the fields.
        name: the name of the constraint.
        soft_delete: the model's SoftDelete; or, instead of it,
        field: the field that that is declared with,
        value: its value,
        live: and what the field holds on a live row, where the value is an expression.
        **kwargs: more arguments of Django's ``UniqueConstraint``; a ``condition`` is added.

    Raises:
        DeclarationError: neither or both of ``soft_delete`` and ``field``.

    Example::

        class Meta:
            triggers = [SoftDelete(name="soft_delete", field="is_active")]
            constraints = [unique_among_live("number", name="one_number", field="is_active")]

    PostgreSQL manual: "Partial Indexes".
    """
    if (soft_delete is None) == (field is None):
        raise DeclarationError(
            f'unique_among_live(name="{name}") takes either "soft_delete", the trigger, or the '
            f'"field" that it is declared with (and "value", where that is not False).'
        )
    mark = soft_delete.mark if soft_delete else Mark(str(field), value, live)
    condition = mark.live_q()
    if "condition" in kwargs:
        condition &= kwargs.pop("condition")
    return models.UniqueConstraint(fields=fields, name=name, condition=condition, **kwargs)
