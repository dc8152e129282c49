"""pgtrigger.lookups: Django's lookups on the old and the new row, checked against querysets."""

import datetime
import decimal
import enum
import uuid

import django
import pytest
from django.apps.registry import Apps
from django.db import models
from django.db.models import Value
from django.db.models.functions import Abs, Coalesce, Lower, Upper
from hypothesis import given
from hypothesis import strategies as st

import pgtrigger
from pgtrigger.conditions import Rows
from pgtrigger.errors import DeclarationError, FieldLookupError
from pgtrigger.lookups import expression_sql
from shop.database import value
from shop.models import Line, Maker, Order, Peculiar, Product

Q, F = pgtrigger.Q, pgtrigger.F
TABLE = Rows(old="shop_product", new="shop_product")


def filtered(condition):
    """The names of the products on which a condition of the new row holds, as SQL sees it."""
    from shop.database import column

    text = condition.resolve_rows(Product, TABLE)
    return {*column(f"SELECT name FROM shop_product WHERE {text}")}


@pytest.fixture
def products(db):
    maker = Maker.objects.create(code="it's")
    moment = datetime.datetime(2013, 1, 31, 12, tzinfo=datetime.UTC)
    Product.objects.bulk_create(
        [
            Product(
                name="a", stock=1, price=decimal.Decimal("1.50"), note="50% \\ _x_", maker=maker
            ),
            Product(name="b", stock=-2, note="it's {x}", attributes={"size": {"w": 1}, "on": True}),
            Product(name="c", stock=0, price=2, note="", attributes={"size": None}),
            Product(name="d", stock=7, attributes=[1, "x"]),
        ]
    )
    Product.objects.update(created_at=moment)


LOOKUPS = [
    {"stock": 1},
    {"stock__in": [1, 7]},
    {"stock__in": {7, 1, 0}},
    {"stock__range": (0, 1)},
    {"stock__gte": 1},
    {"stock__lt": 0},
    {"stock__isnull": True},
    {"price": decimal.Decimal("1.5")},
    {"price__isnull": False},
    {"price": None},
    {"note__contains": "%"},
    {"note__contains": "_"},
    {"note__icontains": "IT'S"},
    {"note__startswith": "50% \\"},
    {"note__endswith": "{x}"},
    {"note__regex": r"^\d+%"},
    {"note__iexact": "IT'S {X}"},
    {"note__in": ["", "it's {x}", None]},
    {"note": ""},
    {"attributes__size__w": 1},
    {"attributes__has_key": "size"},
    {"attributes__contains": {"on": True}},
    {"attributes__size": None},
    {"attributes": {}},
    {"maker": "it's"},
    {"maker_id": "it's"},
    {"maker__code": "it's"},
    {"maker__pk": "it's"},
    {"maker__isnull": True},
    {"maker__in": ["it's", "other"]},
    {"created_at__year": 2013},
    {"created_at__date": datetime.date(2013, 1, 31)},
    {"created_at__gt": datetime.datetime(2013, 1, 1, tzinfo=datetime.UTC)},
    {"created_at__hour__lte": 12},
    {"name__gt": "b"},
]


@pytest.mark.parametrize("lookup", LOOKUPS, ids=str)
@pytest.mark.parametrize("negated", [False, True], ids=["", "not"])
def test_a_lookup_means_what_it_means_in_a_queryset(products, lookup, negated):
    condition, query = Q(**{f"new__{k}": v for k, v in lookup.items()}), models.Q(**lookup)
    if negated:
        condition, query = ~condition, ~query
    if None in lookup.get("note__in", ()) and negated and django.VERSION < (6, 1):
        query &= models.Q(note__isnull=False)  # as Django has it since
    expected = {*Product.objects.filter(query).values_list("name", flat=True)}
    assert filtered(condition) == expected


COMBINED = st.recursive(
    st.sampled_from([{"stock__gt": 0}, {"price__lt": 2}, {"note": ""}, {"note__isnull": True}]).map(
        lambda kwargs: (Q(**{f"new__{k}": v for k, v in kwargs.items()}), models.Q(**kwargs))
    ),
    lambda inner: (
        st.tuples(inner, inner).map(lambda p: (p[0][0] & p[1][0], p[0][1] & p[1][1]))
        | st.tuples(inner, inner).map(lambda p: (p[0][0] | p[1][0], p[0][1] | p[1][1]))
        | st.tuples(inner, inner).map(lambda p: (p[0][0] ^ p[1][0], p[0][1] ^ p[1][1]))
        | inner.map(lambda p: (~p[0], ~p[1]))
    ),
    max_leaves=5,
)


