"""What a refusal says, in words of the declaration's own that can show the row.

PostgreSQL manual: "String Functions and Operators", ``format``; "PL/pgSQL", trigger functions.
"""

from __future__ import annotations

import string
from typing import NamedTuple

from pgtrigger import sql
from pgtrigger.columns import column_name, concrete_field, is_generated
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError

_ROWS = ("columns", "old", "new")
# For the values of a row that is not there: a truncation has none.
_ANY = "*"


class Text(NamedTuple):
    """A format string of Postgres, and the SQL expressions for its places."""

    template: str
    arguments: tuple[str, ...] = ()

    @property
    def expression(self) -> str:
        """The whole as one SQL expression."""
        if not self.arguments:
            return sql.string(self.template.replace("%%", "%"))
        return f"pg_catalog.format({', '.join([sql.string(self.template), *self.arguments])})"


def places(text: str) -> list[str]:
    """The names of the places of a text.

    Raises `DeclarationError` for what is no text with places, or has other places than there are.
    """
    if not isinstance(text, str):
        raise DeclarationError(
            f"{text!r} is no text. The database has one for everybody, so a translation is the "
            f"matter of who shows it."
        )
    try:
        found = [part for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError as error:
        raise DeclarationError(
            f"{text!r} is no text with places ({error}); braces of its own are written twice."
        ) from None
    for _, name, spec, conversion in found:
        first, _, rest = str(name).partition(".")
        known = (first in _ROWS and rest) or name in ("operation", "table", "changed")
        if not known or spec or conversion:
            raise DeclarationError(
                f"{text!r} has the place {{{name}}}. There are {{columns.<field>}}, "
                f"{{old.<field>}}, {{new.<field>}}, {{operation}}, {{table}} and, in a ReadOnly, "
                f"{{changed}}; braces of the text itself are written twice."
            )
    return [str(part[1]) for part in found]


def reads_row(text: str) -> bool:
    """Whether a text shows values of the row."""
    return any(name.split(".")[0] in _ROWS for name in places(text))


def render(text: str, model: Model, *, changed: str = "", row: bool = True) -> Text:
    """Fill the places of a text.

    Args:
        text: with places.
        model: the model of the trigger.
        changed: the SQL expression for ``{changed}``.
        row: whether there is a row to show.

    Raises `FieldLookupError` for a field that the model does not have.
    """
    template, arguments = [], []
    for before, name, _spec, _conversion in string.Formatter().parse(text):
        template.append(before.replace("%", "%%"))
        if name is None:
            continue
        template.append("%s")
        arguments.append(_argument(name, model, changed, row=row))
    return Text("".join(template), tuple(arguments))


def _argument(name: str, model: Model, changed: str, *, row: bool) -> str:
    known = {"operation": "pg_catalog.lower(TG_OP)", "table": "TG_TABLE_NAME", "changed": changed}
    if name in known:
        if not known[name]:
            raise DeclarationError("{changed} is a place of ReadOnly, which compares columns.")
        return known[name]
    which, _, field = name.partition(".")
    found = concrete_field(model, field)
    if is_generated(found):
        raise DeclarationError(
            f'{{{name}}} shows a column of "{model._meta.label}" that the database computes, '
            f"which a trigger may find empty; show those that it is computed from."
        )
    column = sql.quote(column_name(found))
    if not row:
        return sql.string(_ANY)
    inserts = "TG_OP OPERATOR(pg_catalog.=) 'INSERT'"
    value = {
        "old": f"OLD.{column}::pg_catalog.text",
        "new": f"NEW.{column}::pg_catalog.text",
        "columns": f"CASE WHEN {inserts} THEN NEW.{column} ELSE OLD.{column} END::pg_catalog.text",
    }[which]
    return f"coalesce({value}, 'NULL')"
