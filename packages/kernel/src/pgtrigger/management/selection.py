"""Which triggers, databases and schemas a subcommand works on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.apps import apps
from django.core.management.base import CommandError
from django.db import connections
from django.db.utils import DEFAULT_DB_ALIAS

from pgtrigger.registry import Registration, registered

ALL = "all"


def chosen(*uris: str, labels: Iterable[str] = ()) -> list[Registration]:
    """The registered ``(model, trigger)`` pairs of these URIs or globs, in these apps.

    Raises:
        TriggerUriError, TriggerNotFoundError: a URI that does not exist.
        CommandError: an app that is not installed.
    """
    pairs = registered(*uris)
    wanted = {*labels}
    installed = {config.label for config in apps.get_app_configs()}
    if unknown := sorted(wanted - installed):
        raise CommandError(
            f"There is no installed app with the label {unknown[0]!r}; there are: "
            f"{', '.join(sorted(installed))}."
        )
    return [pair for pair in pairs if not wanted or pair[0]._meta.app_label in wanted]


def databases(given: str | Sequence[str] | None) -> list[str]:
    """The aliases that were asked for; ``default`` without any, for ``all`` those of PostgreSQL.

    Raises `CommandError` for an alias that is not in DATABASES.
    """
    names = [given] if isinstance(given, str) else [*(given or ())]
    if ALL in names and ALL not in connections:
        return [alias for alias in connections if connections[alias].vendor == "postgresql"]
    if unknown := [name for name in names if name not in connections]:
        raise CommandError(
            f"There is no database {unknown[0]!r} in DATABASES; there are: "
            f"{', '.join(connections)}."
        )
    return [*dict.fromkeys(names)] or [DEFAULT_DB_ALIAS]
