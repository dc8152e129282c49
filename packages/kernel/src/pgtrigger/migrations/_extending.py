"""Extending a method of Django's, once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def extend(kind: type[Any], name: str, make: Callable[[Any], Any]) -> None:
    """Put in the place of a method what ``make`` makes of it, unless that was done already."""
    original = getattr(kind, name)
    if not getattr(original, "extended_by_pgtrigger", False):
        extended: Any = functools.wraps(original)(make(original))
        extended.extended_by_pgtrigger = True
        setattr(kind, name, extended)
