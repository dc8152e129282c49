"""Contract, section 13: the recipes of the seeds, on the models that declare them as the seeds do.

The triggers were installed together with the tables, as the app has no migrations; those of proxies
are installed by the tests.
"""

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import DatabaseError, connection, migrations, transaction
from django.db.migrations.state import ProjectState

import pgtrigger
from contract.helpers import definitions, logged, noop, one, protects, refused, run
from contract.models import (
    Account,
    AppendOnlyModel,
    CannotDelete,
    ComposerProtected,
    ComposerTrackedModel,
    DropsMeta,
    DynamicDeletionModel,
    ExtendsMeta,
    HistoryModel,
    InheritsMeta,
    Ledger,
    Member,
    Mirrored,
    OfficialUser,
    Person,
    PersonProxy,
    Post,
    Profile,
    ProtectedModel,
    ReadOnlyModel,
    SearchModel,
    Snapshot,
    StatementProtected,
    Thing,
    TrackedItem,
    TrackedModel,
    Versioned,
)

pytestmark = pytest.mark.django_db
BOTH = ["default", "other"]
committed = pytest.mark.django_db(transaction=True)


# --- Protection ------------------------------------------------------------------------------


def test_protected_deletes():
    row = CannotDelete.objects.create()
    with refused("Cannot delete rows from contract_cannotdelete table"):
        row.delete()
    with refused("Cannot delete rows from contract_cannotdelete table"):
        CannotDelete.objects.all().delete()
    with refused("Cannot delete rows from contract_cannotdelete table"):
        run("DELETE FROM contract_cannotdelete")
    assert CannotDelete.objects.count() == 1


def test_protected_deletes_can_be_bypassed():
    CannotDelete.objects.create()
    with pgtrigger.ignore("contract.CannotDelete:protect_deletes"):
        CannotDelete.objects.all().delete()
    assert not CannotDelete.objects.exists()


def test_protected_deletes_conditional_on_the_old_row():
    active = ProtectedModel.objects.create(is_active=True)
    ProtectedModel.objects.create(is_active=False).delete()
    with refused("Cannot delete rows from contract_protectedmodel table"):
        active.delete()


def test_dynamic_deletion_protection():
    row = DynamicDeletionModel.objects.create()
    with refused("Cannot delete rows from"):
        row.delete()
    row.is_deletable = True
    row.save()
    row.delete()


def test_append_only():
    row = AppendOnlyModel.objects.create(my_field=1)
    with refused("Cannot update rows from contract_appendonlymodel table"):
        row.save()
    with refused("Cannot delete rows from contract_appendonlymodel table"):
        row.delete()
    AppendOnlyModel.objects.create(my_field=2)


def test_read_only_fields():
    row = ReadOnlyModel.objects.create(created_by="me", note="a")
    row.note = None
    row.save()
    row.created_by = "you"
    with refused("Cannot update rows from contract_readonlymodel table"):
        row.save()
    row.refresh_from_db()
    assert (row.created_by, row.note) == ("me", None)


def test_freezing_published_rows_with_one_allowed_way_out():
    post = Post.objects.create(content="a")
    post.content = "b"
    post.save()
    post.status = "published"
    post.save()
    post.content = "c"
    with refused("Cannot update rows from contract_post table"):
        post.save()
    post.refresh_from_db()
    post.status = "inactive"
    post.save()
    post.content = "d"
    post.save()


def test_raw_sql_conditions():
    row = Ledger.objects.create(amount=1)
    row.save()
    with refused("Cannot update rows from"):
        Ledger.objects.update(note="x")
    with refused("Cannot insert rows from"):
        Ledger.objects.create(amount=-1)


def test_blocked_withdrawals_and_logged_owners():
    member = Member.objects.create()
    account = Account.objects.create(balance=10)
    account.balance = 5
    account.save()
    account.is_frozen = True
    account.save()
    account.balance = 4
    with refused("Cannot update rows from contract_account table"):
        account.save()
    account.balance = 6
    account.save()
    assert logged() == []
    account.owner = member
    account.save()
    account.save()
    assert logged() == [str(member.pk)]


def test_conditional_statement_level_protect():
    StatementProtected.objects.bulk_create(
        [StatementProtected(status=status) for status in ("draft", "draft", "published")]
    )
    StatementProtected.objects.filter(status="draft").update(note="x")
    with refused("Cannot update rows from contract_statementprotected table"):
        StatementProtected.objects.update(note="y")
    with refused("Cannot delete rows from contract_statementprotected table"):
        StatementProtected.objects.filter(status="draft").delete()
    assert StatementProtected.objects.filter(note="x").count() == 2


def test_conditional_composer_protect():
    ComposerProtected.objects.bulk_create([ComposerProtected(int_field=n) for n in (0, 200)])
    ComposerProtected.objects.filter(int_field=200).update(int_field=300)
    ComposerProtected.objects.update(int_field=0)
    with refused("uh oh"):
        ComposerProtected.objects.update(int_field=1)