@given(pair=COMBINED)
def test_a_combination_means_what_it_means_in_a_queryset(products, pair):
    condition, query = pair
    expected = {*Product.objects.filter(query).values_list("name", flat=True)}
    assert filtered(condition) == expected


class Kind(models.TextChoices):
    BIG = "a", "Big"


class Plain(enum.Enum):
    A = "a"


@pytest.mark.parametrize("given", [Kind.BIG, "a"])
def test_choices_are_their_values(products, given):
    assert filtered(Q(new__name=given)) == {"a"}


def test_expressions_may_stand_on_the_right(products):
    assert filtered(Q(new__stock=Abs(F("new__stock")))) == {"a", "c", "d"}
    assert filtered(Q(new__stock__lt=F("new__price") * 2 - 1)) == {"a", "c"}
    assert filtered(Q(new__name=Lower(Upper(F("new__name"))))) == {*"abcd"}
    assert filtered(Q(new__stock__lt=Coalesce(F("new__price"), Value(100)))) == {*"abcd"}


def test_expressions_may_stand_alone(products):
    from django.db.models.lookups import GreaterThan

    assert filtered(Q(GreaterThan(F("new__stock"), 0))) == {"a", "d"}
    assert filtered(Q(GreaterThan(F("new__stock"), 0)) & Q(new__name="a")) == {"a"}


def test_conditions_in_sql_may_stand_within(products):
    within = Q(new__stock__gt=0) & pgtrigger.Condition("NEW.name <> 'a'")
    assert filtered(within) == {"d"}
    assert filtered(pgtrigger.Condition("NEW.name <> 'a'") & Q(new__stock__gt=0)) == {"d"}
    assert filtered(Q(new__stock__gt=0) | pgtrigger.Condition("NEW.name = 'b'")) == {*"abd"}
    assert filtered(Q(pgtrigger.Condition("NEW.name = 'b'"), new__stock=-2)) == {"b"}


def test_an_empty_q_holds_always(products):
    assert filtered(Q()) == {*"abcd"}
    assert filtered(Q() & Q(new__name="a")) == {"a"}
    assert filtered(Q(Q(), new__name="a")) == {"a"}


def test_a_transform_may_stand_on_f(products):
    assert filtered(Q(new__created_at__year=F("new__created_at__year"))) == {*"abcd"}
    assert filtered(Q(new__created_at__year__gt=F("new__created_at__month"))) == {*"abcd"}


def test_a_model_instance_is_its_key(products):
    assert filtered(Q(new__maker=Maker(code="it's"))) == {"a"}


def test_null_is_distinct_like_any_value(products):
    assert filtered(Q(new__price__df=None)) == {"a", "c"}
    assert filtered(Q(new__price__ndf=None)) == {"b", "d"}
    assert filtered(Q(new__price__df=2)) == {"a", "b", "d"}
    assert filtered(~Q(new__price__df=2)) == {"c"}


def test_two_columns_without_equality_can_be_told_apart(db):
    text = Q(old__place__df=F("new__place")).resolve(Peculiar)
    assert text == 'OLD."place"::pg_catalog.text IS DISTINCT FROM NEW."place"::pg_catalog.text'
    text = Q(old__document__ndf=F("new__document")).resolve(Peculiar)
    assert (
        text
        == 'OLD."document"::pg_catalog.text IS NOT DISTINCT FROM NEW."document"::pg_catalog.text'
    )


def test_a_set_is_written_in_the_same_order_every_time():
    words = {uuid.uuid5(uuid.NAMESPACE_DNS, str(i)).hex[:5] for i in range(20)}
    assert Q(new__name__in=words).resolve(Product) == Q(new__name__in=sorted(words)).resolve(
        Product
    )


