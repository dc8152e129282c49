"""timeline: events across models, page by page."""

import pytest

from ledger.models import Customer, Division, Invoice, Payment, Place, Tag
from pgtrigger_history import NotTrackedError, timeline


@pytest.fixture
def story(customer):
    invoice = Invoice.objects.create(customer=customer)
    Invoice.objects.create()  # another one's
    tag = Tag.objects.create(name="t")
    invoice.tags.add(tag)
    customer.name = "Eve"
    customer.save()
    invoice.total = 9
    invoice.save()
    return customer


def told(page):
    return [(type(entry.event).__name__, entry.event.pgh_label) for entry in page]


def test_the_events_of_an_object_the_latest_first(story):
    page = timeline(story)
    assert told(page) == [("CustomerEvent", "update"), ("CustomerEvent", "insert")]
    assert page[0].changes == {"name": ("Ada", "Eve")}
    assert (page.cursor, len(page)) == ("", 2)


def test_with_those_of_what_belongs_to_it(story):
    assert told(timeline(story, related=True)) == [
        ("InvoiceEvent", "update"),
        ("CustomerEvent", "update"),
        ("InvoiceEvent", "insert"),
        ("CustomerEvent", "insert"),
    ]
    invoice = story.invoices.get()
    assert told(timeline(invoice, related=True)) == [
        ("InvoiceEvent", "update"),
        ("InvoiceTagsEvent", "add"),
        ("InvoiceEvent", "insert"),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_pages_have_each_event_once(story, size):
    whole = [entry.event for entry in timeline(story, related=True)]
    found, after = [], ""
    for _ in range(10):
        page = timeline(story, related=True, size=size, after=after)
        found += [entry.event for entry in page]
        after = page.cursor
        if not after:
            break
    assert found == whole


def test_of_an_object_that_is_gone(story):
    key = story.pk
    story.delete()
    assert told(timeline(model=Customer, key=key))[0] == ("CustomerEvent", "delete")


def test_it_can_be_narrowed(story):
    page = timeline(story, related=True, narrow=lambda events: events.labelled("update"))
    assert told(page) == [("InvoiceEvent", "update"), ("CustomerEvent", "update")]


def test_a_page_takes_few_queries(story, django_assert_max_num_queries, django_assert_num_queries):
    with django_assert_max_num_queries(6):
        timeline(story, related=True)
    with django_assert_num_queries(1):
        timeline(story)
    with django_assert_max_num_queries(3):
        timeline(story, narrow=lambda events: events.labelled("update"))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_what_has_changed_does_not_depend_on_the_page(customer, size):
    for name in "bcd":
        customer.name = name
        customer.save()
    found, after = [], ""
    while page := timeline(customer, size=size, after=after):
        found += [entry.changes["name"] for entry in page]
        after = page.cursor
        if not after:
            break
    assert found == [("c", "d"), ("b", "c"), ("Ada", "b"), (None, "Ada")]


@pytest.mark.parametrize("cursor", ["x", "e30x", "WzFd", "eyJhIjoxfQ"])
def test_a_cursor_of_something_else_is_refused(story, cursor):
    with pytest.raises(NotTrackedError, match="cursor"):
        timeline(story, after=cursor)


def test_what_is_not_tracked_has_none(db):
    with pytest.raises(NotTrackedError, match=r'Nothing is recorded of "ledger.Place"'):
        timeline(Place.objects.create())
    with pytest.raises(TypeError, match="an object, or a model and a key"):
        timeline(model=Payment)


def test_events_of_a_model_that_refers_to_the_object_twice_and_to_its_own_kind(db):
    top, hub = Division.objects.create(name="top"), Division.objects.create(name="hub")
    below = Division.objects.create(name="below", above=top, twin=hub)
    below.name = "new"
    below.save()
    entries = timeline(top, related=True)
    assert [(entry.event.pgh_obj_id, entry.event.pgh_label) for entry in entries] == [
        (below.pk, "update"),
        (below.pk, "insert"),
        (top.pk, "insert"),
    ]
    assert entries[0].changes == {"name": ("below", "new")}
    assert len(timeline(hub, related=True)) == 3
