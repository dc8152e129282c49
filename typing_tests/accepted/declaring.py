"""Calls that type checkers accept, and the types that they find."""

from typing import assert_type

from django.db import models

import pgtrigger

trigger = pgtrigger.Trigger(
    name="stamp",
    level=pgtrigger.Row,
    when=pgtrigger.Before,
    operation=pgtrigger.Insert | pgtrigger.UpdateOf("status"),
    condition=pgtrigger.AnyChange("status", exclude=["note"], exclude_auto=True),
    func=pgtrigger.Func("RETURN NEW;"),
    declare=[("count", "int")],
    timing=None,
    ignorable=False,
    depends_on=["shop.Product"],
)
statement = pgtrigger.Trigger(
    name="log",
    level=pgtrigger.Statement,
    when=pgtrigger.After,
    operation=pgtrigger.Update,
    referencing=pgtrigger.Referencing(old="old_values", new="new_values"),
    func="RETURN NULL;",
)
composer = pgtrigger.Composer(
    name="log",
    level=pgtrigger.Statement,
    when=pgtrigger.After,
    operation=pgtrigger.Update,
    func={
        pgtrigger.Row: pgtrigger.Func("RETURN NULL;"),
        pgtrigger.Statement: "RETURN NULL;",
    },
)

# Clauses.
assert_type(pgtrigger.Row, pgtrigger.Level)
assert_type(pgtrigger.InsteadOf, pgtrigger.When)
assert_type(pgtrigger.Deferred, pgtrigger.Timing)
assert_type(pgtrigger.Always, pgtrigger.Firing)
assert_type(pgtrigger.Insert, pgtrigger.Operation)
assert_type(pgtrigger.Insert | pgtrigger.Update, pgtrigger.Operations)
assert_type(pgtrigger.Insert | pgtrigger.UpdateOf("a") | pgtrigger.Delete, pgtrigger.Operations)
operation: pgtrigger.Operation = pgtrigger.Update | pgtrigger.Truncate

# Conditions.
plain = pgtrigger.Condition("NEW.status = 'sent'")
lookup = pgtrigger.Q(new__status="sent", old__amount__lt=pgtrigger.F("new__amount"))
assert_type(lookup & lookup, pgtrigger.Q)
assert_type(lookup | ~lookup, pgtrigger.Q)
assert_type(lookup & models.Q(new__status="sent"), pgtrigger.Q)
assert_type(lookup & plain, pgtrigger.Condition)
assert_type(plain | lookup, pgtrigger.Condition)
assert_type(~plain & pgtrigger.AnyChange(), pgtrigger.Condition)
assert_type(~pgtrigger.AllDontChange("a") | plain, pgtrigger.Condition)


# On models.
class Order(models.Model):
    status = models.TextField()

    class Meta:
        triggers = [trigger, composer]


@pgtrigger.register(trigger, statement)
class Letter(models.Model):
    pass


assert_type(Letter, type[Letter])
assert_type(
    pgtrigger.registered("shop.*:stamp"), list[tuple[type[models.Model], pgtrigger.Trigger]]
)
assert_type(trigger.get_uri(Order), str)
assert_type(trigger.get_pgid(Order), str)
assert_type(trigger.get_condition(Order), pgtrigger.Condition | None)
assert_type(trigger.get_func(Order), str | pgtrigger.Func)
assert_type(composer.get_func(Order), str | pgtrigger.Func)
assert_type(trigger.get_installation_status(Order), tuple[str, bool | None])
assert_type(trigger.compile(Order).hash, str)

with trigger.register(Order, Letter), trigger.install(Order), trigger.disable(Order, "other"):
    pass
trigger.install(Order())
trigger.uninstall(Order(), database="other")
