"""pgtrigger.composer: the rows of a statement, as the database sees them, and in linear time."""

import json

import pytest
from django.db.models import F as Field

import pgtrigger
from pgtrigger.composer import (
    TABLES,
    full_join,
    missing,
    primary_key_columns,
    rows_meet,
)
from pgtrigger.errors import DeclarationError
from shop.database import logged, rows, run, value
from shop.models import Line, Order, Product

Insert, Update, Delete = pgtrigger.Insert, pgtrigger.Update, pgtrigger.Delete
UpdateOf, Truncate = pgtrigger.UpdateOf, pgtrigger.Truncate
Condition, Q, F = pgtrigger.Condition, pgtrigger.Q, pgtrigger.F
GROWS = Q(new__stock__gt=F("old__stock"))
STATEMENT = {"level": pgtrigger.Statement, "when": pgtrigger.After}


def composer(template, condition=None, operation=Update, **kwargs):
    """Writes a Log row for each row of a template: old and new stock."""
    sides = {
        "cond_new_values": ("'-'", "new_values.stock"),
        "cond_old_values": ("old_values.stock", "'-'"),
        "cond_joined_values": ("old_values.stock", "new_values.stock"),
    }[template]
    text = f"concat_ws('>', {sides[0]}, {sides[1]})"
    return pgtrigger.Composer(
        name="composed",
        **{**STATEMENT, **kwargs},
        operation=operation,
        condition=condition,
        func=pgtrigger.Func(
            f"INSERT INTO shop_log(text) SELECT {text} FROM {{{template}}} ORDER BY 1; RETURN NULL;"
        ),
    )


@pytest.fixture
def products(db):
    return Product.objects.bulk_create([Product(stock=i) for i in range(4)])


@pytest.mark.parametrize(
    ("template", "condition", "expected"),
    [
        ("cond_new_values", None, ["->1", "->2", "->3", "->4"]),
        ("cond_old_values", None, ["0>-", "1>-", "2>-", "3>-"]),
        ("cond_joined_values", None, ["0>1", "1>2", "2>3", "3>4"]),
        ("cond_new_values", Q(new__stock__gt=3), ["->4"]),
        ("cond_old_values", Q(old__stock__lt=1), ["0>-"]),
        ("cond_new_values", Q(old__stock__lt=1), ["->1"]),
        ("cond_old_values", Q(new__stock__gt=3), ["3>-"]),
        ("cond_joined_values", Q(old__stock__lt=1), ["0>1"]),
        ("cond_joined_values", GROWS & Q(new__stock=2), ["1>2"]),
        ("cond_joined_values", ~GROWS, []),
        ("cond_joined_values", pgtrigger.AllDontChange("stock"), []),
        ("cond_joined_values", Condition("OLD.stock = 1 AND 'NEW.x' = 'NEW.x'"), ["1>2"]),
        ("cond_joined_values", Condition("OLD IS DISTINCT FROM NEW AND NEW.stock = 1"), ["0>1"]),
    ],
)
def test_a_template_gives_the_rows_on_which_the_condition_holds(
    live, products, template, condition, expected
):
    live(Product, composer(template, condition))
    Product.objects.update(stock=Field("stock") + 1)
    assert logged() == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("cond_new_values", ["->0", "->1"]),
        ("cond_old_values", ["0>-", "1>-"]),
        ("cond_joined_values", []),
    ],
)
def test_a_row_whose_key_changed_is_on_both_sides_without_a_partner(
    live, products, template, expected
):
    live(Product, composer(template, GROWS))
    run("UPDATE shop_product SET id = id + 1000000 WHERE stock < 2")
    assert logged() == expected


def test_a_condition_on_one_side_still_decides_about_a_row_whose_key_changed(live, products):
    live(Product, composer("cond_new_values", Q(new__stock=1)))
    run("UPDATE shop_product SET id = id + 1000000")
    assert logged() == ["->1"]


def test_keys_that_are_exchanged_are_matched_by_their_value(live, db):
    trigger = pgtrigger.Composer(
        name="composed",
        **STATEMENT,
        operation=Update,
        condition=Q(new__amount__df=F("old__amount")),
        func=pgtrigger.Func(
            "INSERT INTO shop_log(text) SELECT old_values.amount || '>' || new_values.amount"
            " FROM {cond_joined_values} ORDER BY 1; RETURN NULL;"
        ),
    )
    live(Line, trigger)
    Line.objects.bulk_create([Line(order=1, number=n, amount=n) for n in (1, 2, 3)])
    run('UPDATE shop_line SET "order" = CASE number WHEN 3 THEN 9 ELSE 1 END, amount = -amount')
    assert logged() == ["1>-1", "2>-2"]


