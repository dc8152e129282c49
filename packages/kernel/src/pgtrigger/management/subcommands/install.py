"""``manage.py pgtrigger install``."""

from __future__ import annotations

from typing import ClassVar

from pgtrigger.management.changing import Changing
from pgtrigger.planning import Action


class Install(Changing):
    """Install triggers, by the smallest change."""

    name: ClassVar[str] = "install"
    help: ClassVar[str] = "Install triggers, by the smallest change."
    action = Action.INSTALL
