"""The form of the messages: what is wrong, what to do, and where the page says more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.core.checks import CheckMessage, Error, Warning

from pgtrigger.declaration import Model

PAGE: Final = "docs/checks.md"


def error(number: str, text: str, hint: str, model: Model | None = None) -> CheckMessage:
    """An error; ``number`` is its whole id, such as ``pgtrigger.E001``."""
    return _message(Error, number, text, hint, model)


def warning(number: str, text: str, hint: str, model: Model | None = None) -> CheckMessage:
    """A warning, made as an error is."""
    return _message(Warning, number, text, hint, model)


def _message(
    kind: Callable[..., CheckMessage], number: str, text: str, hint: str, model: Model | None
) -> CheckMessage:
    section = number.partition(".")[2]
    options: dict[str, Any] = {"obj": model, "id": number}
    return kind(text, hint=f"{hint} See {PAGE}#{section}.", **options)
