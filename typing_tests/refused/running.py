"""Calls that type checkers refuse: a comment that is not needed is an error here."""

from argparse import ArgumentParser
from typing import ClassVar

from django.db import models

import pgtrigger
from pgtrigger.testing import database_settings, postgres
from pgtrigger_fsm import FSM
from pgtrigger_protect import Protect, ReadOnly
from pgtrigger_search import UpdateSearchVector
from pgtrigger_softdelete import SoftDelete


class Order(models.Model):
    pass


pgtrigger.ignore(Order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.ignore(model=Order())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.ignore(trigger=Order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.ignore(database="default")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
pgtrigger.schema(["public"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.constraints("DEFERRED")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.constraints(pgtrigger.Row)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.is_ignored(Order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.violation("an error")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.install(database=["default"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.prune("default", "other")  # type: ignore[call-arg,arg-type]  # pyright: ignore[reportCallIssue]
postgres(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
database_settings(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pgtrigger.ignore()
def archive(order: Order, *, days: int = 30) -> int:
    return days


archive(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
archive(Order(), day=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@pgtrigger.violations_as_validation_errors()
def save(order: Order) -> None: ...


save()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

Protect(name="keep", messge="no")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Protect(name="keep", operation="DELETE")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ReadOnly(name="fixed", field="author")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ReadOnly(name="fixed", hint=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
SoftDelete(name="soft", field="a", cascade="all")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
SoftDelete(name="soft", field="a", valeu=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
FSM(name="status", field="status", transition=[])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
FSM(name="status", field=1, transitions=[])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
UpdateSearchVector(name="s", vector_field="v", fields=["a"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class Silent:
    """It lacks `handle`."""

    name: ClassVar[str] = "silent"
    help: ClassVar[str] = "Says nothing."

    def add_arguments(self, parser: ArgumentParser) -> None: ...


subcommand: type[pgtrigger.Subcommand] = Silent  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
