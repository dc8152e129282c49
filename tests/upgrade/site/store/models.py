"""One model for each kind of declaration; `behaviour.py` has a case for each trigger.

A conditional on ``settings.RELEASE`` is a change that the old package has written a migration for.
"""

from django.conf import settings
from django.db import models

import pgtrigger


class Log(models.Model):
    """What the triggers write."""

    text = models.TextField()


def logs(value):
    """The body of a function that writes a plpgsql expression into the log."""
    return f"INSERT INTO store_log (text) VALUES ({value}); RETURN NULL;"


class Ledger(models.Model):
    """Several operations, on a table whose name needs quotes."""

    amount = models.IntegerField(default=0)

    class Meta:
        db_table = "Store_Ledger"
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class Order(models.Model):
    """Conditions, and what happens to triggers in the course of time."""

    # The type of a column that conditions use changes.
    status = models.CharField(max_length=20 if settings.RELEASE == 1 else 40, default="draft")
    total = models.IntegerField(default=0)
    note = models.TextField(null=True)
    customer = models.ForeignKey("auth.User", models.CASCADE, null=True)
    if settings.RELEASE > 1:
        priority = models.IntegerField(null=True)

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="keep_paid",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__status="paid") & ~pgtrigger.Q(new__status="refunded"),
            ),
            pgtrigger.Protect(
                name="keep_big",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__total__gt=100 if settings.RELEASE == 1 else 50),
            ),
            pgtrigger.Protect(
                name="no_shrinking",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(new__total__lt=pgtrigger.F("old__total")),
            ),
            pgtrigger.Protect(
                name="no_Percent",
                operation=pgtrigger.Insert,
                condition=pgtrigger.Q(new__note="50 %") | pgtrigger.Q(new__note="it's"),
            ),
            pgtrigger.Protect(
                name="keep_customer",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__customer_id__isnull=False)
                & pgtrigger.Q(old__customer__df=pgtrigger.F("new__customer")),
            ),
        ]
        if settings.RELEASE > 1:
            triggers.append(
                pgtrigger.Protect(
                    name="keep_priority",
                    operation=pgtrigger.Update,
                    condition=pgtrigger.AnyChange("priority"),
                )
            )
        if settings.RELEASE < 3:
            triggers.append(
                pgtrigger.Protect(
                    name="none_cancelled",
                    operation=pgtrigger.Insert,
                    condition=pgtrigger.Q(new__status="cancelled"),
                )
            )


if settings.RELEASE < 3:

    class Draft(models.Model):
        """A model that goes away with its trigger."""

        class Meta:
            triggers = [pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete)]


class Breakable(models.Model):
    """The same model under two names: it is renamed, and its table with it."""

    weight = models.IntegerField(default=0)

    class Meta:
        abstract = True
        triggers = [pgtrigger.Protect(name="fragile", operation=pgtrigger.Update)]


if settings.RELEASE == 1:

    class Parcel(Breakable):
        pass

else:

    class Crate(Breakable):
        pass


class Invoice(models.Model):
    number = models.CharField(max_length=20, db_column="Invoice No")
    remark = models.TextField(default="")

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="fixed_number", fields=["number"])]


class Contract(models.Model):
    text = models.TextField(default="")
    terms = models.JSONField(default=dict)
    remark = models.TextField(default="")

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="fixed", exclude=["remark"])]


class Frozen(models.Model):
    value = models.IntegerField(default=0)

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="all_of_it")]


class Document(models.Model):
    """Functions: text, Func, declare, UpdateOf, a raw condition."""

    title = models.TextField(default="", db_column="Title")
    body = models.TextField(default="")
    shelf = models.TextField(default="")
    version = models.IntegerField(default=0)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        triggers = [
            pgtrigger.Trigger(
                name="count_versions",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude_auto=True),
                func="NEW.version = OLD.version + 1; RETURN NEW;",
            ),
            pgtrigger.Trigger(
                name="shout",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func=pgtrigger.Func(
                    """
                    NEW."{columns.title}" = UPPER(NEW."{columns.title}" || ' of {meta.db_table}');
                    RETURN NEW;
                    """
                ),
            ),
            pgtrigger.Trigger(
                name="measure",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                declare=[("size", "INTEGER"), ("twice", "INTEGER")],
                func="""
                    size = length(NEW.body);
                    twice = 2 * size; -- a comment
                    INSERT INTO store_log (text) VALUES (format('%s and %s', size, twice));
                    RETURN NULL;
                """,
            ),
            pgtrigger.Trigger(
                name="note_moves",
                when=pgtrigger.After,
                operation=pgtrigger.UpdateOf("shelf", "version") | pgtrigger.Delete,
                func=logs("TG_OP || ' from ' || OLD.shelf"),
            ),
            pgtrigger.Trigger(
                name="raw",
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.body <> '' AND NEW.body = ''"),
                func=logs("'emptied'"),
            ),
        ]


