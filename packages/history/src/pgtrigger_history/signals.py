"""Who logs in during a request is its user from then on."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in

from pgtrigger.wanted import current
from pgtrigger_history.context import SETTING


def connect() -> None:
    """Listen to Django's signal."""
    user_logged_in.connect(_forget_visitor, dispatch_uid="pgtrigger_history")


def _forget_visitor(**kwargs: Any) -> None:
    for layer in current.get().layers:
        if layer.setting == SETTING:
            layer.touch()  # its values are asked for anew
