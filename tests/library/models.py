"""Models with something to search in. Each test makes the tables that it needs.

They belong to no installed app, so no other test sees them.
"""

from django.apps.registry import Apps
from django.contrib.postgres.fields import ArrayField, HStoreField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Upper

library = Apps()


class RegConfigField(models.Field):
    def db_type(self, connection):
        return "regconfig"


class Article(models.Model):
    title = models.CharField(max_length=100, default="")
    body = models.TextField(null=True)
    views = models.IntegerField(default=0)
    language = models.CharField(max_length=50, null=True)
    configuration = RegConfigField(null=True)
    published = models.BooleanField(default=False)
    vector = SearchVectorField(null=True)

    class Meta:
        app_label = "library"
        apps = library
        indexes = [GinIndex(fields=["vector"], name="library_article_vector")]


class ArticleProxy(Article):
    class Meta:
        app_label = "library"
        apps = library
        proxy = True


class Book(Article):
    """A child with a table, and a vector, of its own."""

    blurb = models.TextField(default="")
    blurb_vector = SearchVectorField(null=True)

    class Meta:
        app_label = "library"
        apps = library


class Shelf(models.Model):
    """Documents of many types, under names that need quotes, below a composite key."""

    pk = models.CompositePrimaryKey("room", "number")
    room = models.IntegerField(db_column="Room")
    number = models.CharField(max_length=10, db_column="order")
    label = models.CharField(max_length=100, null=True, db_column="it's {odd} \\")
    weight = models.IntegerField(null=True, db_column="select")
    tags = ArrayField(models.CharField(max_length=20), size=9, null=True)
    attributes = models.JSONField(null=True)
    bought_on = models.DateField(null=True)
    loud = models.GeneratedField(
        expression=Upper("label"), output_field=models.CharField(max_length=100), db_persist=True
    )
    vector = SearchVectorField(null=True, db_column="NEW")

    class Meta:
        app_label = "library"
        apps = library
        db_table = "it's a table WHERE"


class Labelled(models.Model):
    labels = HStoreField(null=True)
    vector = SearchVectorField(null=True)

    class Meta:
        app_label = "library"
        apps = library


class Unindexed(models.Model):
    """No index is on `vector`, none that can be searched on `listed`; `noted` is no vector."""

    title = models.TextField(default="")
    vector = SearchVectorField(null=True)
    listed = SearchVectorField(null=True)
    expressed = SearchVectorField(null=True)
    noted = models.TextField(null=True)

    class Meta:
        app_label = "library"
        apps = library
        indexes = [
            models.Index(fields=["listed"], name="library_listed"),
            GinIndex(models.F("expressed"), name="library_expressed"),
        ]


class Moment(models.Model):
    """Its key is a moment, which each session shows in its time zone."""

    at = models.DateTimeField(primary_key=True)
    text = models.TextField()
    vector = SearchVectorField(null=True)

    class Meta:
        app_label = "library"
        apps = library