class Changes(models.Model):
    """The other three change conditions."""

    one = models.IntegerField(default=0)
    two = models.IntegerField(default=0)

    class Meta:
        triggers = [
            pgtrigger.Trigger(
                name=name,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                condition=condition,
                func=logs(f"'{name}'"),
            )
            for name, condition in [
                ("all_change", pgtrigger.AllChange("one", "two")),
                ("all_same", pgtrigger.AllDontChange("one", "two")),
                ("any_same", pgtrigger.AnyDontChange("one", "two")),
            ]
        ]


class Stock(models.Model):
    """Statement level."""

    value = models.IntegerField(default=0)

    class Meta:
        triggers = [
            pgtrigger.Trigger(
                name="referencing",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                referencing=pgtrigger.Referencing(old="before", new="after"),
                func="""
                    INSERT INTO store_log (text)
                    SELECT before.value || ' to ' || after.value
                      FROM before JOIN after ON before.id = after.id;
                    RETURN NULL;
                """,
            ),
            pgtrigger.Composer(
                name="composed",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(new__value__gt=10, old__value__df=pgtrigger.F("new__value")),
                declare=[("row", "RECORD")],
                func=pgtrigger.Func(
                    """
                    FOR row IN SELECT new_values.* FROM {cond_new_values} LOOP
                        INSERT INTO store_log (text) VALUES ('big ' || row.value);
                    END LOOP;
                    RETURN NULL;
                    """
                ),
            ),
            pgtrigger.Composer(
                name="inserted",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                func=logs("(SELECT sum(value) FROM new_values)"),
            ),
            pgtrigger.Protect(name="frozen", level=pgtrigger.Statement, operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="no_negative",
                level=pgtrigger.Statement,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(new__value__lt=0),
            ),
        ]


class Account(models.Model):
    """Constraint triggers."""

    balance = models.IntegerField(default=0)

    class Meta:
        triggers = [
            pgtrigger.Trigger(
                name="in_the_end",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                timing=pgtrigger.Deferred,
                func=logs("'in the end'"),
            ),
            pgtrigger.Trigger(
                name="at_once",
                when=pgtrigger.After,
                operation=pgtrigger.Delete,
                timing=pgtrigger.Immediate,
                condition=pgtrigger.Q(old__balance__gt=0),
                func=logs("'at once'"),
            ),
        ]


class Tracked(models.Model):
    """An abstract base hands its triggers down."""

    class Meta:
        abstract = True
        triggers = [pgtrigger.Protect(name="tracked", operation=pgtrigger.Delete)]


class Page(Tracked):
    pass


class Post(Tracked):
    text = models.TextField(default="")

    class Meta(Tracked.Meta):
        ordering = ["text"]


class Place(models.Model):
    name = models.TextField(default="")


class Shop(Place):
    """Multi-table inheritance: the triggers see the columns of the child."""

    owner = models.TextField(default="")

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="same_owner", operation=pgtrigger.Update, condition=pgtrigger.AnyChange()
            )
        ]


class Stamp(pgtrigger.Trigger):
    """A trigger type of the project's own."""

    when = pgtrigger.After
    operation = pgtrigger.Insert

    def get_func(self, model):
        return logs(f"'new {model._meta.model_name}'")


@pgtrigger.register(Stamp(name="stamp"))
class Letter(models.Model):
    """Triggers that are not in Meta."""


class Tag(models.Model):
    name = models.TextField(default="")


class Item(models.Model):
    tags = models.ManyToManyField(Tag)
    labels = models.ManyToManyField(Tag, through="Labelling", related_name="labelled")


class Labelling(models.Model):
    """A through model of the project's own."""

    item = models.ForeignKey(Item, models.CASCADE)
    tag = models.ForeignKey(Tag, models.CASCADE)

    class Meta:
        triggers = [pgtrigger.Protect(name="sticky", operation=pgtrigger.Delete)]


class ItemTag(Item.tags.through):
    """A proxy of a through model that Django made."""

    class Meta:
        proxy = True
        triggers = [pgtrigger.Protect(name="glued", operation=pgtrigger.Delete)]
