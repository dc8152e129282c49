"""The ``PGTRIGGER_*`` settings, read when they are used, so tests can override them."""

from __future__ import annotations

import re

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

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
    """
    value = getattr(settings, "PGTRIGGER_LOCK_TIMEOUT", None)
    return None if value is None else str(value)
