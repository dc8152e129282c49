"""One model in two databases, between which a router chooses by a key of its rows."""

import pytest
from django.db import IntegrityError, connections

import pgtrigger
from databases.place import command, create_table
from databases.press import Page, keep, mark
from project.routers import Router

SHARDS = ["default", "other"]


@pytest.fixture
def shards(empty, empty_too, connect_as, declare, monkeypatch):
    """Pages are in the database that the first letter of their title says."""
    for alias, database in zip(SHARDS, (empty, empty_too), strict=True):
        connect_as(alias, database.entry())
        # For the threads of the jobs, too.
        entry = {**connections.settings[alias], **database.entry()}
        monkeypatch.setitem(connections.settings, alias, entry)
        create_table(Page, alias=alias)

    def shard(model, instance=None, **hints):
        return SHARDS[instance.title >= "n"] if instance is not None and instance.title else None

    monkeypatch.setitem(Router.routes, "db_for_write", shard)
    monkeypatch.setitem(Router.routes, "db_for_read", shard)
    declare(Page, mark(), keep())
    command("install", "--database", "all", "--jobs", "2")
    return empty, empty_too


def test_each_shard_has_the_triggers_and_they_fire_where_the_row_is(shards):
    pages = [Page(title=title) for title in ("apple", "pear")]
    for page, alias in zip(pages, SHARDS, strict=True):
        page.save()
        assert page._state.db == alias
        page.save()
        page.refresh_from_db()
        assert page.seen == 1
        with pytest.raises(IntegrityError) as caught:
            page.delete()
        assert pgtrigger.violation(caught.value).uri == "press.Page:keep"
    for database in shards:
        assert database.triggers() == ["public.press_page:keep", "public.press_page:mark"]
        assert database.sql("SELECT count(*) FROM press_page") == [(1,)]


def test_ignoring_holds_on_all_shards_or_on_those_that_are_named(shards):
    pages = [Page.objects.create(title=title) for title in ("apple", "pear")]
    with pgtrigger.ignore("press.Page:keep", databases=["other"]):
        with pytest.raises(IntegrityError):
            pages[0].delete()
        pages[1].delete()
    with pgtrigger.ignore("press.Page:keep"):
        pages[0].delete()


def test_a_shard_that_has_drifted_is_told_from_the_others(shards):
    with connections["other"].cursor() as cursor:
        cursor.execute("ALTER TABLE press_page DISABLE TRIGGER ALL")
    shown = command("ls", "--database", "all")
    assert sum("DISABLED" in line for line in shown) == 2
    command("enable", "--database", "all")
    command("check", "--database", "all")
