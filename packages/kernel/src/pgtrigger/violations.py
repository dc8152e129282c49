"""Turns a database error that a trigger raised into who, what and where; and that into words.

PostgreSQL manual: "PL/pgSQL", ``RAISE`` and its options; "libpq", ``PQresultErrorField``;
"SET CONSTRAINTS". Django manual: "Form and field validation".
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ParamSpec, Self, TypeVar, cast

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction

from pgtrigger.clauses import Delete, Insert, Operation, Truncate, Update
from pgtrigger.columns import columns_of
from pgtrigger.declaration import Model
from pgtrigger.registry import registered
from pgtrigger.trigger import Trigger

P = ParamSpec("P")
R = TypeVar("R")


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


class ViolationError(ValidationError):
    """What a trigger refused, as forms understand it.

    It is a ``ValidationError`` of fields: the message is the trigger's, under the fields whose
    columns it names, and otherwise under ``__all__``. Each message has the code ``pgtrigger``, and
    `Violation`'s ``uri``, ``message``, ``hint``, ``table`` and ``column`` as its ``params``.

    Args:
        violation: what the trigger said; it is kept as an attribute.
    """

    def __init__(self, violation: Violation) -> None:
        self.violation = violation
        names = ("uri", "message", "hint", "table", "column")
        refusal = ValidationError(
            "%(message)s",  # the text itself may hold a percent sign
            code="pgtrigger",
            params={name: getattr(violation, name) for name in names},
        )
        super().__init__({name: [refusal] for name in _fields_at_fault(violation)})


def _fields_at_fault(violation: Violation) -> list[str]:
    names = {field.column: field.name for field in columns_of(violation.model)}
    if violation.column in names:
        return [names[violation.column]]
    # A trigger on several columns names all that are at fault.
    columns = violation.column.split(", ")
    return [names[c] for c in columns] if names.keys() >= {*columns} else [NON_FIELD_ERRORS]


class violations_as_validation_errors:  # noqa: N801  # used like a function
    """Turn what triggers refuse into a ``ValidationError``, for forms and the like.

    A context manager, an async one, and a decorator. Whatever type of trigger raises through
    `raise_violation` is understood. Other errors pass as they are. The block is a transaction, or
    a savepoint within one, so it is rolled back as a whole and the connection stays usable.

    In asynchronous code, where Django has no transactions, it is none: each statement is one.

    Args:
        using: the alias of the database.
        atomic: whether the block is a transaction or savepoint.
        immediate: whether deferred triggers and constraints are checked at the end of the block
            even if an outer transaction goes on. Otherwise that is when the outermost one commits,
            and within the block only if it is the outermost.

    Raises (when the block ends):
        ViolationError: a trigger has refused; the database's error is its ``__cause__``.

    Example::

        with pgtrigger.violations_as_validation_errors():
            order.delete()
    """

    def __init__(
        self, *, using: str = DEFAULT_DB_ALIAS, atomic: bool = True, immediate: bool = False
    ) -> None:
        self._block = functools.partial(_block, using, atomic=atomic, immediate=immediate)
        self._entered: list[AbstractContextManager[None]] = []

    def __enter__(self) -> Self:
        block = self._block()
        block.__enter__()
        self._entered.append(block)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._entered.pop().__exit__(*exc_info)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            _refuse(error)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if asyncio.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapped_coroutine(*args: Any, **kwargs: Any) -> Any:
                async with self:
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", wrapped_coroutine)

        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            # Not self: several threads may call at once.
            with self._block():
                return function(*args, **kwargs)

        return wrapped


@contextmanager
def _block(using: str, *, atomic: bool, immediate: bool) -> Iterator[None]:
    around: AbstractContextManager[Any] = (
        transaction.atomic(using=using) if atomic else nullcontext()
    )
    try:
        with around:
            yield
            if immediate:
                check_deferred(using)
    except Exception as error:  # raised again
        _refuse(error)
        raise


def _refuse(error: BaseException) -> None:
    # Not what somebody has raised *because of* the database's error: they have seen to it.
    by_driver = error.__cause__ if isinstance(error, DatabaseError) else error
    if by_driver is None or not hasattr(by_driver, "diag"):
        return
    if found := violation(by_driver):
        raise ViolationError(found) from error


def check_deferred(using: str) -> None:
    """Check now what the transaction has deferred: constraint triggers, and foreign keys."""
    connection = connections[using]
    if connection.vendor != "postgresql" or not connection.in_atomic_block:
        return
    if not connection.needs_rollback:  # nothing is going to be committed
        connection.check_constraints()
