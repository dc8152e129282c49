"""Rows of the first release, in every table that triggers are on."""

from django.contrib.auth.models import Group, User
from reports.models import Report
from store import models as store


def fill():
    ann = User.objects.create(username="ann", is_superuser=True)
    ann.groups.add(Group.objects.create(name="staff"))
    for model in (
        store.Account,
        store.Changes,
        store.Contract,
        store.Parcel,
        store.Frozen,
        store.Ledger,
        store.Letter,
        store.Page,
        store.Post,
        store.Shop,
        store.Stock,
    ):
        model.objects.create()
    store.Order.objects.create(status="paid", total=500, note="50", customer=ann)
    store.Invoice.objects.create(number="2026-1")
    store.Document.objects.create(title="t", body="b", shelf="s")
    item, tag = store.Item.objects.create(), store.Tag.objects.create(name="tag")
    item.tags.add(tag)
    item.labels.add(tag)
    Report.objects.create(pk=1, text="first")
