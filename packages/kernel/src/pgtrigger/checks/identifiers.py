"""Names that Postgres takes for one: it cuts identifiers off at 63 bytes.

PostgreSQL manual: "Lexical Structure", identifiers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.core.checks import CheckMessage

from pgtrigger import sql
from pgtrigger.checks.messages import error
from pgtrigger.compiler import CompiledTrigger
from pgtrigger.declaration import Model
from pgtrigger.trigger import Trigger

_LONGEST: Final = 63
_HINT: Final = (
    "Return another name, of at most 63 bytes, from get_pgid and get_function_name, or give the "
    "trigger another name."
)


class Identifiers:
    """The names that triggers have taken in the database so far."""

    def __init__(self) -> None:
        self._triggers: dict[tuple[str | None, str, str], str] = {}
        self._functions: dict[tuple[str | None, str], str] = {}

    def check(
        self, model: Model, trigger: Trigger, compiled: CompiledTrigger
    ) -> Iterator[CheckMessage]:
        """Take the names of a trigger, and tell which of them are taken or too long."""
        uri = trigger.get_uri(model)
        schema, table = sql.relation(model._meta.db_table)
        for name in (*compiled.pgids, compiled.function):
            if cut(name) != name:
                text = (
                    f'Trigger "{uri}" has the name "{name}" in Postgres, of '
                    f"{len(name.encode())} bytes. Postgres cuts it off at {_LONGEST}, so that "
                    f"the trigger is never found again."
                )
                yield error("pgtrigger.E006", text, _HINT, model)
        for pgid in compiled.pgids:
            # Its own name a second time is a clash of its parts.
            holder = self._triggers.get((schema, table, cut(pgid)))
            if holder is not None:
                text = (
                    f'Triggers "{uri}" and "{holder}" have one name in Postgres, "{cut(pgid)}", '
                    f'on the table "{table}": the second one would replace the first.'
                )
                yield error("pgtrigger.E006", text, _HINT, model)
            self._triggers[schema, table, cut(pgid)] = uri
        function = schema, cut(compiled.function)
        holder = self._functions.setdefault(function, uri)
        if holder != uri:
            text = (
                f'The functions of triggers "{uri}" and "{holder}" have one name in Postgres, '
                f'"{function[1]}": the second one would replace what the first one does.'
            )
            yield error("pgtrigger.E006", text, _HINT, model)


def cut(name: str) -> str:
    """What Postgres takes a name for."""
    # At the end of a character.
    return name.encode()[:_LONGEST].decode(errors="ignore")
