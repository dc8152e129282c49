"""A small bookshop: six problems, and the triggers that solve them.

docs/tutorial/ has the same declarations, one problem a page, and explains them. A test holds the
two together.
"""

from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Now

import pgtrigger
from pgtrigger_softdelete import (
    SoftDelete,
    SoftDeleteManager,
    SoftDeleteMixin,
    SoftDeleteQuerySet,
)

# 1. Protection


class Invoice(models.Model):
    number = models.TextField()
    total = models.IntegerField()
    paid = models.BooleanField(default=False)

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="keep_paid",
                operation=pgtrigger.Delete | pgtrigger.Truncate,
                condition=pgtrigger.Q(old__paid=True),
                message="Invoice {columns.number} is paid and stays",
            ),
            pgtrigger.ReadOnly(name="fixed_number", fields=["number"]),
        ]


class CashEntry(models.Model):
    text = models.TextField()
    amount = models.IntegerField()

    class Meta:
        triggers = [pgtrigger.AppendOnly(name="append_only")]


# 2. Soft deletion


class Book(SoftDeleteMixin, models.Model):
    title = models.TextField()
    is_active = models.BooleanField(default=True)

    objects = SoftDeleteManager()
    all_objects = SoftDeleteQuerySet.as_manager()

    class Meta:
        triggers = [SoftDelete(name="soft_delete", field="is_active")]


# 3. State machines


class Order(models.Model):
    number = models.TextField()
    total = models.IntegerField(default=0)
    status = models.TextField(default="draft")

    class Meta:
        triggers = [
            pgtrigger.FSM(
                name="status",
                field="status",
                initial="draft",
                transitions=[
                    ("draft", "placed"),
                    ("placed", "paid"),
                    ("paid", "shipped"),
                    (["draft", "placed"], "cancelled"),
                ],
            )
        ]


# 4. Versioning


class Article(models.Model):
    title = models.TextField()
    text = models.TextField()
    version = models.IntegerField(default=1)

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="refuse_stale",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(new__version__df=pgtrigger.F("old__version")),
                message="You have read version {new.version}, by now it is {old.version}",
            ),
            pgtrigger.Trigger(
                name="version",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(),
                func="NEW.version = OLD.version + 1; RETURN NEW;",
            ),
        ]


# 5. Official interfaces


class Movement(models.Model):
    title = models.TextField()
    copies = models.IntegerField()
    reason = models.TextField()

    class Meta:
        triggers = [pgtrigger.AppendOnly(name="append_only")]


class Stock(models.Model):
    title = models.TextField(unique=True)
    copies = models.IntegerField(default=0)

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="official",
                operation=(
                    pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete | pgtrigger.Truncate
                ),
                hint="Call move(title, copies, reason), which also writes the movement.",
            )
        ]


@pgtrigger.ignore("store.Stock:official")
@transaction.atomic
def move(title, copies, reason):
    """Put copies into the stock, or take them out: the only way to change it."""
    Movement.objects.create(title=title, copies=copies, reason=reason)
    Stock.objects.get_or_create(title=title)
    Stock.objects.filter(title=title).update(copies=F("copies") + copies)


# 6. History


class PriceChange(models.Model):
    price_id = models.BigIntegerField()
    before = models.IntegerField()
    after = models.IntegerField()
    changed_by = models.TextField(default="")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        triggers = [pgtrigger.AppendOnly(name="append_only")]


class Price(models.Model):
    title = models.TextField()
    cents = models.IntegerField()

    class Meta:
        triggers = [
            pgtrigger.Composer(
                name="log_changes",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("cents"),
                func=pgtrigger.Func(
                    """
                    INSERT INTO store_pricechange (price_id, before, after, changed_by)
                    SELECT new_values.id, old_values.cents, new_values.cents,
                           coalesce(current_setting('store.user', true), '')
                      FROM {cond_joined_values};
                    RETURN NULL;
                    """
                ),
            )
        ]
