"""The ``PGTRIGGER_*`` settings, read when they are used, so tests can override them."""

from __future__ import annotations

import os
import re

from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.exceptions import ImproperlyConfigured

_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>us|ms|s|min|h|d)?")
_MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST = 2**31 - 1
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")


def migrations() -> bool:
    """``PGTRIGGER_MIGRATIONS`` (True): makemigrations writes trigger operations."""
    return bool(getattr(settings, "PGTRIGGER_MIGRATIONS", True))


def install_on_migrate() -> bool:
    """``PGTRIGGER_INSTALL_ON_MIGRATE`` (False): install all triggers after every migrate."""
    return bool(getattr(settings, "PGTRIGGER_INSTALL_ON_MIGRATE", False))


def prune_on_install() -> bool:
    """``PGTRIGGER_PRUNE_ON_INSTALL`` (True): installing everything also removes leftovers."""
    return bool(getattr(settings, "PGTRIGGER_PRUNE_ON_INSTALL", True))


def schema() -> str:
    """``PGTRIGGER_SCHEMA`` ("public"): where django-pgtrigger 4.x kept its helper function."""
    return str(getattr(settings, "PGTRIGGER_SCHEMA", "public"))


def schema_editor() -> bool:
    """``PGTRIGGER_SCHEMA_EDITOR`` (True): schema changes carry a table's triggers along."""
    return bool(getattr(settings, "PGTRIGGER_SCHEMA_EDITOR", True))


def model_meta() -> bool:
    """``PGTRIGGER_MODEL_META`` (True): triggers are declared in a model's ``Meta``."""
    return bool(getattr(settings, "PGTRIGGER_MODEL_META", True))


def errcode(default: str) -> str:
    """``PGTRIGGER_ERRCODE`` (None): the SQLSTATE that ready-made triggers raise.

    ``default`` is what a trigger type raises by itself. Raises ``ImproperlyConfigured`` for a
    value that is no SQLSTATE. PostgreSQL manual: Appendix A, "PostgreSQL Error Codes".
    """
    code: object = default
    # A test of a declaration alone makes it before there are any settings.
    if settings.configured or os.environ.get(ENVIRONMENT_VARIABLE):
        code = getattr(settings, "PGTRIGGER_ERRCODE", None) or default
    if not (isinstance(code, str) and _SQLSTATE.fullmatch(code)) or code.startswith("00"):
        raise ImproperlyConfigured(
            f"PGTRIGGER_ERRCODE must be a SQLSTATE of five digits and capital letters that is "
            f'not a success code, such as "23001" or "P0001"; got {code!r}.'
        )
    return code


def lock_timeout() -> str | None:
    """``PGTRIGGER_LOCK_TIMEOUT`` (None): how long installing may wait for a lock.

    In milliseconds or as text such as ``"2s"``; None leaves the server's own ``lock_timeout``.
    Raises ``ImproperlyConfigured`` for anything else.
    """
    value = getattr(settings, "PGTRIGGER_LOCK_TIMEOUT", None)
    if value is None:
        return None
    try:
        return duration(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"PGTRIGGER_LOCK_TIMEOUT: {error}") from None


def duration(value: object) -> str:
    """Check a duration as Postgres takes it: milliseconds, or a number with its unit.

    Raises ``ValueError`` for anything else. PostgreSQL manual: "Parameter Names and Values".

    >>> duration(1500), duration("2 s")
    ('1500', '2 s')
    """
    text = str(value).strip()
    match = _DURATION.fullmatch(text)
    if isinstance(value, bool) or not match:
        raise ValueError(
            f"{value!r} is no duration; give milliseconds, or a number with one of the units "
            f'us, ms, s, min, h and d, such as "2s".'
        )
    milliseconds = float(match["number"]) * _MILLISECONDS[match["unit"] or "ms"]
    if milliseconds > _LONGEST:
        raise ValueError(f"{value!r} is longer than Postgres can wait, which is {_LONGEST} ms.")
    # Postgres would round it to 0, which is no limit.
    return "1" if 0 < milliseconds < 1 else text
