"""The plugin manager: loads the entry points and names the culprit when a plugin cannot be used."""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable, Iterator
from importlib import metadata
from typing import Any

import pluggy
from django.core.checks import CheckMessage

from pgtrigger import hookspecs
from pgtrigger.declaration import Model
from pgtrigger.errors import PluginError
from pgtrigger.hookspecs import Subcommand
from pgtrigger.trigger import Trigger

GROUP = "pgtrigger"
PAGE = "docs/plugins.md"


class Plugins:
    """The loaded plugins and what they offer.

    Args:
        entry_points: where plugins are found; the installed distributions' by default.

    Raises:
        PluginError: a plugin cannot be imported, breaks a hook's signature, or offers a name that
            another one has. The message names the distribution and the entry point.
    """

    def __init__(self, entry_points: Iterable[metadata.EntryPoint] | None = None) -> None:
        if entry_points is None:
            entry_points = metadata.entry_points(group=GROUP)
        self.manager = pluggy.PluginManager("pgtrigger")
        self.manager.add_hookspecs(hookspecs)
        self._origins: dict[str, str] = {}
        for entry_point in sorted(entry_points, key=lambda e: (e.name, e.value)):
            self._load(entry_point)
        self.trigger_types = self._collect_trigger_types()

    def _load(self, entry_point: metadata.EntryPoint) -> None:
        origin = _origin(entry_point)
        name = f"{entry_point.name} = {entry_point.value}"
        if name in self._origins:
            return  # one distribution that is on the path twice
        try:
            plugin = entry_point.load()
        except Exception as error:  # of somebody else's code
            raise PluginError(
                f"{origin} cannot be imported: {type(error).__name__}: {error}. Repair or "
                f"uninstall that distribution."
            ) from error
        self._origins[name] = origin
        try:
            self.manager.register(plugin, name=name)
            self.manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(
                f"{origin} does not fit the hooks of pgtrigger {metadata_version()}: {error}. "
                f"The hooks and their arguments are listed in pgtrigger.hookspecs."
            ) from error

    def _results(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        # One implementation at a time, so that a failure can be pinned on its distribution.
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            origin = self._origins[implementation.plugin_name]
            given = [arguments[name] for name in implementation.argnames]
            try:
                results = list(implementation.function(*given) or ())
            except Exception as error:  # of somebody else's code
                raise PluginError(
                    f"{origin} fails in {hook}: {type(error).__name__}: {error}."
                ) from error
            for result in results:
                yield origin, result

    def _collect_trigger_types(self) -> dict[str, type[Trigger]]:
        types: dict[str, type[Trigger]] = {}
        origins: dict[str, str] = {}
        for origin, kind in self._results("pgtrigger_register_trigger_types"):
            if not (isinstance(kind, type) and issubclass(kind, Trigger)):
                raise PluginError(
                    f"{origin} registers {kind!r} as a trigger type; it must be a subclass of "
                    f"pgtrigger.Trigger."
                )
            name = kind.__name__
            if name in types and types[name] is not kind:
                raise PluginError(
                    f'{origin} and {origins[name]} both offer a trigger type "{name}". '
                    f"Uninstall one of them."
                )
            types[name], origins[name] = kind, origin
        self._type_origins = origins
        return types

    def type_origin(self, name: str) -> str:
        """The distribution and entry point that a trigger type comes from."""
        return self._type_origins[name]

    def subcommands(self, taken: Container[str] = ()) -> dict[str, type[Subcommand]]:
        """The subcommands that plugins add, by name; they cannot have names that are taken."""
        commands: dict[str, type[Subcommand]] = {}
        origins: dict[str, str] = {}
        for origin, kind in self._results("pgtrigger_register_subcommands"):
            name = getattr(kind, "name", None)
            if not name or not callable(getattr(kind, "handle", None)):
                raise PluginError(
                    f"{origin} registers {kind!r} as a subcommand; it must be a class with name, "
                    f"help, add_arguments and handle."
                )
            if name in taken:
                raise PluginError(
                    f'{origin} adds the subcommand "{name}", which is one of pgtrigger\'s own. '
                    f"Uninstall that distribution."
                )
            if name in commands and commands[name] is not kind:
                raise PluginError(
                    f'{origin} and {origins[name]} both add the subcommand "{name}". '
                    f"Uninstall one of them."
                )
            commands[name], origins[name] = kind, origin
        return commands

    def check(self, model: Model, trigger: Trigger) -> list[CheckMessage]:
        """What the plugins' system checks have to say about a trigger."""
        return [
            message for _, message in self._results("pgtrigger_check", model=model, trigger=trigger)
        ]

    def missing_type(self, name: str) -> str:
        """The message for a name that neither the kernel nor a plugin has."""
        offers = ", ".join(
            f"{kind} ({self._type_origins[kind]})" for kind in sorted(self.trigger_types)
        )
        return (
            f"module 'pgtrigger' has no attribute {name!r}. Installed plugins offer: "
            f"{offers or 'nothing, as none is installed'}. A ready-made trigger type comes with "
            f"its own package, such as `pip install pgtrigger-<name>`; {PAGE} lists which has "
            f"which."
        )


def _origin(entry_point: metadata.EntryPoint) -> str:
    distribution = entry_point.dist
    named = f"{distribution.name} {distribution.version}" if distribution else "no distribution"
    return f'pgtrigger plugin "{entry_point.name} = {entry_point.value}" of {named}'


def metadata_version() -> str:
    """The version of the installed kernel."""
    try:
        return metadata.version("pgtrigger-kernel")
    except metadata.PackageNotFoundError:
        return "(not installed)"


@functools.cache
def plugins() -> Plugins:
    """The plugins of this process, loaded when they are first asked for."""
    return Plugins()
