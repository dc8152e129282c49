"""Triggers on tables that belong to other apps."""

from django.contrib.auth.models import User
from store.models import Order, logs

import pgtrigger


class Person(User):
    class Meta:
        proxy = True
        triggers = [
            pgtrigger.Protect(
                name="no_admins",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__is_superuser=True),
            )
        ]


class Membership(User.groups.through):
    class Meta:
        proxy = True
        triggers = [pgtrigger.Protect(name="for_life", operation=pgtrigger.Delete)]


class WatchedOrder(Order):
    class Meta:
        proxy = True
        triggers = [
            pgtrigger.Trigger(
                name="watch",
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("note"),
                func=logs("'watched'"),
            )
        ]
