"""Calls that type checkers refuse: a comment that is not needed is an error here."""

from typing import Unpack

from django.db import models

import pgtrigger


class Order(models.Model):
    pass


trigger = pgtrigger.Trigger(name="a", when=pgtrigger.Before, operation=pgtrigger.Update, func="")

pgtrigger.Trigger("a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
pgtrigger.Trigger(nmae="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
pgtrigger.Trigger(level="ROW")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.Trigger(when=pgtrigger.Row)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.Trigger(operation=[pgtrigger.Insert])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.Trigger(condition="NEW.a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.Trigger(condition=models.Q(a=1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.Trigger(func=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.Trigger(declare={"a": "int"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
pgtrigger.Composer(nmae="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
pgtrigger.Composer(referencing=pgtrigger.Referencing(old="o"))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
pgtrigger.Composer(func={"ROW": "RETURN NULL;"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]

pgtrigger.UpdateOf(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.Referencing("old", nwe="new")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
pgtrigger.Insert | pgtrigger.Row  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
pgtrigger.Insert | "UPDATE"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
pgtrigger.AnyChange(["a"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.AnyChange("a") & "NEW.a"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
pgtrigger.AnyChange("a") | models.Q(a=1)  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
pgtrigger.Q(new__a=1) & "NEW.a"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
pgtrigger.Condition(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.F(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.Func(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

trigger.get_uri(Order())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
trigger.compile("shop.Order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
trigger.install("shop.Order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
trigger.install(int)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
trigger.register(Order())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.register(pgtrigger.Trigger)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger.register(trigger)(int)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
pgtrigger.registered(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Ceiling(pgtrigger.Trigger):
    def __init__(self, *, limit: int, **kwargs: Unpack[pgtrigger.TriggerArguments]) -> None:
        self.limit = limit
        super().__init__(**kwargs)


Ceiling(name="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Ceiling(limit=1, nmae="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Ceiling(limit=1, when="BEFORE")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Wrong(pgtrigger.Trigger):
    def get_func(self, model: type[models.Model]) -> int:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return 1

    def get_uri(self, model: str) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return model
