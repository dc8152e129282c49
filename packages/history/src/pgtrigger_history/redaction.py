"""Taking data out of the events of an object, such as those of one person.

PostgreSQL manual: "UPDATE"; "WITH Queries", data-modifying statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import connections, models, router, transaction

from pgtrigger import sql
from pgtrigger.columns import column_name, has_equality
from pgtrigger.declaration import Model
from pgtrigger_history.body import CONTEXT_ID
from pgtrigger_history.errors import NotTrackedError, RedactionError
from pgtrigger_history.fields import ARCHIVE, GONE_SQL, KEY, OLD_PREFIX, PREFIX, has_archive
from pgtrigger_history.filling import Filling, event_columns
from pgtrigger_history.maintenance import maintenance
from pgtrigger_history.snapshots import context_queries, context_value
from pgtrigger_history.trackings import Tracking, trackings_of

LABEL: Final = "redact"


def redact(
    obj: models.Model | type[models.Model],
    key: Any = None,
    *,
    fields: Sequence[str] | Mapping[str, Any],
    using: str | None = None,
) -> int:
    """Remove what the events of an object tell of some of its fields.

    The object itself is not changed: change it first, or an event that is yet to come tells the
    values again. That it has happened is told by an event with the label ``redact``, which has the
    state of the last one and the `context` of the call. Tables of events are changed in one
    transaction, and must belong to the role that does it.

    Args:
        obj: the object; or its model, with the ``key`` of an object that may be gone.
        key: the primary key.
        fields: the names of the fields, which become NULL; or what each is to be instead.
        using: the database; by default the one that the object is from.

    Returns:
        How many events told something else.

    Raises:
        NotTrackedError: no events tell of such a field.
        RedactionError: a field of the primary key; a value that the field cannot have.

    Example::

        with pgtrigger_history.context(reason="request 4711"):
            pgtrigger_history.redact(customer, fields=["name", "email"])
    """
    model = obj if isinstance(obj, type) else type(obj)
    if isinstance(obj, models.Model):
        key = obj.pk
    if key is None:
        raise TypeError("redact() takes an object, or a model and a key.")
    database = using or getattr(getattr(obj, "_state", None), "db", None)
    database = database or router.db_for_write(model)
    values = fields if isinstance(fields, Mapping) else dict.fromkeys(fields)
    found = [tracking for tracking in trackings_of(model) if not tracking.owner]
    _refuse(model, found, values)
    with maintenance([database]), transaction.atomic(using=database):
        return sum(_redact(tracking, key, values, database) for tracking in found)


def _refuse(model: Model, found: Sequence[Tracking], values: Mapping[str, Any]) -> None:
    known = {name for tracking in found for name in _redactable(tracking)}
    keys = {field.name for field in model._meta.pk_fields}
    for name in values:
        if name in keys:
            raise RedactionError(
                f'"{model._meta.label}.{name}" is of the primary key, by which events are found.'
            )
        if name not in known and not any(has_archive(t.event_model) for t in found):
            raise NotTrackedError(
                f'No events tell of "{model._meta.label}.{name}". They tell of: '
                f"{', '.join(sorted(known - keys)) or 'nothing'}."
            )


def _redactable(tracking: Tracking) -> dict[str, list[models.Field[Any, Any]]]:
    """The fields of the events by the fields that they tell of."""
    found: dict[str, list[models.Field[Any, Any]]] = {}
    for field in tracking.event_model._meta.concrete_fields:
        name = field.name.removeprefix(OLD_PREFIX)
        if field.name.startswith(OLD_PREFIX) or not field.name.startswith(PREFIX):
            found.setdefault(name, []).append(field)
    return found


def _redact(tracking: Tracking, key: Any, values: Mapping[str, Any], database: str) -> int:
    connection = connections[database]
    table = _relation(tracking)
    where = " AND ".join(f"{_quote(tracking.column(name))} = %s" for name in tracking.key)
    keys = _key(tracking.model, key, connection)
    sets, differs = [], []
    known = _redactable(tracking)
    new: list[Any] = []
    for name, value in values.items():
        for field in known.get(name, ()):
            column = _quote(column_name(field))
            tells = f"{column} IS NOT NULL"
            if value is not None and has_equality(field):
                tells += f" AND {column} IS DISTINCT FROM %s"
            # What tells nothing goes on telling nothing.
            sets.append(f"{column} = CASE WHEN {column} IS NULL THEN {column} ELSE %s END")
            differs.append((f"({tells})", _prepared(field, value, connection), tells.count("%s")))
            new.append(differs[-1][1])
    if has_archive(tracking.event_model):
        sets.append(f"{ARCHIVE} = {ARCHIVE} - %s::text[]")
        differs.append((f"{ARCHIVE} ?| %s::text[]", [*values], 1))
        new.append([*values])
    if not sets:
        return 0
    told = " OR ".join(condition for condition, _, _ in differs)
    compared = [value for _, value, count in differs for _ in range(count)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {', '.join(sets)} WHERE {where} AND ({told})",
            [*new, *keys, *compared],
        )
        changed = int(cursor.rowcount)
        if changed:
            cursor.execute(_record_sql(tracking, where), keys)
    return changed


def _record_sql(tracking: Tracking, where: str) -> str:
    """Write an event that has the state of the last one of the object."""
    filling = Filling(tracking.model, tracking.event_model, LABEL)
    stores = filling.context == CONTEXT_ID
    operation = f"CASE WHEN last.pgh_operation IN {GONE_SQL} THEN last.pgh_operation ELSE '' END"
    said = filling.said(operation, context_value(stores=stores))
    columns = {column_name(f): f.name for f in event_columns(tracking.event_model)}
    values = ", ".join(said.get(n, f"last.{_quote(column)}") for column, n in columns.items())
    return (
        f"WITH {context_queries(stores=stores)}, last AS (SELECT * FROM {_relation(tracking)} "
        f"WHERE {where} ORDER BY {KEY} DESC LIMIT 1) INSERT INTO {_relation(tracking)} "
        f"({', '.join(map(_quote, columns))}) SELECT {values} FROM last"
    )


def _key(model: Model, key: Any, connection: Any) -> list[Any]:
    fields = model._meta.pk_fields
    values = [*key] if len(fields) > 1 else [key]
    if len(values) != len(fields):
        raise RedactionError(
            f'The primary key of "{model._meta.label}" has {len(fields)} values; got {key!r}.'
        )
    return [_prepared(f, value, connection) for f, value in zip(fields, values, strict=True)]


def _prepared(field: Any, value: Any, connection: Any) -> Any:
    while field.remote_field is not None:
        field = field.target_field
    try:
        return field.get_db_prep_save(None if value is None else field.to_python(value), connection)
    except (TypeError, ValueError, ValidationError) as error:
        raise RedactionError(f'"{field}" cannot be {value!r}: {error}') from error


def _relation(tracking: Tracking) -> str:
    return sql.quote_relation(tracking.event_model._meta.db_table).replace("%", "%%")


def _quote(column: str) -> str:
    return sql.quote(column).replace("%", "%%")
