"""Wires the package into Django, and does nothing else."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.management import get_commands, load_command_class
from django.db import connections, models
from django.db.backends.signals import connection_created
from django.db.migrations import Migration
from django.db.migrations.state import StateApps
from django.db.models.signals import post_migrate

from pgtrigger import conf
from pgtrigger.checks import (
    check_drift,
    check_inheritance,
    check_installed,
    check_poolers,
    check_triggers,
)
from pgtrigger.lookups import IsDistinctFrom, IsNotDistinctFrom
from pgtrigger.meta import allow_triggers, refuse_triggers
from pgtrigger.migrations._commands import extend_command
from pgtrigger.migrations._schema_editor import extend_migration, extend_schema_editor
from pgtrigger.migrations._unmigrated import after_migrate, extend_state_apps
from pgtrigger.registry import collect_all
from pgtrigger.watch import attach

# Models are imported after this and before ready().
if conf.model_meta():
    allow_triggers()
else:
    refuse_triggers()


class PgTriggerConfig(AppConfig):
    """The app ``pgtrigger``; it can stand anywhere in ``INSTALLED_APPS``."""

    name = "pgtrigger"
    verbose_name = "Postgres triggers"

    def ready(self) -> None:
        """Collect the declared triggers, and plug into Django where it offers a socket."""
        for lookup in (IsDistinctFrom, IsNotDistinctFrom):
            models.Field.register_lookup(lookup)
        collect_all()
        connection_created.connect(attach, dispatch_uid="pgtrigger")
        for connection in connections.all(initialized_only=True):
            if connection.connection is not None:
                attach(connection)
        post_migrate.connect(after_migrate, dispatch_uid="pgtrigger")
        for check in (check_triggers, check_inheritance):
            checks.register(check, checks.Tags.models)
        for check in (check_poolers, check_drift):
            checks.register(check, checks.Tags.database)
        # Whoever is ready has been installed.
        checks.registry.registry.registered_checks.discard(check_installed)
        for command in ("makemigrations", "migrate"):
            _extend(command)
        extend_migration(Migration)
        extend_state_apps(StateApps)
        wrapper = _postgres_wrapper()
        if wrapper is not None:
            extend_schema_editor(wrapper)


def _extend(name: str) -> None:
    # Projects may bring commands of their own under these names.
    app_or_command = get_commands()[name]
    command: Any = app_or_command
    if isinstance(command, str):
        command = load_command_class(app_or_command, name)
    extend_command(type(command))


def _postgres_wrapper() -> type[Any] | None:
    try:
        from django.db.backends.postgresql.base import (  # noqa: PLC0415  # loads the driver
            DatabaseWrapper,
        )
    except Exception:  # no driver: then no database of the project is PostgreSQL
        return None
    return DatabaseWrapper
