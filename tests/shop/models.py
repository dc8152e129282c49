"""Models of the unit tests. None declares a trigger: each test puts its own on them."""

from django.db import models
from django.db.models.functions import Upper


class Maker(models.Model):
    code = models.CharField(max_length=10, primary_key=True)
    country = models.CharField(max_length=2, default="NL")


class Tag(models.Model):
    label = models.CharField(max_length=20)


class Product(models.Model):
    name = models.CharField(max_length=50, default="")
    note = models.TextField(null=True)
    stock = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    attributes = models.JSONField(default=dict)
    maker = models.ForeignKey(Maker, models.CASCADE, null=True)
    tags = models.ManyToManyField(Tag)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)


class ProductProxy(Product):
    class Meta:
        proxy = True


class Gadget(Product):
    """A child with a table of its own."""

    voltage = models.IntegerField(default=230)


class Order(models.Model):
    """Names that Postgres reads as something else when they are not quoted."""

    user = models.CharField(max_length=20, default="")
    total = models.IntegerField(default=0, db_column="Total")
    note = models.CharField(max_length=50, default="", db_column="it's odd")

    class Meta:
        db_table = "user"


class Dotted(models.Model):
    value = models.IntegerField(default=0)

    class Meta:
        db_table = "shop.with.dots"


class Line(models.Model):
    pk = models.CompositePrimaryKey("order", "number")
    order = models.IntegerField()
    number = models.IntegerField()
    amount = models.IntegerField(default=0)


class JsonField(models.Field):
    """Text that Postgres keeps as json, for which it has no equality."""

    def db_type(self, connection):
        return "json"


class PointField(models.Field):
    def db_type(self, connection):
        return "point"


class Peculiar(models.Model):
    """Columns without equality, and one that the database computes."""

    name = models.CharField(max_length=20, default="")
    document = JsonField(null=True)
    place = PointField(null=True)
    loud = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=20), db_persist=True
    )


class Event(models.Model):
    """A partitioned table, made by the test that needs it."""

    id = models.IntegerField(primary_key=True)
    value = models.IntegerField(default=0)

    class Meta:
        managed = False
        db_table = "shop_event"


class AuditEntry(models.Model):
    """A table of another schema, made by the test that needs it."""

    id = models.IntegerField(primary_key=True)
    value = models.IntegerField(default=0)

    class Meta:
        managed = False
        db_table = '"shop_audit"."entry"'


class Missing(models.Model):
    """A table that is never made."""

    value = models.IntegerField(default=0)

    class Meta:
        managed = False
        db_table = "shop_missing"


class Log(models.Model):
    """What triggers write down."""

    text = models.TextField(null=True)
