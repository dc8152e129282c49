"""pgtrigger.catalog: everything that is installed, in one query, wherever it is."""

import pytest
from django.db import connection

import pgtrigger
from pgtrigger import catalog
from pgtrigger.catalog import Catalog, InstalledTrigger
from shop.database import definitions, functions, noop, run, statements
from shop.models import AuditEntry, Dotted, Event, Order, Product, ProductProxy


@pytest.fixture
def partitioned(db):
    run("CREATE TABLE shop_event (id int PRIMARY KEY, value int) PARTITION BY RANGE (id)")
    run("CREATE TABLE shop_event_a PARTITION OF shop_event FOR VALUES FROM (0) TO (10)")
    run("CREATE TABLE shop_event_b PARTITION OF shop_event FOR VALUES FROM (10) TO (20)")


@pytest.fixture
def audit(db):
    run("CREATE SCHEMA shop_audit")
    run("CREATE TABLE shop_audit.entry (id int PRIMARY KEY, value int)")


def test_everything_is_read_in_one_query(live):
    for model in (Product, Order, Dotted):
        live(model, noop(operation=pgtrigger.Update | pgtrigger.Truncate))
    with statements() as found:
        read = catalog.read(connection)
    assert len(found) == 1
    for model in (Product, Order, Dotted):
        assert len(read.of_table(model._meta.db_table)) == 2


@pytest.mark.parametrize("model", [Product, Order, Dotted, ProductProxy])
def test_odd_table_names_are_found(live, model):
    trigger = live(model, noop())
    (found,) = catalog.read(connection).of_table(model._meta.db_table).values()
    compiled = trigger.compile(model)
    assert (found.table, found.pgid) == (model._meta.db_table, compiled.pgid)
    assert found.comment == found.function_comment == compiled.hash
    assert (found.function, found.function_schema) == (compiled.function, "public")
    assert (found.state, found.enabled, found.visible, found.function_uses) == ("O", True, True, 1)
    assert found.db_table == f'"public"."{model._meta.db_table}"'


def test_clones_on_partitions_belong_to_the_partitioned_table(live, partitioned):
    trigger = live(Event, noop())
    read = catalog.read(connection)
    assert [*read.of_table("shop_event")] == [trigger.get_pgid(Event)]
    assert read.of_table("shop_event_a") == {}
    (found,) = read.of_table("shop_event").values()
    assert found.function_uses == 1
    assert len(definitions("shop_event_a")) == 1  # it is there, though
    assert trigger.get_installation_status(Event) == ("INSTALLED", True)
    assert pgtrigger.prunable() == []


def test_a_partitioned_tables_trigger_takes_its_clones_and_its_function_along(live, partitioned):
    trigger = live(Event, noop())
    trigger.uninstall(Event)
    assert definitions("shop_event_a") == definitions("shop_event") == {}
    assert not any("noop" in name for name in functions())


def test_a_table_of_another_schema_is_found_by_its_qualified_name(live, audit):
    trigger = live(AuditEntry, noop())
    assert [*definitions("shop_audit.entry")] == [trigger.get_pgid(AuditEntry)]
    assert trigger.get_installation_status(AuditEntry) == ("INSTALLED", True)
    (found,) = (
        catalog.read(connection, schemas=["shop_audit"])
        .of_table(AuditEntry._meta.db_table)
        .values()
    )
    assert (found.schema, found.visible) == ("shop_audit", False)
    assert found.function_schema == "shop_audit"
    with trigger.disable(AuditEntry):
        assert trigger.get_installation_status(AuditEntry) == ("INSTALLED", False)
    trigger.uninstall(AuditEntry)
    assert definitions("shop_audit.entry") == {}
    assert not any("noop" in name for name in functions())


def test_outside_the_search_path_nothing_is_seen(live, audit):
    live(AuditEntry, noop())
    assert catalog.read(connection).of_table(AuditEntry._meta.db_table) == {}
    with pgtrigger.schema("shop_audit", "public"):
        (found,) = catalog.read(connection).of_table("entry").values()
        assert found.visible


def test_a_table_of_the_same_name_in_another_schema_is_another(live, audit):
    run("CREATE TABLE shop_audit.shop_product (LIKE public.shop_product)")
    trigger = live(Product, noop())
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)
    with pgtrigger.schema("shop_audit", "public"):
        assert trigger.get_installation_status(Product) == ("UNINSTALLED", None)
        trigger.install(Product)
        assert trigger.get_installation_status(Product) == ("INSTALLED", True)
        trigger.uninstall(Product)
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)


