"""pgtrigger.columns: which column a name in a declaration stands for."""

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.test.utils import isolate_apps

from pgtrigger.columns import (
    column_name,
    columns_of,
    comparable,
    concrete_field,
    is_generated,
    offline_connection,
)
from pgtrigger.errors import DeclarationError, FieldLookupError
from shop.models import Gadget, Line, Order, Peculiar, Product, ProductProxy


@pytest.mark.parametrize(
    ("model", "name", "column"),
    [
        (Product, "stock", "stock"),
        (Product, "pk", "id"),
        (Product, "maker", "maker_id"),
        (Product, "maker_id", "maker_id"),
        (Order, "total", "Total"),
        (Order, "note", "it's odd"),
        (ProductProxy, "stock", "stock"),
        (Gadget, "voltage", "voltage"),
        (Gadget, "product_ptr", "product_ptr_id"),
        (Line, "number", "number"),
    ],
)
def test_a_name_stands_for_a_column(model, name, column):
    assert column_name(concrete_field(model, name)) == column


@pytest.mark.parametrize("name", ["nothing", "gadget", "Stock", "stock__gt", ""])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(FieldLookupError, match=f'"shop.Product" has no field "{name}"') as caught:
        concrete_field(Product, name)
    assert "name, note, stock" in str(caught.value)
    assert isinstance(caught.value, FieldDoesNotExist)


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        (Product, "tags", "many-to-many field.*through model"),
        (Line, "pk", "no column of its own"),
        (Gadget, "stock", r'parent model "shop\.Product"'),
    ],
)
def test_a_field_without_a_column_in_the_table_is_refused(model, name, message):
    with pytest.raises(DeclarationError, match=message) as caught:
        concrete_field(model, name)
    assert not isinstance(caught.value, FieldLookupError)


def test_a_generic_foreign_key_is_refused():
    from django.contrib.contenttypes.fields import GenericForeignKey

    with isolate_apps("shop", "django.contrib.contenttypes"):

        class Comment(models.Model):
            content_type = models.ForeignKey("contenttypes.ContentType", models.CASCADE)
            object_id = models.IntegerField()
            about = GenericForeignKey()

            class Meta:
                app_label = "shop"

    with pytest.raises(DeclarationError, match="no column of its own"):
        concrete_field(Comment, "about")


def test_the_columns_are_those_of_the_own_table():
    assert [field.column for field in columns_of(Gadget)] == ["product_ptr_id", "voltage"]
    assert columns_of(ProductProxy) == columns_of(Product)
    assert [field.column for field in columns_of(Line)] == ["order", "number", "amount"]


def test_a_generated_column_is_known():
    assert [f.name for f in columns_of(Peculiar) if is_generated(f)] == ["loud"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("name", 'OLD."name"'),
        ("document", 'OLD."document"::pg_catalog.text'),
        ("place", 'OLD."place"::pg_catalog.text'),
        ("loud", 'OLD."loud"'),
    ],
)
def test_types_without_equality_are_compared_as_text(name, expected):
    assert comparable(concrete_field(Peculiar, name), "OLD") == expected


def test_jsonb_is_compared_as_it_is():
    assert comparable(concrete_field(Product, "attributes"), "NEW") == 'NEW."attributes"'


@pytest.mark.parametrize("kind", ["xml", "JSON", "point[]", "polygon", "circle", "jsonpath"])
def test_a_type_is_recognised_as_the_field_spells_it(kind):
    class Field(models.Field):
        def db_type(self, connection):
            return kind

    field = Field()
    field.set_attributes_from_name("x")
    assert comparable(field, "NEW") == 'NEW."x"::pg_catalog.text'


def test_the_dialect_needs_no_server():
    connection = offline_connection()
    assert connection.features.has_json_operators is not None
    assert connection.pg_version == 150000
    assert connection.connection is None
    assert offline_connection() is connection
