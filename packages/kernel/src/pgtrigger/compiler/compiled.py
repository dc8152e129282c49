"""A trigger as plain text: its function and the Postgres triggers that call it.

PostgreSQL manual: "CREATE FUNCTION"; "PL/pgSQL", trigger functions.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Final

from pgtrigger import sql
from pgtrigger.compiler.fingerprint import (
    TriggerComment,
    comment_triggers_sql,
    function_comment,
)
from pgtrigger.compiler.part import (
    MAX_IDENTIFIER_LENGTH,
    Part,
    digest,
    given_values,
    ignored,
    value_repr,
)

_STATES: Final = {
    "O": "ENABLE TRIGGER",
    "D": "DISABLE TRIGGER",
    "A": "ENABLE ALWAYS TRIGGER",
    "R": "ENABLE REPLICA TRIGGER",
}
_STATEMENTS: Final = frozenset(
    ["select", "insert", "update", "delete", "merge", "perform", "execute", "call"]
)


def function_name(name: str, identity: str) -> str:
    """The name of a trigger function: ``pgtrigger_<name>_<12 hex digits>``, in lower case.

    All functions of a schema share one name space, which five digits are too few for.
    """
    room = MAX_IDENTIFIER_LENGTH - len("pgtrigger__") - 12
    return f"pgtrigger_{name[:room]}_{digest(identity)[:12]}".lower()


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CompiledTrigger:
    """A trigger as plain text: comparable, hashable, and written into migrations as it stands.

    Args:
        name: the declared name.
        function: the name of the trigger function.
        func: plpgsql statements, the body of the function.
        parts: its Postgres triggers; the first one carries the trigger's Postgres id.
        declare: the ``DECLARE`` section, with its keyword.
        ignorable: whether `pgtrigger.ignore` applies.
        firing: ``ORIGIN``, ``ALWAYS`` or ``REPLICA``, if that is declared.
        search_path: the schemas in which the function finds what has no schema; those of the role
            that writes, without any.

    Two compiled triggers are equal when they mean the same to Postgres: white space outside
    literals does not count, nor does the template by which the function is written.
    """

    name: str
    function: str
    func: str
    parts: tuple[Part, ...]
    declare: str = ""
    ignorable: bool = True
    firing: str = ""
    search_path: tuple[str, ...] = ()

    __repr__ = value_repr

    def __post_init__(self) -> None:
        # Migration files hold lists, which the writer lays out better than tuples.
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "search_path", tuple(self.search_path))

    def deconstruct(self) -> tuple[str, tuple[()], dict[str, Any]]:
        """How Django's migration writer spells this value."""
        return (
            "pgtrigger.compiler.CompiledTrigger",
            (),
            given_values(self) | {"parts": [*self.parts]},
        )

    @functools.cached_property
    def function_hash(self) -> str:
        """20 hexadecimal digits that change with what the function does."""
        body = sql.normalise(self.func), sql.normalise(self.declare)
        return digest(self.function, *body, self._guard_kind, *self.search_path)[:20]

    @functools.cached_property
    def definition_hash(self) -> str:
        """20 hexadecimal digits that change with the Postgres triggers themselves."""
        keys = ["\1".join(part.key) for part in self.parts]
        if self.firing:
            keys.append(self.firing)
        return digest(self.function, self._guard_kind, *keys)[:20]

    @property
    def hash(self) -> str:
        """What is stored in the database as a comment, and compared for the status."""
        return self.function_hash + self.definition_hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CompiledTrigger):
            return NotImplemented
        # Mostly nothing has changed, and to find that needs no hash.
        same = all(getattr(self, each) == getattr(other, each) for each in _FIELDS)
        return same or (self.name, self.hash) == (other.name, other.hash)

    def __hash__(self) -> int:
        return hash((self.name, self.hash))

    @property
    def pgid(self) -> str:
        """The trigger's Postgres id: the name of its first part."""
        return self.parts[0].pgid

    @property
    def pgids(self) -> tuple[str, ...]:
        """The names of all its Postgres triggers."""
        return tuple(part.pgid for part in self.parts)

    @property
    def state(self) -> str:
        """What ``pg_trigger.tgenabled`` is where it is installed: ``O``, ``A`` or ``R``."""
        return (self.firing or "ORIGIN")[0]

    @functools.cached_property
    def _guards_in_when(self) -> bool:
        # Kept, because hashes and statements ask for it several times, and to find the words of a
        # function takes longer than all the rest of writing it down.
        #
        # Postgres reads the text of a WHEN anew for each statement, for 8 µs and more. In the
        # function the guard costs 0.2 µs for each call, which counts only where the function does
        # next to nothing itself.
        return (
            self.ignorable and all(part.guards_itself for part in self.parts) and not self._is_heavy
        )

    @property
    def _is_heavy(self) -> bool:
        """Whether the function runs SQL, or does nothing but refuse."""
        words = (token.text.lower() for token in sql.tokens(self.func) if token.kind == "word")
        first = next(words, "")
        return first in ("raise", *_STATEMENTS) or any(word in _STATEMENTS for word in words)

    @property
    def _guard_kind(self) -> str:
        # Not its text, which may change without a new migration.
        if not self.ignorable:
            return "none"
        if self._guards_in_when:
            return "when"
        return f"{'name' if len(self.parts) == 1 else self.pgid} {self._pass_through()}"

    @property
    def source(self) -> str:
        """The text of the trigger function, as ``pg_proc.prosrc`` holds it."""
        guard = "" if self._guards_in_when or not self.ignorable else self._guard() + "\n"
        declare = f"{self.declare}\n" if self.declare else ""
        return f"\n{declare}BEGIN\n{guard}{self.func}\nEND;\n"

    def _guard(self) -> str:
        return f"IF ({self._ignored}) THEN\n    {self._pass_through()}\nEND IF;"

    @property
    def _ignored(self) -> str:
        # Further parts are ignored together with the first, whose id is the one that is named.
        # Where two tables' triggers share that id, `ignore` names the function.
        return ignored(self.pgid, self.function)

    def _pass_through(self) -> str:
        before = [part for part in self.parts if part.level == "ROW" and part.when != "AFTER"]
        operations = {word for part in before for word in _events(part.operation)}
        if not before:
            return "RETURN NULL;"
        if operations == {"DELETE"}:
            return "RETURN OLD;"
        if "DELETE" in operations:
            deletes = "TG_OP OPERATOR(pg_catalog.=) 'DELETE'"
            return f"IF {deletes} THEN RETURN OLD; ELSE RETURN NEW; END IF;"
        return "RETURN NEW;"

    def function_sql(self, schema: str | None = None) -> str:
        """``CREATE OR REPLACE FUNCTION``: takes no lock on the table."""
        path = ", ".join(map(sql.quote, self.search_path))
        return (
            f"CREATE OR REPLACE FUNCTION {sql.quote_relation(self.function, schema)}() "
            f"RETURNS trigger LANGUAGE plpgsql {f'SET search_path TO {path} ' if path else ''}"
            f"AS {sql.dollar_quote(self.source)}"
        )

    def function_comment_sql(self, schema: str | None = None) -> str:
        """Stores the hash beside the function, where that needs no lock on the table either."""
        name = sql.quote_relation(self.function, schema)
        comment = function_comment(self.hash, self.source, configured=bool(self.search_path))
        return f"COMMENT ON FUNCTION {name}() IS {sql.string(comment)}"

    def part_sql(
        self,
        part: Part,
        db_table: str,
        schema: str | None = None,
        *,
        drop: bool = False,
        comments: list[TriggerComment] | None = None,
    ) -> list[str]:
        """The statements that make or replace one of the Postgres triggers, and its comment.

        Postgres neither replaces a constraint trigger nor makes one in the place of another:
        ``drop`` says that such a trigger is there now. Where ``comments`` are collected, the
        statement that writes them is left to the caller.
        """
        table = sql.quote_relation(db_table, schema)
        function = sql.quote_relation(self.function, schema)
        name = f"{sql.quote(part.pgid)} ON {table}"
        dropping = [f"DROP TRIGGER IF EXISTS {name}"] if part.timing or drop else []
        guard = self._ignored if self._guards_in_when else ""
        statements = [*dropping, part.create_sql(table, function, guard=guard)]
        if self.state != "O":
            statements += state_sql([part.pgid], db_table, self.state, schema)
        comment = TriggerComment(self.hash, part.pgid, table)
        if comments is None:
            return [*statements, comment_triggers_sql([comment])]
        comments.append(comment)
        return statements

    def install_sql(self, db_table: str, schema: str | None = None) -> list[str]:
        """All statements that install the trigger on a table."""
        return [
            self.function_sql(schema),
            self.function_comment_sql(schema),
            *(text for part in self.parts for text in self.part_sql(part, db_table, schema)),
        ]

    def uninstall_sql(self, db_table: str, schema: str | None = None) -> list[str]:
        """All statements that remove the trigger and its function."""
        return [
            *drop_triggers_sql(self.pgids, db_table, schema),
            f"DROP FUNCTION IF EXISTS {sql.quote_relation(self.function, schema)}()",
        ]


_FIELDS: Final = tuple(field.name for field in fields(CompiledTrigger))


def state_sql(
    pgids: Iterable[str], db_table: str, state: str, schema: str | None = None
) -> list[str]:
    """The statements that enable or disable triggers of a table, as ``tgenabled`` has it."""
    table = sql.quote_relation(db_table, schema)
    return [f"ALTER TABLE {table} {_STATES[state]} {sql.quote(pgid)}" for pgid in pgids]


def drop_triggers_sql(pgids: Iterable[str], db_table: str, schema: str | None = None) -> list[str]:
    """The statements that drop these Postgres triggers of a table."""
    table = sql.quote_relation(db_table, schema)
    return [f"DROP TRIGGER IF EXISTS {sql.quote(pgid)} ON {table}" for pgid in pgids]


def _events(operation: str) -> frozenset[str]:
    """The events in an ``INSERT OR UPDATE OF …`` clause; column names are quoted, so not words."""
    return frozenset(t.text.upper() for t in sql.tokens(operation) if t.kind == "word")
