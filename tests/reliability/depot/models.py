"""What the writers write: each refuses something, and each has a history."""

from django.db import models

import pgtrigger
import pgtrigger_history


@pgtrigger_history.track()
class Parcel(models.Model):
    """Statement level, contexts in their table; has states, and is deleted softly."""

    status = models.TextField(default="packed")
    note = models.TextField(default="")
    weight = models.IntegerField(default=0)
    is_active = models.BooleanField(default=True)

    class Meta:
        app_label = "depot"
        triggers = [
            pgtrigger.FSM(
                name="status",
                field="status",
                initial="packed",
                transitions=[("packed", "sent"), ("sent", "delivered"), ("sent", "packed")],
            ),
            pgtrigger.SoftDelete(name="soft_delete", field="is_active"),
        ]


@pgtrigger_history.track(level=pgtrigger.Row, context="inline")
class Account(models.Model):
    """Row level, contexts in the events; cannot be deleted, nor changed while it is frozen."""

    note = models.TextField(default="")
    balance = models.IntegerField(default=0)
    frozen = models.BooleanField(default=False)

    class Meta:
        app_label = "depot"
        triggers = [
            pgtrigger.Protect(name="keep", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__frozen=True),
            ),
        ]
