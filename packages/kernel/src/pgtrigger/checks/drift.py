"""Triggers of a database that are not as they are declared: ``check --database``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.core.checks import CheckMessage

from pgtrigger import catalog
from pgtrigger.checks.databases import reachable
from pgtrigger.checks.messages import warning
from pgtrigger.comparison import Wanted, leftovers, read_catalog, wanted_triggers
from pgtrigger.errors import DeclarationError
from pgtrigger.migrations._commands import is_running
from pgtrigger.registry import registered

_NAMED: Final = 5
_DISABLED: Final = "DISABLED"


def check_drift(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Compare the databases with what is declared; one warning for each that differs.

    Not in ``migrate``, which runs the checks before it changes what they would find.
    """
    if is_running():
        return []
    return [
        message
        for connection in reachable(databases)
        for message in _check_database(connection.alias, connection)
    ]


def _check_database(alias: str, connection: Any) -> Iterator[CheckMessage]:
    wanted = [*_wanted(alias)]
    found = read_catalog(connection, wanted, whole=True)
    differences = [
        (state, w.uri)
        for w in wanted
        if (state := _state(*found.status(w.compiled, w.db_table))) != catalog.INSTALLED
    ]
    differences += [
        (catalog.PRUNE, f"{trigger.table}:{trigger.pgid}") for trigger in leftovers(found, wanted)
    ]
    if not differences:
        return
    counted = Counter(state for state, _ in differences)
    summary = ", ".join(f"{number} {state}" for state, number in counted.items())
    named = ", ".join(f"{name} ({state})" for state, name in differences[:_NAMED])
    more = len(differences) - _NAMED
    yield warning(
        "pgtrigger.W005",
        f'The triggers of database "{alias}" are not as they are declared: {summary}. '
        f"They are: {named}{f' and {more} more' if more > 0 else ''}.",
        f'"manage.py pgtrigger check --database {alias}" shows all. {_repair(counted)}',
    )


def _wanted(alias: str) -> Iterator[Wanted]:
    for pair in registered():
        try:
            yield from wanted_triggers([pair], alias)
        except (DeclarationError, ValueError):
            continue  # check_triggers says what is wrong with it


def _state(status: str, enabled: bool | None) -> str:
    return _DISABLED if status == catalog.INSTALLED and not enabled else status


def _repair(states: Counter[str]) -> str:
    command = "manage.py pgtrigger"
    repairs = []
    if states[catalog.UNINSTALLED] or states[catalog.OUTDATED] or states[catalog.DRIFTED]:
        repairs.append(f'"manage.py migrate", and then "{command} install", install them.')
    if states[_DISABLED]:
        repairs.append(f'"{command} enable" enables them.')
    if states[catalog.PRUNE]:
        repairs.append(f'"{command} prune" removes what nobody declares.')
    return " ".join(repairs)
