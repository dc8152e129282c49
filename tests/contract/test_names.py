"""Contract, sections 1 and 2: the app, its settings, and the names in `pgtrigger`."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import AppConfig, apps
from django.core import checks
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import models
from django.test import override_settings

import pgtrigger
from contract.helpers import KERNEL_NAMES, definitions, logs, noop, protects, run
from contract.models import CannotDelete, Thing

URI = "contract.CannotDelete:protect_deletes"


def python(code, *path):
    """Runs Python code in a fresh interpreter without settings of ours."""
    search = [str(Path(__file__).parents[1]), *map(str, path)]
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import sys; sys.path[:0] = {search}\n{code}"],
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def configure(*installed, **more):
    options = "".join(f", {name}={value!r}" for name, value in more.items())
    return (
        "from django.conf import settings\n"
        f"settings.configure(INSTALLED_APPS={list(installed)!r}, "
        f"DEFAULT_AUTO_FIELD='django.db.models.BigAutoField'{options})\n"
        "import django; django.setup()\n"
    )


@pytest.fixture
def plain_app(tmp_path):
    """An app whose models have triggers in their Meta although nothing in it imports pgtrigger."""
    (tmp_path / "plainapp").mkdir()
    (tmp_path / "plainapp" / "__init__.py").touch()
    (tmp_path / "plainapp" / "models.py").write_text(
        "from django.db import models\n"
        "class Plain(models.Model):\n"
        "    class Meta:\n"
        "        triggers = []\n"
    )
    return tmp_path


# --- 1. App and settings ---------------------------------------------------------------------


def test_pgtrigger_is_an_app_with_one_default_config_and_a_models_module():
    assert apps.get_app_config("pgtrigger").models_module is not None
    assert AppConfig.create("pgtrigger").label == "pgtrigger"
    assert type(AppConfig.create("pgtrigger")) is type(apps.get_app_config("pgtrigger"))


AUTH = ["django.contrib.contenttypes", "django.contrib.auth"]


@pytest.mark.parametrize(
    "installed",
    [["pgtrigger", *AUTH, "contract"], [*AUTH, "contract", "pgtrigger"]],
    ids=["first", "last"],
)
def test_the_app_may_stand_at_any_position(installed):
    result = python(
        configure(*installed)
        + "import pgtrigger\n"
        + "print(*sorted(t.get_uri(m) for m, t in pgtrigger.registered()), sep='\\n')"
    )
    assert result.returncode == 0, result.stderr
    here = sorted(
        t.get_uri(m) for m, t in pgtrigger.registered() if m.__module__ == "contract.models"
    )
    assert result.stdout.split() == here


def test_import_works_before_apps_are_ready_and_reads_no_settings():
    result = python(
        "import pgtrigger\n"
        "pgtrigger.Trigger(name='t', when=pgtrigger.Before, operation=pgtrigger.Update,\n"
        "    condition=pgtrigger.Q(old__x__df=pgtrigger.F('new__x')) | pgtrigger.Q(new__x=1),\n"
        "    func='RETURN NEW;')\n"
        "pgtrigger.Protect(name='t', operation=pgtrigger.Delete)\n"
        "from django.apps import apps; from django.conf import settings\n"
        "assert not apps.ready and not settings.configured\n"
    )
    assert result.returncode == 0, result.stderr


def test_meta_triggers_is_legal_as_soon_as_app_configs_are_imported(plain_app):
    result = python(
        configure("plainapp", "pgtrigger")
        + "from plainapp.models import Plain\n"
        + "assert Plain._meta.original_attrs['triggers'] == []",
        plain_app,
    )
    assert result.returncode == 0, result.stderr


def test_meta_triggers_is_not_legal_with_model_meta_off(plain_app):
    result = python(configure("plainapp", "pgtrigger", PGTRIGGER_MODEL_META=False), plain_app)
    assert result.returncode != 0
    assert "invalid attribute(s): triggers" in result.stderr


@pytest.mark.django_db
def test_install_on_migrate_is_off_by_default():
    pgtrigger.uninstall(URI)
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    assert definitions(CannotDelete._meta.db_table) == {}


@pytest.mark.django_db
def test_install_on_migrate_installs_after_migrate(settings):
    settings.PGTRIGGER_INSTALL_ON_MIGRATE = True
    pgtrigger.uninstall(URI)
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    assert len(definitions(CannotDelete._meta.db_table)) == 1


@pytest.mark.django_db(databases=["default", "other"])
def test_install_on_migrate_installs_only_on_the_migrated_database(settings):
    settings.PGTRIGGER_INSTALL_ON_MIGRATE = True
    for database in ("default", "other"):
        pgtrigger.uninstall(URI, database=database)
    emit_post_migrate_signal(verbosity=0, interactive=False, db="other")
    assert definitions(CannotDelete._meta.db_table, "default") == {}
    assert len(definitions(CannotDelete._meta.db_table, "other")) == 1


@pytest.mark.parametrize("function", [pgtrigger.install, pgtrigger.uninstall])
@pytest.mark.django_db
def test_install_and_uninstall_of_everything_prune_by_default(function):
    noop().install(Thing)
    function()
    assert definitions(Thing._meta.db_table) == {}


@pytest.mark.parametrize("function", [pgtrigger.install, pgtrigger.uninstall])
@pytest.mark.django_db
def test_prune_on_install_can_be_turned_off_at_run_time(function, settings):
    settings.PGTRIGGER_PRUNE_ON_INSTALL = False
    noop().install(Thing)
    function()
    assert len(definitions(Thing._meta.db_table)) == 1


@pytest.mark.django_db
def test_install_of_named_triggers_does_not_prune():
    noop().install(Thing)
    pgtrigger.install(URI)
    assert len(definitions(Thing._meta.db_table)) == 1


@pytest.mark.django_db
def test_the_schema_setting_may_name_another_schema(settings):
    settings.PGTRIGGER_SCHEMA = "helpers"
    run("CREATE SCHEMA helpers")
    trigger = protects()
    with trigger.register(Thing), trigger.install(Thing):
        thing = Thing.objects.create()
        with pgtrigger.ignore("contract.Thing:protects"):
            thing.delete()
    assert not Thing.objects.exists()


@pytest.mark.django_db(databases="__all__")  # Django 6.1 checks generated fields there
def test_system_checks_raise_no_errors_on_ordinary_projects():
    messages = checks.run_checks(app_configs=[apps.get_app_config("contract")])
    assert [m for m in messages if m.level >= checks.ERROR] == []


@pytest.mark.django_db(databases="__all__")
def test_system_checks_survive_pgtrigger_being_absent_at_run_time():
    remaining = [config.name for config in apps.get_app_configs() if config.label != "pgtrigger"]
    with override_settings(INSTALLED_APPS=remaining):
        assert not apps.is_installed("pgtrigger")
        messages = checks.run_checks(app_configs=[apps.get_app_config("contract")])
        assert [m for m in messages if m.level >= checks.ERROR] == []
        call_command("check")


# --- 2. Names --------------------------------------------------------------------------------

NAMES = [
    *KERNEL_NAMES,
    "Protect",
    "ReadOnly",
    "register",
    "registered",
    "install",
    "uninstall",
    "enable",
    "disable",
    "prune",
    "prunable",
    "ignore",
    "is_ignored",
    "schema",
    "constraints",
]


@pytest.mark.parametrize("name", NAMES)
def test_public_name(name):
    assert getattr(pgtrigger, name) is not None
    assert name in dir(pgtrigger)


def test_ignore_and_schema_have_sessions():
    assert callable(pgtrigger.ignore.session)
    assert callable(pgtrigger.schema.session)


def test_a_name_that_nobody_offers_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchTrigger"):
        _ = pgtrigger.NoSuchTrigger


def test_protect_and_read_only_are_triggers():
    assert issubclass(pgtrigger.Protect, pgtrigger.Trigger)
    assert issubclass(pgtrigger.ReadOnly, pgtrigger.Trigger)
    assert issubclass(pgtrigger.Composer, pgtrigger.Trigger)


def test_members_belong_to_their_kinds():
    assert isinstance(pgtrigger.Row, pgtrigger.Level)
    assert isinstance(pgtrigger.Statement, pgtrigger.Level)
    for when in (pgtrigger.Before, pgtrigger.After, pgtrigger.InsteadOf):
        assert isinstance(when, pgtrigger.When)
    for operation in (pgtrigger.Insert, pgtrigger.Update, pgtrigger.Delete, pgtrigger.Truncate):
        assert isinstance(operation, pgtrigger.Operation)
    for timing in (pgtrigger.Immediate, pgtrigger.Deferred):
        assert isinstance(timing, pgtrigger.Timing)


@pytest.mark.django_db
def test_lookups_df_and_ndf_work_in_ordinary_queries():
    Thing.objects.create(int_field=1, char_field=None)
    Thing.objects.create(int_field=2, char_field="x")
    distinct = Thing.objects.filter(char_field__df="x")
    assert list(distinct.values_list("int_field", flat=True)) == [1]
    same = Thing.objects.filter(char_field__ndf=models.F("char_field"))
    assert same.count() == 2
    assert pgtrigger.IsDistinctFrom.lookup_name == "df"
    assert pgtrigger.IsNotDistinctFrom.lookup_name == "ndf"


def test_levels_are_hashable():
    assert {pgtrigger.Row: "row", pgtrigger.Statement: "statement"}[
        pgtrigger.Statement
    ] == "statement"


@pytest.mark.parametrize(
    ("operation", "keyword"),
    [
        (pgtrigger.Insert, "INSERT"),
        (pgtrigger.Update, "UPDATE"),
        (pgtrigger.Delete, "DELETE"),
        (pgtrigger.Truncate, "TRUNCATE"),
        (pgtrigger.Insert | pgtrigger.Update, "INSERT OR UPDATE"),
        (pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete, "INSERT OR UPDATE OR DELETE"),
        (pgtrigger.UpdateOf("c1", "c2"), 'UPDATE OF "c1", "c2"'),
        (pgtrigger.Insert | pgtrigger.UpdateOf("c1"), 'INSERT OR UPDATE OF "c1"'),
        (pgtrigger.UpdateOf("c1") | pgtrigger.Delete, 'UPDATE OF "c1" OR DELETE'),
        (pgtrigger.Delete | (pgtrigger.Insert | pgtrigger.Update), "DELETE OR INSERT OR UPDATE"),
    ],
    ids=str,
)
def test_str_of_an_operation_is_the_sql_keyword(operation, keyword):
    assert str(operation) == keyword


def test_combined_operations_are_operations():
    assert isinstance(pgtrigger.Insert | pgtrigger.Update, pgtrigger.Operations)
    assert isinstance(pgtrigger.Insert | pgtrigger.UpdateOf("c1"), pgtrigger.Operations)


@pytest.mark.django_db
def test_clauses_can_be_constructed_from_their_names():
    insert, after = pgtrigger.Operation(name="INSERT"), pgtrigger.When(name="AFTER")
    assert str(insert) == "INSERT"
    logs(operation=insert, when=after).install(Thing)
    (definition,) = definitions(Thing._meta.db_table).values()
    assert "AFTER INSERT ON" in definition
