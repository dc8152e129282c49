"""Triggers of apps without migrations, whose tables Django creates by ``migrate --run-syncdb``.

A table brings its own triggers when it is created; those on a proxy of another app's model, or of
an automatic many-to-many table, have no table that could bring them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.db.migrations.loader import MigrationLoader

from pgtrigger import catalog, conf
from pgtrigger.comparison import wanted_triggers
from pgtrigger.installation import carry_out
from pgtrigger.migrations._extending import extend
from pgtrigger.planning import Action, Work
from pgtrigger.registry import Registration, registered


def after_migrate(sender: Any, using: str, **kwargs: Any) -> None:
    """A receiver of ``post_migrate``, which Django sends for each app."""
    if sender.label == "pgtrigger" and conf.install_on_migrate():
        _install(registered(), using, prune=conf.prune_on_install())
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
    if pairs:
        _install(pairs, using)


def _install(pairs: Iterable[Registration], using: str, *, prune: bool = False) -> None:
    # A single app may have been migrated, or reversed.
    if catalog.postgres(using):
        work = Work(
            database=using,
            action=Action.INSTALL,
            wanted=wanted_triggers(pairs, using),
            prune=prune,
            tables_may_be_missing=True,
        )
        carry_out(work)


def extend_state_apps(kind: type[Any]) -> None:
    """Let ``migrate`` go on where unmigrated apps declare triggers on many-to-many tables.

    It begins with the unmigrated models without their relations. A proxy of an automatic
    many-to-many table has no base among those, and Django gives up. Nobody asks for it there;
    when the tables have been made, Django takes all models with their relations.
    """
    extend(kind, "render_multiple", _leaving_out)


def _leaving_out(original: Any) -> Any:
    def render_multiple(self: Any, model_states: Any) -> Any:
        states = {(state.app_label, state.name_lower): state for state in model_states}
        return original(self, [s for s in model_states if not _has_no_base(s, states)])

    return render_multiple


def _has_no_base(state: Any, states: Mapping[tuple[str, str], Any]) -> bool:
    if not (state.options.get("proxy") and state.options.get("triggers")):
        return False
    for name in state.bases:
        if not isinstance(name, str) or tuple(name.split(".")) in states:
            continue
        try:
            owner = apps.get_model(name)._meta.auto_created
        except LookupError:  # a model of the past
            continue
        fields = owner._meta.local_many_to_many if owner else ()
        for field in fields:
            known = states.get((owner._meta.app_label, owner._meta.model_name))
            through = field.remote_field.through._meta.label_lower
            if through == name and known is not None and field.name not in known.fields:
                return True
    return False
