"""One Postgres trigger of a compiled trigger. PostgreSQL manual: "CREATE TRIGGER"."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass, fields
from typing import Any, Final

from pgtrigger import sql
from pgtrigger.errors import DeclarationError

MAX_IDENTIFIER_LENGTH: Final = 63
IGNORE_SETTING: Final = "pgtrigger.ignore"
_DIGITS: Final = re.compile(r"[0-9a-f]{5}")
# An element of the setting that stands for every trigger that can be ignored.
EVERYTHING: Final = "*"
_SETTING: Final = f"pg_catalog.current_setting('{IGNORE_SETTING}', true)"


def digest(*texts: str) -> str:
    """40 hexadecimal digits for a sequence of texts."""
    return hashlib.sha1("\0".join(texts).encode(), usedforsecurity=False).hexdigest()


def postgres_id(name: str, identity: str) -> str:
    """The name of a Postgres trigger: ``pgtrigger_<name>_<5 hex digits>``, in lower case.

    Raises `DeclarationError` above the 63 characters of a Postgres identifier.
    """
    pgid = f"pgtrigger_{name}_{digest(identity)[:5]}".lower()
    if len(pgid) > MAX_IDENTIFIER_LENGTH:
        raise DeclarationError(
            f'Trigger identifier "{pgid}" has {len(pgid)} characters, which is more than the '
            f"{MAX_IDENTIFIER_LENGTH} of a Postgres identifier. Choose a shorter trigger name."
        )
    return pgid


def is_postgres_id(pgid: str, name: str) -> bool:
    """Whether a Postgres id is one that a trigger of this declared name can have."""
    prefix, _, digits = pgid.rpartition("_")
    return prefix == f"pgtrigger_{name}".lower() and _DIGITS.fullmatch(digits) is not None


def ignored(*names: str) -> str:
    """The expression that holds where `pgtrigger.ignore` names a trigger by one of these names.

    It is evaluated for each row: to read an array of a thousand names takes 0.2 ms, so everything
    is told from how the text begins. It names the operators of Postgres, because the search path
    of the role that writes may have better matches.
    """
    array = f"ARRAY[{', '.join(map(sql.string, names))}]"
    named = f"{array} OPERATOR(pg_catalog.&&) {_SETTING}::pg_catalog.text[]"
    everything = sql.string("{" + EVERYTHING)
    return (
        f"CASE WHEN {_SETTING} OPERATOR(pg_catalog.<>) '' "
        f"THEN pg_catalog.starts_with({_SETTING}, {everything}) OR {named} ELSE FALSE END"
    )


def value_repr(self: Any) -> str:
    """A repr that leaves out what has its default value."""
    given = ", ".join(f"{name}={value!r}" for name, value in given_values(self).items())
    return f"{type(self).__name__}({given})"


def given_values(instance: Any) -> dict[str, Any]:
    """The fields of a dataclass instance that do not have their default value."""
    values = {
        field.name: (field.default, getattr(instance, field.name)) for field in fields(instance)
    }
    return {name: value for name, (default, value) in values.items() if value != default}


@dataclass(frozen=True, kw_only=True, repr=False)
class Part:
    """One Postgres trigger of a compiled trigger. All values are SQL text.

    Args:
        pgid: the trigger's name in Postgres.
        when: ``BEFORE``, ``AFTER`` or ``INSTEAD OF``.
        operation: such as ``INSERT OR UPDATE``.
        level: ``ROW`` or ``STATEMENT``.
        condition: the expression of the ``WHEN`` clause, without the keyword.
        referencing: the ``REFERENCING`` clause, with its keyword.
        timing: ``IMMEDIATE`` or ``DEFERRED`` for a constraint trigger.
    """

    pgid: str
    when: str
    operation: str
    level: str = "ROW"
    condition: str = ""
    referencing: str = ""
    timing: str = ""

    __repr__ = value_repr

    def deconstruct(self) -> tuple[str, tuple[()], dict[str, Any]]:
        """How Django's migration writer spells this value."""
        return "pgtrigger.compiler.Part", (), given_values(self)

    @functools.cached_property
    def key(self) -> tuple[str, ...]:
        """What makes two parts equal: their text, but for white space."""
        return (
            self.pgid,
            self.when,
            sql.normalise(self.operation),
            self.level,
            sql.normalise(self.condition),
            sql.normalise(self.referencing),
            self.timing,
        )

    @property
    def guards_itself(self) -> bool:
        """Whether the ignore check can stand in the WHEN clause, sparing the function call.

        Not for constraint triggers, whose WHEN is evaluated when the event is queued rather than
        when the trigger fires, nor where Postgres knows no WHEN.
        """
        return self.level == "ROW" and self.when != "INSTEAD OF" and not self.timing

    def create_sql(self, table: str, function: str, *, guard: str = "") -> str:
        """The ``CREATE TRIGGER`` statement, on quoted names.

        ``guard`` is an expression that keeps the trigger from firing where it holds.
        """
        conditions = [self.condition] if self.condition else []
        if guard:
            conditions.append(f"NOT {guard}")
        if len(conditions) > 1:
            conditions = [f"({condition})" for condition in conditions]
        joined = " AND ".join(conditions)
        clauses = [
            "CREATE CONSTRAINT TRIGGER" if self.timing else "CREATE OR REPLACE TRIGGER",
            sql.quote(self.pgid),
            self.when,
            self.operation,
            "ON",
            table,
            f"DEFERRABLE INITIALLY {self.timing}" if self.timing else "",
            self.referencing,
            f"FOR EACH {self.level}",
            f"WHEN ({joined})" if joined else "",
            f"EXECUTE FUNCTION {function}()",
        ]
        return " ".join(clause for clause in clauses if clause)
