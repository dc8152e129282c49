"""Conditions in Django's idiom: ``Q`` and ``F`` on the old and new row, lookups ``df`` and ``ndf``.

Django compiles the lookups; the values become literals, because ``CREATE TRIGGER`` takes no
parameters. Django manual: "Making queries", field lookups and ``Q`` objects.
"""

from __future__ import annotations

from typing import Any, ClassVar, overload

from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import Col
from django.db.models.sql import Query

from pgtrigger import sql
from pgtrigger.columns import column_name, comparable, concrete_field, offline_connection
from pgtrigger.conditions import VARIABLES, Condition, Rows
from pgtrigger.errors import DeclarationError


class IsDistinctFrom(models.Lookup):
    """``__df``: differs, where NULL is a value like any other (``IS DISTINCT FROM``).

    PostgreSQL manual: "Comparison Functions and Operators".
    """

    lookup_name = "df"
    operator: ClassVar[str] = "IS DISTINCT FROM"
    # Comparing with None is what the lookup is for.
    can_use_none_as_rhs = True

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} {self.operator} {right}", [*left_params, *right_params]


class IsNotDistinctFrom(IsDistinctFrom):
    """``__ndf``: is the same, where NULL equals NULL (``IS NOT DISTINCT FROM``)."""

    lookup_name = "ndf"
    operator = "IS NOT DISTINCT FROM"


def _row_and_name(path: str, what: str) -> tuple[str, list[str]]:
    row, *names = path.split(LOOKUP_SEP)
    if row not in Rows._fields or not names or not names[0]:
        raise DeclarationError(
            f'{what} must reference the "old__" or the "new__" row, such as "old__{path}"; '
            f"got {path!r}."
        )
    return row, names


class _RowColumn(Col):
    """A column of the old or new row, under the name that the row has where it is compiled."""

    def __init__(self, row: str, field: models.Field[Any, Any]) -> None:
        # A foreign key compares like the column that it holds.
        target: Any = field
        while target.remote_field is not None and hasattr(target, "target_field"):
            target = target.target_field
        super().__init__(row, field, target)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        assert self.alias is not None
        return f"{self.alias}.{sql.quote(column_name(self.target))}".replace("%", "%%"), []


class _RowQuery(Query):
    """Resolves names against the two rows of a trigger rather than against tables."""

    rows: Rows

    def __init__(self, model: type[models.Model], rows: Rows) -> None:
        super().__init__(model)
        self.rows = rows

    def column(self, path: str, what: str) -> tuple[Any, models.Field[Any, Any], list[str]]:
        """Find the column, its field, and the lookups that follow it in the path."""
        row, (name, *lookups) = _row_and_name(path, what)
        model: type[models.Model] = self.model  # type: ignore[assignment]  # a Query may lack one
        field = concrete_field(model, name)
        if field.is_relation and lookups:
            lookups = self._within_row(field, path, lookups)
        return _RowColumn(getattr(self.rows, row), field), field, lookups

    def resolve_ref(self, name: str, *args: Any, **kwargs: Any) -> Any:
        # What Django's own F asks for, however deep in an expression it stands.
        raise DeclarationError(
            f'F({name!r}) must reference the "old__" or the "new__" row: use pgtrigger.F.'
        )

    def _within_row(self, field: Any, path: str, lookups: list[str]) -> list[str]:
        target = field.target_field
        if lookups[0] in (target.name, target.attname) or (
            lookups[0] == "pk" and target.primary_key
        ):
            return lookups[1:]
        if any(f.name == lookups[0] for f in field.related_model._meta.get_fields()):
            raise DeclarationError(
                f'"{path}" reaches into "{field.related_model._meta.label}". A trigger condition '
                f"sees only the columns of its own row; look other tables up in the function."
            )
        return lookups


