"""A trigger on a view."""

from django.db import models

import pgtrigger


class Report(models.Model):
    id = models.IntegerField(primary_key=True)
    text = models.TextField()

    class Meta:
        db_table = "reports_view"
        triggers = [
            pgtrigger.Trigger(
                name="write_through",
                when=pgtrigger.InsteadOf,
                operation=pgtrigger.Insert,
                func="INSERT INTO reports_row VALUES (NEW.id, NEW.text); RETURN NEW;",
            )
        ]
