"""pgtrigger.conditions: SQL on the rows OLD and NEW, whichever names these have."""

import copy

import pytest
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st

import pgtrigger
from pgtrigger import sql
from pgtrigger.conditions import Rows
from pgtrigger.errors import DeclarationError, FieldLookupError
from shop.database import logged, logs, refused, run
from shop.models import Gadget, Order, Peculiar, Product

OTHER = Rows(old="before", new="after")
Condition, Q, F = pgtrigger.Condition, pgtrigger.Q, pgtrigger.F
KINDS = [
    pgtrigger.AnyChange,
    pgtrigger.AnyDontChange,
    pgtrigger.AllChange,
    pgtrigger.AllDontChange,
]

CONDITIONS = st.recursive(
    st.sampled_from(
        [
            Condition("OLD.stock > NEW.stock"),
            Q(old__stock__gt=F("new__stock")),
            Q(old__note="OLD.note"),
            pgtrigger.AnyChange("stock", "note"),
            pgtrigger.AllDontChange("stock"),
        ]
    ),
    lambda inner: (
        st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1])
        | st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1])
        | inner.map(lambda condition: ~condition)
    ),
    max_leaves=5,
)


@given(CONDITIONS)
def test_on_other_relations_a_condition_reads_the_same(condition):
    text = condition.resolve_rows(Product, OTHER)
    assert sql.rows_used(text) == set()
    for row, other in zip(("OLD", "NEW"), OTHER, strict=True):
        assert (row in sql.rows_used(condition.resolve(Product))) == (other in sql.words_used(text))
    # A function is run on any search path, which IS DISTINCT FROM always looks at.
    assert not {"distinct", "="} & sql.words_used(str(text)) or "Q" in repr(condition)


@given(CONDITIONS)
def test_a_condition_has_a_repr_and_can_be_copied(condition):
    assert "pgtrigger" in repr(condition) or "Q" in repr(condition)
    assert copy.deepcopy(condition).resolve(Product) == condition.resolve(Product)


@pytest.mark.django_db
@given(condition=CONDITIONS)
def test_a_combination_holds_as_python_would_have_it(django_db_blocker, condition):
    def truth(c, old, new):
        text = c.resolve_rows(Product, OTHER)
        with django_db_blocker.unblock():
            from shop.database import value

            return value(
                f"SELECT {text} FROM (VALUES (%s::int, %s::text)) AS before(stock, note),"
                " (VALUES (%s::int, %s::text)) AS after(stock, note)".replace("{", "{{"),
                [*old, *new],
            )

    for old, new in [((1, "a"), (0, "b")), ((0, "OLD.note"), (0, "OLD.note"))]:
        assert truth(~condition, old, new) is not truth(condition, old, new)
        both = truth(condition & ~condition, old, new), truth(condition | ~condition, old, new)
        assert both == (False, True)


@pytest.mark.parametrize("text", [None, ""])
def test_a_condition_needs_sql(text):
    with pytest.raises(DeclarationError, match="Must provide SQL"):
        Condition(text)


def test_a_subclass_may_bring_its_sql():
    class InStock(Condition):
        sql = "NEW.stock > 0"

    assert InStock().resolve(None) == "NEW.stock > 0"


@pytest.mark.parametrize("other", ["TRUE", None, 1])
def test_a_condition_combines_only_with_conditions(other):
    with pytest.raises(TypeError):
        Condition("TRUE") & other
    with pytest.raises(TypeError):
        Condition("TRUE") | other


def test_the_repr_is_how_it_is_written():
    condition = ~(Condition("a") & pgtrigger.AnyChange("b", exclude="c", exclude_auto=True)) | (
        Condition("d")
    )
    assert repr(condition) == (
        "(~(pgtrigger.Condition('a') & "
        "pgtrigger.AnyChange('b', exclude=['c'], exclude_auto=True)) | pgtrigger.Condition('d'))"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_fields_are_compared_in_the_order_of_the_table(kind):
    one, other = kind("stock", "name"), kind("name", "stock")
    assert one.resolve(Product) == other.resolve(Product)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arguments", [{"exclude": ["nothing"]}, {"exclude": "nothing"}])
def test_an_unknown_excluded_name_is_refused(kind, arguments):
    with pytest.raises(FieldLookupError, match='"nothing"'):
        kind(**arguments).resolve(Product)


@pytest.mark.parametrize("kind", KINDS)
def test_no_column_left_to_compare_is_refused(kind):
    with pytest.raises(DeclarationError, match=r"leaves no column of \"shop\.Product\""):
        kind("stock", exclude=["stock"]).resolve(Product)
    with pytest.raises(DeclarationError, match="leaves no column"):
        kind("updated_at", exclude_auto=True).resolve(Product)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_rows_leave_generated_columns_and_those_of_parents_out(kind):
    assert "loud" not in kind().resolve(Peculiar)
    assert '"place"::pg_catalog.text' in kind().resolve(Peculiar)
    assert "stock" not in kind().resolve(Gadget)
    assert "voltage" in kind().resolve(Gadget)


def test_automatic_dates_can_be_left_out():
    text = pgtrigger.AnyChange(exclude_auto=True).resolve(Product)
    assert "created_at" not in text
    assert "updated_at" not in text
    assert "stock" in text


def test_odd_column_names_work_in_the_database(live):
    live(Order, logs(condition=pgtrigger.AnyChange("note") & Q(new__total__gt=1)))
    order = Order.objects.create(total=2)
    Order.objects.update(total=3)
    assert logged() == []
    order.note = "changed"
    order.save()
    assert logged() == ["fired"]


def test_columns_without_equality_can_be_compared_in_the_database(live):
    live(Peculiar, logs(condition=pgtrigger.AnyChange()))
    run("INSERT INTO shop_peculiar (name, document, place) VALUES ('a', '{\"a\": 1}', '(1,2)')")
    run("UPDATE shop_peculiar SET name = name")
    assert logged() == []
    run("UPDATE shop_peculiar SET place = '(2,1)'")
    run("UPDATE shop_peculiar SET document = NULL")
    assert logged() == ["fired", "fired"]


def test_percent_signs_and_braces_reach_the_database(live):
    live(
        Product,
        pgtrigger.Protect(
            name="odd",
            operation=pgtrigger.Update,
            condition=Condition("NEW.note LIKE '100%{x}' AND NEW.stock % 2 = 1"),
        ),
    )
    product = Product.objects.create(note="100 {x}", stock=1)
    with refused("Cannot update", IntegrityError):
        product.save()
    product.stock = 2
    product.save()
