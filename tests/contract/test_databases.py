"""Contract, section 8: only the database that is meant.

Tests with access to one database fail by themselves when another one is queried: pytest-django
forbids it.
"""

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

import pgtrigger
from contract.helpers import Router, definitions, noop, protects, refused
from contract.models import CannotDelete, Thing, ThingProxy

URI = "contract.CannotDelete:protect_deletes"
TABLE = "contract_cannotdelete"
BOTH = ["default", "other"]


class OnlyAbout(Router):
    """Fails when it is asked about another database."""

    def __init__(self, database):
        super().__init__()
        self.database = database

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        assert db == self.database, f"asked about {db}"
        return super().allow_migrate(db, app_label, model_name, **hints)


ACTIONS = {
    "install": lambda db: pgtrigger.install(URI, database=db),
    "install all": lambda db: pgtrigger.install(database=db),
    "uninstall": lambda db: pgtrigger.uninstall(URI, database=db),
    "uninstall all": lambda db: pgtrigger.uninstall(database=db),
    "enable": lambda db: pgtrigger.enable(URI, database=db),
    "disable": lambda db: pgtrigger.disable(URI, database=db),
    "prunable": lambda db: pgtrigger.prunable(database=db),
    "prune": lambda db: pgtrigger.prune(database=db),
    "status": lambda db: noop().get_installation_status(Thing, database=db),
    "trigger.install": lambda db: noop().install(Thing, database=db),
    **{
        f"command {name}": lambda db, name=name: call_command(
            "pgtrigger", name, database=db, stdout=io.StringIO(), stderr=io.StringIO()
        )
        for name in ("ls", "install", "uninstall", "enable", "disable", "prune")
    },
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
@pytest.mark.django_db(databases=["default"])
def test_only_the_default_database_is_queried_and_asked_about(action, settings):
    settings.DATABASE_ROUTERS = [OnlyAbout("default")]
    action("default")


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
@pytest.mark.django_db(databases=["other"])
def test_only_the_other_database_is_queried_and_asked_about(action, settings):
    settings.DATABASE_ROUTERS = [OnlyAbout("other")]
    action("other")


@pytest.mark.django_db(databases=["default"])
def test_without_a_database_the_default_one_is_meant(settings):
    settings.DATABASE_ROUTERS = [OnlyAbout("default")]
    pgtrigger.uninstall(URI)
    assert definitions(TABLE) == {}
    pgtrigger.install(URI)
    pgtrigger.disable(URI)
    pgtrigger.enable(URI)
    pgtrigger.prune()
    assert len(definitions(TABLE)) == 1


@pytest.mark.django_db(databases=BOTH)
def test_functions_take_a_database():
    pgtrigger.uninstall(URI, database="other")
    assert definitions(TABLE, "other") == {}
    assert len(definitions(TABLE, "default")) == 1
    pgtrigger.install(URI, database="other")
    assert len(definitions(TABLE, "other")) == 1
    pgtrigger.disable(URI, database="other")
    CannotDelete.objects.using("other").create().delete()
    row = CannotDelete.objects.using("default").create()
    with refused("Cannot delete rows from"):
        row.delete()
    pgtrigger.enable(URI, database="other")
    row = CannotDelete.objects.using("other").create()
    with refused("Cannot delete rows from", "other"):
        row.delete()
    noop().install(Thing, database="other")
    assert pgtrigger.prunable(database="default") == []
    assert len(pgtrigger.prunable(database="other")) == 1
    pgtrigger.prune(database="other")
    assert pgtrigger.prunable(database="other") == []


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
@pytest.mark.django_db(databases=["sqlite"])
def test_databases_that_are_not_postgres_are_skipped_silently(action, capsys):
    action("sqlite")
    assert capsys.readouterr().err == ""


@pytest.mark.django_db(databases=["default", "sqlite"])
def test_runtime_functions_skip_databases_that_are_not_postgres():
    with (
        pgtrigger.ignore(URI, databases=["default", "sqlite"]),
        pgtrigger.schema("public", databases=["default", "sqlite"]),
    ):
        list(Thing.objects.using("sqlite").all())
        CannotDelete.objects.create().delete()


@pytest.mark.parametrize("model", [Thing, ThingProxy])
@pytest.mark.django_db
def test_the_router_gets_the_concrete_models_lower_case_name(settings, model):
    router = Router()
    settings.DATABASE_ROUTERS = [router]
    trigger = noop()
    trigger.install(model)
    trigger.get_installation_status(model)
    trigger.uninstall(model)
    assert set(router.asked) == {("default", "contract", "thing")}


@pytest.mark.django_db
def test_the_router_gets_the_app_and_name_of_another_apps_model(settings):
    router = Router()
    settings.DATABASE_ROUTERS = [router]
    noop().install(User)
    assert set(router.asked) == {("default", "auth", "user")}


@pytest.mark.django_db
def test_a_model_that_the_router_refuses_is_left_alone(settings):
    pgtrigger.uninstall(URI)
    settings.DATABASE_ROUTERS = [Router(lambda db, app_label, model: model != "cannotdelete")]
    pgtrigger.install()
    assert definitions(TABLE) == {}
    assert len(definitions("contract_appendonlymodel")) == 1


# --- ignore and schema -----------------------------------------------------------------------


def contexts():
    return {
        "ignore": lambda **kwargs: pgtrigger.ignore(URI, **kwargs),
        "ignore all": pgtrigger.ignore,
        "schema": lambda **kwargs: pgtrigger.schema("public", **kwargs),
        "ignore.session": pgtrigger.ignore.session,
        "schema.session": pgtrigger.schema.session,
    }


@pytest.mark.parametrize("context", contexts().values(), ids=contexts())
@pytest.mark.django_db(databases=BOTH, transaction=True)
def test_entering_and_leaving_opens_and_uses_no_connection_outside_a_transaction(context):
    connections["other"].close()
    connections["default"].ensure_connection()
    with CaptureQueriesContext(connections["default"]) as queries:
        with context():
            assert connections["other"].connection is None
        with context(databases=BOTH):
            assert connections["other"].connection is None
    assert connections["other"].connection is None
    assert queries.captured_queries == []


@pytest.mark.parametrize("context", contexts().values(), ids=contexts())
@pytest.mark.django_db(databases=BOTH, transaction=True)
def test_a_transaction_on_one_database_does_not_open_the_other(context):
    connections["other"].close()
    with transaction.atomic("default"):
        with context():
            list(Thing.objects.all())
        assert connections["other"].connection is None
    assert connections["other"].connection is None


@pytest.mark.django_db(databases=BOTH)
def test_ignoring_on_one_database_leaves_the_other_alone():
    here, there = (CannotDelete.objects.using(database).create() for database in BOTH)
    with pgtrigger.ignore(URI, databases=["other"]):
        there.delete()
        with refused("Cannot delete rows from", "default"):
            here.delete()


@pytest.mark.django_db(databases=BOTH)
def test_several_databases_are_ignored_at_once():
    trigger = protects()
    with trigger.register(Thing):
        for database in BOTH:
            trigger.install(Thing, database=database)
        with pgtrigger.ignore("contract.Thing:protects"):
            for database in BOTH:
                Thing.objects.using(database).create().delete()
        for database in BOTH:
            row = Thing.objects.using(database).create()
            with refused("Cannot delete rows from", database):
                row.delete()
