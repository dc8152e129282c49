"""Triggers in a project whose ``INSTALLED_APPS`` lack ``"pgtrigger"``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage

from pgtrigger.checks.messages import error
from pgtrigger.declaration import Model
from pgtrigger.registry import registered


def check_installed(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that what models declare is heard of. The app itself takes this check back."""
    if apps.is_installed("pgtrigger"):
        return []
    labels = sorted({model._meta.label for model in _declaring()})
    if not labels:
        return []
    more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    text = (
        f'Triggers are declared on {", ".join(labels[:3])}{more}, but "pgtrigger" is not in '
        f"INSTALLED_APPS: no migration will bring them, and pgtrigger.ignore has no effect."
    )
    return [error("pgtrigger.E005", text, 'Add "pgtrigger" to INSTALLED_APPS, at any position.')]


def _declaring() -> Iterator[Model]:
    yield from (model for model, _ in registered())
    for model in apps.get_models(include_auto_created=True):
        if getattr(model._meta, "triggers", None):
            yield model
