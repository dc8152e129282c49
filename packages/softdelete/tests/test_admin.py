"""pgtrigger_softdelete.admin: through Django's own client."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db.models.functions import Now

from archive.models import Folder, Note, Shelf
from pgtrigger_softdelete import SoftDelete
from shop.database import value

SHELVES = "/admin/archive/shelf/"


@pytest.fixture
def shelves(live):
    """A live shelf "kept" with a folder, and a deleted one "gone"."""
    live(
        Folder,
        SoftDelete(
            name="soft_delete", field="deleted_at", value=Now(), cascade_field="deleted_with"
        ),
    )
    live(Shelf, SoftDelete(name="soft_delete", field="is_active", cascade="soft"))
    kept, gone = Shelf.objects.create(name="kept"), Shelf.objects.create(name="gone")
    kept.folders.create(name="folder")
    gone.folders.create(name="folder of gone")
    gone.delete()
    return kept, gone


@pytest.fixture
def visitor(client):
    """`visitor("change", "view", …)`: a client whose user may do that to shelves and folders."""

    def log_in(*permissions, models=("shelf", "folder")):
        user = User.objects.create(username="ada", is_staff=True)
        names = [f"{permission}_{model}" for permission in permissions for model in models]
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def boss(client):
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


def shown(response):
    return sorted(row.name for row in response.context["cl"].queryset)


def act(client, action, *rows, query="", **more):
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return client.post(f"{SHELVES}{query}", data, follow=True)


def messages(response):
    return [str(message) for message in response.context["messages"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [("", ["kept"]), ("?deleted=yes", ["gone"]), ("?deleted=all", ["gone", "kept"])],
)
def test_the_list_shows_live_rows_unless_one_asks_for_more(shelves, boss, query, names):
    response = boss.get(f"{SHELVES}{query}")
    assert shown(response) == names
    for choice in ("Live", "Deleted", "All"):
        assert f">{choice}</a>" in response.content.decode()


def test_filters_of_its_own_are_kept(shelves, boss):
    response = boss.get("/admin/archive/folder/?deleted=all&name=folder")
    assert shown(response) == ["folder"]


def test_a_deleted_row_can_be_looked_at_and_not_deleted_again(shelves, boss):
    kept, gone = shelves
    assert "deletelink" in boss.get(f"{SHELVES}{kept.pk}/change/").content.decode()
    assert "deletelink" not in boss.get(f"{SHELVES}{gone.pk}/change/").content.decode()
    assert boss.post(f"{SHELVES}{gone.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_row_is_marked_with_its_children(shelves, boss):
    kept, _ = shelves
    response = boss.post(f"{SHELVES}{kept.pk}/delete/", {"post": "yes"}, follow=True)
    assert "was deleted successfully" in messages(response)[0]
    assert Shelf.all_objects.count() == 2
    assert not Shelf.objects.exists()
    assert value("SELECT deleted_with FROM archive_folder WHERE name = 'folder'") == (
        f"archive.Shelf:{kept.pk}"
    )


def test_selected_rows_are_marked(shelves, boss):
    kept, _ = shelves
    response = act(boss, "delete_selected", kept, post="yes")
    assert messages(response) == ["Successfully deleted 1 shelf."]
    assert not Shelf.objects.exists()


def test_selected_rows_are_restored_with_their_children_and_it_is_logged(shelves, boss):
    _, gone = shelves
    response = act(boss, "restore_selected", gone, query="?deleted=yes")
    assert messages(response) == ["Restored 1 shelf."]
    assert Shelf.objects.count() == Folder.objects.count() == 2
    assert LogEntry.objects.get().object_id == str(gone.pk)


def test_live_rows_among_the_selected_are_left_alone(shelves, boss):
    response = act(boss, "restore_selected", *shelves, query="?deleted=all")
    assert messages(response) == ["Restored 1 shelf."]
    assert LogEntry.objects.count() == 1


def test_really_deleting_asks_first(shelves, boss):
    kept, _ = shelves
    response = act(boss, "hard_delete_selected", kept)
    page = response.content.decode()
    assert "cannot be restored" in page
    assert "Folder" in page
    assert Shelf.all_objects.count() == 2


def test_really_deleting_takes_all_and_is_logged(shelves, boss):
    response = act(boss, "hard_delete_selected", *shelves, query="?deleted=all", post="yes")
    assert messages(response) == ["Really deleted 2 shelfs."]
    assert value("SELECT count(*) FROM archive_shelf") == 0
    assert value("SELECT count(*) FROM archive_folder") == 0
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize(
    ("permissions", "actions"),
    [
        (["view"], set()),
        (["view", "change"], {"restore_selected"}),
        (["view", "delete"], {"delete_selected", "hard_delete_selected"}),
    ],
)
def test_actions_ask_for_permissions(shelves, visitor, permissions, actions):
    client = visitor(*permissions)
    form = client.get(f"{SHELVES}?deleted=all").context["action_form"]
    offered = {name for name, _ in form.fields["action"].choices if name} if form else set()
    assert offered == actions
    for action in {"restore_selected", "hard_delete_selected"} - actions:
        act(client, action, *shelves, query="?deleted=all", post="yes")
    assert Shelf.all_objects.count() == 2
    assert Shelf.objects.count() == 1


def test_what_goes_along_needs_permission_too(shelves, visitor):
    kept, _ = shelves
    client = visitor("view", "delete", models=["shelf"])
    assert (
        "Your account may not delete: folder"
        in act(client, "hard_delete_selected", kept).content.decode()
    )
    response = act(client, "hard_delete_selected", kept, post="yes")
    assert response.status_code == 403
    assert Shelf.all_objects.count() == 2


def test_a_protected_row_is_named(shelves, boss, monkeypatch):
    from django.db.models import PROTECT

    kept, _ = shelves
    Note.objects.create(folder=kept.folders.get())
    monkeypatch.setattr(Note._meta.get_field("folder").remote_field, "on_delete", PROTECT)
    response = act(boss, "hard_delete_selected", kept, post="yes")
    assert "keep the selected shelf from being" in response.content.decode()
    assert Shelf.all_objects.count() == 2
