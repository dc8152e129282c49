"""Models in no app, so that a test's databases and declarations are all there is.

Their tables are made by Django's schema editor, in the schema that the search path begins with.
"""

from django.apps.registry import Apps
from django.db import models

import pgtrigger

apps = Apps()


class Page(models.Model):
    title = models.TextField(default="")
    body = models.TextField(default="")
    seen = models.IntegerField(default=0)

    class Meta:
        app_label = "press"
        apps = apps


class Reader(models.Model):
    name = models.TextField(default="")
    seen = models.IntegerField(default=0)

    class Meta:
        app_label = "people"
        apps = apps


class Archive(models.Model):
    seen = models.IntegerField(default=0)

    class Meta:
        app_label = "press"
        apps = apps
        db_table = '"archive"."page"'


MARK = "NEW.seen = OLD.seen + 1; RETURN NEW;"


def mark(**kwargs):
    """Counts the updates of a row."""
    declared = {
        "name": "mark",
        "when": pgtrigger.Before,
        "operation": pgtrigger.Update,
        "func": MARK,
        **kwargs,
    }
    return pgtrigger.Trigger(**declared)


def keep(**kwargs):
    """Refuses to delete rows."""
    return pgtrigger.Protect(**{"name": "keep", "operation": pgtrigger.Delete, **kwargs})
