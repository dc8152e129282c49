"""What kind of statement the caller runs, told from its first words."""

from __future__ import annotations

import enum
import functools
import re
from typing import Any, Final

from pgtrigger import sql


class Kind(enum.Enum):
    """How a statement gets along with settings that are local to a transaction."""

    SINGLE = "one statement that may fire triggers"
    SEVERAL = "statements that may fire triggers"
    OTHER = "cannot fire triggers: a plain read, or a definition"
    OUTSIDE_TRANSACTION = "refuses to run in a transaction"
    PROCEDURE = "may fire triggers, and end transactions by itself"
    TRANSACTION_CONTROL = "begins or ends a transaction"


_HEAD: Final = re.compile(
    r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?P<words>\w+(?:\s+\w+){0,3})?", re.DOTALL
)
_FIRES: Final = frozenset(
    ["INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "WITH", "COPY", "EXECUTE"]
)
_CONTROL: Final = frozenset(
    ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "PREPARE"]
)
_OUTSIDE: Final = re.compile(
    r"VACUUM|(CREATE|DROP)\s+(DATABASE|TABLESPACE|SUBSCRIPTION)|ALTER\s+(SYSTEM|SUBSCRIPTION)"
    r"|CLUSTER|DISCARD"
)
_REINDEX: Final = re.compile(
    r"\bREINDEX\s*(\([^)]*\))?\s*(DATABASE|SYSTEM|SCHEMA)\b", re.IGNORECASE
)
_CONCURRENTLY: Final = re.compile(r"\b(INDEX|REINDEX|DETACH)\b.*?\bCONCURRENTLY\b", re.DOTALL)
# Ends a transaction or a part of it, maybe with another one in its place; resets settings.
_UNDOES: Final = frozenset(
    ["ROLLBACK", "ABORT", "COMMIT", "CHAIN", "BEGIN", "START", "RESET", "DISCARD"]
)
# A function in the place of a table is there for what it returns, or for what it does.
_FUNCTION: Final = re.compile(
    r"\b(FROM|JOIN|LATERAL)\s+(LATERAL\s+|ROWS\s+FROM\s*\(\s*)*(?!SELECT\b|VALUES\b|LATERAL\b)"
    r"(\w+|\"[^\"]*\")(\s*\.\s*(\w+|\"[^\"]*\"))*\s*\(",
    re.IGNORECASE,
)


def text_of(statement: Any, connection: Any) -> str:
    """The text of a statement that may also be bytes or one of psycopg's composed objects."""
    if isinstance(statement, str):
        return statement
    if isinstance(statement, bytes):
        return statement.decode(errors="replace")
    if hasattr(statement, "as_string"):
        return str(statement.as_string(connection.connection))
    return str(statement)


def kind_of(statement: Any, connection: Any) -> Kind:
    """Tell the kind of a statement, which is only looked at."""
    text = text_of(statement, connection)
    return _remembered_kind(text) if len(text) < _SHORT else _kind(text)


def _kind(text: str) -> Kind:
    head = _HEAD.match(text)
    words = (head["words"] or "").upper() if head else ""
    first = words.split(maxsplit=1)[0] if words else ""
    if first in _CONTROL:
        return Kind.TRANSACTION_CONTROL
    if (
        _OUTSIDE.match(words)
        or (first == "REINDEX" and _REINDEX.search(text))
        or (first in ("CREATE", "DROP", "REINDEX", "ALTER") and _CONCURRENTLY.search(text.upper()))
    ):
        return Kind.OUTSIDE_TRANSACTION
    if ";" in text and _several(text):
        return Kind.SEVERAL
    if first in ("CALL", "DO"):
        return Kind.PROCEDURE
    if first in _FIRES or (first == "EXPLAIN" and "ANALYZE" in text.upper()):
        return Kind.SINGLE
    if first == "SELECT" and (
        not re.search(r"\bFROM\b", text, re.IGNORECASE) or _FUNCTION.search(text)
    ):
        # Nothing to read from, so it is there for what a function does.
        return Kind.SINGLE
    if first == "VALUES" and re.search(r"\w\s*\(", text[head.end("words") :] if head else text):
        return Kind.SINGLE
    return Kind.OTHER


# Most statements of a program are the same few texts with other parameters.
_SHORT: Final = 4_096
_remembered_kind = functools.lru_cache(maxsize=256)(_kind)


def _several(text: str) -> bool:
    pieces = [token for token in sql.tokens(text) if token.kind not in ("space", "comment")]
    ends = [index for index, token in enumerate(pieces) if token.text == ";"]
    return bool(ends) and ends[0] < len(pieces) - len(ends)


def is_plain_read(statement: Any, connection: Any) -> bool:
    """Whether a statement only reads, or marks a point to go back to."""
    text = text_of(statement, connection)
    return _remembered_reading(text) if len(text) < _SHORT else _reads(text)


def _reads(text: str) -> bool:
    head = _HEAD.match(text)
    first = ((head and head["words"]) or "").partition(" ")[0].upper()
    return first in _READS and _kind(text) in (Kind.OTHER, Kind.TRANSACTION_CONTROL)


_READS: Final = frozenset(["SELECT", "VALUES", "TABLE", "SHOW", "SAVEPOINT", "RELEASE"])
_remembered_reading = functools.lru_cache(maxsize=256)(_reads)


def may_undo_settings(statement: Any, connection: Any) -> bool:
    """Whether a statement may roll back or reset settings, or begin another transaction."""
    text = text_of(statement, connection)
    return _remembered_undoing(text) if len(text) < _SHORT else _may_undo(text)


def _may_undo(text: str) -> bool:
    # Most statements have none of the words even in their literals.
    capitals = text.upper()
    return any(word in capitals for word in _UNDOES) and any(
        token.kind == "word" and token.text.upper() in _UNDOES for token in sql.tokens(text)
    )


_remembered_undoing = functools.lru_cache(maxsize=256)(_may_undo)


# What a transaction is like can be chosen only before its first query.
_CHOOSES: Final = re.compile(r"SET\s+((SESSION|LOCAL)\s+)?TRANSACTION(_|\b)")


def must_come_first(statement: Any, connection: Any) -> bool:
    """Whether a statement chooses what its transaction is like, so that no query may precede it."""
    text = text_of(statement, connection)
    return _remembered_choice(text) if len(text) < _SHORT else _chooses(text)


def _chooses(text: str) -> bool:
    head = _HEAD.match(text)
    words = ((head and head["words"]) or "").upper()
    return _CHOOSES.match(words) is not None and _kind(text) is not Kind.SEVERAL


_remembered_choice = functools.lru_cache(maxsize=256)(_chooses)
