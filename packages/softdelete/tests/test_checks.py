"""pgtrigger_softdelete.checks: where foreign keys, constraints and a soft delete contradict."""

import pytest
from django.db import models
from django.db.models.functions import Now

import pgtrigger
from archive.models import Box, Crate, Folder, Heap, Kinds, Sheet, Shelf, Topic
from pgtrigger_softdelete import DeletedWithField, SoftDelete, SoftDeleteMixin, unique_among_live
from pgtrigger_softdelete.plugin import pgtrigger_check, pgtrigger_register_trigger_types


def soft(field="is_active", **kwargs):
    return SoftDelete(name="soft_delete", field=field, **kwargs)


def warnings(model, trigger):
    found = [*pgtrigger_check(model, trigger)]
    assert all(message.hint and "docs/checks.md" in message.hint for message in found)
    assert all(message.obj is model for message in found)
    return sorted(
        (message.id.removeprefix("pgtrigger_softdelete."), message.msg) for message in found
    )


def ids(model, trigger):
    return [number for number, _ in warnings(model, trigger)]


def test_children_that_django_really_deletes(declared):
    found = warnings(Shelf, soft())
    assert [number for number, _ in found] == ["W001"]
    assert '"archive.Folder.shelf"' in found[0][1]
    assert ids(Shelf, soft(cascade="refuse")) == []
    declared(Folder, soft("deleted_at", value=Now()))
    assert ids(Shelf, soft()) == []


def test_parents_that_are_really_deleted(declared):
    trigger = soft("state", value="gone", live="kept")
    assert ids(Sheet, trigger) == ["W002"]
    declared(Folder, soft("deleted_at", value=Now()))
    assert ids(Sheet, trigger) == []


class DatabaseCascade:
    """What Django 6.1 has as DB_CASCADE."""

    __name__ = "DB_CASCADE"

    def __call__(self, *args):
        raise AssertionError


@pytest.mark.parametrize(
    ("orphaned", "expected"), [("refuse", ["W003"]), ("delete", []), ("set_null", [])]
)
def test_a_cascade_of_the_database_that_is_refused(monkeypatch, orphaned, expected):
    key = Folder._meta.get_field("shelf")
    monkeypatch.setattr(key.remote_field, "on_delete", DatabaseCascade())
    trigger = soft("deleted_at", value=Now(), orphaned=orphaned)
    found = ids(Folder, trigger)
    assert [number for number in found if number != "W001"] == expected


def test_a_reference_that_cannot_be_set_to_null_is_refused(monkeypatch):
    key = Sheet._meta.get_field("folder")
    monkeypatch.setattr(key.remote_field, "on_delete", DatabaseCascade())
    with pytest.raises(pgtrigger.DeclarationError, match=r'"archive\.Sheet\.folder" cannot be set'):
        soft("state", value="gone", orphaned="set_null").compile(Sheet)


def test_a_cascade_of_the_database_follows_and_is_left_alone_by_django(monkeypatch, declared):
    from pgtrigger_softdelete.relations import follows_row, is_skipped

    key = Folder._meta.get_field("shelf")
    monkeypatch.setattr(key.remote_field, "on_delete", DatabaseCascade())
    assert follows_row(key)
    assert is_skipped(key)
    declared(Folder, soft("deleted_at", value=Now()))
    assert [child.key for child in soft(cascade="soft").children(Shelf)] == [key]
    assert ids(Shelf, soft(cascade="soft")) == []


def declared_on(declared, model):
    declared(model, soft())
    return model


def make(name, bases=(models.Model,), meta=None, **fields):
    from django.apps.registry import Apps

    options = {"app_label": "archive", "apps": Apps(), **(meta or {})}
    body = {
        "__module__": __name__,
        "Meta": type("Meta", (), options),
        "is_active": models.BooleanField(default=True),
        **fields,
    }
    return type(name, bases, body)


UNIQUE = {
    "field": ({}, {"code": models.TextField(unique=True)}, ["W004"]),
    "together": ({"unique_together": [("code", "id")]}, {"code": models.TextField()}, ["W004"]),
    "constraint": (
        {"constraints": [models.UniqueConstraint(fields=["code"], name="u")]},
        {"code": models.TextField()},
        ["W004"],
    ),
    "expression": (
        {"constraints": [models.UniqueConstraint(models.functions.Lower("code"), name="u")]},
        {"code": models.TextField()},
        ["W004"],
    ),
    "other condition": (
        {
            "constraints": [
                models.UniqueConstraint(
                    fields=["code"],
                    name="u",
                    condition=models.Q(models.Exists(Kinds.objects.all()), code="x"),
                )
            ]
        },
        {"code": models.TextField()},
        ["W004"],
    ),
    "among live": (
        {"constraints": [unique_among_live("code", name="u", field="is_active")]},
        {"code": models.TextField()},
        [],
    ),
    "among some live": (
        {
            "constraints": [
                unique_among_live(
                    "code", name="u", field="is_active", condition=models.Q(code__gt="a")
                )
            ]
        },
        {"code": models.TextField()},
        [],
    ),
    "with the mark": (
        {"constraints": [models.UniqueConstraint(fields=["code", "is_active"], name="u")]},
        {"code": models.TextField()},
        [],
    ),
    "check": (
        {"constraints": [models.CheckConstraint(condition=models.Q(code="x"), name="c")]},
        {"code": models.TextField()},
        [],
    ),
}


@pytest.mark.parametrize(("meta", "fields", "expected"), UNIQUE.values(), ids=UNIQUE)
def test_what_deleted_rows_keep_from_being_used_again(meta, fields, expected):
    fields = {name: field.clone() for name, field in fields.items()}
    assert ids(make("Unique", meta=meta, **fields), soft()) == expected


def test_children_that_django_looks_after_before_the_trigger(declared):
    assert ids(declared_on(declared, Heap), soft(cascade="refuse")) == ["W005"]
    assert ids(declared_on(declared, Topic), soft(cascade="refuse")) == []
    assert issubclass(Topic, SoftDeleteMixin)


def test_several_tables_for_a_row():
    assert ids(Box, soft()) == ["W006"]
    assert ids(Crate, SoftDelete(name="soft_delete", field="is_kept")) == ["W006"]


def test_tables_that_join_two_others_are_left_alone():
    assert ids(Kinds, soft("flag")) == []


def test_other_types_are_not_this_plugins_concern():
    assert [*pgtrigger_check(Shelf, pgtrigger.Protect(name="a", operation=pgtrigger.Update))] == []


def test_the_type_is_offered_and_appears_in_pgtrigger():
    assert [*pgtrigger_register_trigger_types()] == [SoftDelete] == [pgtrigger.SoftDelete]


def test_the_field_for_the_parent_is_nullable_text_that_nobody_edits():
    field = DeletedWithField()
    assert (field.null, field.blank, field.editable, field.default) == (True, True, False, None)
    assert DeletedWithField(null=False).null is False
    name, path, args, kwargs = field.deconstruct()
    assert path == "pgtrigger_softdelete.fields.DeletedWithField"
    assert field.__class__(*args, **kwargs).deconstruct() == (name, path, args, kwargs)
