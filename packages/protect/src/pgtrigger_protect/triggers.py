"""Protect refuses operations, ReadOnly refuses changes of columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pgtrigger
from pgtrigger import sql
from pgtrigger.clauses import Operation, UpdateOf, When
from pgtrigger.columns import comparable
from pgtrigger.composer import TABLES, rows_meet
from pgtrigger.conditions import Condition
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError


class Protect(pgtrigger.Composer):
    """Refuse an operation, on the rows that meet a condition.

    Rows that are allowed cost no function call: at row level the ``WHEN`` clause decides.

    Args (those of `pgtrigger.Trigger`, of which these matter):
        operation: what to refuse, combined with ``|``; ``Truncate`` works at either level. With a
            condition on the old row, a truncation is refused only if the table holds such a row.
        condition: on which rows to refuse it; on all by default.
        level: at `Statement` level, a bulk operation is checked once. A row whose primary key
            changes in the statement cannot be matched with its old self and is refused.

    Raises in the database:
        IntegrityError: ``Cannot <operation> rows from <table> table``, with the trigger's
            Postgres id as its constraint; `pgtrigger.violation` reads it.

    Example::

        pgtrigger.Protect(
            name="protect_published",
            operation=pgtrigger.Update | pgtrigger.Delete,
            condition=pgtrigger.Q(old__status="published"),
        )
    """

    when: When | None = pgtrigger.Before

    def get_when(self, model: Model, operation: str | None = None) -> When:
        # The transition tables, on which a statement's condition is checked, exist afterwards;
        # what a truncation removes is there only before.
        if (
            self.get_level() == pgtrigger.Statement
            and operation != "TRUNCATE"
            and self.get_condition(model) is not None
        ):
            return pgtrigger.After
        return super().get_when(model, operation)

    def refusal(self, model: Model) -> str:
        """The statement that refuses; subclasses say it in their words."""
        return pgtrigger.raise_violation(
            "pgtrigger: Cannot %s rows from %s table",
            "lower(TG_OP)",
            "TG_TABLE_NAME",
            hint=self.way_out(model),
        )

    def way_out(self, model: Model) -> str:
        """The hint that the refusal gives."""
        uri = self.get_uri(model)
        if not self.ignorable:
            return f'Trigger "{uri}" allows this to nobody.'
        return f'Where this is meant to happen, run it within pgtrigger.ignore("{uri}").'

    def render_func(self, model: Model) -> str:
        if self.func or self.get_level() != pgtrigger.Row:
            return super().render_func(model)
        assert self.operation is not None
        condition, names = self.get_condition(model), self.operation.names
        if condition is None or "TRUNCATE" not in names:
            return self.refusal(model)
        truncation = self._truncation(model, condition)
        if len(names) == 1:
            return truncation
        return f"IF TG_OP = 'TRUNCATE' THEN\n{truncation}\nEND IF;\n{self.refusal(model)}"

    def _render_for(self, model: Model, operation: Operation) -> str:
        condition = self.get_condition(model)
        if self.func:
            return super()._render_for(model, operation)
        if condition is None:
            return self.refusal(model)
        if operation.name == "TRUNCATE":
            return self._truncation(model, condition)
        if isinstance(operation, UpdateOf):
            raise self.refused(
                "Postgres shows a statement-level trigger no rows for pgtrigger.UpdateOf; say "
                "which columns matter by a condition such as pgtrigger.AnyChange",
                model,
            )
        self.refuse_missing_rows(model, sql.rows_used(condition.resolve(model)))
        met = rows_meet(model, condition, operation)
        return f"IF {met} THEN\n{self.refusal(model)}\nEND IF;\nRETURN NULL;"

    def _truncation(self, model: Model, condition: Condition) -> str:
        if "NEW" in sql.rows_used(condition.resolve(model)):
            return self.refusal(model)  # nothing to check it on: better refused than let through
        met = condition.resolve_rows(model, TABLES).replace("%", "%%")
        query = f"SELECT EXISTS (SELECT 1 FROM %I.%I AS {TABLES.old} WHERE {met})"
        return (
            "DECLARE\n    met BOOLEAN;\nBEGIN\n"
            f"    EXECUTE format({sql.string(query)}, TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO met;\n"
            f"    IF met THEN\n{self.refusal(model)}\n    END IF;\n    RETURN NULL;\nEND;"
        )


class ReadOnly(Protect):
    """Refuse updates that change columns.

    Args (besides those of `Protect`):
        fields: the names of the fields that cannot change; all without ``fields`` and ``exclude``.
        exclude: the names of the fields that can; all others cannot.
        condition: on which rows; on all by default.

    Raises:
        DeclarationError: both ``fields`` and ``exclude``.

    Raises in the database:
        IntegrityError: ``Cannot update rows from <table> table``, with the columns that were to
            change in the message and as the error's column.

    Example::

        pgtrigger.ReadOnly(name="fixed_author", fields=["author", "created_at"])
    """

    operation: Operation | None = pgtrigger.Update
    fields: Iterable[str] | None = None
    exclude: Iterable[str] | None = None

    def __init__(
        self,
        *,
        fields: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.fields = fields or self.fields
        self.exclude = exclude or self.exclude
        if self.fields and self.exclude:
            raise DeclarationError(
                f'{type(self).__name__} can have only one of "fields" and "exclude"; got '
                f"fields={self.fields!r} and exclude={self.exclude!r}."
            )
        super().__init__(**kwargs)

    def _change(self) -> pgtrigger.AnyChange:
        return pgtrigger.AnyChange(*(self.fields or ()), exclude=self.exclude)

    def read_only_fields(self, model: Model) -> list[Any]:
        """The fields of a model that cannot change."""
        return self._change().compared_fields(model)

    def get_condition(self, model: Model) -> Condition:
        """The change of a column, on the rows that the declared condition is about."""
        condition = super().get_condition(model)
        change = self._change()
        return change if condition is None else change & condition

    def refusal(self, model: Model) -> str:
        fields = self.read_only_fields(model)
        if self.get_level() == pgtrigger.Row:
            changed = ", ".join(
                f"CASE WHEN {comparable(field, 'OLD')} IS DISTINCT FROM {comparable(field, 'NEW')} "
                f"THEN {sql.string(field.column)} END"
                for field in fields
            )
            columns = f"array_to_string(ARRAY[{changed}], ', ')"
        else:
            columns = sql.string(", ".join(field.column for field in fields))
        return pgtrigger.raise_violation(
            "pgtrigger: Cannot update rows from %s table: %s is read-only",
            "TG_TABLE_NAME",
            columns,
            column=columns,
            hint=self.way_out(model),
        )
