"""SoftDelete(cascade=…): what the rows do that refer to a deleted row, and to a restored one."""

import pytest
from django.db import IntegrityError, connection, models
from django.db.models.functions import Now

import pgtrigger
from archive.models import (
    AuditedNote,
    Box,
    Chapter,
    Folder,
    Footnote,
    Kinds,
    Label,
    Labelling,
    Note,
    Sheet,
    Shelf,
    Topic,
    Unlinked,
)
from pgtrigger.errors import DeclarationError
from pgtrigger_softdelete import SoftDelete, SoftDeleteQuerySet
from shop.database import column, definitions, refused, rows, run, statements, value


def soft(field="is_active", **kwargs):
    return SoftDelete(name="soft_delete", field=field, **kwargs)


def of_folders(**kwargs):
    return soft("deleted_at", value=Now(), **{"cascade_field": "deleted_with", **kwargs})


def of_sheets(**kwargs):
    return soft("state", value="gone", live="kept", cascade_field="deleted_with", **kwargs)


@pytest.fixture
def chain(live):
    """Shelf 1 with folders 1 and 2, shelf 2 with folder 3; each folder has two sheets."""
    live(Sheet, of_sheets())
    live(Folder, of_folders(cascade="soft"))
    live(Shelf, soft(cascade="soft"))
    Shelf._base_manager.bulk_create([Shelf(pk=pk) for pk in (1, 2)])
    Folder._base_manager.bulk_create(
        [Folder(pk=pk, shelf_id=shelf) for pk, shelf in ((1, 1), (2, 1), (3, 2))]
    )
    Sheet._base_manager.bulk_create([Sheet(pk=pk, folder_id=(pk + 1) // 2) for pk in range(1, 7)])


def live_ones():
    """The keys of the live shelves, folders and sheets."""
    return (
        column("SELECT id FROM archive_shelf WHERE is_active ORDER BY 1"),
        column("SELECT id FROM archive_folder WHERE deleted_at IS NULL ORDER BY 1"),
        column("SELECT id FROM archive_sheet WHERE state <> 'gone' ORDER BY 1"),
    )


EVERYTHING = ([1, 2], [1, 2, 3], [1, 2, 3, 4, 5, 6])
WITHOUT_SHELF_1 = ([2], [3], [5, 6])

DELETIONS = {
    "raw": lambda: run("DELETE FROM archive_shelf WHERE id = 1"),
    "update": lambda: run("UPDATE archive_shelf SET is_active = false WHERE id = 1"),
    "queryset": lambda: Shelf.objects.filter(pk=1).delete(),
    "instance": lambda: Shelf.objects.get(pk=1).delete(),
    "no search path": lambda: (
        run("SELECT set_config('search_path', '', true)"),
        run("DELETE FROM public.archive_shelf WHERE id = 1"),
        run("SELECT set_config('search_path', 'public', true)"),
    ),
}


# --- soft -------------------------------------------------------------------------------------


@pytest.mark.parametrize("delete", DELETIONS.values(), ids=DELETIONS)
def test_children_and_theirs_go_with_their_parent_however_it_is_deleted(chain, delete):
    delete()
    assert live_ones() == WITHOUT_SHELF_1


@pytest.mark.parametrize("delete", DELETIONS.values(), ids=DELETIONS)
def test_they_remember_with_which_parent_they_went(chain, delete):
    delete()
    assert column("SELECT DISTINCT deleted_with FROM archive_folder WHERE id < 3") == [
        "archive.Shelf:1"
    ]
    assert (
        column("SELECT deleted_with FROM archive_sheet WHERE deleted_with IS NOT NULL ORDER BY id")
        == ["archive.Folder:1"] * 2 + ["archive.Folder:2"] * 2
    )


RESTORATIONS = {
    "raw": lambda: run("UPDATE archive_shelf SET is_active = true WHERE id = 1"),
    "queryset": lambda: Shelf.objects.deleted().filter(pk=1).restore(),
    "instance": lambda: Shelf.all_objects.get(pk=1).restore(),
}


@pytest.mark.parametrize("restore", RESTORATIONS.values(), ids=RESTORATIONS)
@pytest.mark.parametrize("delete", DELETIONS.values(), ids=DELETIONS)
def test_they_come_back_with_it(chain, delete, restore):
    delete()
    restore()
    assert live_ones() == EVERYTHING
    assert column("SELECT DISTINCT deleted_with FROM archive_folder") == [None]
    assert column("SELECT DISTINCT deleted_with FROM archive_sheet") == [None]


def test_what_was_deleted_before_on_its_own_does_not_come_back(chain):
    run("DELETE FROM archive_sheet WHERE id = 1")
    run("DELETE FROM archive_folder WHERE id = 2")
    run("DELETE FROM archive_shelf WHERE id = 1")
    run("UPDATE archive_shelf SET is_active = true")
    assert live_ones() == ([1, 2], [1, 3], [2, 5, 6])
    run("UPDATE archive_folder SET deleted_at = NULL WHERE id = 2")
    assert live_ones() == ([1, 2], [1, 2, 3], [2, 3, 4, 5, 6])


def test_what_came_back_alone_and_was_deleted_again_does_not_come_back(chain):
    run("DELETE FROM archive_shelf WHERE id = 1")
    run("UPDATE archive_folder SET deleted_at = NULL WHERE id = 1")
    assert value("SELECT deleted_with FROM archive_folder WHERE id = 1") is None
    run("UPDATE archive_folder SET deleted_at = now() WHERE id = 1")
    run("UPDATE archive_shelf SET is_active = true")
    assert live_ones() == ([1, 2], [2, 3], [3, 4, 5, 6])


def test_what_went_with_another_parent_stays_with_it(chain):
    run("DELETE FROM archive_shelf")
    run("UPDATE archive_shelf SET is_active = true WHERE id = 2")
    assert live_ones() == ([2], [3], [5, 6])


def test_a_parent_that_is_deleted_again_takes_them_again(chain):
    for _ in range(2):
        run("DELETE FROM archive_shelf WHERE id = 1")
        run("DELETE FROM archive_shelf WHERE id = 1")
        assert live_ones() == WITHOUT_SHELF_1
        run("UPDATE archive_shelf SET is_active = true")
        assert live_ones() == EVERYTHING


def test_without_a_cascade_field_they_go_and_do_not_come_back(live):
    live(Folder, soft("deleted_at", value=Now()))
    live(Shelf, soft(cascade="soft"))
    Folder._base_manager.create(shelf=Shelf._base_manager.create())
    run("DELETE FROM archive_shelf")
    assert value("SELECT deleted_at IS NOT NULL FROM archive_folder")
    run("UPDATE archive_shelf SET is_active = true")
    assert value("SELECT deleted_at IS NOT NULL FROM archive_folder")


def test_an_update_that_deletes_nothing_calls_no_function(chain):
    run("SET LOCAL track_functions = 'all'")
    for pgid, definition in definitions("archive_shelf").items():
        if "AFTER UPDATE" in definition:
            assert "WHEN" in definition
            assert pgid.startswith("pgtrigger_soft_delete_")
    run("UPDATE archive_shelf SET name = 'x'")
    called = "SELECT sum(calls) FROM pg_stat_xact_user_functions"
    assert value(called) is None
    run("DELETE FROM archive_shelf")
    assert value(called) > 0


@pytest.mark.parametrize("number", [1, 50])
def test_any_number_of_rows_takes_the_same_statements(chain, number):
    Shelf._base_manager.bulk_create([Shelf(pk=pk) for pk in range(10, 10 + number)])
    Folder._base_manager.bulk_create([Folder(pk=pk, shelf_id=pk) for pk in range(10, 10 + number)])
    with statements() as sent:
        assert Shelf.objects.filter(pk__gte=10).delete() == (number, {"archive.Shelf": number})
    assert len(sent) == 2
    assert live_ones() == EVERYTHING
    with statements() as sent:
        assert Shelf.all_objects.filter(pk__gte=10).restore() == number
    assert len(sent) == 1
    assert Folder.objects.filter(pk__gte=10).count() == number


# --- set_null and refuse ----------------------------------------------------------------------


def test_children_lose_the_reference(live):
    live(Shelf, soft(cascade="set_null"))
    shelf = Shelf._base_manager.create()
    folder = Folder._base_manager.create(shelf=shelf)
    other = Folder._base_manager.create(shelf=Shelf._base_manager.create())
    shelf.delete()
    assert rows("SELECT id, shelf_id FROM archive_folder ORDER BY id") == [
        (folder.pk, None),
        (other.pk, other.shelf_id),
    ]
    shelf.restore()
    assert value("SELECT shelf_id FROM archive_folder WHERE id = %s", [folder.pk]) is None


REFUSED = [name for name in DELETIONS if name != "no search path"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_deletion_is_refused_while_there_are_live_children(live, name):
    live(Folder, of_folders())
    live(Shelf, soft(cascade={"archive.Folder.shelf": "refuse"}))
    folder = Folder._base_manager.create(shelf=Shelf._base_manager.create(pk=1))
    message = "Cannot delete rows from archive_shelf table: rows of archive_folder refer to them"
    with refused(message, IntegrityError) as error:
        DELETIONS[name]()
    found = pgtrigger.violation(error.value)
    assert (found.uri, found.table) == ("archive.Shelf:soft_delete", "archive_shelf")
    assert value("SELECT is_active FROM archive_shelf")
    run("DELETE FROM archive_folder")
    DELETIONS[name]()
    assert not value("SELECT is_active FROM archive_shelf")
    assert folder.pk


def test_children_without_a_mark_are_live(live):
    live(Folder, of_folders(cascade={"archive.Note.folder": "refuse"}))
    note = Note.objects.create(folder=Folder._base_manager.create())
    with refused("rows of archive_note refer to them", IntegrityError):
        run("DELETE FROM archive_folder")
    note.delete()
    run("DELETE FROM archive_folder")
    assert not Folder.objects.exists()


def test_a_refusal_deep_in_the_chain_keeps_all(live):
    live(Folder, of_folders(cascade="refuse"))
    live(Shelf, soft(cascade="soft"))
    Note.objects.create(folder=Folder._base_manager.create(shelf=Shelf._base_manager.create()))
    with refused("Cannot delete rows from archive_folder table", IntegrityError):
        run("DELETE FROM archive_shelf")
    assert Shelf.objects.exists()
    assert Folder.objects.exists()


def test_each_foreign_key_can_have_its_own(live):
    live(Sheet, of_sheets())
    choice = {
        "archive.Sheet.folder": "soft",
        "archive.Sheet.copied_to": "set_null",
        "archive.Note.folder": "refuse",
    }
    live(Folder, of_folders(cascade=choice))
    Folder._base_manager.bulk_create([Folder(pk=1), Folder(pk=2)])
    Sheet._base_manager.create(pk=1, folder_id=1, copied_to_id=2)
    Sheet._base_manager.create(pk=2, folder_id=2, copied_to_id=1)
    run("DELETE FROM archive_folder WHERE id = 1")
    assert rows("SELECT id, state, copied_to_id FROM archive_sheet ORDER BY id") == [
        (1, "gone", 2),
        (2, "kept", None),
    ]


def test_rows_that_are_kept_are_there_when_their_parent_comes_back(live):
    live(Kinds, soft("flag", cascade={"archive.Kinds_labels.kinds": "keep"}))
    kinds = Kinds._base_manager.create()
    kinds.labels.through.objects.create(kinds=kinds, label=Label._base_manager.create())
    assert len(definitions("archive_kinds")) == 1
    with statements() as sent:
        SoftDeleteQuerySet(Kinds).delete()
    assert len(sent) == 2
    assert kinds.labels.through.objects.count() == 1


def test_a_parent_with_a_composite_key(live):
    live(Footnote, soft(cascade_field="deleted_with"))
    live(Chapter, soft(cascade="soft"))
    folder = Folder._base_manager.create(pk=7)
    for number in (1, 2):
        Chapter.objects.create(folder=folder, number=number, code=f"it's {number}")
        Footnote.objects.create(chapter_id=f"it's {number}")
    run("DELETE FROM archive_chapter WHERE number = 1")
    found = 'SELECT "with" FROM archive_footnote WHERE NOT is_active'
    assert rows(found) == [("archive.Chapter:[7, 1]",)]
    run("UPDATE archive_chapter SET is_active = true")
    assert rows(found) == []


def test_a_child_whose_table_names_its_schema(live):
    run("CREATE SCHEMA audited")
    run("CREATE TABLE audited.note (id int, shelf_id int, is_active bool)")
    run("INSERT INTO audited.note VALUES (1, 1, true), (2, 2, true)")
    live(AuditedNote, soft())
    live(Shelf, soft(cascade={"archive.AuditedNote.shelf": "soft"}))
    Shelf._base_manager.bulk_create([Shelf(pk=1), Shelf(pk=2)])
    run("DELETE FROM archive_shelf WHERE id = 1")
    assert rows("SELECT id FROM audited.note WHERE is_active") == [(2,)]


# --- Declarations -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cascade", "message"),
    [
        ({"archive.Note.nothing": "soft"}, "no foreign key to"),
        ({"archive.Note.folder": "soft"}, "has no SoftDelete of its own"),
        ({"archive.Sheet.folder": "set_null"}, "cannot be set to NULL"),
        ("set_null", "cannot be set to NULL"),
    ],
    ids=str,
)
def test_what_a_foreign_key_cannot_do_is_refused(cascade, message):
    with pytest.raises(DeclarationError, match=message):
        of_folders(cascade=cascade).compile(Folder)


def test_a_child_that_could_not_come_back_is_refused(declared):
    declared(Sheet, soft("state", value="gone", cascade_field="deleted_with"))
    with pytest.raises(DeclarationError, match='"archive.Sheet" cannot be restored'):
        of_folders(cascade="soft").compile(Folder)


def test_soft_is_about_foreign_keys_that_cascade_to_models_that_are_soft_deleted(declared):
    declared(Sheet, of_sheets())
    declared(Labelling, soft())
    children = of_folders(cascade="soft").children(Folder)
    assert [child.key.model.__name__ for child in children] == ["Labelling", "Sheet"]
    assert {child.key.name for child in children} == {"folder"}


def test_a_cascade_without_children_is_a_plain_soft_delete():
    assert soft(cascade="soft").compile(Box) == soft().compile(Box)


# --- Trees ------------------------------------------------------------------------------------


@pytest.fixture
def tree(live):
    """1 has 2 and 3, 2 has 4, 4 has 5; 6 is alone."""
    live(Topic, soft(cascade="soft", cascade_field="deleted_with"))
    Topic._base_manager.bulk_create(
        [
            Topic(pk=pk, parent_id=up)
            for pk, up in ((1, None), (2, 1), (3, 1), (4, 2), (5, 4), (6, None))
        ]
    )


def topics():
    return column("SELECT id FROM archive_topic WHERE is_active ORDER BY 1")


@pytest.mark.parametrize("write", ["DELETE FROM", "UPDATE"])
@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("id = 1", [6]),
        ("id IN (1, 2, 3, 4, 5)", [6]),
        ("id IN (1, 4)", [6]),
        ("id IN (4, 2)", [1, 3, 6]),
        ("TRUE", []),
    ],
)
def test_a_tree_may_be_deleted_by_any_of_its_rows_at_once(tree, write, where, left):
    sets = " SET is_active = false" if write == "UPDATE" else ""
    run(f"{write} archive_topic{sets} WHERE {where}")
    assert topics() == left


def test_a_branch_comes_back_with_its_root_and_not_with_another(tree):
    run("DELETE FROM archive_topic WHERE id = 4")
    run("DELETE FROM archive_topic WHERE id = 1")
    run("UPDATE archive_topic SET is_active = true WHERE id = 1")
    assert topics() == [1, 2, 3, 6]
    Topic.all_objects.get(pk=4).restore()
    assert topics() == [1, 2, 3, 4, 5, 6]


def test_rows_that_were_deleted_by_one_statement_come_back_each_by_itself(tree):
    run("DELETE FROM archive_topic WHERE id IN (1, 2)")
    run("UPDATE archive_topic SET is_active = true WHERE id = 1")
    assert topics() == [1, 3, 6]


def test_a_tree_is_deleted_through_the_orm(tree):
    assert Topic.objects.filter(pk__in=[1, 2]).delete() == (2, {"archive.Topic": 2})
    assert topics() == [6]


def test_a_leaf_refuses_for_itself_only(live):
    live(Topic, soft(cascade="refuse"))
    Topic._base_manager.create(pk=1)
    Topic._base_manager.create(pk=2, parent_id=1)
    with refused("rows of archive_topic refer to them", IntegrityError):
        run("DELETE FROM archive_topic WHERE id = 1")
    run("DELETE FROM archive_topic")
    assert topics() == []


def test_a_tree_can_be_ignored(tree):
    with pgtrigger.ignore("archive.Topic:soft_delete"):
        run("DELETE FROM archive_topic")
        run("SET CONSTRAINTS ALL IMMEDIATE")
    assert value("SELECT count(*) FROM archive_topic") == 0


# --- Schemas ----------------------------------------------------------------------------------


@pytest.fixture
def tenants(chain):
    """The chain in two more schemas; what is in public stays as a trap."""
    for tenant in ("tenant_a", "tenant_b"):
        run(f"CREATE SCHEMA {tenant}")
        for table in ("shelf", "folder", "sheet"):
            name = f"{tenant}.archive_{table}"
            run(f"CREATE TABLE {name} (LIKE public.archive_{table} INCLUDING ALL)")
            run(f"INSERT INTO {name} SELECT * FROM public.archive_{table}")
        with pgtrigger.schema(tenant):
            pgtrigger.install("archive.*:soft_delete")


def live_in(schema):
    run("SELECT set_config('search_path', %s, true)", [schema])
    try:
        return live_ones()
    finally:
        run("SELECT set_config('search_path', 'public', true)")


@pytest.mark.parametrize("path", ["", "public", "tenant_a", "tenant_b", "tenant_b, tenant_a"])
def test_children_are_those_in_the_schema_of_their_parent(tenants, path):
    run("SELECT set_config('search_path', %s, true)", [path])
    run("DELETE FROM tenant_a.archive_shelf WHERE id = 1")
    assert live_in("tenant_a") == WITHOUT_SHELF_1
    assert live_in("tenant_b") == live_in("public") == EVERYTHING
    run("SELECT set_config('search_path', %s, true)", [path])
    run("UPDATE tenant_a.archive_shelf SET is_active = true")
    assert live_in("tenant_a") == EVERYTHING


@pytest.mark.parametrize("path", ["public", "tenant_a", ""])
def test_a_shared_parent_finds_the_children_that_refer_to_it_in_all_schemas(live, path):
    live(Folder, of_folders())
    live(Shelf, soft(cascade="soft"))
    run("INSERT INTO archive_shelf (id, name, is_active) VALUES (1, '', true)")
    for tenant, refers in (("tenant_a", True), ("tenant_b", True), ("tenant_c", False)):
        run(f"CREATE SCHEMA {tenant}")
        run(f"CREATE TABLE {tenant}.archive_folder (LIKE public.archive_folder INCLUDING ALL)")
        run(f"INSERT INTO {tenant}.archive_folder (id, name, shelf_id) VALUES (1, '', 1)")
        if refers:
            run(
                f"ALTER TABLE {tenant}.archive_folder ADD FOREIGN KEY (shelf_id)"
                " REFERENCES public.archive_shelf"
            )
    run("ALTER TABLE public.archive_folder RENAME TO elsewhere")
    run("SELECT set_config('search_path', %s, true)", [path])
    run("DELETE FROM public.archive_shelf")
    gone = "SELECT deleted_at IS NOT NULL FROM {}.archive_folder"
    assert [value(gone.format(name)) for name in ("tenant_a", "tenant_b", "tenant_c")] == [
        True,
        True,
        False,
    ]


def test_a_foreign_key_that_the_database_does_not_know_is_followed_within_the_schema(live):
    live(Unlinked, soft())
    live(Shelf, soft(cascade={"archive.Unlinked.shelf": "soft"}))
    Unlinked.objects.create(shelf=Shelf._base_manager.create())
    run("DELETE FROM archive_shelf")
    assert rows("SELECT is_active FROM archive_unlinked") == [(False,)]


# --- Parents that are really gone -------------------------------------------------------------


@pytest.fixture
def by_database(db):
    """The folders' foreign key cascades in the database, as Django 6.1's DB_CASCADE does."""
    (name,) = column(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'archive_folder'::regclass"
        " AND confrelid = 'archive_shelf'::regclass"
    )
    run(f"ALTER TABLE archive_folder DROP CONSTRAINT {name}")
    run(
        "ALTER TABLE archive_folder ADD FOREIGN KEY (shelf_id) REFERENCES archive_shelf"
        " ON DELETE CASCADE"
    )
    Shelf._base_manager.create(pk=1)
    Folder._base_manager.create(pk=1, shelf_id=1, deleted_with="x")
    Folder._base_manager.create(pk=2)


PATHS = pytest.mark.parametrize("path", ["public", ""])


@PATHS
def test_by_default_the_parent_cannot_go(live, by_database, path):
    live(Folder, of_folders())
    run("SELECT set_config('search_path', %s, true)", [path])
    with refused("rows of archive_folder that are only marked", IntegrityError) as error:
        run("DELETE FROM public.archive_shelf")
    run("SELECT set_config('search_path', 'public', true)")
    found = pgtrigger.violation(error.value)
    assert found.uri == "archive.Folder:soft_delete"
    assert 'pgtrigger.ignore("archive.Folder:soft_delete")' in found.hint
    assert rows("SELECT id FROM archive_shelf") == [(1,)]


@PATHS
def test_it_takes_its_rows_along_where_they_say_so(live, by_database, path):
    live(Folder, of_folders(orphaned="delete"))
    run("SELECT set_config('search_path', %s, true)", [path])
    run("DELETE FROM public.archive_shelf")
    assert rows("SELECT id FROM public.archive_folder") == [(2,)]


@PATHS
def test_rows_are_marked_and_lose_the_reference_where_they_say_so(live, by_database, path):
    live(Folder, of_folders(orphaned="set_null"))
    run("SELECT set_config('search_path', %s, true)", [path])
    run("DELETE FROM public.archive_shelf")
    assert rows(
        "SELECT id, shelf_id, deleted_at IS NULL, deleted_with FROM public.archive_folder ORDER BY 1"
    ) == [(1, None, False, None), (2, None, True, None)]


def test_deleted_rows_do_not_keep_a_dangling_reference_either(live, by_database):
    live(Folder, of_folders(orphaned="delete"))
    run("DELETE FROM archive_folder")
    run("DELETE FROM archive_shelf")
    assert rows("SELECT id FROM archive_folder") == [(2,)]


def test_a_deletion_by_another_trigger_is_soft(live, by_database):
    live(Folder, of_folders())
    func = "DELETE FROM archive_folder WHERE shelf_id = OLD.id; RETURN NULL;"
    trigger = pgtrigger.Trigger(
        name="empties", when=pgtrigger.After, operation=pgtrigger.Update, func=func
    )
    live(Shelf, trigger)
    run("UPDATE archive_shelf SET name = 'empty'")
    assert rows("SELECT shelf_id, deleted_at IS NULL FROM archive_folder ORDER BY id") == [
        (1, False),
        (None, True),
    ]


def test_within_ignore_the_database_cascades(live, by_database):
    live(Folder, of_folders())
    with pgtrigger.ignore("archive.Folder:soft_delete"):
        run("DELETE FROM archive_shelf")
    assert rows("SELECT id FROM archive_folder") == [(2,)]


def test_a_partition_of_a_partitioned_parent_is_not_mistaken_for_it(live):
    run("CREATE TABLE big (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    run("CREATE TABLE big_1 PARTITION OF big FOR VALUES FROM (0) TO (10)")
    run("CREATE TABLE big_2 PARTITION OF big FOR VALUES FROM (10) TO (20)")
    run("INSERT INTO big VALUES (1), (11)")
    run("ALTER TABLE archive_unlinked ADD COLUMN big_id int REFERENCES big ON DELETE CASCADE")
    live(Unlinked, soft())
    Unlinked.objects.create(shelf=Shelf._base_manager.create())
    run("UPDATE archive_unlinked SET big_id = 11")
    func = "DELETE FROM archive_unlinked; RETURN NULL;"
    live(
        Label,
        pgtrigger.Trigger(
            name="empties", when=pgtrigger.After, operation=pgtrigger.Insert, func=func
        ),
    )
    Label._base_manager.create()
    assert rows("SELECT is_active FROM archive_unlinked") == [(False,)]
    with refused("rows of archive_unlinked that are only marked", IntegrityError):
        run("DELETE FROM big WHERE id = 11")


def test_without_the_database_the_constraint_refuses(live):
    live(Folder, of_folders())
    shelf = Shelf._base_manager.create()
    Folder._base_manager.create(shelf=shelf)
    with refused("violates foreign key constraint", IntegrityError):
        models.Model.delete(shelf)
        connection.check_constraints()
