"""Models whose rows can be marked as deleted. None declares a trigger: each test puts its own."""

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models

from pgtrigger_softdelete import (
    DeletedWithField,
    SoftDeleteManager,
    SoftDeleteMixin,
    SoftDeleteQuerySet,
)


class Shelf(SoftDeleteMixin, models.Model):
    """The top of a chain of three."""

    name = models.CharField(max_length=20, default="")
    is_active = models.BooleanField(default=True)

    objects = SoftDeleteManager()
    all_objects = SoftDeleteQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.name


class Folder(SoftDeleteMixin, models.Model):
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True, related_name="folders")
    name = models.CharField(max_length=20, default="")
    deleted_at = models.DateTimeField(null=True)
    deleted_with = DeletedWithField()
    labels = models.ManyToManyField("Label", through="Labelling")

    objects = SoftDeleteManager()
    all_objects = SoftDeleteQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]


class Sheet(SoftDeleteMixin, models.Model):
    folder = models.ForeignKey(Folder, models.CASCADE)
    copied_to = models.ForeignKey(Folder, models.SET_NULL, null=True, related_name="copies")
    state = models.CharField(max_length=20, default="kept")
    deleted_with = DeletedWithField()

    objects = SoftDeleteManager()
    all_objects = SoftDeleteQuerySet.as_manager()


class Label(SoftDeleteMixin, models.Model):
    name = models.CharField(max_length=20, default="")
    is_active = models.BooleanField(default=True)

    objects = SoftDeleteManager()
    all_objects = SoftDeleteQuerySet.as_manager()


class Labelling(SoftDeleteMixin, models.Model):
    folder = models.ForeignKey(Folder, models.CASCADE)
    label = models.ForeignKey(Label, models.CASCADE)
    is_active = models.BooleanField(default=True)

    objects = SoftDeleteManager()
    all_objects = SoftDeleteQuerySet.as_manager()


class Note(models.Model):
    """A child that is not soft-deleted."""

    folder = models.ForeignKey(Folder, models.CASCADE, null=True)


class Topic(SoftDeleteMixin, models.Model):
    """A tree."""

    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    is_active = models.BooleanField(default=True)
    deleted_with = DeletedWithField()

    objects = SoftDeleteManager()
    all_objects = SoftDeleteQuerySet.as_manager()


class Remark(models.Model):
    """What can be attached to anything."""

    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.BigIntegerField()
    about = GenericForeignKey()


class Box(SoftDeleteMixin, models.Model):
    """A parent that Django has reasons to delete row by row."""

    is_active = models.BooleanField(default=True)
    remarks = GenericRelation(Remark)

    objects = SoftDeleteManager()
    all_objects = SoftDeleteQuerySet.as_manager()


class Crate(Box):
    """A child with a table of its own."""

    size = models.IntegerField(default=1)
    is_kept = models.BooleanField(default=True)


class Chapter(models.Model):
    """A composite key, which no foreign key can refer to, and a code, which one can."""

    pk = models.CompositePrimaryKey("folder", "number")
    folder = models.ForeignKey(Folder, models.CASCADE)
    number = models.IntegerField()
    code = models.CharField(max_length=10, unique=True)
    is_active = models.BooleanField(default=True)


class Footnote(models.Model):
    chapter = models.ForeignKey(Chapter, models.CASCADE, to_field="code", db_column="it's")
    is_active = models.BooleanField(default=True)
    deleted_with = DeletedWithField(db_column="with")


class AuditedNote(models.Model):
    """A child whose table is always in a schema of its own; made by the test that needs it."""

    shelf = models.ForeignKey(Shelf, models.DO_NOTHING)
    is_active = models.BooleanField(default=True)

    class Meta:
        managed = False
        db_table = '"audited"."note"'


class Peculiar(models.Model):
    """Names that are words of SQL; the table is made by the test that needs it."""

    id = models.BigIntegerField(primary_key=True, db_column="select")
    order = models.TextField(null=True, db_column="order")
    target = models.IntegerField(null=True, db_column="target")

    class Meta:
        managed = False
        db_table = "group"


class Kinds(models.Model):
    """A field of each kind that can be a mark, nullable and not."""

    flag = models.BooleanField(default=True)
    flag_or_null = models.BooleanField(null=True, default=True)
    gone = models.BooleanField(default=False)
    text = models.CharField(max_length=60, default="live")
    text_or_null = models.TextField(null=True)
    number = models.IntegerField(default=0)
    number_or_null = models.IntegerField(null=True)
    day = models.DateField(null=True)
    moment = models.DateTimeField(null=True)
    user = models.CharField(max_length=60, default="ada")
    labels = models.ManyToManyField("Label")


class Unlinked(models.Model):
    """Its foreign key is not one of the database."""

    shelf = models.ForeignKey(Shelf, models.DO_NOTHING, db_constraint=False)
    is_active = models.BooleanField(default=True)


class Heap(models.Model):
    """A tree whose instances Django deletes in its own way."""

    parent = models.ForeignKey("self", models.CASCADE, null=True)
    is_active = models.BooleanField(default=True)


class Rack(SoftDeleteMixin, models.Model):
    """A parent to which the database itself looks after the foreign keys."""

    is_active = models.BooleanField(default=True)

    objects = SoftDeleteManager()
    all_objects = SoftDeleteQuerySet.as_manager()


if hasattr(models, "DB_CASCADE"):  # Django 6.1

    class Tray(models.Model):
        rack = models.ForeignKey(Rack, models.DB_CASCADE, null=True)
        is_active = models.BooleanField(default=True)
        deleted_with = DeletedWithField()

    class Loose(models.Model):
        rack = models.ForeignKey(Rack, models.DB_SET_NULL, null=True)
        is_active = models.BooleanField(default=True)

    class Fallen(models.Model):
        rack = models.ForeignKey(Rack, models.DB_SET_DEFAULT, null=True, db_default=None)
        is_active = models.BooleanField(default=True)
