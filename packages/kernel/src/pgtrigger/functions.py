"""The body of a trigger function: templates that know the model, and the ``RAISE`` of violations.

PostgreSQL manual: "PL/pgSQL", trigger functions; "Errors and Messages".
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from django.db import models

from pgtrigger import conf, sql
from pgtrigger.columns import columns_of
from pgtrigger.errors import DeclarationError, FieldLookupError


class Func:
    """A function body with places that are filled from the model.

    Args:
        func: plpgsql statements in `str.format` syntax. Places are

            - ``{meta...}``: the model's ``_meta``; ``{meta.db_table}`` is its table;
            - ``{columns.<field>}``: the column of a field;
            - ``{fields.<field>...}``: the field itself, such as ``{fields.status.max_length}``;
            - what the trigger type adds, such as a Composer's ``{cond_new_values}``.

            Tables and columns are quoted where Postgres needs it: as identifiers, and as text
            when the place stands inside a literal. Braces of the SQL itself are written twice.

    Raises (when the trigger is compiled or checked):
        DeclarationError: a place that does not exist.
        FieldLookupError: a field that the model does not have.

    Example::

        pgtrigger.Func("INSERT INTO log SELECT OLD.{columns.status}; RETURN NULL;")
    """

    def __init__(self, func: str) -> None:
        self.func = sql.dedent(func)

    def render(self, **kwargs: Any) -> str:
        """Fill the places with what a trigger's ``get_func_template_kwargs`` returns."""
        return _Template().render(self.func, kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Func) and self.func == other.func

    def __hash__(self) -> int:
        return hash(self.func)

    def __repr__(self) -> str:
        return f"pgtrigger.Func({self.func!r})"


class _Named(Mapping[str, Any]):
    """What ``{fields.…}`` and ``{columns.…}`` look names up in."""

    def __init__(self, model: type[models.Model], values: dict[str, Any]) -> None:
        self._model, self._values = model, values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # not a field, and copying asks for such names
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise FieldLookupError(
                f'Model "{self._model._meta.label}" has no field "{name}" for a Func to use. '
                f"Its fields are: {', '.join(self._values)}."
            ) from None

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def template_values(model: type[models.Model]) -> dict[str, Any]:
    """The values of ``{meta}``, ``{fields}`` and ``{columns}`` for a model."""
    options = model._meta
    fields: dict[str, Any] = {f.name: f for f in options.get_fields() if not f.auto_created}
    fields |= {f.name: f for f in options.concrete_fields}
    columns = {f.attname: f.column for f in columns_of(model)}
    columns |= {f.name: f.column for f in columns_of(model)}
    return {
        "meta": options,
        "fields": _Named(model, fields),
        "columns": _Named(model, columns),
    }


class _Template(string.Formatter):
    """Renders a Func: `str.format`, where identifiers are quoted as their surroundings need."""

    def render(self, text: str, values: Mapping[str, Any]) -> str:
        pieces: list[str] = []
        try:
            parsed = list(self.parse(text))
            for index, (before, name, spec, conversion) in enumerate(parsed):
                pieces.append(before)
                if name is None:
                    continue
                value, _ = self.get_field(name, (), values)
                value = format(self.convert_field(value, conversion), spec or "")
                if self._names_an_identifier(name):
                    following = parsed[index + 1][0] if index + 1 < len(parsed) else ""
                    value = self._quoted(value, "".join(pieces), following)
                pieces.append(value)
        except FieldLookupError:
            raise
        except (KeyError, AttributeError, IndexError, TypeError, ValueError) as error:
            raise DeclarationError(
                f"A Func of this trigger has a place that cannot be filled ({error!r}); it can "
                f"use {', '.join(f'{{{name}}}' for name in values)}, and braces of SQL itself are "
                f"written twice. The function is:\n{text}"
            ) from error
        return "".join(pieces)

    @staticmethod
    def _names_an_identifier(name: str) -> bool:
        first, _, rest = name.partition(".")
        return first == "columns" or rest.rpartition(".")[2] in ("db_table", "column")

    @staticmethod
    def _quoted(name: str, before: str, after: str) -> str:
        open_quote = _open_quote(before)
        if open_quote == "'":
            return name.replace("'", "''")
        if open_quote == '"':
            return name.replace('"', '""')
        schema, relation = sql.relation(name)
        return ".".join(sql.identifier(part) for part in (schema, relation) if part)


def _open_quote(text: str) -> str:
    # The lexer yields a quote that is never closed as a token of its own.
    for token in sql.tokens(text):
        if token.kind == "other" and token.text in ("'", '"'):
            return token.text
    return ""


def raise_violation(
    message: str,
    *arguments: str,
    hint: str = "",
    hint_expression: str | None = None,
    column: str | None = None,
    errcode: str = "23001",
    configurable: bool = True,
) -> str:
    """The plpgsql statement by which a trigger refuses a row or statement.

    Everything that refuses raises through this, so `pgtrigger.violation` can read it: the error
    carries the table, schema and trigger, and in its detail the operation.

    Args:
        message: text with a ``%s`` for each argument, as of Postgres' ``format()``.
        *arguments: SQL expressions.
        hint: what the person who sees the error can do; plain text.
        hint_expression: the same as an SQL expression.
        column: SQL expression for the column at fault.
        errcode: SQLSTATE; of class 23, so Django raises ``IntegrityError``. The setting
            ``PGTRIGGER_ERRCODE`` overrides it.
        configurable: whether that setting does. A trigger that a package's own migration installs
            must be the same in every project.

    >>> print(raise_violation("Cannot %s", "pg_catalog.lower(TG_OP)"))  # doctest: +SKIP
    """
    options = {
        "ERRCODE": sql.string(conf.errcode(errcode) if configurable else errcode),
        "MESSAGE": f"pg_catalog.format({', '.join([sql.string(message), *arguments])})",
        "DETAIL": "TG_OP",
        "HINT": hint_expression or (sql.string(hint) if hint else None),
        "SCHEMA": "TG_TABLE_SCHEMA",
        "TABLE": "TG_TABLE_NAME",
        "CONSTRAINT": "TG_NAME",
        "COLUMN": column,
    }
    given = ",\n    ".join(f"{name} = {value}" for name, value in options.items() if value)
    return f"RAISE EXCEPTION USING\n    {given};"


def way_out(uri: str, *, ignorable: bool) -> str:
    """The hint of a trigger that refuses: how to pass it by, if that can be done.

    >>> way_out("shop.Order:keep", ignorable=False)
    'Trigger "shop.Order:keep" allows this to nobody.'
    """
    if not ignorable:
        return f'Trigger "{uri}" allows this to nobody.'
    return f'Where this is meant to happen, run it within pgtrigger.ignore("{uri}").'
