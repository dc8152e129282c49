"""pgtrigger.relations: where tables are, whatever they are called by now."""

import pytest
from django.db import connection

from pgtrigger import relations
from shop.database import run
from shop.models import AuditEntry, Dotted, Missing, Order, Product

TABLES = [model._meta.db_table for model in (Product, Order, Dotted, AuditEntry, Missing)]


@pytest.fixture
def audit(db):
    run("CREATE SCHEMA shop_audit")
    run("CREATE TABLE shop_audit.entry (id int PRIMARY KEY, value int)")


def test_the_schema_of_each_table_is_told_and_missing_ones_are_left_out(audit):
    assert relations.schemas_of(connection, TABLES) == {
        "shop_product": "public",
        "user": "public",
        "shop.with.dots": "public",
        '"shop_audit"."entry"': "shop_audit",
    }


def test_all_schemas_of_a_table_are_told_whatever_the_search_path(audit):
    run("CREATE TABLE shop_audit.shop_product (id int)")
    run("CREATE TABLE public.entry (id int)")
    assert relations.places(connection, TABLES) == {
        "shop_product": ["public", "shop_audit"],
        "user": ["public"],
        "shop.with.dots": ["public"],
        '"shop_audit"."entry"': ["shop_audit"],
        "shop_missing": [],
    }
    assert relations.places(connection, TABLES[:1], within="shop_audit") == {
        "shop_product": ["shop_audit"]
    }


def test_what_is_no_table_is_in_no_place(audit):
    run("CREATE SEQUENCE shop_audit.shop_product")
    assert relations.places(connection, ["shop_product"]) == {"shop_product": ["public"]}


def test_a_table_keeps_its_identity_when_it_is_renamed(db):
    identity = relations.identify(connection, "shop.with.dots")
    run('ALTER TABLE "shop.with.dots" RENAME TO "another""one"')
    assert relations.name_of(connection, identity) == '"public"."another""one"'
    run('DROP TABLE "another""one"')
    assert relations.name_of(connection, identity) is None
