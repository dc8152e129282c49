"""Makes ``triggers`` a legal option of ``Meta``: the one thing to do before models load."""

from typing import Any, Final

from django.db.migrations import state
from django.db.models import options

OPTION = "triggers"


_MODELS: Final[Any] = options
_STATES: Final[Any] = state


def allow_triggers() -> None:
    """Let Django's model options, and the model states of migrations, know the option."""
    allow_declaration()
    _allow(_STATES)


def allow_declaration() -> None:
    """Let models alone know it, so that a check can say what a project lacks that uses it."""
    _allow(_MODELS)


def refuse_triggers() -> None:
    """Take the option back: ``PGTRIGGER_MODEL_META = False``."""
    for module in (_MODELS, _STATES):
        module.DEFAULT_NAMES = tuple(name for name in module.DEFAULT_NAMES if name != OPTION)


def _allow(module: Any) -> None:
    if OPTION not in module.DEFAULT_NAMES:
        module.DEFAULT_NAMES = (*module.DEFAULT_NAMES, OPTION)
