"""Trigger types of plugins that ``pgtrigger.<TypeName>`` does not find."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from typing import Final

from django.core.checks import CheckMessage

from pgtrigger.checks.messages import warning
from pgtrigger.plugins import Plugins

_PACKAGE: Final = __name__.partition(".")[0]


def check_names(loaded: Plugins) -> Iterator[CheckMessage]:
    """Check that no name of the package itself stands before that of a plugin's type."""
    package = sys.modules[_PACKAGE]
    names = vars(package)
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    for name, kind in loaded.trigger_types.items():
        if names.get(name) is kind:
            continue
        if name.startswith("_"):
            reason = "names that begin with an underscore are private"
        elif name in modules:
            reason = f"{_PACKAGE}.{name} is a module of pgtrigger"
        elif name in names:
            reason = f"{_PACKAGE}.{name} is one of pgtrigger's own names"
        else:
            continue
        text = (
            f'The trigger type "{name}" of {loaded.type_origin(name)} cannot be reached as '
            f"{_PACKAGE}.{name}: {reason}."
        )
        hint = f"Import it from {kind.__module__}; its author should rename the class."
        yield warning("pgtrigger.W004", text, hint)
