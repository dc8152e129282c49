"""Models of the contract tests.

The first part has no triggers: tests put their own on them. The second part declares triggers as
the seeds show them. No model forbids TRUNCATE in its Meta, since Django empties tables with it
between transactional tests.
"""

from django.apps import apps
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Upper

import pgtrigger

# --- Models without triggers -----------------------------------------------------------------


class Thing(models.Model):
    int_field = models.IntegerField(default=0)
    char_field = models.CharField(max_length=100, null=True)
    flag = models.BooleanField(default=True)
    moment = models.DateTimeField(null=True)


class ThingProxy(Thing):
    class Meta:
        proxy = True


class SearchModel(models.Model):
    title = models.CharField(max_length=128)
    body = models.TextField()
    vector = SearchVectorField(null=True)


class OtherThingProxy(Thing):
    class Meta:
        proxy = True


class Stamped(models.Model):
    int_field = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)


class IntTarget(models.Model):
    pass


class CharTarget(models.Model):
    code = models.CharField(max_length=20, primary_key=True)


class Pointer(models.Model):
    int_target = models.ForeignKey(IntTarget, models.CASCADE, null=True)
    char_target = models.ForeignKey(CharTarget, models.CASCADE, null=True)
    others = models.ManyToManyField(IntTarget, related_name="+")


class ColumnNames(models.Model):
    value = models.IntegerField(default=0, db_column="Renamed")
    spaced = models.CharField(max_length=20, default="", db_column="odd name")


class PointField(models.Field):
    """A geometric point: Postgres has no = for it."""

    def db_type(self, connection):
        return "point"


class Awkward(models.Model):
    """A column that cannot be compared with =, and one that triggers must not name."""

    name = models.CharField(max_length=20)
    loud = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=20), db_persist=True
    )
    place = PointField(null=True)


class Base(models.Model):
    inherited = models.IntegerField(default=0)

    class Meta:
        abstract = True


class Concrete(Base):
    own = models.IntegerField(default=0)


class Parent(models.Model):
    on_parent = models.IntegerField(default=0)


class Child(Parent):
    on_child = models.IntegerField(default=0)


class Order(models.Model):
    class Meta:
        db_table = "order"


class Dotted(models.Model):
    class Meta:
        db_table = "table.with.dots"


class Pair(models.Model):
    pk = models.CompositePrimaryKey("tenant", "number")
    tenant = models.IntegerField()
    number = models.IntegerField()
    value = models.IntegerField(default=0)


class Partitioned(models.Model):
    """Its table is made by the test that needs it."""

    id = models.IntegerField(primary_key=True)

    class Meta:
        managed = False
        db_table = "contract_partitioned"


class ThingView(models.Model):
    """A view on Thing, made by the test that needs it."""

    int_field = models.IntegerField()

    class Meta:
        managed = False
        db_table = "contract_thingview"


class Log(models.Model):
    """What triggers write down."""

    old = models.CharField(max_length=100, null=True)
    new = models.CharField(max_length=100, null=True)


# --- Declared while models load --------------------------------------------------------------


class Spy(pgtrigger.Trigger):
    """Remembers what was asked of it before all models were loaded."""

    when = pgtrigger.Before
    operation = pgtrigger.Update
    asked_early = []

    def get_func(self, model):
        if not apps.models_ready:
            self.asked_early.append(model)
        return "RETURN NEW;"

    def get_pgid(self, model):
        if not apps.models_ready:
            self.asked_early.append(model)
        return super().get_pgid(model)

    def compile(self, model):
        if not apps.models_ready:
            self.asked_early.append(model)
        return super().compile(model)


@pgtrigger.register(Spy(name="decorator", condition=pgtrigger.AnyChange("later")))
class Decorated(models.Model):
    later = models.ForeignKey("contract.Later", models.CASCADE, null=True)

    class Meta:
        triggers = [Spy(name="meta")]


class Later(models.Model):
    pass


