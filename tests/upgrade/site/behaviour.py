"""What each trigger does, and that `pgtrigger.ignore` stops it; shown as JSON.

Runs with the old package as with ours. A trigger is one entry of CASES: its URI, something to do,
what comes of it, and what comes of it while the trigger is ignored. What is done is rolled back.
A declaration of another kind takes one in the models and one here.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection, transaction
from people.models import Membership, WatchedOrder
from reports.models import Report
from store.models import (
    Account,
    Changes,
    Contract,
    Crate,
    Document,
    Frozen,
    Invoice,
    Item,
    Ledger,
    Letter,
    Log,
    Order,
    Page,
    Post,
    Shop,
    Stock,
    Tag,
)

import pgtrigger


class Case(NamedTuple):
    uri: str
    act: Callable[[], Any]
    fires: Any
    ignored: Any


def changed(model, before, **after):
    """Make a row, change it, and give what the triggers logged of the change."""
    row = model.objects.create(**before)
    start = count()
    model.objects.filter(pk=row.pk).update(**after)
    return logged(start)


def made(model, **values):
    """Make a row and give what the triggers logged."""
    start = count()
    model.objects.create(**values)
    return logged(start)


def deleted(row):
    """Delete a row and give what the triggers logged."""
    start = count()
    row.delete()
    return logged(start)


def count():
    connection.check_constraints()  # deferred triggers fire now
    return Log.objects.count()


def logged(start):
    connection.check_constraints()
    return [*Log.objects.order_by("pk").values_list("text", flat=True)[start:]]


def version():
    row = Document.objects.create(body="a")
    row.refresh_from_db()
    row.save()  # changes nothing but changed_at
    row.body = "b"
    row.save()
    row.refresh_from_db()
    return row.version


def title():
    row = Document.objects.create(title="x")
    row.refresh_from_db()
    return row.title


def tagged(link):
    item, tag = Item.objects.create(), Tag.objects.create()
    getattr(item, link).add(tag)
    return deleted(getattr(Item, link).through.objects.get(item=item))


def joined():
    user, group = User.objects.create(username="new"), Group.objects.create(name="new")
    user.groups.add(group)
    return deleted(Membership.objects.get(user=user))


def left():
    ann = User.objects.create(username="left")
    return changed(Order, {"customer": ann}, customer=None)


def reported():
    Report.objects.create(pk=99, text="x")
    return [*Report.objects.filter(pk=99).values_list("text", flat=True)]


def refused(table):
    return f"refused on {table}"


CASES = [
    Case(
        "store.Ledger:append_only",
        lambda: changed(Ledger, {}, amount=1),
        refused("Store_Ledger"),
        [],
    ),
    Case(
        "store.Ledger:append_only",
        lambda: deleted(Ledger.objects.create()),
        refused("Store_Ledger"),
        [],
    ),
    Case(
        "store.Order:keep_paid",
        lambda: changed(Order, {"status": "paid"}, status="draft"),
        refused("store_order"),
        [],
    ),
    Case(
        "store.Order:keep_paid",
        lambda: changed(Order, {"status": "paid"}, status="refunded"),
        [],
        [],
    ),
    Case(
        "store.Order:keep_big",
        lambda: deleted(Order.objects.create(total=60)),
        refused("store_order"),
        [],
    ),
    Case("store.Order:keep_big", lambda: deleted(Order.objects.create(total=40)), [], []),
    Case(
        "store.Order:no_shrinking",
        lambda: changed(Order, {"total": 2}, total=1),
        refused("store_order"),
        [],
    ),
    Case("store.Order:no_Percent", lambda: made(Order, note="50 %"), refused("store_order"), []),
    Case("store.Order:no_Percent", lambda: made(Order, note="it's"), refused("store_order"), []),
    Case("store.Order:no_Percent", lambda: made(Order, note="50 %%"), [], []),
    Case("store.Order:keep_customer", left, refused("store_order"), []),
    Case(
        "store.Order:keep_priority",
        lambda: changed(Order, {}, priority=1),
        refused("store_order"),
        [],
    ),
    Case(
        "store.Invoice:fixed_number",
        lambda: changed(Invoice, {}, number="2"),
        refused("store_invoice"),
        [],
    ),
    Case("store.Crate:fragile", lambda: changed(Crate, {}, weight=1), refused("store_crate"), []),
    Case("store.Invoice:fixed_number", lambda: changed(Invoice, {}, remark="2"), [], []),
    Case(
        "store.Contract:fixed",
        lambda: changed(Contract, {}, terms={"a": 1}),
        refused("store_contract"),
        [],
    ),
    Case("store.Contract:fixed", lambda: changed(Contract, {}, remark="2"), [], []),
    Case(
        "store.Frozen:all_of_it",
        lambda: changed(Frozen, {}, value=1),
        refused("store_frozen"),
        [],
    ),
    Case("store.Document:count_versions", version, 1, 0),
    Case("store.Document:shout", title, "X OF STORE_DOCUMENT", "x"),
    Case("store.Document:measure", lambda: made(Document, body="abc"), ["3 and 6"], []),
    Case(
        "store.Document:note_moves",
        lambda: changed(Document, {"shelf": "a"}, shelf="b"),
        ["UPDATE from a"],
        [],
    ),
    Case("store.Document:note_moves", lambda: changed(Document, {"shelf": "a"}, title="b"), [], []),
    Case(
        "store.Document:note_moves",
        lambda: deleted(Document.objects.create(shelf="c")),
        ["DELETE from c"],
        [],
    ),
    Case("store.Document:raw", lambda: changed(Document, {"body": "a"}, body=""), ["emptied"], []),
    Case(
        "store.Changes:all_change", lambda: changed(Changes, {}, one=1, two=1), ["all_change"], []
    ),
    Case("store.Changes:any_same", lambda: changed(Changes, {}, one=1), ["any_same"], []),
    Case(
        "store.Changes:all_same",
        lambda: changed(Changes, {}, one=0),
        ["all_same", "any_same"],
        ["any_same"],
    ),
    Case("store.Stock:referencing", lambda: changed(Stock, {"value": 1}, value=2), ["1 to 2"], []),
    Case(
        "store.Stock:composed",
        lambda: changed(Stock, {"value": 1}, value=11),
        ["big 11", "1 to 11"],
        ["1 to 11"],
    ),
    Case("store.Stock:inserted", lambda: made(Stock, value=7), ["7"], []),
    Case(
        "store.Stock:frozen",
        lambda: deleted(Stock.objects.create()),
        refused("store_stock"),
        [],
    ),
    Case(
        "store.Stock:no_negative",
        lambda: changed(Stock, {"value": 1}, value=-1),
        refused("store_stock"),
        ["1 to -1"],
    ),
    Case("store.Account:in_the_end", lambda: made(Account), ["in the end"], []),
    Case(
        "store.Account:at_once",
        lambda: deleted(Account.objects.create(balance=1)),
        ["at once"],
        [],
    ),
    Case("store.Page:tracked", lambda: deleted(Page.objects.create()), refused("store_page"), []),
    Case("store.Post:tracked", lambda: deleted(Post.objects.create()), refused("store_post"), []),
    Case(
        "store.Shop:same_owner",
        lambda: changed(Shop, {}, owner="x"),
        refused("store_shop"),
        [],
    ),
    Case("store.Shop:same_owner", lambda: changed(Shop, {}, name="x"), [], []),
    Case("store.Letter:stamp", lambda: made(Letter), ["new letter"], []),
    Case("store.Labelling:sticky", lambda: tagged("labels"), refused("store_labelling"), []),
    Case("store.ItemTag:glued", lambda: tagged("tags"), refused("store_item_tags"), []),
    Case(
        "people.Person:no_admins",
        lambda: deleted(User.objects.create(username="root", is_superuser=True)),
        refused("auth_user"),
        [],
    ),
    Case("people.Membership:for_life", joined, refused("auth_user_groups"), []),
    Case(
        "people.WatchedOrder:watch",
        lambda: changed(WatchedOrder, {}, note="x"),
        ["watched"],
        [],
    ),
    Case("reports.Report:write_through", reported, ["x"], []),
]


def outcome(act):
    try:
        with transaction.atomic():
            result = act()
            transaction.set_rollback(True)
            return result
    except DatabaseError as error:
        # Ours names the operation that there was, and says more behind it.
        known = re.match(r"pgtrigger: Cannot [a-z ]+ rows from (\w+) table", str(error))
        return refused(known[1]) if known else str(error)


def show():
    uris = {trigger.get_uri(model) for model, trigger in pgtrigger.registered()}
    expected, got = [], []
    for case in CASES:
        expected.append([case.uri, case.fires, case.ignored])
        with pgtrigger.ignore(case.uri):
            ignored = outcome(case.act)
        got.append([case.uri, outcome(case.act), ignored])
    missing = sorted(uris - {case.uri for case in CASES})
    print(json.dumps({"expected": expected, "got": got, "without a case": missing}))
