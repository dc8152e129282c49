"""The trigger type."""

from __future__ import annotations

from typing import Any, Unpack

from django.db import models

import pgtrigger
from pgtrigger.columns import concrete_field


class Stamp(pgtrigger.Trigger):
    """Write the time of the transaction into a field of each row that is inserted or updated.

    Django's ``auto_now`` does so only in ``save()``; this also holds for bulk updates and raw SQL.

    Args (besides those of `pgtrigger.Trigger`):
        field: the name of a date or datetime field.
        operation: ``Insert | Update`` by default.
        condition: on which rows; on all by default.

    Raises:
        DeclarationError: without ``field``.

    Example::

        pgtrigger.Stamp(
            name="shipped",
            field="shipped_at",
            operation=pgtrigger.Update,
            condition=pgtrigger.AnyChange("status") & pgtrigger.Q(new__status="shipped"),
        )
    """

    when = pgtrigger.Before
    operation = pgtrigger.Insert | pgtrigger.Update
    field: str | None = None

    def __init__(
        self, *, field: str | None = None, **kwargs: Unpack[pgtrigger.TriggerArguments]
    ) -> None:
        self.field = field or self.field
        super().__init__(**kwargs)

    def validate(self) -> None:
        super().validate()
        if not self.field:
            raise self.refused('a Stamp must have "field", the name of the field to write')

    def stamped_field(self, model: type[models.Model]) -> models.Field[Any, Any]:
        """The field that is written; `FieldLookupError` if the model does not have it."""
        return concrete_field(model, str(self.field))

    def get_func(self, model: type[models.Model]) -> pgtrigger.Func:
        name = self.stamped_field(model).name
        return pgtrigger.Func(f"NEW.{{columns.{name}}} = now(); RETURN NEW;")
