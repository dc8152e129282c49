"""pgtrigger_softdelete.managers: who is shown, and what deleting and restoring say they did."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, connection, models
from django.db.models.functions import Now
from django.db.models.signals import post_delete

import pgtrigger
from archive.models import (
    Box,
    Crate,
    Folder,
    Label,
    Labelling,
    Note,
    Remark,
    Sheet,
    Shelf,
    Topic,
)
from pgtrigger.errors import DeclarationError
from pgtrigger_softdelete import SoftDelete, SoftDeleteQuerySet
from shop.database import refused, rows, statements


def soft(field="is_active", **kwargs):
    return SoftDelete(name="soft_delete", field=field, **kwargs)


@pytest.fixture
def archive(live):
    live(Sheet, soft("state", value="gone", live="kept", cascade_field="deleted_with"))
    live(Folder, soft("deleted_at", value=Now(), cascade="soft", cascade_field="deleted_with"))
    live(Shelf, soft(cascade="soft"))
    live(Label, soft())
    live(Labelling, soft())


@pytest.fixture
def shelf(archive):
    """A shelf with a live folder "a" and a deleted one "b"."""
    shelf = Shelf.objects.create(name="s")
    shelf.folders.create(name="a")
    shelf.folders.create(name="b").delete()
    return shelf


def names(queryset):
    return sorted(row.name for row in queryset)


# --- Who is shown -----------------------------------------------------------------------------


def test_live_rows_are_shown_unless_one_asks_for_more(shelf):
    assert names(Folder.objects.all()) == ["a"]
    assert names(Folder.objects.deleted()) == ["b"]
    assert names(Folder.objects.active()) == ["a"]
    assert names(Folder.all_objects.all()) == ["a", "b"]
    assert names(Folder.all_objects.deleted()) == ["b"]
    assert names(Folder.all_objects.active()) == ["a"]


def test_related_managers_show_live_rows(shelf):
    Shelf.objects.create().folders.create(name="elsewhere").delete()
    assert names(shelf.folders.all()) == ["a"]
    assert names(shelf.folders.deleted()) == ["b"]
    assert names(shelf.folders(manager="all_objects").all()) == ["a", "b"]
    assert shelf.folders.count() == 1
    assert [folder.shelf for folder in shelf.folders.deleted()] == [shelf]


def test_prefetched_rows_are_live_ones_and_the_others_can_be_asked_for(shelf):
    with statements() as sent:
        (found,) = Shelf.objects.prefetch_related("folders")
        assert names(found.folders.all()) == ["a"]
    assert len(sent) == 2
    assert names(found.folders.deleted()) == ["b"]
    assert names(found.folders.all()) == ["a"]
    (found,) = Shelf.objects.prefetch_related(
        models.Prefetch("folders", Folder.all_objects.all(), to_attr="all_folders")
    )
    assert names(found.all_folders) == ["a", "b"]


def test_a_foreign_key_can_be_followed_to_a_deleted_row(shelf):
    folder = Folder.objects.get()
    shelf.delete()
    assert Folder.all_objects.select_related("shelf").get(pk=folder.pk).shelf == shelf
    assert Folder.all_objects.get(pk=folder.pk).shelf == shelf


def test_get_or_create_does_not_find_deleted_rows(shelf):
    assert Folder.objects.get_or_create(name="a")[1] is False
    found, is_new = Folder.objects.get_or_create(name="b")
    assert is_new
    assert found in Folder.objects.all()
    assert Folder.all_objects.filter(name="b").count() == 2
    assert shelf.folders.update_or_create(name="b", defaults={"deleted_at": None})[1]


def test_many_to_many_relations_show_live_rows(shelf):
    folder = Folder.objects.get()
    kept, gone = Label.objects.create(name="kept"), Label.objects.create(name="gone")
    folder.labels.add(kept, gone)
    gone.delete()
    assert names(folder.labels.all()) == ["kept"]
    assert names(folder.labels.deleted()) == ["gone"]
    (found,) = Folder.objects.prefetch_related("labels")
    assert names(found.labels.all()) == ["kept"]


def test_a_row_that_joins_others_is_marked_when_it_is_removed(shelf):
    folder = Folder.objects.get()
    label = Label.objects.create(name="x")
    folder.labels.add(label)
    folder.labels.remove(label)
    assert not Labelling.objects.exists()
    assert Labelling.all_objects.count() == 1
    # Django joins through all rows; the live ones are named.
    assert names(folder.labels.filter(labelling__is_active=True)) == []


def test_saving_a_deleted_row_works(shelf):
    folder = Folder.objects.deleted().get()
    folder.name = "c"
    folder.save()
    assert names(Folder.objects.deleted()) == ["c"]


# --- Deleting ---------------------------------------------------------------------------------


def test_a_queryset_says_how_many_rows_are_gone(shelf):
    Folder.all_objects.create(name="c")
    with statements() as sent:
        assert Folder.all_objects.order_by("name").delete() == (2, {"archive.Folder": 2})
    # Notes and labellings are not the trigger's concern, so Django looks for them.
    assert len(sent) > 2
    assert Folder.all_objects.all().delete() == (0, {})
    assert Folder.objects.none().delete() == (0, {})


def test_what_django_really_deletes_counts_too(archive):
    Note.objects.create(folder=Folder.objects.create())
    assert Folder.objects.all().delete() == (2, {"archive.Note": 1, "archive.Folder": 1})


def test_an_instance_says_it_too_and_keeps_its_key(shelf):
    folder = Folder.objects.get()
    pk = folder.pk
    assert folder.deleted_at is None
    assert folder.delete() == (1, {"archive.Folder": 1})
    assert folder.pk == pk
    assert folder.deleted_at is not None
    assert folder.delete() == (0, {})
    assert folder.restore() == 1
    assert folder.deleted_at is None
    assert folder.restore() == 0


def test_an_instance_that_was_never_saved_cannot_be_deleted(archive):
    with pytest.raises(ValueError, match="no primary key"):
        Folder().delete()


@pytest.mark.parametrize("distinct", [False, True])
def test_a_row_that_a_relation_finds_several_times_is_deleted_once(archive, distinct):
    folder = Folder.objects.create()
    for name in ("red", "blue"):
        folder.labels.add(Label.objects.create(name=name))
    rows = Folder.objects.filter(labels__name__in=["red", "blue"])

    count, by_model = (rows.distinct() if distinct else rows).delete()

    assert by_model["archive.Folder"] == 1
    assert count == sum(by_model.values())
    assert Folder.objects.deleted().get() == folder


@pytest.mark.parametrize(
    "rows",
    [
        lambda: Label.objects.all()[:1],
        lambda: Label.objects.all().distinct("name"),
        lambda: Label.objects.values("pk"),
        Label.objects.values,
        lambda: Label.all_objects.all().union(Label.all_objects.all()),
    ],
    ids=["slice", "distinct on", "values", "all values", "union"],
)
@pytest.mark.parametrize("method", ["delete", "hard_delete"])
def test_only_whole_rows_of_one_table_can_be_deleted(archive, rows, method):
    with pytest.raises(TypeError, match="whole rows of one table"):
        getattr(rows(), method)()


def test_within_ignore_rows_are_really_deleted_and_counted(archive):
    for delete in (lambda: Label.objects.all().delete(), lambda: Label.objects.get().delete()):
        Label.objects.create()
        with pgtrigger.ignore("archive.Label:soft_delete"):
            assert delete() == (1, {"archive.Label": 1})
        assert not Label.all_objects.exists()


def test_an_instance_that_is_really_deleted_loses_its_key(live):
    live(Label, soft(condition=pgtrigger.Q(old__name="kept")))
    label = Label.objects.create(name="draft")
    assert label.delete() == (1, {"archive.Label": 1})
    assert label.pk is None


def test_signals_are_sent_for_each_row(archive):
    seen = []

    def receive(sender, instance, **kwargs):
        seen.append(instance.pk)

    post_delete.connect(receive, sender=Label)
    try:
        pks = [Label.objects.create().pk for _ in range(2)]
        assert Label.objects.all().delete() == (2, {"archive.Label": 2})
    finally:
        post_delete.disconnect(receive, sender=Label)
    assert sorted(seen) == pks


def test_what_hangs_on_a_generic_relation_is_deleted_as_ever(live):
    live(Box, soft())
    box = Box.objects.create()
    remark = {"content_type": ContentType.objects.get_for_model(Box), "object_id": box.pk}
    Remark.objects.create(**remark)
    assert Box.objects.all().delete() == (2, {"archive.Remark": 1, "archive.Box": 1})
    assert Box.all_objects.deleted().count() == 1


# --- Restoring --------------------------------------------------------------------------------


def test_only_what_is_deleted_is_restored_and_counted(shelf):
    assert Folder.objects.all().restore() == 0
    with statements() as sent:
        assert Folder.all_objects.all().restore() == 1
    assert len(sent) == 1
    assert names(Folder.objects.all()) == ["a", "b"]


def test_the_restored_of_a_relation(shelf):
    assert shelf.folders.deleted().restore() == 1
    assert names(shelf.folders.all()) == ["a", "b"]


def test_a_restored_row_forgets_its_parent(shelf):
    shelf.delete()
    folder = Folder.all_objects.get(name="a")
    assert folder.deleted_with == f"archive.Shelf:{shelf.pk}"
    folder.restore()
    assert folder.deleted_with is None


def test_a_model_that_does_not_say_what_is_live_cannot_be_restored(live):
    live(Sheet, soft("state", value="gone"))
    with pytest.raises(DeclarationError, match='Declare the SoftDelete with "live"'):
        Sheet.all_objects.all().restore()


def test_a_model_without_a_soft_delete_says_so(db):
    with pytest.raises(DeclarationError, match='"archive.Topic" has no SoftDelete'):
        Topic.objects.all()
    with pytest.raises(DeclarationError, match='"archive.Topic" has no SoftDelete'):
        Topic(pk=1).delete()


# --- Really deleting --------------------------------------------------------------------------


def test_what_is_really_deleted_takes_deleted_and_live_children_along(shelf):
    sheet = Sheet.objects.create(folder=Folder.objects.get())
    Sheet.objects.create(folder=Folder.objects.get()).delete()
    assert sheet.pk
    total, by_model = Shelf.all_objects.all().hard_delete()
    assert (total, by_model) == (
        5,
        {"archive.Shelf": 1, "archive.Folder": 2, "archive.Sheet": 2},
    )
    connection.check_constraints()
    assert rows("SELECT 1 FROM archive_sheet") == rows("SELECT 1 FROM archive_folder") == []


def test_an_instance_is_really_deleted(shelf):
    assert shelf.hard_delete()[0] == 3
    assert shelf.pk is None
    assert not Shelf.all_objects.exists()


def test_other_models_of_the_same_base_are_deleted_as_ever_meanwhile(archive):
    Label.objects.create()
    folder = Folder.objects.create()

    def receive(sender, **kwargs):
        Label.objects.all().delete()

    post_delete.connect(receive, sender=Folder)
    try:
        folder.hard_delete()
    finally:
        post_delete.disconnect(receive, sender=Folder)
    assert Label.all_objects.count() == 1


def test_the_row_that_a_child_table_continues_is_really_deleted_too(live):
    live(Box, soft())
    crate = Crate._base_manager.create()
    SoftDeleteQuerySet(Crate).hard_delete()
    assert crate.pk
    assert not Box.all_objects.exists()


def test_what_cannot_be_ignored_cannot_be_really_deleted(live):
    live(Label, soft(ignorable=False))
    Label.objects.create()
    with pytest.raises(DeclarationError, match="cannot be ignored"):
        Label.objects.all().hard_delete()


def test_a_protected_row_stays(live, archive):
    live(Label, pgtrigger.Protect(name="keep", operation=pgtrigger.Delete))
    Label.objects.create()
    with refused("Cannot delete rows", IntegrityError):
        Label.objects.all().hard_delete()
    with refused("Cannot delete rows", IntegrityError):
        Label.objects.all().delete()
