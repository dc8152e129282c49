"""``manage.py pgtrigger uninstall``."""

from __future__ import annotations

from typing import ClassVar

from pgtrigger.management.changing import Changing
from pgtrigger.planning import Action


class Uninstall(Changing):
    """Remove triggers and their functions."""

    name: ClassVar[str] = "uninstall"
    help: ClassVar[str] = "Remove triggers and their functions."
    action = Action.UNINSTALL
    asks = True
