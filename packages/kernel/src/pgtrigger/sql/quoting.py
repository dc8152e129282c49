"""Identifiers and literals of SQL.

Nothing here needs a database connection, so ``makemigrations`` and ``check`` need none either.
PostgreSQL manual: "Lexical Structure".
"""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import json
import re
import uuid
from collections.abc import Iterable
from typing import Any, Final

from django.utils.functional import Promise

from pgtrigger.errors import DeclarationError

# The words that cannot be a column or table name without quotes (manual, Appendix C: "reserved"
# and "reserved (can be function or type)"), plus those that plpgsql reserves.
RESERVED: Final = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast
    check collate collation column concurrently constraint create cross current_catalog
    current_date current_role current_schema current_time current_timestamp current_user default
    deferrable desc distinct do else end except false fetch for foreign freeze from full grant
    group having ilike in initially inner intersect into is isnull join lateral leading left
    like limit localtime localtimestamp natural not notnull null offset on only or order outer
    overlaps placing primary references returning right select session_user similar some
    symmetric system_user table tablesample then to trailing true union unique user using
    variadic verbose when where window with begin by declare execute foreach if loop new old
    strict while
    """.split()  # noqa: SIM905  # reads better than a hundred quoted words
)

_PLAIN_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_PLAIN_ELEMENT = re.compile(r"[\w*-]+", re.ASCII)


def quote(name: str) -> str:
    """Quote an identifier, always.

    Raises `DeclarationError` for what Postgres cannot store as a name.

    >>> print(quote("order"), quote('say "hi" now'))
    "order" "say ""hi"" now"
    """
    if not name or "\0" in name:
        raise DeclarationError(f"{name!r} cannot be an identifier in Postgres.")
    return '"' + name.replace('"', '""') + '"'


def identifier(name: str) -> str:
    """Quote an identifier if Postgres would otherwise read it as something else.

    >>> identifier("shop_order"), identifier("order"), identifier("Mixed")
    ('shop_order', '"order"', '"Mixed"')
    """
    if _PLAIN_IDENTIFIER.fullmatch(name) and name not in RESERVED:
        return name
    return quote(name)


def relation(db_table: str) -> tuple[str | None, str]:
    """Split Django's ``db_table`` into schema (None without one) and name.

    Django itself quotes a name that is not yet quoted, so projects name a table of another schema
    as ``'"schema"."table"'`` or ``'schema"."table'``.

    >>> relation("shop_order"), relation('"audit"."log"'), relation("table.with.dots")
    ((None, 'shop_order'), ('audit', 'log'), (None, 'table.with.dots'))
    """
    schema, separator, name = db_table.strip('"').partition('"."')
    return (schema, name) if separator else (None, schema)


def quote_relation(db_table: str, schema: str | None = None) -> str:
    """Quote Django's ``db_table``; ``schema`` qualifies a name that has no schema of its own.

    >>> quote_relation("order"), quote_relation("order", "tenant_a")
    ('"order"', '"tenant_a"."order"')
    """
    own_schema, name = relation(db_table)
    schema = own_schema or schema
    return f"{quote(schema)}.{quote(name)}" if schema else quote(name)


def string(value: str) -> str:
    r"""Quote text, whatever ``standard_conforming_strings`` says.

    >>> print(string("it's"), string("a\\b"))
    'it''s' E'a\\b'
    """
    if "\0" in value:
        raise DeclarationError(f"{value!r} cannot be text in Postgres: it holds a NUL character.")
    escaped = value.replace("'", "''")
    if "\\" in escaped:
        return "E'" + escaped.replace("\\", "\\\\") + "'"
    return f"'{escaped}'"


def array(names: Iterable[str]) -> str:
    r"""Write names as the text of a Postgres array, as ``text[]`` reads it.

    >>> print(array(["a-1", "b, c", 'd"']))
    {a-1,"b, c","d\""}
    """
    return "{" + ",".join(map(_array_element, names)) + "}"


def _array_element(name: str) -> str:
    if _PLAIN_ELEMENT.fullmatch(name) and name.upper() != "NULL":
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def literal(value: Any) -> str:
    """Write a Python value as an SQL literal, with a cast where the type would be lost.

    Args:
        value: None, bool, numbers, text, bytes, dates and times, UUID, IP addresses, enum
            members, lists (as arrays), dicts and Django's JSON adapters (as jsonb), and whatever
            else the installed psycopg can write, such as ranges.

    Raises:
        DeclarationError: when the value has no literal form.

    >>> literal(None), literal(True), literal(-1.5), literal(datetime.date(2013, 1, 31))
    ('NULL', 'TRUE', '(-1.5)', "'2013-01-31'::date")
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case enum.Enum():
            return literal(value.value)
        case int() | float() | decimal.Decimal():
            return _number(value)
        case str() | Promise():
            return string(str(value))
        case bytes() | bytearray() | memoryview():
            return string("\\x" + bytes(value).hex()) + "::bytea"
        case datetime.datetime():
            kind = "timestamp" if value.tzinfo is None else "timestamptz"
            return f"'{value.isoformat(sep=' ')}'::{kind}"
        case datetime.date():
            return f"'{value.isoformat()}'::date"
        case datetime.time():
            kind = "time" if value.tzinfo is None else "timetz"
            return f"'{value.isoformat()}'::{kind}"
        case datetime.timedelta():
            parts = f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
            return f"'{parts}'::interval"
        case uuid.UUID():
            return f"'{value}'::uuid"
        case (
            ipaddress.IPv4Address()
            | ipaddress.IPv6Address()
            | ipaddress.IPv4Interface()
            | ipaddress.IPv6Interface()
        ):
            return f"'{value}'::inet"
        case list() | tuple():
            return f"ARRAY[{', '.join(map(literal, value))}]" if value else "'{}'"
        case dict():
            return f"{string(json.dumps(value))}::jsonb"
    return _adapted(value)