def test_df_and_ndf_work_in_querysets(products):
    assert Product.objects.filter(price__df=None).count() == 2
    assert Product.objects.filter(price__ndf=None).count() == 2
    assert Product.objects.filter(stock__df=models.F("id") * 0).count() == 3


@pytest.mark.parametrize("path", ["stock", "both__stock", "old", "old__", "__stock", ""])
def test_a_name_without_a_row_is_refused(path):
    with pytest.raises(DeclarationError, match="must reference"):
        Q(**{path: 1}).resolve(Product)
    with pytest.raises(DeclarationError, match="must reference"):
        F(path)


@pytest.mark.parametrize(
    ("condition", "error", "message"),
    [
        (Q(new__nothing=1), FieldLookupError, 'no field "nothing"'),
        (Q(new__stock=F("old__nothing")), FieldLookupError, 'no field "nothing"'),
        (Q(new__tags=1), DeclarationError, "many-to-many"),
        (Q(new__maker__country="NL"), DeclarationError, r'reaches into "shop\.Maker"'),
        (Q(new__stock__nothing=1), DeclarationError, "lookup 'nothing'.*exact"),
        (Q(new__stock=models.F("stock")), DeclarationError, r"use pgtrigger\.F"),
        (Q(new__stock=object()), DeclarationError, "stock"),
        (Q(new__created_at__gt="nonsense"), DeclarationError, "created_at"),
        (Q(new__attributes=object()), DeclarationError, "is no value of"),
        (Q(new__stock__df=object()), DeclarationError, "stock"),
        (Q(new__created_at__ndf="nonsense"), DeclarationError, "created_at"),
        (Q(new__stock=F("new__stock__nothing")), DeclarationError, "nothing"),
    ],
)
def test_what_no_trigger_can_check_is_refused(condition, error, message):
    with pytest.raises(error, match=message):
        condition.resolve(Product)


def test_f_has_no_meaning_in_a_query():
    with pytest.raises(DeclarationError, match="only within the condition of a trigger"):
        str(Product.objects.filter(stock=F("old__stock")).query)


def test_f_in_querysets_is_refused_before_the_database_is_asked():
    with pytest.raises(DeclarationError):
        Product.objects.update(stock=F("new__stock"))


def test_odd_columns_and_composite_parts_are_found(db):
    assert Q(old__note=F("new__total")).resolve(Order) == 'OLD."it\'s odd" = (NEW."Total")'
    assert Q(old__order=1).resolve(Line) == 'OLD."order" = 1'


def test_a_percent_sign_in_a_column_is_itself(db):
    class Odd(models.Model):
        share = models.IntegerField(db_column="100%s")

        class Meta:
            app_label = "shop"
            apps = Apps()

    assert Q(old__share=1).resolve(Odd) == 'OLD."100%s" = 1'


def test_deconstructing_a_q_gives_the_same_q():
    condition = Q(old__stock__gt=F("new__stock")) | ~Q(new__name="a")
    _path, args, kwargs = condition.deconstruct()
    assert Q(*args, **kwargs).resolve(Product) == condition.resolve(Product)


def test_the_server_agrees_that_it_is_boolean(products):
    text = Q(new__stock__gt=F("old__stock")).resolve_rows(Product, TABLE)
    assert value(f"SELECT bool_or({text}) FROM shop_product") is False


def test_an_expression_becomes_sql_on_any_rows(products):
    from shop.database import column

    expression = Coalesce(F("old__note"), Value("50% it's {x} \\"))
    text = expression_sql(expression, Product, TABLE)
    found = column(f"SELECT {text} FROM shop_product WHERE name IN ('c', 'd') ORDER BY name")
    assert found == ["", "50% it's {x} \\"]
    assert expression_sql(F("new__stock") + 1, Product) == '(NEW."stock" + 1)'


@pytest.mark.parametrize(
    "expression", [models.F("stock"), models.F("stock") + 1, Abs(models.F("stock"))], ids=repr
)
def test_djangos_own_f_is_refused_however_deep_it_stands(expression):
    with pytest.raises(DeclarationError, match=r"must reference .* use pgtrigger\.F"):
        expression_sql(expression, Product)
    with pytest.raises(DeclarationError, match=r"must reference .* use pgtrigger\.F"):
        Q(new__stock=expression).resolve(Product)
