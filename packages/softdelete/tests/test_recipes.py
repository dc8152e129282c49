"""The recipes of the contract, written as users of django-pgtrigger have them."""

from django.db import connection, models
from django.test.utils import isolate_apps

import pgtrigger
from pgtrigger_softdelete import SoftDelete


def create(*tables):
    with connection.schema_editor() as editor:
        for model in tables:
            editor.create_model(model)


@isolate_apps("archive")
def test_a_manager_of_live_rows_and_another_of_all(db):
    class LiveManager(models.Manager):
        def get_queryset(self):
            return super().get_queryset().filter(is_active=True)

    class SoftDeleted(models.Model):
        is_active = models.BooleanField(default=True)

        objects = LiveManager()
        all_objects = models.Manager()

        class Meta:
            app_label = "archive"
            default_manager_name = "all_objects"
            triggers = [pgtrigger.SoftDelete(name="soft_delete", field="is_active", value=False)]

    create(SoftDeleted)
    row = SoftDeleted.objects.create()
    row.delete()
    assert SoftDeleted.objects.count() == 0
    assert SoftDeleted.all_objects.get().is_active is False


@isolate_apps("archive")
def test_an_abstract_base_hands_its_trigger_down(db):
    class BaseSoftDelete(models.Model):
        is_active = models.BooleanField(default=True)

        class Meta:
            abstract = True
            triggers = [SoftDelete(name="soft_delete", field="is_active")]

    class Inherits(BaseSoftDelete):
        class Meta(BaseSoftDelete.Meta):
            app_label = "archive"
            ordering = ["is_active"]

    class Also(BaseSoftDelete):
        class Meta(BaseSoftDelete.Meta):
            app_label = "archive"

    create(Inherits, Also)
    for model in (Inherits, Also):
        model.objects.create()
        model.objects.all().delete()
        assert model.objects.get().is_active is False
