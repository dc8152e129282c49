"""``manage.py pgtrigger prune``."""

from __future__ import annotations

from typing import ClassVar

from pgtrigger.management.changing import Changing
from pgtrigger.planning import Action


class Prune(Changing):
    """Remove triggers that no declaration stands for any more, and functions without triggers."""

    name: ClassVar[str] = "prune"
    help: ClassVar[str] = "Remove triggers that are no longer in the code."
    action = Action.PRUNE
    takes_uris = False
    takes_apps = False
    takes_statuses = False
