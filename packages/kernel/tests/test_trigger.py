"""pgtrigger.trigger: how a declaration becomes one or more Postgres triggers."""

import hashlib

import pytest
from django.db import IntegrityError, connection

import pgtrigger
from pgtrigger.errors import DeclarationError, FieldLookupError
from shop.database import definitions, functions, logged, logs, noop, refused, run
from shop.models import Order, Peculiar, Product, ProductProxy

Insert, Update, Delete = pgtrigger.Insert, pgtrigger.Update, pgtrigger.Delete
Truncate, UpdateOf = pgtrigger.Truncate, pgtrigger.UpdateOf
Q, F = pgtrigger.Q, pgtrigger.F


def parts(**kwargs):
    compiled = noop(**{"when": pgtrigger.After, **kwargs}).compile(Product)
    return [(part.level, part.operation) for part in compiled.parts]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Truncate, [("STATEMENT", "TRUNCATE")]),
        (Delete | Truncate, [("ROW", "DELETE"), ("STATEMENT", "TRUNCATE")]),
        (Truncate | Update | Insert, [("ROW", "INSERT OR UPDATE"), ("STATEMENT", "TRUNCATE")]),
        (UpdateOf("stock") | Insert, [("ROW", 'INSERT OR UPDATE OF "stock"')]),
    ],
)
def test_truncate_beside_row_level_is_a_part_of_its_own(operation, expected):
    assert parts(operation=operation) == expected


def test_operations_with_conditions_of_their_own_are_parts_of_their_own(live):
    class Labelled(pgtrigger.Trigger):
        when = pgtrigger.After

        def get_condition_for(self, model, operation):
            return pgtrigger.Condition(
                "NEW.stock < 0" if operation == "INSERT" else "OLD.stock < 0"
            )

    trigger = Labelled(name="labelled", operation=Insert | Update | Delete, func="RETURN NULL;")
    assert [(p.operation, p.condition) for p in trigger.compile(Product).parts] == [
        ("INSERT", "NEW.stock < 0"),
        ("UPDATE OR DELETE", "OLD.stock < 0"),
    ]
    live(Product, trigger)
    assert len(definitions("shop_product")) == 2


def test_at_statement_level_all_operations_are_one_part():
    operation = Insert | Delete | Truncate
    assert parts(operation=operation, level=pgtrigger.Statement) == [
        ("STATEMENT", "INSERT OR DELETE OR TRUNCATE")
    ]


def test_with_transition_tables_each_operation_is_a_part_with_the_tables_it_has():
    trigger = noop(
        when=pgtrigger.After,
        level=pgtrigger.Statement,
        operation=Insert | Update | Delete | Truncate,
        referencing=pgtrigger.Referencing(old="o", new="n"),
    )
    assert [(p.operation, p.referencing) for p in trigger.compile(Product).parts] == [
        ("INSERT", "REFERENCING NEW TABLE AS n"),
        ("UPDATE", "REFERENCING OLD TABLE AS o NEW TABLE AS n"),
        ("DELETE", "REFERENCING OLD TABLE AS o"),
        ("TRUNCATE", ""),
    ]


def test_the_first_part_has_the_id_of_the_trigger_and_further_ones_that_of_their_part():
    trigger = noop(operation=Delete | Truncate)
    uri = "shop.Product:noop"
    first, second = trigger.compile(Product).pgids
    assert first == trigger.get_pgid(Product)
    assert first == f"pgtrigger_noop_{hashlib.sha1(uri.encode()).hexdigest()[:5]}"
    digits = hashlib.sha1(f"{uri}#truncate".encode()).hexdigest()[:5]
    assert second == f"pgtrigger_noop_{digits}"


def test_parts_are_installed_with_one_function_and_fire_for_each_operation(live):
    live(Product, logs("lower(TG_OP) || ' ' || lower(TG_LEVEL)", operation=Delete | Truncate))
    assert len(definitions("shop_product")) == 2
    assert len({name for name in functions() if "_logs_" in name}) == 1
    Product.objects.create()
    run("DELETE FROM shop_product")
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run("TRUNCATE shop_product CASCADE")
    assert logged() == ["delete row", "truncate statement"]


def test_transition_tables_of_several_operations_are_readable(live):
    trigger = logs(
        func="""
            IF TG_OP = 'INSERT' THEN
                INSERT INTO shop_log(text) SELECT sum(stock)::text FROM n;
            ELSE
                INSERT INTO shop_log(text) SELECT sum(stock)::text FROM o;
            END IF;
            RETURN NULL;
            """,
        level=pgtrigger.Statement,
        operation=Insert | Delete,
        referencing=pgtrigger.Referencing(old="o", new="n"),
    )
    live(Product, trigger)
    Product.objects.bulk_create([Product(stock=2), Product(stock=3)])
    run("DELETE FROM shop_product")
    assert logged() == ["5", "5"]


def test_all_parts_are_ignored_disabled_and_enabled_as_one(live):
    trigger = live(Product, pgtrigger.Protect(name="keep", operation=Delete | Truncate))
    for hold in (pgtrigger.ignore("shop.Product:keep"), trigger.disable(Product)):
        with hold:
            run("DELETE FROM shop_product")
            run("TRUNCATE shop_product CASCADE")
    with refused("Cannot truncate", IntegrityError):
        run("TRUNCATE shop_product CASCADE")


