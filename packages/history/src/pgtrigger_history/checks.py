"""System checks of tracked models. Django manual: "System check framework"."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning

from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError
from pgtrigger_history.body import CONTEXT_ID
from pgtrigger_history.filling import Filling
from pgtrigger_history.trackings import trackings_of
from pgtrigger_history.triggers import History


def problems(model: Model, trigger: History) -> Iterator[CheckMessage]:
    """What is wrong with the history of a model."""
    uri = trigger.get_uri(model)
    try:
        events = trigger.event_model(model)
    except DeclarationError as error:
        yield Error(
            f'Trigger "{uri}" has no model for its events: {error}',
            hint='Name a model in into, as "app_label.Model". See docs/checks.md.',
            obj=model,
            id="pgtrigger_history.E001",
        )
        return
    if Filling(model, events, "").context == CONTEXT_ID and not apps.is_installed(
        "pgtrigger_history"
    ):
        yield Error(
            f'The events of "{uri}" refer to contexts, whose table is missing: '
            f'"pgtrigger_history" is not in INSTALLED_APPS.',
            hint='Add "pgtrigger_history" to INSTALLED_APPS, or track with context="inline" or '
            "None. See docs/checks.md.",
            obj=model,
            id="pgtrigger_history.E002",
        )
    # It is the same for all triggers of a tracker.
    if "INSERT" in getattr(trigger.operation, "names", ()):
        yield from _untracked_parents(model)


def _untracked_parents(model: Model) -> Iterator[CheckMessage]:
    for parent, link in model._meta.parents.items():
        if link is not None and not parent._meta.proxy and not trackings_of(parent):
            yield Warning(
                f'"{model._meta.label}" is tracked, and its parent "{parent._meta.label}" is not: '
                f"what is in the table of the parent is not recorded.",
                hint=f"Decorate {parent.__name__} with track(), too. See docs/checks.md.",
                obj=model,
                id="pgtrigger_history.W001",
            )
