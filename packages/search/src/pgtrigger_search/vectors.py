"""A search vector as an SQL expression on the columns of a row.

Nothing here depends on the search path: everything is qualified, or found by its object id.
PostgreSQL manual: "Text Search Functions and Operators"; "Controlling Text Search".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from django.db import models

from pgtrigger import sql
from pgtrigger.columns import column_name, offline_connection

WEIGHTS: Final = ("A", "B", "C", "D")
# What Postgres gives to lexemes that nobody gives a weight.
UNWEIGHTED: Final = "D"

# The dictionary of the extension, whichever schema that has been put into. Its function is no use:
# a trigger's SQL would have to name the schema, and compiling asks no database for it.
UNACCENT_DICTIONARY: Final = (
    "(SELECT d.oid FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_ts_dict d"
    " ON d.dictnamespace = e.extnamespace AND d.dictname = e.extname"
    " WHERE e.extname = 'unaccent')::pg_catalog.regdictionary"
)
UNACCENT_MISSING: Final = "pgtrigger: the extension unaccent is not installed in this database"
UNACCENT_HINT: Final = (
    "Install it with django.contrib.postgres.operations.UnaccentExtension in a migration."
)

_CONCATENATED: Final = " OPERATOR(pg_catalog.||) "
# Keys and booleans say little about a document. In lax mode arrays would be visited twice.
_JSON_VALUES: Final = sql.string('strict $.** ? (@.type() == "string" || @.type() == "number")')
_JSON_TYPES: Final = ("json", "jsonb", "hstore")


class Document(NamedTuple):
    """A field that goes into the vector, and the weight of its words."""

    field: models.Field[Any, Any]
    weight: str


def weighted(document_fields: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    """The weights by field name, for any form in which the documents are declared."""
    if isinstance(document_fields, Mapping):
        return dict(document_fields)
    return dict.fromkeys(document_fields, UNWEIGHTED)


def column_type(field: models.Field[Any, Any]) -> str:
    """The type of a column, without its size; arrays end in ``[]``."""
    kind = (field.db_type(offline_connection()) or "").lower()
    return f"{kind.split('(')[0].split('[')[0].strip()}{'[]' if '[' in kind else ''}"


def _column(field: models.Field[Any, Any], row: str) -> str:
    return f"{row}.{sql.quote(column_name(field))}"


def text(field: models.Field[Any, Any], row: str) -> str:
    """A column as text: the items of arrays, the strings and numbers of JSON, the rest by a cast.

    >>> text(models.TextField(db_column="body"), "NEW")
    'NEW."body"::pg_catalog.text'
    """
    column, kind = _column(field, row), column_type(field)
    if kind.endswith("[]"):
        return f"pg_catalog.array_to_string({column}, ' ')"
    if kind in _JSON_TYPES:
        items = f"pg_catalog.jsonb_path_query({column}::pg_catalog.jsonb, {_JSON_VALUES})"
        value = "item.value OPERATOR(pg_catalog.#>>) '{}'"
        return f"(SELECT pg_catalog.string_agg({value}, ' ') FROM {items} AS item (value))"
    return f"{column}::pg_catalog.text"


def configuration_literal(name: str) -> str:
    """The text search configuration of a name that has its schema."""
    return f"{sql.string(name)}::pg_catalog.regconfig"


def configuration_of_row(field: models.Field[Any, Any], row: str, default: str) -> str:
    """The text search configuration that a column names; the default where it names none."""
    column = _column(field, row)
    if column_type(field) != "regconfig":
        name = f"NULLIF({column}::pg_catalog.text, '')"
        # A name without a schema must mean the same on every search path.
        column = (
            f"(CASE WHEN pg_catalog.strpos({name}, '.') > 0 THEN {name} "
            f"ELSE pg_catalog.concat('pg_catalog.', {name}) END)::pg_catalog.regconfig"
        )
        column = f"CASE WHEN {name} IS NOT NULL THEN {column} END"
    return f"COALESCE({column}, {default})"


def vector(
    documents: Iterable[Document], row: str, configuration: str, dictionary: str | None = None
) -> str:
    """The search vector of a row.

    Args:
        documents: what goes into it. Each is parsed by itself, and its words follow those of the
            one before.
        row: the name under which the columns are found.
        configuration: an SQL expression of type regconfig.
        dictionary: one of type regdictionary, which takes the accents away; None leaves them.
    """
    return _CONCATENATED.join(
        _weighted(document, row, configuration, dictionary) for document in documents
    )


def _weighted(document: Document, row: str, configuration: str, dictionary: str | None) -> str:
    words = text(document.field, row)
    if dictionary:
        # What unaccent() does, too. NULL stands for a text that stays as it is.
        words = f"(pg_catalog.ts_lexize({dictionary}, {words}))[1], {words}"
    lexemes = f"pg_catalog.to_tsvector({configuration}, COALESCE({words}, ''))"
    if document.weight == UNWEIGHTED:
        return lexemes
    return f"pg_catalog.setweight({lexemes}, {sql.string(document.weight)})"
