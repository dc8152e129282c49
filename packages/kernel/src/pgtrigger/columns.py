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


# The types of Postgres itself, as Django writes them: their operators are in pg_catalog.
_BUILT_IN = frozenset(
    """
    smallint integer bigint serial bigserial smallserial real double_precision numeric decimal
    boolean text varchar char bpchar character character_varying uuid bytea date time
    time_with_time_zone time_without_time_zone timetz timestamp timestamp_with_time_zone
    timestamp_without_time_zone timestamptz interval inet cidr macaddr macaddr8 jsonb json xml
    jsonpath tsvector tsquery money bit bit_varying varbit oid xid8 point line lseg box path
    polygon circle int4range int8range numrange daterange tsrange tstzrange int4multirange
    int8multirange nummultirange datemultirange tsmultirange tstzmultirange
    """.split()  # noqa: SIM905  # reads better than fifty quoted words
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
    return column if has_equality(field) else f"{column}::pg_catalog.text"


def is_built_in(field: models.Field[Any, Any]) -> bool:
    """Whether the column has a type of Postgres itself, rather than of an extension or one's own.

    >>> is_built_in(models.CharField(max_length=20)), is_built_in(models.IntegerField())
    (True, True)
    """
    return _type_name(field).replace(" ", "_") in _BUILT_IN


def equal(field: models.Field[Any, Any], left: str, right: str) -> str:
    """``left = right`` for values of a field, in a function that runs on any search path.

    The operator is named with its schema where that is known: somebody else's may be a better
    match. PostgreSQL manual: "Type Conversion", operators.

    >>> equal(models.IntegerField(), "a", "b")
    'a OPERATOR(pg_catalog.=) b'
    """
    return f"{left} {sql.EQUAL if is_built_in(field) else '='} {right}"


def same(field: models.Field[Any, Any], left: str, right: str) -> str:
    """``left IS NOT DISTINCT FROM right``, in a function that runs on any search path.

    ``IS DISTINCT FROM`` always takes its operator from the search path.

    >>> same(models.IntegerField(), "a", "b")
    'coalesce(a OPERATOR(pg_catalog.=) b, a IS NULL AND b IS NULL)'
    """
    if not is_built_in(field):
        return f"{left} IS NOT DISTINCT FROM {right}"
    return f"coalesce({equal(field, left, right)}, {left} IS NULL AND {right} IS NULL)"


def differs(field: models.Field[Any, Any], left: str, right: str) -> str:
    """``left IS DISTINCT FROM right``, in a function that runs on any search path."""
    if not is_built_in(field):
        return f"{left} IS DISTINCT FROM {right}"
    return f"NOT {same(field, left, right)}"


def has_equality(field: models.Field[Any, Any]) -> bool:
    """Whether Postgres can tell by ``=`` that two values of the column are the same."""
    return _type_name(field) not in _COMPARED_AS_TEXT


def _type_name(field: models.Field[Any, Any]) -> str:
    """The type of the column, or of the elements of an array, without length or precision."""
    kind = (field.db_type(offline_connection()) or "").lower()
    return kind.split("(")[0].split("[")[0].strip()
