"""The columns of a model's own table, as trigger declarations name and compare them."""

from __future__ import annotations

import functools
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import clauses, sql
from pgtrigger.errors import DeclarationError, FieldLookupError

# Types whose values Postgres cannot compare with "=", or compares by area or length only.
_COMPARED_AS_TEXT = frozenset(
    ["json", "jsonpath", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"]
)


@functools.cache
def offline_connection() -> BaseDatabaseWrapper:
    """A PostgreSQL connection object that is never connected: it only knows the dialect."""
    # Imported late: this loads the driver, which not everyone who imports pgtrigger needs.
    from django.db.backends.postgresql.base import (  # noqa: PLC0415  # see above
        DatabaseWrapper,
    )

    connection = DatabaseWrapper(
        {"NAME": "", "OPTIONS": {}, "TIME_ZONE": None, "CONN_HEALTH_CHECKS": False},
        alias="pgtrigger_offline",
    )
    # Some of Django's features ask the server for its version; answer for the oldest we serve.
    connection.__dict__["pg_version"] = 150000
    return connection


def concrete_field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    """Find the field of the model's own table that a declaration names.

    Args:
        model: the model whose trigger is being compiled.
        name: a field name, the ``fk_id`` form of a foreign key, or ``pk``.

    Raises:
        FieldLookupError: the model has no such field.
        DeclarationError: the field has no column in the table of this model.
    """
    options = model._meta
    try:
        found: Any = options.pk if name == "pk" else options.get_field(name)
    except FieldDoesNotExist:
        found = next((f for f in options.concrete_fields if f.attname == name), None)
    if found is None or (found.auto_created and not found.concrete):
        known = ", ".join(field.name for field in options.local_concrete_fields)
        raise FieldLookupError(
            f'Model "{options.label}" has no field "{name}". Its fields are: {known}.'
        )
    if found.many_to_many:
        raise DeclarationError(
            f'"{options.label}.{name}" is a many-to-many field: it has no column in '
            f'"{options.db_table}". Declare the trigger on its through model instead.'
        )
    if not found.concrete or found.column is None:
        raise DeclarationError(
            f'"{options.label}.{name}" has no column of its own in "{options.db_table}"; name '
            f"the fields that it is made of."
        )
    if found not in columns_of(model):
        raise DeclarationError(
            f'"{options.label}.{name}" is stored in the table of the parent model '
            f'"{found.model._meta.label}", which a trigger on "{options.db_table}" cannot see. '
            f"Declare the trigger on the parent model."
        )
    return found  # type: ignore[no-any-return]  # checked to be a concrete field


def columns_of(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """The fields that are columns of the model's own table (those of a parent's are not)."""
    concrete = model._meta.concrete_model or model
    return [f for f in concrete._meta.local_concrete_fields if f.column is not None]


def column_name(field: models.Field[Any, Any]) -> str:
    """The column of a field that has one."""
    assert field.column is not None
    return field.column


def column_named(name: str, model: type[models.Model]) -> str:
    """The column that a declaration names by its field, or by its own name.

    Raises `FieldLookupError` for what is neither.
    """
    try:
        return column_name(concrete_field(model, name))
    except FieldLookupError as error:
        if any(field.column == name for field in columns_of(model)):
            return name
        raise FieldLookupError(f"pgtrigger.UpdateOf({name!r}): {error}") from None


def on_columns(operation: clauses.Operation, model: type[models.Model]) -> clauses.Operation:
    """The operation, with the columns of the fields that an `UpdateOf` names."""
    if not isinstance(operation, clauses.UpdateOf):
        return operation
    return clauses.UpdateOf(*(column_named(name, model) for name in operation.columns))


def generated_columns(model: type[models.Model]) -> set[str]:
    """The columns that the database computes."""
    return {column_name(field) for field in columns_of(model) if is_generated(field)}


def is_generated(field: models.Field[Any, Any]) -> bool:
    """Whether the database computes this column (``GeneratedField``)."""
    return bool(getattr(field, "generated", False))


def comparable(field: models.Field[Any, Any], row: str) -> str:
    """The column of ``row`` in a form that ``IS DISTINCT FROM`` can compare."""
    column = f"{row}.{sql.quote(column_name(field))}"
    return column if has_equality(field) else f"{column}::text"


def has_equality(field: models.Field[Any, Any]) -> bool:
    """Whether Postgres can tell by ``=`` that two values of the column are the same."""
    kind = (field.db_type(offline_connection()) or "").lower()
    return kind.split("(")[0].rstrip("[]") not in _COMPARED_AS_TEXT
