"""What our comments in the database hold: the hash of a declaration, and its fingerprints.

The hash tells whether the declaration has changed since. The fingerprints tell whether somebody
else has: they are taken from the system catalogs when the comment is written, and again whenever
the catalogs are read. PostgreSQL manual: "System Catalogs", ``pg_trigger`` and ``pg_proc``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from pgtrigger import sql

HASH_LENGTH: Final = 40
# After the hash a colon, and then fingerprints of these lengths.
_FUNCTION: Final = 16
_TRIGGER: Final = 8

# On the alias t of pg_trigger: what a definition comes to, but for its condition and columns.
_SHAPE: Final = (
    "pg_catalog.concat_ws('|', t.tgtype, t.tgnargs, t.tgdeferrable, t.tginitdeferred, "
    "COALESCE(t.tgoldtable::text, ''), COALESCE(t.tgnewtable::text, ''))"
)
# By column numbers and types: renaming columns and tables keeps it, dumping and restoring may not.
_STORED: Final = (
    f"pg_catalog.left(pg_catalog.md5(pg_catalog.concat({_SHAPE}, t.tgattr::text, "
    "pg_catalog.regexp_replace(t.tgqual::text, ':location -?[0-9]+', '', 'g'))), 8)"
)
# Postgres names the schema of a type, function or operator only where the search path lacks it.
_NAME: Final = '(?:[[:alnum:]_$]+|"(?:[^"]|"")+")'
_UNQUALIFIED: Final = (
    "pg_catalog.regexp_replace(pg_catalog.regexp_replace(pg_catalog.substring("
    "pg_catalog.pg_get_triggerdef(t.oid), ' WHEN (.*) EXECUTE FUNCTION '), "
    rf"'OPERATOR[(]{_NAME}[.]([^)]+)[)]', E'\\1', 'g'), "
    rf"'(::){_NAME}[.]|{_NAME}[.](?={_NAME}[(])', E'\\1', 'g')"
)
# By names: a dump keeps it, renaming may not.
_WRITTEN: Final = (
    f"pg_catalog.left(pg_catalog.md5(pg_catalog.convert_to(pg_catalog.concat({_SHAPE}, "
    "(SELECT pg_catalog.string_agg(a.attname::text, ',' ORDER BY k.position) "
    "FROM pg_catalog.unnest(t.tgattr::int2[]) WITH ORDINALITY AS k(number, position) "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = k.number), "
    f"{_UNQUALIFIED}), 'UTF8')), 8)"
)

# The statement that writes the comment of t, whose declared hash w has.
_COMMENT: Final = (
    "pg_catalog.format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, w.relation, "
    f"pg_catalog.concat(w.declared, ':', {_STORED}, {_WRITTEN}))"
)

# On the aliases t and td of pg_trigger and its comment: nobody has changed the definition. One of
# the two has to be as it was, which no change of the definition leaves.
TRIGGER_INTACT: Final = (
    f"CASE WHEN pg_catalog.length(td.description) <= {HASH_LENGTH} THEN true"
    f" WHEN pg_catalog.substr(td.description, {HASH_LENGTH + 2}, {_TRIGGER}) = {_STORED} THEN true"
    f" ELSE pg_catalog.substr(td.description, {HASH_LENGTH + 2 + _TRIGGER}) = {_WRITTEN} END"
)
# Whether a function has settings of its own goes into its fingerprint; not which, as the server
# writes them in its own words.
_CONFIGURED: Final = "SET"
# On the aliases p and pd of pg_proc and its comment: nobody has replaced the body.
FUNCTION_INTACT: Final = (
    f"(pg_catalog.length(pd.description) <= {HASH_LENGTH} OR"
    f" pg_catalog.substr(pd.description, {HASH_LENGTH + 2}) ="
    " pg_catalog.left(pg_catalog.md5(pg_catalog.convert_to(pg_catalog.concat(p.prosrc, "
    f"CASE WHEN p.proconfig IS NOT NULL THEN '{_CONFIGURED}' END), 'UTF8')), {_FUNCTION}))"
)


def declared_hash(comment: str | None) -> str:
    """The hash of a declaration that a comment of ours holds."""
    return (comment or "").partition(":")[0]


def function_comment(declared: str, source: str, *, configured: bool = False) -> str:
    """The comment of a function: the hash of its declaration, and the fingerprint of its body.

    Args:
        declared: the hash.
        source: the body.
        configured: whether it has settings of its own.
    """
    source += _CONFIGURED if configured else ""
    body = hashlib.md5(source.encode(), usedforsecurity=False).hexdigest()
    return f"{declared}:{body[:_FUNCTION]}"


class TriggerComment(NamedTuple):
    """The comment of a trigger that is to be written.

    Args:
        declared: the hash of its declaration.
        pgid: its name.
        table: its table, quoted.
    """

    declared: str
    pgid: str
    table: str


def comment_triggers_sql(comments: Iterable[TriggerComment]) -> str:
    """The statement that writes the comments of triggers, which are on their tables by now."""
    values = ", ".join(
        f"({sql.string(declared)}, {sql.string(pgid)}, {sql.string(table)}::pg_catalog.regclass)"
        for declared, pgid, table in comments
    )
    command = (
        f"SELECT {sql.catalog_query(_COMMENT)} FROM (VALUES {values}) "
        f"AS w (declared, name, relation) JOIN pg_catalog.pg_trigger t "
        f"ON {sql.catalog_query('t.tgrelid = w.relation AND t.tgname = w.name')}"
    )
    body = (
        f"DECLARE command text; BEGIN FOR command IN {command} LOOP EXECUTE command; END LOOP; END"
    )
    return f"DO {sql.dollar_quote(body)}"