class F(models.F):
    """A column of the old or new row, for the right-hand side of a `Q` and inside expressions.

    Args:
        name: ``old__<field>`` or ``new__<field>``.

    Raises:
        DeclarationError: the name does not start with ``old__`` or ``new__``.

    >>> F("old__value").resolved_name
    'OLD."value"'
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
        self._row, names = _row_and_name(name, "pgtrigger.F")
        self._column = names[0]

    @property
    def resolved_name(self) -> str:
        """The row variable and the name, without a model to look up its column."""
        return f"{getattr(VARIABLES, self._row)}.{sql.quote(self._column)}"

    def resolve_expression(self, query: Any = None, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(query, _RowQuery):
            raise DeclarationError(
                f"{self!r} has a meaning only within the condition of a trigger, not in a query."
            )
        expression, _, transforms = query.column(self.name, "pgtrigger.F")
        for name in transforms:
            expression = query.try_transform(expression, name)
        return expression


class Q(models.Q, Condition):
    """A condition in Django's lookups on ``old__<field>`` and ``new__<field>``.

    Values may be plain values, `F`, or Django expressions made of both. As in querysets, a
    negated comparison with a value also holds for NULL: ``~Q(new__status="sent")`` is true for a
    row without status.

    Raises (when the trigger is compiled or checked):
        DeclarationError: a name without ``old__`` or ``new__``, a relation followed into another
            table, or a value that has no literal form.
        FieldLookupError: a field that the model does not have.

    Example::

        pgtrigger.Q(old__status="draft", new__balance__lt=pgtrigger.F("old__balance"))
    """

    @overload  # type: ignore[override]  # both bases combine only with their own kind
    def __and__(self, other: models.Q) -> Q: ...
    @overload
    def __and__(self, other: Condition) -> Condition: ...
    def __and__(self, other: Any) -> Any:
        if not isinstance(other, models.Q) and isinstance(other, Condition):
            return Condition.__and__(self, other)
        return super().__and__(other)

    @overload  # type: ignore[override]  # both bases combine only with their own kind
    def __or__(self, other: models.Q) -> Q: ...
    @overload
    def __or__(self, other: Condition) -> Condition: ...
    def __or__(self, other: Any) -> Any:
        if not isinstance(other, models.Q) and isinstance(other, Condition):
            return Condition.__or__(self, other)
        return super().__or__(other)

    def __invert__(self) -> Q:
        return super().__invert__()  # type: ignore[return-value]  # copies its own class

    def __repr__(self) -> str:
        return models.Q.__repr__(self)

    def resolve(self, model: type[models.Model] | None) -> str:
        assert model is not None
        return self.resolve_rows(model, VARIABLES)

    def resolve_rows(self, model: type[models.Model], rows: Rows) -> str:
        return _node(self, _RowQuery(model, rows), negated=False) or "TRUE"


def expression_sql(expression: Any, model: type[models.Model], rows: Rows = VARIABLES) -> str:
    """A Django expression on the columns of a trigger's rows, such as ``Now()``, as SQL.

    Args:
        expression: made of Django's functions and values, and of `F`.
        model: the model whose trigger is being compiled.
        rows: the names that the rows have where the SQL stands.

    Raises:
        DeclarationError: a plain Django ``F``, or a value that has no literal form.
        FieldLookupError: a field that the model does not have.
    """
    query = _RowQuery(model, rows)
    return _compile(_value(expression, query), query)


def _node(node: models.Q, query: _RowQuery, *, negated: bool) -> str:
    negated ^= node.negated
    parts = [_child(child, query, negated=negated) for child in node.children]
    parts = [f"({part})" if len(parts) > 1 else part for part in parts if part]
    joined = _xor(parts) if node.connector == models.Q.XOR else f" {node.connector} ".join(parts)
    return f"NOT ({joined})" if node.negated and joined else joined


def _xor(parts: list[str]) -> str:
    # As in Django: true when an odd number of the operands is; NULL is not.
    counted = [f"CASE WHEN {part} THEN 1 ELSE 0 END" for part in parts]
    return f"({' + '.join(counted)}) % 2 = 1" if parts else ""


def _child(child: Any, query: _RowQuery, *, negated: bool) -> str:
    if isinstance(child, models.Q):
        return _node(child, query, negated=negated)
    if isinstance(child, Condition):
        assert query.model is not None
        return child.resolve_rows(query.model, query.rows)
    if hasattr(child, "resolve_expression"):
        return _compile(child.resolve_expression(query), query)
    path, value = child
    column, field, lookups = query.column(path, "pgtrigger.Q")
    try:
        right = _value(value, query)
        if lookups in (["df"], ["ndf"]):
            return _distinct(column, field, lookups[0], right, query)
        lookup = query.build_lookup(lookups, column, right)
        text = _compile(lookup, query)
    except FieldError as error:
        raise DeclarationError(
            f'"{path}" compared with {value!r}: {error} '
            f'The lookups of "{field}" are: '
            f"{', '.join(sorted(column.output_field.get_lookups()))}."
        ) from error
    except DeclarationError:
        raise
    except (TypeError, ValueError, ValidationError) as error:
        raise DeclarationError(
            f'"{path}" cannot be compared with {value!r}, which is no value of "{field}": {error}'
        ) from error
    if negated and lookup.lookup_name == "in" and isinstance(right, list) and None in right:
        # NULL is among the values, so it is not among the others. As of Django 6.1; the meaning of
        # a trigger does not depend on the version of Django that compiles it.
        return f"({text} OR {_compile(column, query)} IS NULL)"
    if negated and lookup.lookup_name != "isnull" and right is not None:
        nullable = [column] if field.null else []
        if isinstance(right, _RowColumn) and right.target.null:
            nullable.append(right)
        text = " AND ".join([text, *(f"{_compile(c, query)} IS NOT NULL" for c in nullable)])
        text = f"({text})" if nullable else text
    return text


def _distinct(
    column: _RowColumn, field: models.Field[Any, Any], name: str, right: Any, query: _RowQuery
) -> str:
    # Not through the lookup class, so that types without equality are compared as text.
    operator = IsDistinctFrom.operator if name == "df" else IsNotDistinctFrom.operator
    if isinstance(right, _RowColumn):
        assert column.alias
        left_sql, right_sql = comparable(field, column.alias), comparable(right.target, right.alias)
        return f"{left_sql} {operator} {right_sql}"
    lookup = IsDistinctFrom if name == "df" else IsNotDistinctFrom
    return _compile(lookup(column, right), query)


def _value(value: Any, query: _RowQuery) -> Any:
    if isinstance(value, models.F) and not isinstance(value, F):
        raise DeclarationError(
            f'{value!r} must reference the "old__" or the "new__" row: use pgtrigger.F.'
        )
    if hasattr(value, "resolve_expression"):
        return value.resolve_expression(query)
    if isinstance(value, models.Model):
        return value.pk
    if isinstance(value, set | frozenset):
        # The order of a set differs between runs, and would make a new migration each time.
        value = sorted(value, key=repr)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [_value(item, query) for item in value]
    return value


def _compile(expression: Any, query: _RowQuery) -> str:
    connection = offline_connection()
    compiler = query.get_compiler(connection=connection)
    text, params = compiler.compile(expression)
    return str(text % tuple(sql.literal(param) for param in params))
