"""Triggers of apps without migrations, whose tables Django creates by ``migrate --run-syncdb``.

A table brings its own triggers when it is created; those on a proxy of another app's model, or of
an automatic many-to-many table, have no table that could bring them.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.db.migrations.loader import MigrationLoader

from pgtrigger import catalog, conf
from pgtrigger.installation import install, install_triggers, wanted_triggers
from pgtrigger.registry import registered


def after_migrate(sender: Any, using: str, **kwargs: Any) -> None:
    """A receiver of ``post_migrate``, which Django sends for each app."""
    if sender.label == "pgtrigger" and conf.install_on_migrate():
        install(database=using)
    if conf.schema_editor() and _is_unmigrated(sender.label):
        _install_of_proxies(sender.label, using)


def _is_unmigrated(app_label: str) -> bool:
    module, _ = MigrationLoader.migrations_module(app_label)
    return module is None or find_spec(module) is None


def _install_of_proxies(app_label: str, using: str) -> None:
    pairs = [
        (model, trigger)
        for model, trigger in registered()
        if model._meta.app_label == app_label and model._meta.proxy
    ]
    connection = catalog.postgres(using) if pairs else None
    if connection is None:
        return
    wanted = wanted_triggers(pairs, using)
    existing = catalog.schemas_of(connection, {w.db_table for w in wanted})
    install_triggers(connection, [w for w in wanted if w.db_table in existing])
