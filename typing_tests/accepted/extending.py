"""What the author of a plugin writes."""

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any, ClassVar, Unpack, assert_type

from django.core.checks import CheckMessage
from django.core.management.base import BaseCommand
from django.db import models

import pgtrigger


class Order(models.Model):
    pass


class Ceiling(pgtrigger.Trigger):
    when = pgtrigger.Before
    operation = pgtrigger.Insert | pgtrigger.Update

    def __init__(self, *, limit: int, **kwargs: Unpack[pgtrigger.TriggerArguments]) -> None:
        self.limit = limit
        super().__init__(**kwargs)

    def validate(self) -> None:
        super().validate()
        if self.limit < 0:
            raise self.refused('"limit" is negative')

    def get_condition(self, model: type[models.Model]) -> pgtrigger.Condition:
        declared = super().get_condition(model)
        above = pgtrigger.Q(new__amount__gt=self.limit)
        return above if declared is None else above & declared

    def get_func(self, model: type[models.Model]) -> str:
        return pgtrigger.raise_violation("too large: %s", "NEW.amount", hint="Take less.")


class Log(pgtrigger.Composer):
    when = pgtrigger.After

    def __init__(self, *, table: str, **kwargs: Unpack[pgtrigger.ComposerArguments]) -> None:
        self.table = table
        super().__init__(**kwargs)

    def get_func(self, model: type[models.Model]) -> pgtrigger.Func:
        return pgtrigger.Func("RETURN NULL;")

    def get_declare(self, model: type[models.Model]) -> Iterable[tuple[str, str]]:
        return [("count", "int")]


ceiling = Ceiling(name="amount", limit=1000, condition=pgtrigger.AnyChange("amount"))
assert_type(ceiling.get_func(Order), str)
log = Log(name="log", table="log", operation=pgtrigger.Update, level=pgtrigger.Statement)
assert_type(log.get_func(Order), pgtrigger.Func)


class Ceilings:
    name: ClassVar[str] = "ceilings"
    help: ClassVar[str] = "Show the ceilings."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--app")

    def handle(self, command: BaseCommand, **options: Any) -> None:
        command.stdout.write(str(options["app"]))


@pgtrigger.hookimpl
def pgtrigger_register_trigger_types() -> Iterable[type[pgtrigger.Trigger]]:
    return [Ceiling, Log]


@pgtrigger.hookimpl
def pgtrigger_register_subcommands() -> Iterable[type[pgtrigger.Subcommand]]:
    return [Ceilings]


@pgtrigger.hookimpl
def pgtrigger_check(
    model: type[models.Model], trigger: pgtrigger.Trigger
) -> Iterable[CheckMessage]:
    return []


assert_type(pgtrigger_register_trigger_types(), Iterable[type[pgtrigger.Trigger]])