def test_only_the_named_tables_are_read(live):
    live(Product, noop())
    live(Order, noop())
    assert {t.table for t in catalog.read(connection, tables=["user"]).triggers} == {"user"}
    assert catalog.read(connection, tables=[]).triggers == ()


def test_ids_of_another_form_are_read_when_they_are_named(live):
    class Renamed(pgtrigger.Trigger):
        when, operation, func = pgtrigger.Before, pgtrigger.Update, "RETURN NEW;"

        def get_pgid(self, model):
            return "audit_me"

    trigger = live(Product, Renamed(name="renamed"))
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)
    assert catalog.read(connection).of_table("shop_product") == {}
    assert [*catalog.read(connection, pgids=["audit_me"]).of_table("shop_product")] == ["audit_me"]


def test_a_name_that_only_resembles_ours_is_not_read(db):
    run("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    run("CREATE TRIGGER pgtriggerx BEFORE UPDATE ON shop_product EXECUTE FUNCTION f()")
    assert catalog.read(connection).of_table("shop_product") == {}


def test_triggers_that_share_a_function_are_counted(live):
    trigger = live(Product, noop(operation=pgtrigger.Update | pgtrigger.Truncate))
    function = trigger.compile(Product).function
    run(
        "CREATE TRIGGER pgtrigger_other BEFORE DELETE ON shop_line "
        f"FOR EACH ROW EXECUTE FUNCTION {function}()"
    )
    uses = {t.function_uses for t in catalog.read(connection, tables=["shop_product"]).triggers}
    assert uses == {3}


@pytest.mark.parametrize(
    ("mode", "state", "enabled"),
    [
        ("ENABLE", "O", True),
        ("DISABLE", "D", False),
        ("ENABLE ALWAYS", "A", True),
        ("ENABLE REPLICA", "R", False),
    ],
)
def test_the_state_of_a_trigger_is_read(live, mode, state, enabled):
    trigger = live(Product, noop())
    run(f'ALTER TABLE shop_product {mode} TRIGGER "{trigger.get_pgid(Product)}"')
    (found,) = catalog.read(connection, tables=["shop_product"]).triggers
    assert (found.state, found.enabled) == (state, enabled)


def installed(compiled, **kwargs):
    given = {
        "schema": "public",
        "table": "shop_product",
        "pgid": compiled.pgid,
        "state": "O",
        "comment": compiled.hash,
        "function_schema": "public",
        "function": compiled.function,
        "function_comment": compiled.hash,
        "function_uses": 1,
        "visible": True,
    }
    return InstalledTrigger(**{**given, **kwargs})


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "INSTALLED"),
        ({"comment": ""}, "OUTDATED"),
        ({"function_comment": ""}, "OUTDATED"),
        ({"function": "another"}, "OUTDATED"),
        ({"visible": False}, "UNINSTALLED"),
        ({"pgid": "pgtrigger_else"}, "UNINSTALLED"),
        ({"table": "other"}, "UNINSTALLED"),
    ],
)
def test_the_status_follows_from_what_is_there(change, status):
    compiled = noop().compile(Product)
    found = Catalog([installed(compiled, **change)])
    assert found.status(compiled, "shop_product")[0] == status


def test_a_body_that_was_replaced_leaves_the_comment_of_the_trigger_valid():
    compiled = noop().compile(Product)
    earlier = noop(func="RETURN OLD;").compile(Product)
    found = Catalog([installed(compiled, comment=earlier.hash)])
    assert found.status(compiled, "shop_product") == ("INSTALLED", True)
    found = Catalog([installed(compiled, function_comment=earlier.hash)])
    assert found.status(compiled, "shop_product") == ("OUTDATED", True)


def test_a_part_that_is_missing_or_disabled_counts_for_the_whole():
    compiled = noop(operation=pgtrigger.Update | pgtrigger.Truncate).compile(Product)
    first, second = (installed(compiled, pgid=pgid) for pgid in compiled.pgids)
    assert Catalog([first]).status(compiled, "shop_product") == ("OUTDATED", True)
    assert Catalog([first, second]).status(compiled, "shop_product") == ("INSTALLED", True)
    off = installed(compiled, pgid=compiled.pgids[1], state="D")
    assert Catalog([first, off]).status(compiled, "shop_product") == ("INSTALLED", False)


def test_only_postgres_is_served():
    assert catalog.postgres(None) is connection.connection.__class__ or catalog.postgres(None)
    assert catalog.postgres("sqlite") is None
    assert catalog.postgres("other").alias == "other"
