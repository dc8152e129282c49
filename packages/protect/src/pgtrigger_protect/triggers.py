"""Protect and AppendOnly refuse operations, ReadOnly refuses changes of columns."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import pgtrigger
from pgtrigger import sql
from pgtrigger.clauses import Operation, UpdateOf, When
from pgtrigger.columns import comparable, differs
from pgtrigger.composer import TABLES, rows_meet
from pgtrigger.conditions import Condition
from pgtrigger.confinement import path_for
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError
from pgtrigger.functions import way_out
from pgtrigger_protect import wording


class ProtectArguments(pgtrigger.ComposerArguments, total=False):
    """The keyword arguments of `Protect`, for types that pass them on."""

    message: str | None
    hint: str | None


class Protect(pgtrigger.Composer):
    """Refuse an operation, on the rows that meet a condition.

    Rows that are allowed cost no function call: at row level the ``WHEN`` clause decides.

    Args (those of `pgtrigger.Trigger`, of which these matter):
        operation: what to refuse, combined with ``|``; ``Truncate`` works at either level. With a
            condition on the old row, a truncation is refused only if the table holds such a row.
        condition: on which rows to refuse it; on all by default.
        level: at `Statement` level, a bulk operation is checked once. A row whose primary key
            changes in the statement cannot be matched with its old self and is refused.
        message: what the refusal says instead. ``{columns.<field>}`` is a value of the row that
            is refused, ``{old.<field>}`` and ``{new.<field>}`` of the row before and after,
            ``{operation}`` and ``{table}`` what their names say.
        hint: what the person who is refused can do instead, with the same places.

    Raises:
        DeclarationError: a place that does not exist; at `Statement` level, one that shows a row.

    Raises in the database:
        IntegrityError: the message, or ``Cannot <operation> rows from <table> table``, with the
            trigger's Postgres id as its constraint; `pgtrigger.violation` reads it.

    Example::

        pgtrigger.Protect(
            name="protect_published",
            operation=pgtrigger.Update | pgtrigger.Delete,
            condition=pgtrigger.Q(old__status="published"),
        )
    """

    when: When | None = pgtrigger.Before
    message: str | None = None
    hint: str | None = None

    def __init__(
        self,
        *,
        message: str | None = None,
        hint: str | None = None,
        **kwargs: Unpack[pgtrigger.ComposerArguments],
    ) -> None:
        self.message = message or self.message
        self.hint = hint or self.hint
        super().__init__(**kwargs)

    def validate(self) -> None:
        super().validate()
        for text in (self.message, self.hint):
            if text and wording.reads_row(text) and self.get_level() == pgtrigger.Statement:
                raise self.refused(
                    f"{text!r} shows a row, and a statement-level trigger refuses many at once"
                )

    def get_search_path(self, model: Model) -> Sequence[str]:
        if self.search_path or self.func or not self._looks_at_rows(model):
            return self.search_path
        condition = self.get_condition(model)
        assert condition is not None  # as it looks at rows
        return path_for([condition], model)

    def _looks_at_rows(self, model: Model) -> bool:
        """Whether its function evaluates the condition, which has no WHEN clause to stand in."""
        assert self.operation is not None
        if self.get_condition(model) is None:
            return False
        return self.get_level() == pgtrigger.Statement or "TRUNCATE" in self.operation.names

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
        return self._refuse(model, "pgtrigger: Cannot {operation} rows from {table} table")

    def _refuse(
        self, model: Model, message: str, *, changed: str = "", column: str | None = None
    ) -> str:
        row = self.get_level() == pgtrigger.Row
        said = wording.render(self.message or message, model, changed=changed, row=row)
        hint = sql.string(self.way_out(model))
        if self.hint:
            hint = wording.render(self.hint, model, changed=changed, row=row).expression
        return pgtrigger.raise_violation(
            said.template, *said.arguments, hint_expression=hint, column=column
        )

    def _refusal_of_truncation(self, model: Model) -> str:
        # It fires for the statement, and has no row to show.
        truncating = copy.copy(self)
        truncating.level = pgtrigger.Statement
        return truncating.refusal(model)

    @property
    def _shows_row(self) -> bool:
        return any(wording.reads_row(text) for text in (self.message, self.hint) if text)

    def way_out(self, model: Model) -> str:
        """The hint that the refusal gives by itself."""
        return way_out(self.get_uri(model), ignorable=self.ignorable)

    def render_func(self, model: Model) -> str:
        if self.func or self.get_level() != pgtrigger.Row:
            return super().render_func(model)
        assert self.operation is not None
        condition, names = self.get_condition(model), self.operation.names
        if "TRUNCATE" not in names or (condition is None and not self._shows_row):
            return self.refusal(model)
        truncation = self._refusal_of_truncation(model)
        if condition is not None:
            truncation = self._truncation(model, condition)
        if len(names) == 1:
            return truncation
        truncates = "TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE'"
        return f"IF {truncates} THEN\n{truncation}\nEND IF;\n{self.refusal(model)}"

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
            # Nothing to check it on: better refused than let through.
            return self._refusal_of_truncation(model)
        refusal = self._refusal_of_truncation(model)
        met = condition.resolve_rows(model, TABLES).replace("%", "%%")
        query = f"SELECT EXISTS (SELECT 1 FROM %I.%I AS {TABLES.old} WHERE {met})"
        return (
            "DECLARE\n    met BOOLEAN;\nBEGIN\n"
            f"    EXECUTE pg_catalog.format({sql.string(query)}, TG_TABLE_SCHEMA, TG_TABLE_NAME)\n"
            "        INTO met;\n"
            f"    IF met THEN\n{refusal}\n    END IF;\n    RETURN NULL;\nEND;"
        )


class AppendOnly(Protect):
    """Refuse to change and to delete what has been inserted: updates, deletes and truncations.

    Arguments are those of `Protect`, whose ``operation`` is given.

    Raises in the database:
        IntegrityError: as `Protect` does.

    Example::

        pgtrigger.AppendOnly(name="append_only")
    """

    operation: Operation | None = pgtrigger.Update | pgtrigger.Delete | pgtrigger.Truncate


class ReadOnly(Protect):
    """Refuse updates that change columns.

    Args (besides those of `Protect`):
        fields: the names of the fields that cannot change; all without ``fields`` and ``exclude``.
        exclude: the names of the fields that can; all others cannot.
        condition: on which rows; on all by default.
        message, hint: as in `Protect`; ``{changed}`` is the columns that were to change.

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
        **kwargs: Unpack[ProtectArguments],
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
                f"CASE WHEN {differs(field, comparable(field, 'OLD'), comparable(field, 'NEW'))} "
                f"THEN {sql.string(field.column)} END"
                for field in fields
            )
            columns = f"pg_catalog.array_to_string(ARRAY[{changed}], ', ')"
        else:
            columns = sql.string(", ".join(field.column for field in fields))
        said = "pgtrigger: Cannot update rows from {table} table: {changed} is read-only"
        return self._refuse(model, said, changed=columns, column=columns)