# --- Recipes, as the seeds show them ---------------------------------------------------------


class CannotDelete(models.Model):
    class Meta:
        triggers = [pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]


class ProtectedModel(models.Model):
    """Active object cannot be deleted!"""

    is_active = models.BooleanField(default=True)

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect_deletes",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__is_active=True),
            )
        ]


class DynamicDeletionModel(models.Model):
    is_deletable = models.BooleanField(default=False)

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect_deletes",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__is_deletable=False),
            )
        ]


class AppendOnlyModel(models.Model):
    my_field = models.IntegerField(default=0)

    class Meta:
        triggers = [
            pgtrigger.Protect(name="append_only", operation=(pgtrigger.Update | pgtrigger.Delete))
        ]


class ReadOnlyModel(models.Model):
    created_by = models.CharField(max_length=20)
    note = models.CharField(max_length=20, null=True)

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="read_only", fields=["created_by"])]


class Post(models.Model):
    status = models.CharField(max_length=32, default="unpublished")
    content = models.TextField(default="")

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="freeze_published_model_allow_deactivation",
                operation=pgtrigger.Update,
                condition=(
                    pgtrigger.Q(old__status="published") & ~pgtrigger.Q(new__status="inactive")
                ),
            )
        ]


class Versioned(models.Model):
    """
    This model is versioned. The "version" field is incremented on every
    update, and users cannot directly update the "version" field.
    """

    version = models.IntegerField(default=0)
    char_field = models.CharField(max_length=32)

    class Meta:
        triggers = [
            # Protect anyone editing the version field directly
            pgtrigger.Protect(
                name="protect_updates",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("version"),
            ),
            # Increment the version field on changes
            pgtrigger.Trigger(
                name="versioning",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                func="NEW.version = NEW.version + 1; RETURN NEW;",
                # Don't increment version on redundant updates.
                condition=pgtrigger.AnyChange(),
            ),
        ]


class OfficialUser(models.Model):
    name = models.CharField(max_length=20)

    class Meta:
        triggers = [pgtrigger.Protect(name="protect_inserts", operation=pgtrigger.Insert)]


class HistoryModel(models.Model):
    old_field = models.CharField(max_length=32)
    new_field = models.CharField(max_length=32)


class TrackedModel(models.Model):
    field = models.CharField(max_length=32)

    class Meta:
        triggers = [
            pgtrigger.Trigger(
                name="track_history",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                referencing=pgtrigger.Referencing(old="old_values", new="new_values"),
                func=f"""
                    INSERT INTO {HistoryModel._meta.db_table}(old_field, new_field)
                    SELECT
                        old_values.field AS old_field,
                        new_values.field AS new_field
                    FROM old_values
                        JOIN new_values ON old_values.id = new_values.id;
                    RETURN NULL;
                """,
            )
        ]


class ComposerTrackedModel(models.Model):
    field = models.CharField(max_length=32)

    class Meta:
        triggers = [
            pgtrigger.Composer(
                name="track_history",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                func=f"""
                    INSERT INTO {HistoryModel._meta.db_table}(old_field, new_field)
                    SELECT
                        old_values.field AS old_field,
                        new_values.field AS new_field
                    FROM old_values
                        JOIN new_values ON old_values.id = new_values.id;
                    RETURN NULL;
                """,
            )
        ]


class ComposerProtected(models.Model):
    int_field = models.IntegerField(default=0)

    class Meta:
        triggers = [
            pgtrigger.Composer(
                name="composer_protect",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                declare=[("val", "RECORD")],
                func=pgtrigger.Func(
                    """
                    FOR val IN SELECT new_values.* FROM {cond_new_values}
                    LOOP
                        RAISE EXCEPTION 'uh oh';
                    END LOOP;
                    RETURN NULL;
                    """
                ),
                condition=pgtrigger.Q(new__int_field__gt=0, old__int_field__lt=100),
            )
        ]


