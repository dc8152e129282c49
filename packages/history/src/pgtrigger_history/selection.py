"""Which trackings a command works on."""

from __future__ import annotations

from fnmatch import fnmatchcase

from django.db import router

from pgtrigger.registry import registered
from pgtrigger_history.errors import NotTrackedError
from pgtrigger_history.trackings import Tracking, trackings
from pgtrigger_history.triggers import History


def chosen_trackings(*targets: str, database: str) -> list[Tracking]:
    """The trackings that these names or globs are about, or all of them, on a database.

    Args:
        *targets: labels of tracked models, with those of its many-to-many fields; of models of
            events; URIs of triggers.
        database: the alias; what its router does not want there is left out.

    Raises:
        NotTrackedError: a target that is about none.
    """
    names = {tracking: _names(tracking) for tracking in trackings() if _is_there(tracking)}
    for target in targets:
        if not any(fnmatchcase(name, target) for known in names.values() for name in known):
            labels = sorted(tracking.model._meta.label for tracking in names)
            raise NotTrackedError(
                f'"{target}" is neither a tracked model, nor a model of events, nor a trigger that '
                f"records events. Tracked are: {', '.join(labels) or 'none'}."
            )
    return [
        tracking
        for tracking, known in names.items()
        if not targets or any(fnmatchcase(name, each) for each in targets for name in known)
        if router.allow_migrate_model(database, tracking.event_model)
    ]


def _is_there(tracking: Tracking) -> bool:
    """Whether its model is one of an installed app, and not of one that a test has taken away."""
    options = tracking.event_model._meta
    return options.apps.all_models[options.app_label].get(str(options.model_name)) is (
        tracking.event_model
    )


def _names(tracking: Tracking) -> set[str]:
    found = {tracking.model._meta.label, tracking.event_model._meta.label}
    if tracking.owner is not None:
        model, field = tracking.owner
        found |= {model._meta.label, f"{model._meta.label}.{field}"}
    return found | {
        trigger.get_uri(model)
        for model, trigger in registered()
        if isinstance(trigger, History) and trigger.event_model(model) is tracking.event_model
    }