@pytest.mark.parametrize(
    ("operation", "template", "statement"),
    [
        (Insert, "cond_new_values", "INSERT INTO shop_log VALUES"),
        (Delete, "cond_old_values", "DELETE FROM shop_product"),
    ],
)
def test_inserts_and_deletes_have_one_side(live, products, operation, template, statement):
    row = "new" if operation == Insert else "old"
    live(Product, composer(template, Q(**{f"{row}__stock__gte": 2}), operation))
    if operation == Insert:
        Product.objects.bulk_create([Product(stock=1), Product(stock=2)])
    else:
        run(statement)
    assert logged() == (["->2"] if operation == Insert else ["2>-", "3>-"])


def test_a_function_for_several_operations_is_told_apart_by_operation(live, products):
    trigger = pgtrigger.Composer(
        name="composed",
        **STATEMENT,
        operation=Insert | Update,
        condition=Q(new__stock__gt=1),
        func=pgtrigger.Func(
            "INSERT INTO shop_log(text) SELECT new_values.stock::text FROM {cond_new_values};"
            " RETURN NULL;"
        ),
    )
    assert len(trigger.compile(Product).parts) == 2
    live(Product, trigger)
    Product.objects.bulk_create([Product(stock=1), Product(stock=5)])
    Product.objects.filter(stock=0).update(stock=9)
    assert logged() == ["5", "9"]


def test_a_function_may_tell_operations_apart_by_itself(live, products):
    func = """
        IF TG_OP = 'INSERT' THEN
            INSERT INTO shop_log(text) SELECT 'new' FROM new_values;
        ELSE
            INSERT INTO shop_log(text) SELECT 'old' FROM old_values;
        END IF;
        RETURN NULL;
    """
    trigger = pgtrigger.Composer(name="a", **STATEMENT, operation=Insert | Delete, func=func)
    live(Product, trigger)
    Product.objects.create()
    run("DELETE FROM shop_product WHERE stock = 3")
    assert logged() == ["new", "old"]


@pytest.mark.parametrize(
    ("operation", "condition", "message"),
    [
        (Insert, Q(old__stock=1), "condition reads OLD, which an operation INSERT"),
        (Delete, Q(new__stock=1), "condition reads NEW, which an operation DELETE"),
        (Delete | Update, GROWS, "condition reads NEW, which an operation DELETE"),
        (Insert, None, r"references OLD rows \(old_values\)"),
        (Truncate, None, "references NEW rows"),
        (UpdateOf("stock"), None, "references NEW rows"),
    ],
)
def test_rows_that_the_operation_lacks_are_refused(operation, condition, message):
    with pytest.raises(DeclarationError, match=message) as caught:
        composer("cond_joined_values", condition, operation).compile(Product)
    assert '"composed" of model "shop.Product"' in str(caught.value)


OLD, NEW = pgtrigger.Referencing(old="old_values"), pgtrigger.Referencing(new="new_values")
BOTH = pgtrigger.Referencing(old="old_values", new="new_values")


@pytest.mark.parametrize(
    ("func", "condition", "read"),
    [
        ("PERFORM count(*) FROM {cond_old_values}; RETURN NULL;", None, OLD),
        ("PERFORM count(*) FROM {cond_new_values}; RETURN NULL;", None, NEW),
        ("PERFORM count(*) FROM {cond_joined_values}; RETURN NULL;", None, BOTH),
        ("PERFORM count(*) FROM {cond_new_values}; RETURN NULL;", "OLD.stock < NEW.stock", BOTH),
        ("PERFORM count(*) FROM {cond_old_values}; RETURN NULL;", "OLD.stock < 1", OLD),
        ("EXECUTE 'SELECT count(*) FROM new_values'; RETURN NULL;", None, NEW),
        ("PERFORM 1 FROM old_values; -- not new_values\nRETURN NULL;", None, BOTH),
        ("RETURN NULL;", None, BOTH),
    ],
)
def test_of_an_update_the_tables_are_named_that_the_function_reads(live, func, condition, read):
    trigger = live(
        Product,
        pgtrigger.Composer(
            name="reads",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=pgtrigger.Update,
            condition=pgtrigger.Condition(condition) if condition else None,
            func=pgtrigger.Func(func),
        ),
    )
    (part,) = trigger.compile(Product).parts
    assert part.referencing == str(read)
    # What is declared says what an update has.
    assert trigger.referencing == BOTH
    Product.objects.update(stock=3)