class StatementProtected(models.Model):
    status = models.CharField(max_length=20, default="draft")
    note = models.CharField(max_length=20, default="")

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect_published",
                level=pgtrigger.Statement,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__status="published"),
            ),
            pgtrigger.Protect(
                name="protect_bulk_delete", level=pgtrigger.Statement, operation=pgtrigger.Delete
            ),
        ]


class Member(models.Model):
    """Stands in for the user: apps without migrations cannot refer to auth's tables."""


class Account(models.Model):
    balance = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    owner = models.ForeignKey(Member, models.CASCADE, null=True)
    is_frozen = models.BooleanField(default=False)

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="no_withdraw_when_frozen",
                operation=pgtrigger.Update,
                condition=(
                    pgtrigger.Q(old__is_frozen=True)
                    & pgtrigger.Q(old__balance__gt=pgtrigger.F("new__balance"))
                ),
            ),
            pgtrigger.Trigger(
                name="log_owner_change",
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__owner_id__df=pgtrigger.F("new__owner_id")),
                func=f"""
                    RAISE NOTICE 'Owner changed on account %', NEW.id;
                    INSERT INTO {Log._meta.db_table}(old, new) VALUES (OLD.owner_id, NEW.owner_id);
                    RETURN NULL;
                """,
            ),
        ]


class Ledger(models.Model):
    amount = models.IntegerField()
    note = models.TextField(blank=True)

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect_any_change",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.* IS DISTINCT FROM NEW.*"),
            ),
            pgtrigger.Protect(
                name="enforce_positive_amount",
                operation=pgtrigger.Insert | pgtrigger.Update,
                condition=pgtrigger.Condition("NEW.amount < 0"),
            ),
        ]


class Mirrored(models.Model):
    """Two fields in sync."""

    content = models.TextField()
    shouted = models.TextField(default="")

    class Meta:
        triggers = [
            pgtrigger.Trigger(
                name="mirror_content",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Insert,
                func="NEW.shouted = UPPER(NEW.content); RETURN NEW;",
            )
        ]


class Snapshot(models.Model):
    source_table = models.CharField(max_length=100)
    row_data = models.JSONField()


class TrackedItem(models.Model):
    name = models.CharField(max_length=200)
    quantity = models.IntegerField()

    class Meta:
        triggers = [
            pgtrigger.Trigger(
                name="snapshot_on_delete",
                when=pgtrigger.Before,
                operation=pgtrigger.Delete,
                declare=[("snapshot_data", "JSONB")],
                func=pgtrigger.Func(
                    f"""
                    snapshot_data := row_to_json(OLD)::jsonb;
                    INSERT INTO {Snapshot._meta.db_table}(source_table, row_data)
                    VALUES ('{{meta.db_table}}', snapshot_data);
                    RETURN OLD;
                    """
                ),
            )
        ]


class MemberDeletions(Member):
    class Meta:
        proxy = True
        triggers = [pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]


class Person(models.Model):
    """Stands in for the user of the seeds' deferred trigger."""


class Profile(models.Model):
    user = models.OneToOneField(Person, models.CASCADE)


class PersonProxy(Person):
    class Meta:
        proxy = True
        triggers = [
            pgtrigger.Trigger(
                name="profile_for_every_user",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                func=f"""
                    IF NOT EXISTS (SELECT FROM {Profile._meta.db_table} WHERE user_id = NEW.id) THEN
                        RAISE EXCEPTION 'Profile does not exist for user %', NEW.id;
                    END IF;
                    RETURN NULL;
                """,
            )
        ]


class BaseProtected(models.Model):
    is_active = models.BooleanField(default=True)

    class Meta:
        abstract = True
        triggers = [pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]


class InheritsMeta(BaseProtected):
    """Has no Meta of its own."""


class ExtendsMeta(BaseProtected):
    class Meta(BaseProtected.Meta):
        ordering = ["is_active"]


class DropsMeta(BaseProtected):
    class Meta:
        ordering = ["is_active"]
