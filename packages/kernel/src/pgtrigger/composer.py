"""One declaration for row and statement level.

At statement level the condition is compiled against the transition tables, in a form that stays
linear in the number of rows whatever plan the session has cached. PostgreSQL manual: "CREATE
TRIGGER", ``REFERENCING``; "PL/pgSQL", plan caching.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

from pgtrigger import clauses, sql
from pgtrigger.columns import column_name, equal
from pgtrigger.compiler import CompiledTrigger, Part
from pgtrigger.conditions import Condition, Rows
from pgtrigger.declaration import Body, ComposerArguments, Model
from pgtrigger.errors import DeclarationError
from pgtrigger.trigger import Trigger

TABLES = Rows(old="old_values", new="new_values")


class Composer(Trigger):
    """A trigger that can be declared at row and at statement level alike.

    Arguments are those of `Trigger`, but:

    - ``referencing`` follows from the operation: ``old_values`` for updates and deletes,
      ``new_values`` for inserts and updates;
    - ``func`` may be a dictionary from level to function;
    - at statement level, a `Func` can select from ``{cond_new_values}``, ``{cond_old_values}``
      and ``{cond_joined_values}``: the rows of the statement on which the condition holds.

    Rows before and after an update are matched on the primary key. A row whose key was changed by
    the same statement has no partner; it counts as changed: ``{cond_new_values}`` and
    ``{cond_old_values}`` include it, with NULL on the other side.

    Raises:
        DeclarationError: when ``referencing`` is passed, or the function reads a transition table
            that the operation does not have.

    Example::

        pgtrigger.Composer(
            name="log_large",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=pgtrigger.Update,
            condition=pgtrigger.Q(new__amount__gt=1000),
            func=pgtrigger.Func(
                "INSERT INTO log SELECT new_values.id FROM {cond_new_values}; RETURN NULL;"
            ),
        )
    """

    def __init__(self, **kwargs: Unpack[ComposerArguments]) -> None:
        super().__init__(**kwargs)

    @property
    def referencing(self) -> clauses.Referencing | None:
        """The transition tables of a single operation at statement level."""
        if self.get_level() != clauses.Statement or self.operation is None:
            return None
        members = self.operation.members
        return _tables(members[0]) if len(members) == 1 else None

    @referencing.setter
    def referencing(  # pyright: ignore[reportIncompatibleVariableOverride]  # it refuses all values
        self, value: clauses.Referencing | None
    ) -> None:
        raise DeclarationError(
            f'{type(self).__name__} takes no "referencing": it follows from the operation. '
            f"Use pgtrigger.Trigger to name transition tables yourself."
        )

    def _validate_referencing(self) -> None:
        """Nothing to refuse: the tables follow from the moment too, when it is compiled."""

    def get_func(self, model: Model) -> Body:
        func: Any = super().get_func(model)
        if isinstance(func, Mapping):
            if self.get_level() not in func:
                raise self.refused(f"Must define func for level {self.level}", model)
            func = func[self.get_level()]
        body: Body = func
        return body

    def get_referencing(
        self, model: Model, operation: clauses.Operation
    ) -> clauses.Referencing | None:
        if self.get_when(model, operation.name) != clauses.After:
            return None
        return _tables(operation)

    def _when_expression(
        self, model: Model, operation: clauses.Operation, condition: Condition | None
    ) -> str:
        # At statement level the function itself looks for rows that meet the condition.
        if self.get_level() == clauses.Statement:
            return ""
        return super()._when_expression(model, operation, condition)

    def render_func(self, model: Model) -> str:
        if self.get_level() != clauses.Statement:
            return super().render_func(model)
        assert self.operation is not None
        texts = {member.name: self._render_for(model, member) for member in self.operation.members}
        if len({*texts.values()}) == 1:
            return next(iter(texts.values()))
        return branches(texts)

    def _render_for(self, model: Model, operation: clauses.Operation) -> str:
        assert self.operation is not None
        single = copy.copy(self)
        single.operation = operation
        text = super(Composer, single).render_func(model)
        words = sql.words_used(text)
        tables = single.get_referencing(model, operation)
        # A function for several operations may tell them apart by itself.
        if "tg_op" not in words or len(self.operation.members) == 1:
            for row, table, present in (
                ("NEW", TABLES.new, tables and tables.new),
                ("OLD", TABLES.old, tables and tables.old),
            ):
                if table in words and not present:
                    raise self.refused(
                        f"its function references {row} rows ({table}), which a "
                        f"{self.when} {operation} trigger does not have",
                        model,
                    )
        return text

    def compile(self, model: Model) -> CompiledTrigger:
        compiled = super().compile(model)
        text = compiled.func + compiled.declare
        return replace(compiled, parts=tuple(_reading(part, text) for part in compiled.parts))

    def get_func_template_kwargs(self, model: Model) -> dict[str, Any]:
        values = super().get_func_template_kwargs(model)
        if self.get_level() == clauses.Statement:
            values |= self._conditional_tables(model)
        return values

    def _conditional_tables(self, model: Model) -> dict[str, str]:
        condition = self.get_condition(model)
        expression, used = "", frozenset[str]()
        if condition is not None:
            used = sql.rows_used(condition.resolve(model))
            expression = condition.resolve_rows(model, TABLES)
            self.refuse_missing_rows(model, used)
        return {
            "cond_new_values": _rows_where(model, expression, used | {"NEW"}, shown=("NEW",)),
            "cond_old_values": _rows_where(model, expression, used | {"OLD"}, shown=("OLD",)),
            "cond_joined_values": _rows_where(
                model, expression, frozenset({"OLD", "NEW"}), shown=("OLD", "NEW")
            ),
        }

    def refuse_missing_rows(self, model: Model, used: frozenset[str]) -> None:
        """Refuse a condition on a row that an operation does not have."""
        assert self.operation is not None
        for row, operation in (("OLD", "INSERT"), ("NEW", "DELETE")):
            if row in used and operation in self.operation.names:
                raise self.refused(
                    f"its condition reads {row}, which an operation {operation} does not have",
                    model,
                )


def _reading(part: Part, text: str) -> Part:
    """The same with the tables alone that a text reads, of those of an update.

    Postgres copies each row into each table that is named, which costs as much as looking at it.
    """
    old, new = (table if table in text else None for table in TABLES)
    if part.referencing != str(_tables(clauses.Update)) or not (old or new):
        return part
    return replace(part, referencing=str(clauses.Referencing(old=old, new=new)))


def _tables(operation: clauses.Operation) -> clauses.Referencing | None:
    if isinstance(operation, clauses.UpdateOf):
        return None
    match operation.name:
        case "INSERT":
            return clauses.Referencing(new=TABLES.new)
        case "DELETE":
            return clauses.Referencing(old=TABLES.old)
        case "UPDATE":
            return clauses.Referencing(old=TABLES.old, new=TABLES.new)
    return None


def branches(texts: Mapping[str, str]) -> str:
    """One text for several operations, out of one for each."""
    branches = [
        f"TG_OP OPERATOR(pg_catalog.=) '{operation}' THEN\n{text}"
        for operation, text in texts.items()
    ]
    return "IF " + "\nELSIF ".join(branches) + "\nEND IF;"


def primary_key_columns(model: Model) -> list[str]:
    """The columns by which rows before and after an update are matched."""
    return [column_name(field) for field in model._meta.pk_fields]


def full_join(model: Model) -> str:
    """All rows before and after, matched on the primary key.

    An inner join can become a nested loop, at a cost of the rows squared, when it is planned for a
    session's first small statement, or when nothing is expected to match. Postgres joins fully
    only by hashing or merging.
    """
    keys = " AND ".join(
        equal(field, *(f"{table}.{sql.quote(column_name(field))}" for table in TABLES))
        for field in model._meta.pk_fields
    )
    return f"{TABLES.old} FULL JOIN {TABLES.new} ON {keys}"


def missing(model: Model, row: str) -> str:
    """True for a row of `full_join` that has no ``OLD`` or no ``NEW`` side."""
    table = TABLES.old if row == "OLD" else TABLES.new
    return f"{table}.{sql.quote(primary_key_columns(model)[0])} IS NULL"


def _rows_where(
    model: Model, expression: str, used: frozenset[str], *, shown: tuple[str, ...]
) -> str:
    if len(used) == 1:
        table = TABLES.new if "NEW" in used else TABLES.old
        return f"{table} WHERE {expression}" if expression else table
    # A CASE, because Postgres would take strict conditions as leave to join less than fully.
    absent = " OR ".join(missing(model, row) for row in shown)
    hidden = [row for row in ("OLD", "NEW") if row not in shown]
    unmatched = "".join(f" WHEN {missing(model, row)} THEN TRUE" for row in hidden)
    return (
        f"{full_join(model)} WHERE CASE WHEN {absent} THEN FALSE{unmatched} "
        f"ELSE ({expression or 'TRUE'}) END"
    )


def rows_meet(model: Model, condition: Condition, operation: clauses.Operation) -> str:
    """An SQL expression that tells whether a condition holds on a row of the statement.

    A row of an update whose primary key was changed, so that its other side is not known, counts
    as one on which it holds: what protects must fail closed.
    """
    used = sql.rows_used(condition.resolve(model))
    expression = condition.resolve_rows(model, TABLES)
    match operation.name:
        case "INSERT":
            return f"EXISTS (SELECT 1 FROM {TABLES.new} WHERE {expression})"
        case "DELETE":
            return f"EXISTS (SELECT 1 FROM {TABLES.old} WHERE {expression})"
    if len(used) < 2:
        table = TABLES.new if "NEW" in used else TABLES.old
        return f"EXISTS (SELECT 1 FROM {table} WHERE {expression})"
    unmatched = " OR ".join(missing(model, row) for row in ("OLD", "NEW"))
    return (
        f"EXISTS (SELECT 1 FROM {full_join(model)} "
        f"WHERE CASE WHEN {unmatched} THEN TRUE ELSE ({expression}) END)"
    )
