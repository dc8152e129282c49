"""Asserting that a trigger refuses something."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Self

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from pgtrigger.catalog import INSTALLED
from pgtrigger.clauses import Operation
from pgtrigger.registry import registered
from pgtrigger.runtime import is_ignored
from pgtrigger.testing.blocks import Block
from pgtrigger.violations import Violation, ViolationError, violations_as_validation_errors


class raises_violation(Block):  # noqa: N801  # used like a function
    """Assert that a trigger refuses what the block does.

    A context manager, also an async one, for unittest and pytest. The block is a savepoint (or a
    transaction, where there is none yet), so the test can go on after it. Whether the code in the
    block lets the database's error through or a `ViolationError` makes no difference.

    Args:
        *uris: such as ``"shop.Order:protect"``, or globs, such as ``"shop.Order:*"``: the triggers
            one of which is to refuse. Any registered one without them.
        match: a regular expression that is found in the trigger's message.
        operation: the operation that is refused, such as `Delete`.
        immediate: whether deferred triggers and constraints are checked at the end of the block.
            By default they are if one of the named triggers has a ``timing``: a test that is
            rolled back comes to no commit. PostgreSQL manual: "SET CONSTRAINTS".
        atomic: whether the block is a savepoint or transaction. It must not be one around code
            with an ``atomic(durable=True)`` of its own.
        using: the alias of the database.

    Attributes:
        violation: what was refused; there after the block.

    Raises:
        TriggerUriError, TriggerNotFoundError: a URI that does not exist; at once.
        AssertionError (when the block ends): nothing was refused, or something else; or the
            database refused it without a trigger. Errors not of the database pass as they are.

    Example::

        with raises_violation("shop.Order:protect", operation=pgtrigger.Delete) as refused:
            order.delete()
        assert refused.violation.table == "shop_order"
    """

    def __init__(
        self,
        *uris: str,
        match: str | None = None,
        operation: Operation | None = None,
        immediate: bool | None = None,
        atomic: bool = True,
        using: str = DEFAULT_DB_ALIAS,
    ) -> None:
        self._pairs = registered(*uris)
        self._uris = uris
        self._match = match
        self._operation = operation
        self._using = using
        if immediate is None:
            immediate = bool(uris) and any(trigger.timing for _, trigger in self._pairs)
        self._immediate = immediate
        self._block = violations_as_validation_errors(
            using=using, atomic=atomic, immediate=immediate
        )
        self._found: Violation | None = None

    @property
    def violation(self) -> Violation:
        """What was refused."""
        if self._found is None:
            raise AttributeError("There is no violation before the end of the block.")
        return self._found

    def __enter__(self) -> Self:
        self._block.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        raised = error
        try:
            self._block.__exit__(kind, error, trace)
        except Exception as replaced:  # raised again, or told of
            raised = replaced
        match raised:
            case None:
                raise AssertionError(
                    f"Expected {self._expected()}, but nothing was refused.{self._why()}"
                )
            case ViolationError():
                self._check(raised.violation, raised.__cause__ or raised)
                self._found = raised.violation
                return True
            case DatabaseError():
                raise AssertionError(
                    f"Expected {self._expected()}, but the database raised an error that is none "
                    f"of a registered trigger: {type(raised).__name__}: {str(raised).strip()}"
                ) from raised
        return False

    def _check(self, found: Violation, cause: BaseException) -> None:
        problem = None
        if found.uri not in {trigger.get_uri(model) for model, trigger in self._pairs}:
            problem = f'"{found.uri}" refused'
        elif self._operation not in {None, found.operation}:
            problem = f"it refused {found.operation or 'an operation that it does not tell'}"
        elif self._match is not None and not re.search(self._match, found.message):
            problem = f'"{found.uri}" said something else'
        if problem:
            raise AssertionError(
                f"Expected {self._expected()}, but {problem}: {found.message}"
            ) from cause

    def _expected(self) -> str:
        names = " or ".join(f'"{uri}"' for uri in self._uris) or "a trigger"
        what = f" {self._operation}" if self._operation else ""
        text = f" with a message that matches {self._match!r}" if self._match is not None else ""
        return f"{names} to refuse{what}{text}"

    def _why(self) -> str:
        """What keeps the named triggers from firing, as far as that can be told."""
        connection = connections[self._using]
        if not self._uris or connection.needs_rollback:
            return ""
        reasons = []
        for model, trigger in self._pairs:
            uri = trigger.get_uri(model)
            status, enabled = trigger.get_installation_status(model, self._using)
            if status != INSTALLED:
                reasons.append(f'"{uri}" is {status} on database "{self._using}".')
            elif not enabled:
                reasons.append(f'"{uri}" is disabled on database "{self._using}".')
            elif is_ignored(uri, self._using):
                reasons.append(f'"{uri}" is ignored.')
        return "".join(f" {reason}" for reason in reasons)
