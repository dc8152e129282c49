"""Models with states of every type. None declares a trigger: each test puts its own on them."""

from django.db import models


class Status(models.TextChoices):
    DRAFT = "draft"
    SENT = "sent"
    PAID = "paid"
    VOID = "void"


class Level(models.IntegerChoices):
    LOW = 1
    MIDDLE = 2
    HIGH = 3


class Stage(models.Model):
    """A state table with a number for its key."""

    label = models.CharField(max_length=20, unique=True)


class Document(models.Model):
    status = models.CharField(max_length=20, choices=Status, default=Status.DRAFT)
    note = models.TextField(null=True)
    level = models.IntegerField(choices=Level, default=Level.LOW)
    ratio = models.DecimalField(max_digits=6, decimal_places=2, null=True)
    due = models.DateField(null=True)
    at = models.DateTimeField(null=True)
    key = models.UUIDField(null=True)
    locked = models.BooleanField(null=True)
    stage = models.ForeignKey(Stage, models.CASCADE, null=True)
    label = models.ForeignKey(
        Stage, models.CASCADE, null=True, to_field="label", related_name="labelled"
    )
    approved = models.BooleanField(default=False)
    amount = models.IntegerField(default=0)


class DocumentProxy(Document):
    class Meta:
        proxy = True


class Letter(Document):
    """A child with a table and a state of its own."""

    sealing = models.CharField(max_length=10, default="open")


class Peculiar(models.Model):
    """Names that mean something else to SQL, Python's templates and plpgsql."""

    pk = models.CompositePrimaryKey("tenant", "number")
    tenant = models.IntegerField(db_column="new")
    number = models.IntegerField(db_column="old_values")
    state = models.TextField(null=True, db_column="it's %s {0} \\ $pgtrigger$")
    select = models.TextField(default="a", db_column="select")

    class Meta:
        db_table = "user % {x}"


class Parcel(models.Model):
    """A partitioned table, made by the test that needs it."""

    id = models.IntegerField(primary_key=True)
    status = models.TextField()

    class Meta:
        managed = False
        db_table = "workflow_parcel"