@pytest.mark.parametrize(
    ("condition", "operation", "message"),
    [
        (Q(old__stock=1), Insert, "reads OLD, which an operation INSERT does not have"),
        (Q(old__stock=1), Insert | Update, "reads OLD"),
        (Q(new__stock=1), Delete, "reads NEW, which an operation DELETE does not have"),
        (pgtrigger.AnyChange(), Update | Delete, "reads NEW"),
        (pgtrigger.Condition("new.stock = 1"), Delete, "reads NEW"),
    ],
)
def test_a_condition_on_a_row_that_the_operation_lacks_is_refused(condition, operation, message):
    with pytest.raises(DeclarationError, match=message) as caught:
        noop(condition=condition, operation=operation).compile(Product)
    assert '"noop" of model "shop.Product"' in str(caught.value)


def test_a_literal_that_looks_like_a_row_is_none():
    condition = Q(new__note="OLD.stock")
    assert noop(condition=condition, operation=Insert).compile(Product)


def test_a_condition_on_rows_at_statement_level_is_refused_with_the_way_out():
    trigger = noop(level=pgtrigger.Statement, condition=Q(new__stock=1))
    with pytest.raises(DeclarationError, match=r"pgtrigger\.Composer"):
        trigger.compile(Product)


def test_a_condition_without_rows_at_statement_level_works(live):
    condition = pgtrigger.Condition("current_setting('application_name') = 'nobody'")
    trigger = logs(level=pgtrigger.Statement, condition=condition)
    live(Product, trigger)
    Product.objects.update(stock=1)
    assert logged() == []


@pytest.mark.parametrize(
    "condition",
    [Q(new__loud="X"), pgtrigger.Condition("NEW.loud = 'X'"), pgtrigger.Condition("NEW.* IS NULL")],
)
def test_a_generated_column_cannot_be_read_before_it_is_computed(condition):
    with pytest.raises(DeclarationError, match="generated column loud of NEW"):
        noop(condition=condition).compile(Peculiar)
    assert noop(condition=condition, when=pgtrigger.After).compile(Peculiar)


def test_the_old_value_of_a_generated_column_can_be_read(live):
    live(Peculiar, logs(when=pgtrigger.Before, condition=Q(old__loud="X"), func=LOG_AND_GO_ON))
    Peculiar.objects.bulk_create([Peculiar(name="x"), Peculiar(name="y")])
    run("UPDATE shop_peculiar SET name = 'z'")
    assert logged() == ["before"]


LOG_AND_GO_ON = "INSERT INTO shop_log(text) VALUES ('before'); RETURN NEW;"


def test_update_of_takes_fields_and_columns():
    for name in ("total", "Total"):
        (part,) = noop(operation=UpdateOf(name)).compile(Order).parts
        assert part.operation == 'UPDATE OF "Total"'
    (part,) = noop(operation=UpdateOf("maker", "maker_id")).compile(Product).parts
    assert part.operation == 'UPDATE OF "maker_id"'


def test_update_of_an_unknown_column_is_refused():
    with pytest.raises(FieldLookupError, match=r"UpdateOf\('nothing'\).*no field \"nothing\""):
        noop(operation=UpdateOf("nothing")).compile(Product)
    with pytest.raises(DeclarationError, match="many-to-many"):
        noop(operation=UpdateOf("tags")).compile(Product)


def test_update_of_has_no_transition_tables():
    trigger = noop(
        when=pgtrigger.After,
        level=pgtrigger.Statement,
        operation=UpdateOf("stock"),
        referencing=pgtrigger.Referencing(old="o"),
    )
    with pytest.raises(DeclarationError, match="no transition tables for pgtrigger.UpdateOf"):
        trigger.compile(Product)


def test_on_a_proxy_only_the_uri_is_another():
    trigger = noop()
    assert trigger.get_uri(ProductProxy) == "shop.ProductProxy:noop"
    assert trigger.compile(ProductProxy).func == trigger.compile(Product).func
    assert trigger.get_pgid(ProductProxy) != trigger.get_pgid(Product)


def test_a_postgres_id_that_is_too_long_is_refused_with_its_length():
    class Long(pgtrigger.Trigger):
        def get_pgid(self, model):
            from pgtrigger.compiler import postgres_id

            return postgres_id("x" * 48, self.get_uri(model))

    trigger = Long(name="a", when=pgtrigger.Before, operation=Update, func="RETURN NEW;")
    with pytest.raises(DeclarationError, match="has 64 characters"):
        trigger.compile(Product)


def test_the_longest_name_is_installed_under_its_whole_id(live):
    trigger = live(Product, noop("n" * 47))
    assert [*definitions("shop_product")] == [trigger.get_pgid(Product)]
    assert len(trigger.get_pgid(Product)) == 63
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)


def test_instead_of_serves_views(live):
    run("CREATE VIEW shop_missing AS SELECT 1::bigint AS id, 2 AS value")
    from shop.models import Missing

    live(Missing, logs("NEW.value::text", when=pgtrigger.InsteadOf, operation=Update))
    run("UPDATE shop_missing SET value = 7")
    assert logged() == ["7"]
    with pgtrigger.ignore("shop.Missing:logs"):
        run("UPDATE shop_missing SET value = 8")
    assert logged() == ["7"]


def test_several_variables_are_declared(live):
    live(
        Product,
        logs(
            declare=[("a", "INT := 1"), ("b", "TEXT")],
            func="b := a + 1; INSERT INTO shop_log(text) VALUES (b); RETURN NULL;",
        ),
    )
    Product.objects.create()
    Product.objects.update(stock=1)
    assert logged() == ["2"]


def test_rendering_asks_no_database(django_assert_num_queries):
    trigger = noop(condition=pgtrigger.AnyChange())
    assert trigger.render_condition(Product).startswith("WHEN (OLD.")
    assert trigger.render_execute(Product) == f"{trigger.compile(Product).function}()"
    assert trigger.render_declare(Product) == ""
    assert trigger.render_condition(Order) != ""
    assert noop().render_condition(Product) == ""
    assert connection.vendor == "postgresql"