# --- Computed columns ------------------------------------------------------------------------


def test_versioning():
    row = Versioned.objects.create(char_field="a")
    for text in ("b", "c"):
        row.char_field = text
        row.save(update_fields=["char_field"])
    row.refresh_from_db()
    assert row.version == 2
    row.save()
    row.refresh_from_db()
    assert row.version == 2
    row.version = 9
    with refused("Cannot update rows from contract_versioned table"):
        row.save()


def test_two_fields_in_sync():
    row = Mirrored.objects.create(content="hello")
    row.refresh_from_db()
    assert row.shouted == "HELLO"
    Mirrored.objects.update(content="world", shouted="ignored")
    row.refresh_from_db()
    assert row.shouted == "WORLD"


def test_official_interface():
    @pgtrigger.ignore("contract.OfficialUser:protect_inserts")
    def create_user(**kwargs):
        return OfficialUser.objects.create(**kwargs)

    with refused("Cannot insert rows from contract_officialuser table"):
        OfficialUser.objects.create(name="a")
    assert create_user(name="b").pk
    with refused("Cannot insert rows from contract_officialuser table"):
        OfficialUser.objects.create(name="c")


# --- History ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [TrackedModel, ComposerTrackedModel])
def test_statement_level_history(model):
    model.objects.bulk_create([model(field="old1"), model(field="old2")])
    model.objects.update(field="new")
    assert list(HistoryModel.objects.order_by("old_field").values("old_field", "new_field")) == [
        {"old_field": "old1", "new_field": "new"},
        {"old_field": "old2", "new_field": "new"},
    ]


@pytest.mark.parametrize("model", [TrackedModel, ComposerTrackedModel])
def test_statement_level_history_can_be_ignored(model):
    model.objects.create(field="old")
    with pgtrigger.ignore(f"contract.{model.__name__}:track_history"):
        model.objects.update(field="new")
    assert not HistoryModel.objects.exists()


def test_snapshot_on_delete():
    item = TrackedItem.objects.create(name="a", quantity=3)
    pk = item.pk
    item.delete()
    snapshot = Snapshot.objects.get()
    assert snapshot.source_table == "contract_trackeditem"
    assert snapshot.row_data == {"id": pk, "name": "a", "quantity": 3}


# --- A profile for every user ----------------------------------------------------------------

PROFILE = "contract.PersonProxy:profile_for_every_user"


@pytest.fixture
def profile_for_every_user(db):
    pgtrigger.install(PROFILE)


@committed
def test_deferred_profile_for_every_user(profile_for_every_user):
    with transaction.atomic():
        person = Person.objects.create()
        Profile.objects.create(user=person)
    with pytest.raises(DatabaseError, match="Profile does not exist for user"):
        Person.objects.create()
    with (
        pytest.raises(DatabaseError, match="Profile does not exist for user"),
        transaction.atomic(),
    ):
        PersonProxy.objects.create()
    assert Person.objects.count() == 1


def test_deferred_profile_made_immediate_by_constraints(profile_for_every_user):
    with refused("Profile does not exist for user"):
        pgtrigger.constraints(pgtrigger.Immediate, PROFILE)
        person = Person.objects.create()
        Profile.objects.create(user=person)


@committed
def test_deferred_profile_ignored_with_durable(profile_for_every_user):
    with pgtrigger.ignore(PROFILE):
        # Use durable=True, otherwise we may be wrapped in a parent transaction
        with transaction.atomic(durable=True):
            # We no longer need a profile for a user...
            Person.objects.create()
    assert Person.objects.count() == 1


# --- Other people's models -------------------------------------------------------------------


def test_triggers_on_other_models_by_proxy():
    """On django.contrib.auth by proxy: see test_migrations."""
    uri = "contract.MemberDeletions:protect_deletes"
    pgtrigger.install(uri)
    member = Member.objects.create()
    with refused("Cannot delete rows from contract_member table"):
        member.delete()
    with pgtrigger.ignore(uri):
        member.delete()


@pytest.mark.parametrize("model", [User, User.groups.through])
def test_triggers_on_the_tables_of_auth(live, model):
    trigger = live(model, protects(name="contract_protects"))
    user = User.objects.create(username="a")
    user.groups.add(Group.objects.create(name="g"))
    with refused(f"Cannot delete rows from {model._meta.db_table} table"):
        model._base_manager.all().delete()
    with pgtrigger.ignore(trigger.get_uri(model)):
        model._base_manager.all().delete()


def test_triggers_registered_in_code():
    trigger = noop("in_code")
    assert pgtrigger.register(trigger)(User) is User
    try:
        pgtrigger.install("auth.User:in_code")
        assert len(definitions("auth_user")) == 1
    finally:
        trigger.unregister(User)


# --- Abstract bases --------------------------------------------------------------------------


