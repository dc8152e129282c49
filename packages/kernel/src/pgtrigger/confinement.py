"""Which SQL needs nothing but ``pg_catalog``, so its function can have a search path of its own.

With that path, no schema that others can create objects in is looked at, whoever writes. What is
not known to be confined is left on the search path of the role that writes. PostgreSQL manual:
"CREATE FUNCTION", ``SET``; "Schemas", usage patterns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db import models

from pgtrigger import sql
from pgtrigger.columns import columns_of, is_built_in
from pgtrigger.conditions import Condition

CATALOG_ONLY: Final = ("pg_catalog", "pg_temp")

_WORDS: Final = frozenset(
    """
    and or not is null true false distinct from in like ilike similar to between symmetric case when
    then else end unknown at zone any some all array cast as
    coalesce nullif greatest least upper lower length char_length abs round floor ceil mod now
    date_trunc extract substring position trim btrim ltrim rtrim left right replace starts_with
    strpos concat current_date current_timestamp localtimestamp
    text varchar char character varying boolean bool smallint integer int bigint int2 int4 int8 real
    double precision float4 float8 numeric decimal date time timestamp timestamptz with without
    interval uuid json jsonb bytea inet cidr
    old new pg_catalog operator
    """.split()  # noqa: SIM905  # reads better than a hundred quoted words
)
_OPERATORS: Final = frozenset("=<>!+-*/|~,()[].:%")
_LITERALS: Final = ("space", "comment", "string", "number")


def path_for(conditions: Iterable[Condition], model: type[models.Model]) -> tuple[str, ...]:
    """The search path of a function that evaluates these conditions; none if one needs more."""
    confined = all(is_confined(each.resolve(model), model) for each in conditions)
    return CATALOG_ONLY if confined else ()


def is_confined(expression: str, model: type[models.Model]) -> bool:
    """Whether a condition on ``OLD`` and ``NEW`` reads only columns of types that Postgres has.

    >>> from django.contrib.contenttypes.models import ContentType
    >>> is_confined("OLD.id = 1", ContentType), is_confined("is_holiday(OLD.id)", ContentType)
    (True, False)
    """
    used = sql.row_columns(expression, "OLD") | sql.row_columns(expression, "NEW")
    for field in columns_of(model):
        if (field.column in used or "*" in used) and not is_built_in(field):
            return False
    before = ""
    for token in sql.tokens(expression):
        if token.kind in _LITERALS:
            continue
        # What a row or pg_catalog has is what stands behind a dot.
        qualified = before == "."
        known = {
            "word": qualified or token.text.lower() in _WORDS,
            "quoted": qualified,
            "other": token.text in _OPERATORS,
        }[token.kind]
        if not known:
            return False
        before = token.text
    return True
