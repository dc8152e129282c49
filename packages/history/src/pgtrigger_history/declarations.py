"""What `track` is told to record: inserts, updates, deletes, and what is recorded by hand."""

from __future__ import annotations

from typing import ClassVar

import pgtrigger
from pgtrigger.clauses import Operation
from pgtrigger.conditions import Condition
from pgtrigger_history.triggers import Rows


class Tracker:
    """One kind of event of a tracked model. Use a subclass.

    Args:
        label: what the events are called; by default after the operation, such as ``"update"``.
        condition: which rows are recorded, as for `History`.
        row: what is recorded of an update: the ``"new"`` row (the default), the ``"old"`` one or
            ``"both"``.
        name: the name of the trigger; by default ``history_<label>``.
    """

    operation: ClassVar[Operation | None] = None
    default_label: ClassVar[str] = ""

    def __init__(
        self,
        label: str | None = None,
        *,
        condition: Condition | None = None,
        row: Rows | None = None,
        name: str | None = None,
    ) -> None:
        self.label = label or self.default_label
        self.condition, self.name = condition, name
        self.row: Rows | None = row

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r})"


class InsertEvent(Tracker):
    """A row that is inserted. Arguments as in `Tracker`.

    Example::

        @pgtrigger_history.track(pgtrigger_history.InsertEvent("order_placed"))
        class Order(models.Model): ...
    """

    operation = pgtrigger.Insert
    default_label = "insert"


class UpdateEvent(Tracker):
    """A row that is changed. Arguments as in `Tracker`.

    Example::

        @pgtrigger_history.track(
            pgtrigger_history.UpdateEvent(
                "order_paid", condition=pgtrigger.Q(old__paid=False, new__paid=True)
            )
        )
        class Order(models.Model): ...
    """

    operation = pgtrigger.Update
    default_label = "update"


class DeleteEvent(Tracker):
    """A row that is deleted, or goes with a ``TRUNCATE``. Arguments as in `Tracker`."""

    operation = pgtrigger.Delete | pgtrigger.Truncate
    default_label = "delete"


class ManualEvent(Tracker):
    """What no trigger records, but `create_event` does.

    Example::

        @pgtrigger_history.track(pgtrigger_history.ManualEvent("exported"))
        class Order(models.Model): ...

        pgtrigger_history.create_event(order, label="exported")
    """
