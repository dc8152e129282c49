"""``manage.py pgtrigger enable``."""

from __future__ import annotations

from typing import ClassVar

from pgtrigger.management.changing import Changing
from pgtrigger.planning import Action


class Enable(Changing):
    """Let disabled triggers fire again, for everybody."""

    name: ClassVar[str] = "enable"
    help: ClassVar[str] = "Let installed triggers fire again, for everybody."
    action = Action.ENABLE