def _number(value: int | float | decimal.Decimal) -> str:
    if isinstance(value, int):
        text = str(int(value))  # IntEnum members and the like show their name otherwise.
    elif isinstance(value, float):
        text = repr(float(value))
    else:
        text = str(value)
    if not text.lstrip("-")[0].isdigit():
        kind = "float8" if isinstance(value, float) else "numeric"
        return f"'{text}'::{kind}"
    return f"({text})" if text.startswith("-") else text


def _adapted(value: Any) -> str:
    # Both drivers wrap JSON in an object that holds the plain value and, maybe, its own dumps().
    for attribute in ("obj", "adapted"):
        if type(value).__name__ in ("Jsonb", "Json", "JsonAdapter") and hasattr(value, attribute):
            dumps = getattr(value, "dumps", None) or json.dumps
            text = dumps(getattr(value, attribute))
            return f"{string(text if isinstance(text, str) else text.decode())}::jsonb"
    try:
        from psycopg import sql as driver  # noqa: PLC0415  # whichever driver is there
    except ImportError:
        from psycopg2 import extensions  # noqa: PLC0415  # the other one

        try:
            return str(extensions.adapt(value).getquoted().decode())
        except Exception as error:  # a driver's adapter may raise anything
            raise _no_literal(value) from error
    try:
        return driver.Literal(value).as_string(None).strip()
    except Exception as error:  # of a field of somebody else's
        raise _no_literal(value) from error


def _no_literal(value: Any) -> DeclarationError:
    return DeclarationError(
        f"{value!r} of type {type(value).__qualname__} cannot be written as an SQL literal. "
        f"Write this part of the condition as pgtrigger.Condition in plain SQL."
    )


def dollar_quote(body: str, tag: str = "pgtrigger") -> str:
    """Quote a function body with a tag that the body does not contain.

    >>> print(dollar_quote("RETURN NULL;"))
    $pgtrigger$RETURN NULL;$pgtrigger$
    """
    chosen, number = tag, 0
    while f"${chosen}" in body:
        number += 1
        chosen = f"{tag}{number}"
    return f"${chosen}${body}${chosen}$"
