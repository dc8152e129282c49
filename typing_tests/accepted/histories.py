"""Histories: what `track` is given, and what it gives."""

from typing import ClassVar, assert_type

from django.db import models

import pgtrigger
import pgtrigger_history


@pgtrigger_history.track(
    pgtrigger_history.InsertEvent(),
    pgtrigger_history.UpdateEvent("paid", condition=pgtrigger.Q(new__total=0), row="both"),
    pgtrigger_history.ManualEvent("seen"),
    exclude=["note"],
    context="inline",
    level=pgtrigger.Row,
    partition="month",
)
class Bill(models.Model):
    total = models.IntegerField()
    note = models.TextField()

    history: ClassVar[pgtrigger_history.EventManager]


trigger = pgtrigger_history.History(
    name="log", into="shop.Log", operation=pgtrigger.Delete, row="old"
)
assert_type(trigger, pgtrigger_history.History)
with pgtrigger_history.context(user=5, reason="x") as entered:
    assert_type(entered, pgtrigger_history.context)


def page_of(bill: Bill) -> None:
    page = pgtrigger_history.timeline(bill, related=True)
    assert_type(page, pgtrigger_history.Page)
    for entry in page:
        assert_type(entry, pgtrigger_history.Entry)
    assert_type(page.cursor, str)
