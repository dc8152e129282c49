"""Makes ``triggers`` a legal option of ``Meta``: the one thing to do before models load."""

from typing import Any

from django.db.migrations import state
from django.db.models import options

OPTION = "triggers"


def allow_triggers() -> None:
    """Let Django's model options, and the model states of migrations, know the option."""
    modules: list[Any] = [options, state]
    for module in modules:
        if OPTION not in module.DEFAULT_NAMES:
            module.DEFAULT_NAMES = (*module.DEFAULT_NAMES, OPTION)
