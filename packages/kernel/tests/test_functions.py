"""pgtrigger.functions: templates quote what they fill in; violations carry who, what and where."""

import copy
import string

import pytest
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st

import pgtrigger
from pgtrigger import sql
from pgtrigger.errors import DeclarationError, FieldLookupError
from pgtrigger.functions import Func, raise_violation, template_values
from shop.database import logged, logs, refused
from shop.models import AuditEntry, Dotted, Order, Product


def rendered(text, model=Order, **more):
    return Func(text).render(**template_values(model), **more)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{meta.db_table}", '"user"'),
        ("'{meta.db_table}'", "'user'"),
        ('"{meta.db_table}"', '"user"'),
        ("NEW.{columns.user}", 'NEW."user"'),
        ("NEW.{columns.total}", 'NEW."Total"'),
        ("'{columns.total}'", "'Total'"),
        ("NEW.{columns.note}", 'NEW."it\'s odd"'),
        ("'{columns.note}'", "'it''s odd'"),
        ('"{columns.note}"', '"it\'s odd"'),
        ("{fields.total.column}", '"Total"'),
        ("{columns[total]}", "Total"),
        ("{meta.model_name}", "order"),
        ("{meta.label}", "shop.Order"),
        ("{fields.note.max_length}", "50"),
        ("{meta.object_name!r:>10}", "   'Order'"),
        ("{{}} '{{1,2}}'", "{} '{1,2}'"),
    ],
)
def test_a_place_is_filled_as_its_surroundings_need(text, expected):
    assert rendered(text) == expected


@pytest.mark.parametrize(
    "before",
    [
        "'closed' ",
        "-- don't\n",
        "/* don't */ ",
        "E'it\\'s' ",
        "$$ it's $$ ",
        '"a column\'s name" = ',
    ],
)
def test_a_quote_that_is_closed_or_in_a_comment_does_not_count(before):
    assert rendered(before + "{meta.db_table}") == before + '"user"'


@pytest.mark.parametrize("before", ["'", "'a ' || '", "'it''s ", "E'", "format('%I "])
def test_a_place_inside_a_literal_is_text(before):
    assert rendered(before + "{columns.note}'") == before + "it''s odd'"


def test_tables_of_other_schemas_and_with_dots_are_quoted_in_parts():
    assert rendered("{meta.db_table}", AuditEntry) == "shop_audit.entry"
    assert rendered("{meta.db_table}", Dotted) == '"shop.with.dots"'


NAMES = st.text(st.sampled_from("ab' .%é"), min_size=1, max_size=8)


@given(NAMES)
def test_any_column_name_is_an_identifier_outside_and_text_inside_literals(name):
    class Field:
        column = name

    def template(text):
        return Func(text).render(fields={"x": Field})

    assert template("NEW.{fields[x].column}") == f"NEW.{sql.identifier(name)}"
    (token,) = sql.tokens(template("'{fields[x].column}'"))
    assert token.text[1:-1].replace("''", "'") == name


@pytest.mark.parametrize("name", ["columns.nothing", "fields.nothing.max_length", "columns.tags"])
def test_an_unknown_field_is_refused_with_the_known_ones(name):
    with pytest.raises(FieldLookupError, match="no field .* for a Func to use") as caught:
        rendered(f"{{{name}}}", Product)
    assert "stock" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["{nothing}", "{}", "{0}", "{meta.nothing}", "{", "}", "{meta", "{fields.total:zz}"],
)
def test_a_place_that_cannot_be_filled_is_refused_with_the_function(text):
    with pytest.raises(DeclarationError, match="cannot be filled") as caught:
        rendered(f"RETURN {text};")
    assert f"RETURN {text};" in str(caught.value)
    assert "{meta}, {fields}, {columns}" in str(caught.value)


def test_fields_are_mappings_that_can_be_copied():
    fields = template_values(Order)["fields"]
    assert {*fields} == {"id", "user", "total", "note"}
    assert len(fields) == 4
    assert copy.copy(fields)["total"].column == "Total"
    with pytest.raises(AttributeError):
        fields.__missing__  # asking is the test


def test_relations_are_fields_and_their_columns_are_known_by_both_names():
    values = template_values(Product)
    assert values["fields"]["tags"].many_to_many
    assert values["columns"]["maker"] == values["columns"]["maker_id"] == "maker_id"
    assert "tags" not in [*values["columns"]]


def test_functions_are_values():
    assert Func("  a;\n  b;") == Func("a;\nb;")
    assert hash(Func("a")) == hash(Func(" a "))
    assert Func("a") != Func("b")
    assert Func("a") != "a"
    assert repr(Func("a")) == "pgtrigger.Func('a')"


def test_reserved_and_mixed_case_names_work_in_the_database(live):
    live(
        Order,
        logs(
            func=Func(
                """
                INSERT INTO shop_log(text)
                SELECT format('%s of {meta.db_table}.{columns.total} "{columns.note}"', {columns.total})
                FROM {meta.db_table} WHERE {columns.user} = NEW.{columns.user};
                RETURN NULL;
                """
            )
        ),
    )
    Order.objects.create(user="me", total=5)
    Order.objects.update(note="x")
    assert logged() == ['5 of user.Total "it\'s odd"']


# --- Violations -------------------------------------------------------------------------------


def test_a_violation_says_who_what_and_where(live):
    trigger = pgtrigger.Trigger(
        name="refuses",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert,
        func=raise_violation(
            "It's %s: %s", "'100%'", "NEW.name", hint="don't \\ %", column="'na''me'"
        ),
    )
    live(Product, trigger)
    with refused(error=IntegrityError) as caught:
        Product.objects.create(name="x")
    diagnostics = caught.value.__cause__.diag
    assert diagnostics.message_primary == "It's 100%: x"
    assert diagnostics.message_hint == "don't \\ %"
    assert diagnostics.message_detail == "INSERT"
    assert diagnostics.sqlstate == "23001"
    assert diagnostics.table_name == "shop_product"
    assert diagnostics.schema_name == "public"
    assert diagnostics.constraint_name == trigger.get_pgid(Product)
    assert diagnostics.column_name == "na'me"


@pytest.mark.parametrize(("errcode", "integrity"), [("23514", True), ("P0001", False)])
def test_the_code_decides_the_class_of_the_error(live, errcode, integrity):
    trigger = pgtrigger.Trigger(
        name="refuses",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert,
        func=raise_violation("no", errcode=errcode),
    )
    live(Product, trigger)
    with refused("^no") as caught:
        Product.objects.create()
    assert caught.value.__cause__.diag.sqlstate == errcode
    assert isinstance(caught.value, IntegrityError) is integrity


def test_what_is_not_given_is_left_out():
    text = raise_violation("no")
    assert "HINT" not in text
    assert "COLUMN" not in text


@given(st.text(string.printable.replace("%", "")))
def test_any_message_is_a_literal(message):
    text = raise_violation(message, hint=message)
    assert text.count(sql.string(message)) >= (2 if message else 1)
