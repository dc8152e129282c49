"""The columns of an event: those of every event, and copies of the tracked ones.

PostgreSQL manual: "Object Identifier Types" for ``xid8``; "System Information Functions".
"""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields.proxy import OrderWrt

from pgtrigger import sql

PREFIX: Final = "pgh_"
OLD_PREFIX: Final = "pgh_old_"
KEY: Final = "pgh_id"
OBJECT: Final = "pgh_obj"
CONTEXT: Final = "pgh_context"
ARCHIVE: Final = "pgh_archive"

# The operations after which an object is not there any more; and the same as a list in SQL.
GONE: Final = ("DELETE", "TRUNCATE")
GONE_SQL: Final = f"({', '.join(map(sql.string, GONE))})"

# What a copy of a tracked column has not: its values may repeat, are nobody's key, are what the
# row had and not what a new one would get, and are not there in events from before the column.
_DROPPED: Final = (
    "auto_now",
    "auto_now_add",
    "db_column",
    "db_comment",
    "db_default",
    "db_index",
    "db_tablespace",
    "default",
    "editable",
    "error_messages",
    "help_text",
    "primary_key",
    "serialize",
    "unique",
    "unique_for_date",
    "unique_for_month",
    "unique_for_year",
    "validators",
)


def context_field(event_model: type[models.Model]) -> Any:
    """The field of the events with their context, or None; a foreign key, or JSON."""
    try:
        return event_model._meta.get_field(CONTEXT)
    except FieldDoesNotExist:
        return None


def refers_to_contexts(event_model: type[models.Model]) -> bool:
    """Whether the contexts of the events are in their own table."""
    field = context_field(event_model)
    return field is not None and bool(field.remote_field)


class TransactionIdField(models.Field):  # type: ignore[type-arg]  # at run time it has none
    """The number of a transaction, as ``pg_current_xact_id()`` has it: an ``xid8``."""

    description = "The number of a transaction"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "xid8"

    def from_db_value(self, value: Any, *args: Any) -> int | None:
        return None if value is None else int(value)

    def get_prep_value(self, value: Any) -> str | None:
        # A text without a type, which the server reads as what it is compared with.
        return None if value is None else str(int(value))

    def to_python(self, value: Any) -> int | None:
        return None if value is None else int(value)


def has_archive(model: type[models.Model]) -> bool:
    """Whether events of a model keep values of fields that were removed."""
    return any(field.name == ARCHIVE for field in model._meta.concrete_fields)


def copy_of(field: models.Field[Any, Any], app_label: str) -> models.Field[Any, Any]:
    """A field with the type of a tracked one, for its values in events.

    Foreign keys stay foreign keys, without a constraint: what they point to may be deleted.
    A generated field becomes one of the type that it generates.

    Args:
        field: the tracked field.
        app_label: the app of its model, in which a foreign key may name another model.
    """
    column, field = field.db_column, _ungenerated(field)
    if field.remote_field is not None:
        return _reference(field, app_label, column)
    _, _, args, kwargs = field.deconstruct()
    for key in _DROPPED:
        kwargs.pop(key, None)
    kind = _plain_type(field)
    if kind is not type(field):
        args = []
        kwargs = {key: value for key, value in kwargs.items() if key in _UNDERSTOOD}
    kwargs |= {"null": True, "blank": True, "db_column": column}
    return kind(*args, **kwargs)


_UNDERSTOOD: Final = ("verbose_name", "upload_to", "storage", "max_length")


def _ungenerated(field: Any) -> models.Field[Any, Any]:
    while getattr(field, "generated", False):
        field = field.output_field
    plain: models.Field[Any, Any] = field
    return plain


def _plain_type(field: models.Field[Any, Any]) -> type[models.Field[Any, Any]]:
    """The class of a field, but for those that do something of their own accord."""
    if isinstance(field, models.ImageField):
        return models.FileField  # an image reads its file to know its size
    if isinstance(field, OrderWrt):
        return models.IntegerField
    numbers: dict[str, type[models.Field[Any, Any]]] = {
        "AutoField": models.IntegerField,
        "SmallAutoField": models.SmallIntegerField,
        "BigAutoField": models.BigIntegerField,
    }
    return numbers.get(field.get_internal_type(), type(field))


def _reference(
    field: models.Field[Any, Any], app_label: str, column: str | None
) -> models.ForeignKey[Any, Any]:
    # Not deconstructed: that asks for all models, which are being loaded.
    remote: Any = field.remote_field
    model, to_field = remote.model, remote.field_name
    if isinstance(model, str):
        model = model if "." in model else f"{app_label}.{model}"
    else:
        to_field = None if to_field == model._meta.pk.name else to_field
        model = model._meta.label
    return models.ForeignKey(
        model,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
        related_name="+",
        to_field=to_field,
        db_column=column,
        verbose_name=getattr(field, "_verbose_name", None),
    )
