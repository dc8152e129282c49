"""Turns a database error that a trigger raised into who, what and where.

PostgreSQL manual: "PL/pgSQL", ``RAISE`` and its options; "libpq", ``PQresultErrorField``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pgtrigger.clauses import Delete, Insert, Operation, Truncate, Update
from pgtrigger.declaration import Model
from pgtrigger.registry import registered
from pgtrigger.trigger import Trigger


@dataclass(frozen=True, kw_only=True)
class Violation:
    """What a trigger refused.

    Args:
        model: the model that the trigger is declared on.
        trigger: the declaration.
        uri: the trigger's ``app_label.Model:name``.
        operation: the refused one, if the trigger says it.
        message: what the trigger says, without position and context.
        hint: what it advises.
        schema: where the row is.
        table: the table, or the partition.
        column: the column at fault, if one is meant.
    """

    model: Model
    trigger: Trigger
    uri: str
    operation: Operation | None
    message: str
    hint: str
    schema: str
    table: str
    column: str


_OPERATIONS = {operation.name: operation for operation in (Insert, Update, Delete, Truncate)}


def _diagnostics(error: BaseException | None) -> Any:
    while error is not None:
        diagnostics = getattr(error, "diag", None)
        if diagnostics is not None:
            return diagnostics
        error = error.__cause__ or error.__context__
    return None


def violation(error: BaseException) -> Violation | None:
    """Tell which trigger raised a database error.

    Args:
        error: such as the ``django.db.IntegrityError`` of a save.

    Returns:
        The violation, or None if no registered trigger raised it.

    Example::

        try:
            order.delete()
        except IntegrityError as error:
            if found := pgtrigger.violation(error):
                print(found.uri, found.message)
    """
    diagnostics = _diagnostics(error)
    if diagnostics is None or not diagnostics.constraint_name:
        return None
    for model, trigger in _triggers_called(diagnostics.constraint_name, diagnostics.table_name):
        return Violation(
            model=model,
            trigger=trigger,
            uri=trigger.get_uri(model),
            operation=_OPERATIONS.get(diagnostics.message_detail or ""),
            message=diagnostics.message_primary or "",
            hint=diagnostics.message_hint or "",
            schema=diagnostics.schema_name or "",
            table=diagnostics.table_name or "",
            column=diagnostics.column_name or "",
        )
    return None


def _triggers_called(pgid: str, table: str | None) -> list[tuple[Model, Trigger]]:
    # Compiling tells the further Postgres triggers of a declaration, but only the first is
    # needed almost always.
    found = [
        (model, trigger) for model, trigger in registered() if trigger.get_pgid(model) == pgid
    ] or [
        (model, trigger)
        for model, trigger in registered()
        if pgid.startswith(f"pgtrigger_{trigger.name}_".lower())
        and pgid in trigger.compile(model).pgids
    ]
    # Five digits may collide between tables; a partition, though, has a name of its own.
    exact = [pair for pair in found if pair[0]._meta.db_table == table]
    return exact or found
