"""Models with a history."""

import uuid

from django.contrib.auth.models import Group
from django.contrib.postgres.fields import (
    ArrayField,
    DateTimeRangeField,
    HStoreField,
    IntegerRangeField,
)
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Upper

import pgtrigger
import pgtrigger_history


@pgtrigger_history.track()
class Customer(models.Model):
    name = models.TextField(default="")
    city = models.TextField(default="", db_column="Town")


@pgtrigger_history.track()
class Tag(models.Model):
    name = models.TextField(unique=True)


@pgtrigger_history.track(m2m=["tags"], parents=["customer"])
class Invoice(models.Model):
    """Statement level, contexts in the table, all that happens."""

    customer = models.ForeignKey(Customer, models.CASCADE, null=True, related_name="invoices")
    total = models.IntegerField(default=0)
    note = models.TextField(default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    tags = models.ManyToManyField(Tag, related_name="invoices")


@pgtrigger_history.track(level=pgtrigger.Row, context="inline")
class Payment(models.Model):
    """Row level, contexts in the events."""

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="payments")
    amount = models.IntegerField(default=0)
    changed_at = models.DateTimeField(auto_now=True)


@pgtrigger_history.track(
    pgtrigger_history.InsertEvent("opened"),
    pgtrigger_history.UpdateEvent(
        "balance", condition=pgtrigger.Q(old__balance__df=pgtrigger.F("new__balance")), row="both"
    ),
    pgtrigger_history.ManualEvent("audited"),
    fields=["balance"],
    context=None,
)
@pgtrigger_history.track(
    pgtrigger_history.UpdateEvent("before", row="old"),
    model_name="AccountBefore",
    accessor="before",
    append_only=False,
)
class Account(models.Model):
    """Two trackers: a condition and both rows; the old row."""

    number = models.CharField(max_length=20, primary_key=True)
    balance = models.IntegerField(default=0)
    owner = models.TextField(default="")


@pgtrigger_history.track()
class Seat(models.Model):
    pk = models.CompositePrimaryKey("row", "number")
    row = models.CharField(max_length=2)
    number = models.IntegerField()
    guest = models.TextField(default="")


@pgtrigger_history.track(parents=["above", "twin"])
class Division(models.Model):
    """Two references to its own kind."""

    name = models.TextField(default="")
    above = models.ForeignKey("self", models.CASCADE, null=True, related_name="+")
    twin = models.ForeignKey("self", models.CASCADE, null=True, related_name="+")


class Place(models.Model):
    address = models.TextField(default="")


@pgtrigger_history.track()
class Cafe(Place):
    stars = models.IntegerField(default=0)


@pgtrigger_history.track(fields=["name"])
class TrackedGroup(Group):
    class Meta:
        proxy = True


@pgtrigger_history.track()
class Everything(models.Model):
    """Every kind of field that there is."""

    key = models.UUIDField(primary_key=True, default=uuid.uuid4)
    numbers = ArrayField(models.IntegerField(), default=list)
    texts = ArrayField(ArrayField(models.TextField()), null=True)
    pairs = HStoreField(null=True)
    span = IntegerRangeField(null=True)
    period = DateTimeRangeField(null=True)
    vector = SearchVectorField(null=True)
    data = models.JSONField(default=dict)
    raw = models.BinaryField(default=b"")
    ip = models.GenericIPAddressField(null=True)
    money = models.DecimalField(max_digits=12, decimal_places=3, default=0)
    wait = models.DurationField(null=True)
    day = models.DateField(null=True)
    clock = models.TimeField(null=True)
    moment = models.DateTimeField(null=True, db_column="Moment of")
    slug = models.SlugField(unique=True, null=True, db_index=True)
    code = models.CharField(max_length=10, default="x", choices=[("x", "X")])
    shout = models.GeneratedField(
        expression=Upper("code"), output_field=models.CharField(max_length=10), db_persist=True
    )
    file = models.FileField(upload_to="files", blank=True)
    image = models.FileField(upload_to="images", blank=True)
    flag = models.BooleanField(default=False)
    real = models.FloatField(default=0)
    big = models.BigIntegerField(default=0)
    small = models.PositiveSmallIntegerField(default=0)
    parent = models.ForeignKey("self", models.CASCADE, null=True)
    by_name = models.ForeignKey(
        Tag, models.CASCADE, null=True, to_field="name", db_column="tagName"
    )
    one = models.OneToOneField(Customer, models.CASCADE, null=True)


@pgtrigger_history.track(partition="month")
class Reading(models.Model):
    """Events in a partitioned table."""

    meter = models.TextField(default="")
    value = models.IntegerField(default=0)
