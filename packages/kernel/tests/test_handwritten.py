"""pgtrigger.handwritten: triggers of the database, whoever made them."""

import pytest
from django.db import connection

from pgtrigger.errors import TableNotFoundError
from pgtrigger.handwritten import read, relation_named
from shop.database import noop, run, value
from shop.models import Product


@pytest.fixture
def table(db):
    run('CREATE TABLE "Odd.Table" (id int, "a b" int)')
    run("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    return relation_named(connection, "Odd.Table")


def on(table, statement):
    run(statement.replace(" ON ", ' ON "Odd.Table" ', 1) + " EXECUTE FUNCTION f()")
    [found] = read(connection, table)
    return found


@pytest.mark.parametrize(
    "name", ["Odd.Table", '"Odd.Table"', 'public."Odd.Table"', 'PUBLIC . "Odd.Table"']
)
def test_a_table_is_found_by_its_name_or_as_sql_names_it(table, name):
    assert relation_named(connection, name) == table


@pytest.mark.parametrize("name", ["SHOP_product", "public.shop_product", '"public"."shop_product"'])
def test_a_name_without_quotes_is_folded(db, name):
    assert relation_named(connection, name) == value("SELECT 'shop_product'::regclass::oid")


@pytest.mark.parametrize("name", ["nothing", "no.table", "1; DROP", "a.b.c.d", "-"])
def test_a_table_that_is_not_there_is_an_error(db, name):
    with pytest.raises(TableNotFoundError, match="has no table"):
        relation_named(connection, name)


def test_a_row_trigger_is_read(table):
    found = on(table, 'CREATE TRIGGER t BEFORE INSERT OR UPDATE OF "a b", id ON FOR EACH ROW')
    assert (found.name, found.table, found.when) == ("t", "Odd.Table", "BEFORE")
    assert found.db_table == '"public"."Odd.Table"'
    assert found.for_each_row
    assert found.operations == ("INSERT", "UPDATE")
    assert found.update_of == ("a b", "id")
    assert found.columns == ("id", "a b")
    assert found.condition == ""
    assert (found.constraint, found.deferrable, found.state, found.uses) == (False, False, "O", 1)
    assert (found.language, found.function, found.source) == (
        "plpgsql",
        "f",
        "BEGIN RETURN NULL; END",
    )


def test_a_statement_trigger_is_read(table):
    found = on(table, "CREATE TRIGGER t AFTER DELETE ON REFERENCING OLD TABLE AS olds")
    assert not found.for_each_row
    assert (found.when, found.operations) == ("AFTER", ("DELETE",))
    assert (found.old_table, found.new_table) == ("olds", None)


def test_a_constraint_trigger_is_read(table):
    found = on(
        table,
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
    )
    assert (found.constraint, found.deferrable, found.deferred) == (True, True, True)
    assert not found.from_table


def test_truncation_is_read(table):
    assert on(table, "CREATE TRIGGER t AFTER TRUNCATE ON FOR EACH STATEMENT").operations == (
        "TRUNCATE",
    )


@pytest.mark.parametrize(
    "condition",
    [
        'NEW."a b" > 1',
        "NEW.* IS DISTINCT FROM OLD.*",
        "NEW.id::text = 'WHEN (x) EXECUTE FUNCTION f()'",
        "CASE WHEN NEW.id = 1 THEN true ELSE false END",
        "(NEW.id = 1) OR (NEW.id = 2)",
        "NEW.id IS NULL",
    ],
)
def test_a_condition_is_read_as_the_server_writes_it(table, condition):
    found = on(table, f"CREATE TRIGGER t BEFORE UPDATE ON FOR EACH ROW WHEN ({condition})")
    run('DROP TRIGGER t ON "Odd.Table"')
    again = on(table, f"CREATE TRIGGER t BEFORE UPDATE ON FOR EACH ROW WHEN ({found.condition})")
    assert again.definition == found.definition
    assert again.condition == found.condition


def test_a_trigger_in_place_of_is_read(table):
    run('CREATE VIEW seen AS SELECT * FROM "Odd.Table"')
    run("CREATE TRIGGER t INSTEAD OF DELETE ON seen FOR EACH ROW EXECUTE FUNCTION f()")
    [found] = read(connection, relation_named(connection, "seen"))
    assert found.when == "INSTEAD OF"


def test_ours_are_read_where_that_is_asked_for(live):
    relation = relation_named(connection, "shop_product")
    trigger = live(Product, noop())
    assert read(connection, relation) == []
    assert [one.name for one in read(connection, relation, ours=True)] == [
        trigger.get_pgid(Product)
    ]


def test_all_tables_of_the_search_path_are_read(table):
    run("CREATE SCHEMA elsewhere")
    run("CREATE TABLE elsewhere.t (id int)")
    for relation in ('"Odd.Table"', "elsewhere.t"):
        run(f"CREATE TRIGGER t BEFORE INSERT ON {relation} EXECUTE FUNCTION f()")
    assert [one.table for one in read(connection)] == ["Odd.Table"]
    run("SET LOCAL search_path = ''")
    assert read(connection) == []
    assert [one.uses for one in read(connection, table)] == [2]


def test_clones_on_partitions_are_left_out(db):
    run("CREATE TABLE whole (id int) PARTITION BY LIST (id)")
    run("CREATE TABLE half PARTITION OF whole FOR VALUES IN (1)")
    run("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    run("CREATE TRIGGER t AFTER INSERT ON whole FOR EACH ROW EXECUTE FUNCTION f()")
    [found] = read(connection)
    assert (found.table, found.uses) == ("whole", 1)