def test_a_cursor_in_the_declarations_reads_its_table():
    trigger = pgtrigger.Composer(
        name="reads",
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        declare=[("each", "CURSOR FOR SELECT * FROM old_values")],
        func="PERFORM 1 FROM new_values; RETURN NULL;",
    )
    (part,) = trigger.compile(Product).parts
    assert part.referencing == str(BOTH)


def test_there_are_no_rows_before_the_statement():
    with pytest.raises(DeclarationError, match=r"references NEW rows .*BEFORE UPDATE"):
        composer("cond_new_values", when=pgtrigger.Before).compile(Product)


def test_a_function_for_the_other_level_is_refused():
    trigger = pgtrigger.Composer(
        name="a", **STATEMENT, operation=Update, func={pgtrigger.Row: "RETURN NULL;"}
    )
    with pytest.raises(DeclarationError, match="Must define func for level STATEMENT"):
        trigger.compile(Product)
    trigger.level = pgtrigger.Row
    assert trigger.compile(Product).func == "RETURN NULL;"


def test_at_row_level_there_are_no_templates_for_tables():
    trigger = composer("cond_new_values", level=pgtrigger.Row)
    with pytest.raises(DeclarationError, match="cannot be filled"):
        trigger.compile(Product)


# --- Plans ------------------------------------------------------------------------------------


def nodes(plan):
    yield plan["Node Type"]
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def planned(query):
    """The kinds of nodes by which the server plans a query on the transition tables."""
    plan = value(f"EXPLAIN (FORMAT JSON) {query}")
    plan = plan if isinstance(plan, list) else json.loads(plan)
    return {*nodes(plan[0]["Plan"])}


@pytest.fixture
def tables(db):
    # Never analysed and small, which is what makes Postgres plan a nested loop.
    for name in TABLES:
        run(f"CREATE TEMP TABLE {name} (LIKE shop_product INCLUDING INDEXES)")
        run(f"CREATE INDEX ON {name} (stock)")
        run(f"INSERT INTO {name} SELECT * FROM shop_product")
    run("SET LOCAL enable_hashjoin = on")


CONDITIONS = [GROWS, ~GROWS, pgtrigger.AnyChange(), Condition("NEW.stock = 1 AND OLD.stock = 2")]


@pytest.mark.parametrize("condition", CONDITIONS, ids=repr)
def test_no_rendered_join_is_planned_as_a_nested_loop(tables, condition):
    trigger = composer("cond_joined_values", condition)
    values = trigger.get_func_template_kwargs(Product)
    queries = [f"SELECT 1 FROM {values[name]}" for name in values if name.startswith("cond_")]
    queries.append(f"SELECT {rows_meet(Product, condition, Update)}")
    assert len(queries) == 4
    for query in queries:
        found = planned(query)
        assert found & {"Hash Join", "Merge Join"}, query
        assert "Nested Loop" not in found, query


def test_an_inner_join_would_be_a_nested_loop_here(tables):
    """What the test above guards against does happen on these tables."""
    run("ANALYZE old_values")
    found = planned(
        "SELECT EXISTS (SELECT 1 FROM old_values JOIN new_values USING (id)"
        " WHERE old_values.stock = 2 AND new_values.stock = 1)"
    )
    assert "Nested Loop" in found


def test_the_join_is_on_all_columns_of_the_key():
    assert primary_key_columns(Line) == ["order", "number"]
    assert full_join(Line) == (
        "old_values FULL JOIN new_values "
        'ON old_values."order" OPERATOR(pg_catalog.=) new_values."order" '
        'AND old_values."number" OPERATOR(pg_catalog.=) new_values."number"'
    )
    assert missing(Line, "OLD") == 'old_values."order" IS NULL'
    assert missing(Order, "NEW") == 'new_values."id" IS NULL'


@pytest.mark.parametrize(
    ("operation", "condition", "expected"),
    [
        (Insert, Q(new__stock=1), True),
        (Delete, Q(old__stock=1), False),
        (Update, Q(new__stock=1), True),
        (Update, Q(old__stock=1), False),
        (Update, GROWS, False),
        (Update, ~GROWS, True),
    ],
)
def test_rows_meet_tells_whether_a_condition_holds_on_a_row(db, operation, condition, expected):
    for name, stock in zip(TABLES, (2, 1), strict=True):
        run(f"CREATE TEMP TABLE {name} AS SELECT 1 AS id, {stock} AS stock")
    assert value(f"SELECT {rows_meet(Product, condition, operation)}") is expected
    run("UPDATE new_values SET id = 2")
    if "old_values" in rows_meet(Product, condition, operation) and operation == Update:
        assert value(f"SELECT {rows_meet(Product, GROWS, operation)}") is True
    assert rows("SELECT count(*) FROM new_values") == [(1,)]
