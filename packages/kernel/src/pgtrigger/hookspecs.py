"""Every hook of pgtrigger. A plugin is a module that implements some of them.

A distribution publishes its plugin through the entry point group ``pgtrigger``::

    [project.entry-points.pgtrigger]
    stamp = "pgtrigger_stamp.plugin"

    # pgtrigger_stamp/plugin.py
    from pgtrigger.hookspecs import hookimpl
    from pgtrigger_stamp.triggers import Stamp

    @hookimpl
    def pgtrigger_register_trigger_types():
        return [Stamp]

A plugin is imported from ``models.py``, before apps are ready, so it imports no models.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

import pluggy
from django.core.checks import CheckMessage
from django.core.management.base import BaseCommand

from pgtrigger.declaration import Model
from pgtrigger.trigger import Trigger

hookspec = pluggy.HookspecMarker("pgtrigger")
hookimpl = pluggy.HookimplMarker("pgtrigger")


class Subcommand(Protocol):
    """One ``manage.py pgtrigger NAME``: a class with these three, made without arguments."""

    name: ClassVar[str]
    help: ClassVar[str]

    def add_arguments(self, parser: ArgumentParser) -> None: ...

    def handle(self, command: BaseCommand, **options: Any) -> None: ...


@hookspec
def pgtrigger_register_trigger_types() -> Iterable[type[Trigger]]:  # type: ignore[empty-body]  # a specification
    """Trigger types; each one appears as ``pgtrigger.<ClassName>``."""


@hookspec
def pgtrigger_register_subcommands() -> Iterable[type[Subcommand]]:  # type: ignore[empty-body]  # a specification
    """More subcommands for ``manage.py pgtrigger``."""


@hookspec
def pgtrigger_check(model: Model, trigger: Trigger) -> Iterable[CheckMessage]:  # type: ignore[empty-body]  # a specification
    """More system checks, called for each registered trigger of a model."""