@pytest.mark.parametrize("model", [InheritsMeta, ExtendsMeta])
def test_triggers_of_abstract_bases_are_inherited_with_meta(model):
    row = model.objects.create()
    with refused(f"Cannot delete rows from {model._meta.db_table} table"):
        row.delete()
    with pgtrigger.ignore(f"contract.{model.__name__}:protect_deletes"):
        row.delete()


def test_ignoring_one_child_of_an_abstract_base_leaves_the_other():
    row = ExtendsMeta.objects.create()
    with pgtrigger.ignore("contract.InheritsMeta:protect_deletes"):
        InheritsMeta.objects.create().delete()
        with refused("Cannot delete rows from"):
            row.delete()


def test_a_meta_of_its_own_drops_the_triggers():
    DropsMeta.objects.create().delete()


# --- Installation ----------------------------------------------------------------------------


def apply(*operations):
    """Applies a migration with these operations, as `migrate` does."""
    migration = migrations.Migration("recipe", "contract")
    migration.operations = list(operations)
    with connection.schema_editor(atomic=True) as editor:
        migration.apply(ProjectState(), editor)


def test_prune_in_a_migration():
    noop().install(Thing)
    apply(migrations.RunPython(lambda apps, schema_editor: call_command("pgtrigger", "prune")))
    assert definitions("contract_thing") == {}


def test_orphans_can_be_listed_and_pruned():
    noop("orphan").install(Thing)
    for table, trigger_id, is_enabled, database in pgtrigger.prunable():
        assert (table.strip('"'), is_enabled, database) == ("contract_thing", True, "default")
        assert trigger_id.startswith("pgtrigger_orphan_")
    pgtrigger.prune()
    assert pgtrigger.prunable() == []


def test_triggers_can_be_disabled_around_an_import():
    pgtrigger.disable("contract.AppendOnlyModel:append_only")
    AppendOnlyModel.objects.create().delete()
    pgtrigger.enable("contract.AppendOnlyModel:append_only")
    row = AppendOnlyModel.objects.create()
    with refused("Cannot delete rows from"):
        row.delete()


def test_registered_triggers_can_be_inspected():
    for model, trigger in pgtrigger.registered(
        "contract.Post:freeze_published_model_allow_deactivation"
    ):
        assert (model, trigger.name) == (Post, "freeze_published_model_allow_deactivation")
        assert trigger.get_installation_status(model) == ("INSTALLED", True)


# --- Several databases and schemas -----------------------------------------------------------


@pytest.mark.django_db(databases=BOTH)
def test_several_databases():
    for database in BOTH:
        row = CannotDelete.objects.using(database).create()
        with refused("Cannot delete rows from", database):
            row.delete()
    call_command(
        "pgtrigger", "uninstall", "contract.CannotDelete:protect_deletes", database="other"
    )
    CannotDelete.objects.using("other").all().delete()
    with refused("Cannot delete rows from"):
        CannotDelete.objects.using("default").all().delete()
    pgtrigger.install("contract.CannotDelete:protect_deletes", database="other")
    row = CannotDelete.objects.using("other").create()
    with refused("Cannot delete rows from", "other"):
        row.delete()


def test_several_schemas():
    table = CannotDelete._meta.db_table
    for tenant in ("tenant_a", "tenant_b"):
        run(f"CREATE SCHEMA {tenant}")
        run(f"CREATE TABLE {tenant}.{table} (LIKE public.{table} INCLUDING ALL)")
        run(f"INSERT INTO {tenant}.{table} VALUES (1)")
    uri = "contract.CannotDelete:protect_deletes"
    with pgtrigger.schema("tenant_a"):
        pgtrigger.install(uri)
    with pgtrigger.schema("tenant_a"), refused("Cannot delete rows from"):
        CannotDelete.objects.all().delete()
    with pgtrigger.schema("tenant_a"), pgtrigger.ignore(uri):
        CannotDelete.objects.all().delete()
    with pgtrigger.schema("tenant_b"):
        CannotDelete.objects.all().delete()
        assert one(f"SELECT count(*) FROM {table}") == 0


def test_search_vectors():
    trigger = pgtrigger.UpdateSearchVector(
        name="add_title_and_body_to_vector",
        vector_field="vector",
        document_fields=["title", "body"],
        config_name="pg_catalog.english",
    )
    with trigger.register(SearchModel), trigger.install(SearchModel):
        row = SearchModel.objects.create(title="This is a message", body="Checkout my message")
        assert SearchModel.objects.get(vector="checkouts").vector == "'checkout':5 'messag':4,7"
        SearchModel.objects.update(body="Nothing")
        assert not SearchModel.objects.filter(vector="checkouts").exists()
        with pgtrigger.ignore("contract.SearchModel:add_title_and_body_to_vector"):
            SearchModel.objects.update(body="Checkout")
        assert not SearchModel.objects.filter(vector="checkouts").exists()
        row.delete()


# TODO for the plugin package history, when it exists: snapshots with context.
