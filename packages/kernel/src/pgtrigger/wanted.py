"""What the current task wants of the server's settings: layers in a context variable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

Fold = Callable[[Any], Any]


class Layer:
    """What one context adds to one setting.

    Args:
        setting: its name, such as ``pgtrigger.ignore``.
        fold: makes the value out of that of the contexts around it (None without any).
        render: writes the value as the setting's text.
        databases: the aliases it holds for; all with None.
        for_reads: whether plain reads need it too.
        for_calls: whether plain reads in a transaction need it too, because a function among their
            columns may write.
    """

    # How many have ended elsewhere than they began, or come to something else than before, which
    # what is cached may not know yet.
    changes = 0

    def __init__(
        self,
        setting: str,
        fold: Fold,
        render: Callable[[Any], str],
        *,
        databases: Iterable[str] | None = None,
        for_reads: bool = False,
        for_calls: bool = True,
    ) -> None:
        self.setting, self.fold, self.render = setting, fold, render
        self.databases = None if databases is None else frozenset(databases)
        self.for_reads, self.for_calls = for_reads, for_calls
        self.ended = False

    def holds_for(self, alias: str) -> bool:
        """Whether it holds for a database."""
        return not self.ended and (self.databases is None or alias in self.databases)

    def end(self) -> None:
        """It holds no longer, also in other threads and tasks that it was handed to."""
        self.ended = True
        Layer.changes += 1

    def touch(self) -> None:
        """What it comes to has changed."""
        Layer.changes += 1


class Entry(NamedTuple):
    """One entry into a context, whose object other threads and tasks may enter meanwhile."""

    context: object
    layers: tuple[Layer, ...]
    place: object


class Wanted:
    """The layers of a task, and the settings they come to for each database."""

    def __init__(self, layers: tuple[Layer, ...] = (), entries: tuple[Entry, ...] = ()) -> None:
        self.layers = layers
        self.entries = entries
        self._settings: dict[str, Mapping[str, str]] = {}
        self._changes = Layer.changes

    def settings(self, alias: str) -> Mapping[str, str]:
        """The settings that a database should have, by name."""
        if self._changes != Layer.changes:
            self._changes = Layer.changes
            self._settings.clear()
        if alias not in self._settings:
            self._settings[alias] = {
                setting: layers[-1].render(self.value(setting, alias))
                for setting, layers in self._by_setting(alias).items()
            }
        return self._settings[alias]

    def has_settings(self, alias: str) -> bool:
        """Whether a database should have any, without asking what they are."""
        return any(layer.holds_for(alias) for layer in self.layers)

    def value(self, setting: str, alias: str) -> Any:
        """The value of a setting as its layers understand it; None where no layer holds."""
        folded = None
        for layer in self._by_setting(alias).get(setting, ()):
            folded = layer.fold(folded)
        return folded

    def for_reads(self, alias: str) -> bool:
        """Whether plain reads of a database need some of its settings."""
        return any(layers[-1].for_reads for layers in self._by_setting(alias).values())

    def for_calls(self, alias: str) -> bool:
        """Whether plain reads in a transaction need some of its settings."""
        return any(layer.for_calls for layer in self.layers if layer.holds_for(alias))

    def _by_setting(self, alias: str) -> dict[str, list[Layer]]:
        found: dict[str, list[Layer]] = {}
        for layer in self.layers:
            if layer.holds_for(alias):
                found.setdefault(layer.setting, []).append(layer)
        return found


_NOTHING: Final = Wanted()
current: Final[ContextVar[Wanted]] = ContextVar("pgtrigger_wanted", default=_NOTHING)
