"""``manage.py pgtrigger disable``."""

from __future__ import annotations

from typing import ClassVar

from pgtrigger.management.changing import Changing
from pgtrigger.planning import Action


class Disable(Changing):
    """Keep installed triggers from firing, for everybody."""

    name: ClassVar[str] = "disable"
    help: ClassVar[str] = "Keep installed triggers from firing, for everybody."
    action = Action.DISABLE
    asks = True
