"""The table of contexts."""

from __future__ import annotations

from django.db import models
from django.db.models.fields.json import KT

from pgtrigger_history.fields import TransactionIdField
from pgtrigger_history.protection import EventProtection


class Context(models.Model):
    """Who made the changes of a transaction, and why; stored by the triggers that write events.

    A transaction has one row for each context that it was in, however many events there are.
    """

    id = models.BigAutoField(primary_key=True)
    transaction = TransactionIdField(db_index=True)
    created_at = models.DateTimeField()
    data = models.JSONField()
    user = models.GeneratedField(  # what EventQuerySet.by looks for
        expression=KT("data__user"), output_field=models.TextField(null=True), db_persist=True
    )

    class Meta:  # noqa: D106  # Django's
        # The triggers know the table by this name.
        db_table = "pgtrigger_history_context"
        default_permissions = ("view",)
        indexes = [models.Index(fields=["user"], name="pgtrigger_history_user")]
        triggers = [EventProtection(name="append_only")]

    def __str__(self) -> str:
        if not isinstance(self.data, dict):  # set by SQL of somebody's own
            return str(self.data)
        return ", ".join(f"{key}: {value}" for key, value in self.data.items())
