"""Contract, section 9: `manage.py pgtrigger`."""

import io
import logging
import re

import pytest
from django.core.management import CommandError, call_command

import pgtrigger
from contract.evolution import Evolution
from contract.helpers import (
    Insert,
    Router,
    Update,
    definitions,
    noop,
    protects,
    refused,
    run,
    trigger_functions,
)
from contract.models import CannotDelete, Dotted, Order, Partitioned, Post, Thing

pytestmark = pytest.mark.django_db
URI = "contract.CannotDelete:protect_deletes"
POST = "contract.Post:freeze_published_model_allow_deactivation"
TABLE = "contract_cannotdelete"
LINE = re.compile(
    r"(INSTALLED|UNINSTALLED|OUTDATED|UNALLOWED|PRUNE) +(ENABLED|DISABLED|N/A) +(\S.*\S)"
)


def manage(*args, **options):
    """Runs `manage.py pgtrigger …` and gives its standard output."""
    out = io.StringIO()
    call_command("pgtrigger", *args, stdout=out, **{"stderr": io.StringIO(), **options})
    return out.getvalue()


def ls(*args):
    """The lines of `ls` as `{uri: (status, enabled)}`."""
    found = {}
    for line in manage("ls", *args).splitlines():
        match = LINE.fullmatch(line.rstrip())
        assert match, f"not a line of ls: {line!r}"
        status, enabled, uri = match.groups()
        assert uri not in found
        found[uri] = (status, enabled)
    return found


# --- ls --------------------------------------------------------------------------------------


def test_ls_gives_one_line_per_trigger():
    found = ls()
    assert {uri for uri, (status, _) in found.items() if status != "PRUNE"} == {
        trigger.get_uri(model) for model, trigger in pgtrigger.registered()
    }
    assert found[URI] == ("INSTALLED", "ENABLED")


def test_ls_takes_uris():
    assert ls(URI, POST) == {URI: ("INSTALLED", "ENABLED"), POST: ("INSTALLED", "ENABLED")}
    noop().install(Thing)
    assert list(ls(URI)) == [URI]


def test_ls_pads_its_columns(settings):
    pgtrigger.disable(URI)
    pgtrigger.uninstall(POST)
    lines = manage("ls", URI, POST, "contract.Versioned:versioning").splitlines()
    assert len({line.index("contract.") for line in lines}) == 1
    assert len({re.search("ENABLED|DISABLED|N/A", line).start() for line in lines}) == 1


def test_ls_shows_the_states(live, settings):
    outdated = live(Thing, noop())
    outdated.operation = Insert
    disabled = live(Thing, noop("disabled"))
    disabled.disable(Thing)
    pgtrigger.uninstall(URI)
    settings.DATABASE_ROUTERS = [Router(lambda db, app_label, model: model != "post")]
    found = ls("contract.Thing:noop", "contract.Thing:disabled", URI, POST)
    assert found == {
        "contract.Thing:noop": ("OUTDATED", "ENABLED"),
        "contract.Thing:disabled": ("INSTALLED", "DISABLED"),
        URI: ("UNINSTALLED", "N/A"),
        POST: ("UNALLOWED", "N/A"),
    }


def test_ls_shows_leftovers_after_the_triggers():
    trigger = noop()
    trigger.install(Thing)
    last = manage("ls").splitlines()[-1]
    assert re.fullmatch(rf"PRUNE +ENABLED +contract_thing:{trigger.get_pgid(Thing)}", last.rstrip())
    trigger.disable(Thing)
    assert ls()[f"contract_thing:{trigger.get_pgid(Thing)}"] == ("PRUNE", "DISABLED")


@pytest.mark.parametrize("model", [Order, Dotted])
def test_ls_shows_tables_unquoted(model):
    trigger = noop()
    trigger.install(model)
    assert f"{model._meta.db_table}:{trigger.get_pgid(model)}" in ls()


def test_ls_shows_missing_tables_as_uninstalled():
    with noop().register(Partitioned):
        assert ls("contract.Partitioned:noop") == {
            "contract.Partitioned:noop": ("UNINSTALLED", "N/A")
        }


# --- install, uninstall, enable, disable, prune ----------------------------------------------


def test_uninstall_and_install_of_named_triggers():
    manage("uninstall", URI)
    assert definitions(TABLE) == {}
    assert len(definitions("contract_post")) == 1
    manage("install", URI)
    assert len(definitions(TABLE)) == 1


def test_uninstall_and_install_of_everything():
    manage("uninstall")
    assert trigger_functions() == []
    manage("install")
    assert {status for status, _ in ls().values()} == {"INSTALLED"}


def test_disable_and_enable_of_named_triggers():
    manage("disable", URI)
    CannotDelete.objects.create().delete()
    assert ls(URI, POST) == {URI: ("INSTALLED", "DISABLED"), POST: ("INSTALLED", "ENABLED")}
    manage("enable", URI)
    row = CannotDelete.objects.create()
    with refused("Cannot delete rows from"):
        row.delete()


def test_disable_and_enable_of_everything():
    manage("install")
    manage("disable")
    assert {enabled for _, enabled in ls().values()} == {"DISABLED"}
    manage("enable")
    assert {enabled for _, enabled in ls().values()} == {"ENABLED"}


def test_prune_removes_leftovers_with_their_functions():
    before = trigger_functions()
    noop().install(Thing)
    manage("prune")
    assert definitions("contract_thing") == {}
    assert trigger_functions() == before
    assert len(definitions(TABLE)) == 1


def test_prune_takes_no_uris():
    with pytest.raises(CommandError):
        manage("prune", URI)


def test_prunable_tells_table_id_enabled_and_database():
    trigger = noop()
    trigger.install(Thing)
    trigger.disable(Thing)
    (found,) = pgtrigger.prunable()
    table, pgid, enabled, database = found
    assert (table.strip('"'), pgid, enabled, database) == (
        "contract_thing",
        trigger.get_pgid(Thing),
        False,
        "default",
    )


def test_a_renamed_trigger_leaves_the_old_one_to_be_pruned():
    old, new = noop("old"), noop("new")
    old.install(Thing)
    with new.register(Thing), new.install(Thing):
        assert [pgid for _, pgid, *_ in pgtrigger.prunable()] == [old.get_pgid(Thing)]
        pgtrigger.prune()
        assert list(definitions("contract_thing")) == [new.get_pgid(Thing)]


@pytest.mark.parametrize("model", [Order, Dotted])
def test_odd_table_names_work(model, live):
    trigger = live(model, protects())
    uri = trigger.get_uri(model)
    row = model.objects.create()
    with refused(r"Cannot delete rows from .*" + re.escape(model._meta.db_table)):
        row.delete()
    for name, expected in [
        ("uninstall", ("UNINSTALLED", "N/A")),
        ("install", ("INSTALLED", "ENABLED")),
        ("disable", ("INSTALLED", "DISABLED")),
        ("enable", ("INSTALLED", "ENABLED")),
    ]:
        manage(name, uri)
        assert ls(uri) == {uri: expected}
    with pgtrigger.ignore(uri):
        row.delete()
    leftover = noop("leftover")
    leftover.install(model)
    manage("prune")
    assert leftover.get_installation_status(model) == ("UNINSTALLED", None)


@pytest.mark.parametrize("name", ["install", "uninstall", "enable", "disable", "prune"])
@pytest.mark.parametrize("uris", [(), (URI,)], ids=["all", "one"])
def test_repeating_a_command_is_harmless(name, uris):
    uris = () if name == "prune" else uris
    manage(name, *uris)
    before = ls()
    manage(name, *uris)
    assert ls() == before


# --- Output ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["install", "uninstall", "enable", "disable", "prune"])
def test_the_others_write_nothing_to_stdout_and_log(name, capsys, caplog):
    noop().install(Thing)
    if name == "install":
        pgtrigger.uninstall(URI)
    if name == "enable":
        pgtrigger.disable(URI)
    with caplog.at_level(logging.INFO, logger="pgtrigger"):
        assert manage(name) == ""
    assert capsys.readouterr().out == ""
    assert [record for record in caplog.records if record.name.split(".")[0] == "pgtrigger"]


@pytest.mark.slow
def test_progress_goes_to_stderr(tmp_path, empty_database):
    project = Evolution(tmp_path, empty_database)
    project.models(
        """
        class M(models.Model):
            class Meta:
                triggers = [pgtrigger.Protect(name="guard", operation=pgtrigger.Delete)]
        """
    )
    project.run(["makemigrations"], ["migrate"])
    result = project.manage("pgtrigger", "disable")
    assert (result.returncode, result.stdout) == (0, "")
    assert "strict.M:guard" in result.stderr
    result = project.manage("pgtrigger", "ls")
    assert sorted(result.stdout.split()) == sorted(
        ["INSTALLED", "DISABLED", "strict.M:guard", "INSTALLED", "DISABLED", "loose.M:guard"]
    )


# --- Bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ls", "install", "uninstall", "enable", "disable"])
def test_bad_uris_are_refused(name):
    with pytest.raises((CommandError, KeyError), match=r"contract\.Thing:nope"):
        manage(name, "contract.Thing:nope")
    with pytest.raises((CommandError, ValueError), match="Trigger URI must be"):
        manage(name, "nope")


def test_an_unknown_database_is_refused():
    with pytest.raises(Exception, match="nowhere"):
        manage("ls", "-d", "nowhere")


# --- Databases and schemas -------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-d", "--database"])
@pytest.mark.django_db(databases=["default", "other"])
def test_a_database_can_be_named(option):
    manage("uninstall", URI, option, "other")
    assert definitions(TABLE, "other") == {}
    assert ls(URI, option, "other") == {URI: ("UNINSTALLED", "N/A")}
    assert ls(URI) == {URI: ("INSTALLED", "ENABLED")}
    manage("install", URI, option, "other")
    assert ls(URI, option, "other") == {URI: ("INSTALLED", "ENABLED")}


@pytest.fixture
def tenant(db):
    """A second schema with a table of its own for CannotDelete."""
    run("CREATE SCHEMA tenant")
    run(f"CREATE TABLE tenant.{TABLE} (LIKE public.{TABLE} INCLUDING ALL)")


@pytest.mark.parametrize("option", ["-s", "--schema"])
def test_a_schema_can_be_named(tenant, option):
    assert ls(URI, option, "tenant") == {URI: ("UNINSTALLED", "N/A")}
    assert ls(URI) == {URI: ("INSTALLED", "ENABLED")}
    manage("install", URI, option, "tenant")
    assert ls(URI, option, "tenant") == {URI: ("INSTALLED", "ENABLED")}
    run(f"INSERT INTO tenant.{TABLE} VALUES (1)")
    with refused("Cannot delete rows from"):
        run(f"DELETE FROM tenant.{TABLE}")
    manage("disable", URI, option, "tenant")
    assert ls(URI, option, "tenant") == {URI: ("INSTALLED", "DISABLED")}
    assert ls(URI) == {URI: ("INSTALLED", "ENABLED")}
    manage("uninstall", URI, option, "tenant")
    assert ls(URI, option, "tenant") == {URI: ("UNINSTALLED", "N/A")}
    assert ls(URI) == {URI: ("INSTALLED", "ENABLED")}


def test_schemas_can_be_repeated(tenant):
    both = ("-s", "tenant", "-s", "public")
    assert ls(URI, *both) == {URI: ("UNINSTALLED", "N/A")}
    assert ls(POST, *both) == {POST: ("INSTALLED", "ENABLED")}
    assert ls(URI, "-s", "public", "-s", "tenant") == {URI: ("INSTALLED", "ENABLED")}


def test_uninstalling_in_one_schema_leaves_the_other_working(tenant):
    manage("install", URI, "-s", "tenant")
    manage("uninstall", URI, "-s", "tenant")
    row = CannotDelete.objects.create()
    with refused("Cannot delete rows from"):
        row.delete()


def test_status_and_prune_see_only_visible_tables(tenant):
    leftover = noop()
    with pgtrigger.schema("tenant"):
        leftover.install(CannotDelete)
    pgid = leftover.get_pgid(CannotDelete)
    assert f"{TABLE}:{pgid}" not in ls()
    assert pgtrigger.prunable() == []
    manage("prune")
    assert ls("-s", "tenant")[f"{TABLE}:{pgid}"] == ("PRUNE", "ENABLED")
    manage("prune", "-s", "tenant")
    assert f"{TABLE}:{pgid}" not in ls("-s", "tenant")


# --- Partitions ------------------------------------------------------------------------------


def test_clones_on_partitions_never_show_as_prune(live):
    run("CREATE TABLE contract_partitioned (id int NOT NULL) PARTITION BY RANGE (id)")
    run("CREATE TABLE contract_part_1 PARTITION OF contract_partitioned FOR VALUES FROM (0) TO (9)")
    trigger = live(Partitioned, protects(Update))
    run(
        "CREATE TABLE contract_part_2 PARTITION OF contract_partitioned FOR VALUES FROM (9) TO (19)"
    )
    assert len(definitions("contract_part_1")) == len(definitions("contract_part_2")) == 1
    assert pgtrigger.prunable() == []
    assert [uri for uri, (status, _) in ls().items() if status == "PRUNE"] == []
    manage("prune")
    assert trigger.get_installation_status(Partitioned) == ("INSTALLED", True)
    trigger.unregister(Partitioned)
    assert [table.strip('"') for table, *_ in pgtrigger.prunable()] == ["contract_partitioned"]
    manage("prune")
    assert definitions("contract_partitioned") == definitions("contract_part_1") == {}


def test_triggers_of_others_are_left_alone():
    run(
        "CREATE FUNCTION somebody_elses() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NEW; END'"
    )
    run(
        "CREATE TRIGGER somebody_elses BEFORE UPDATE ON contract_post"
        " FOR EACH ROW EXECUTE FUNCTION somebody_elses()"
    )
    assert not [uri for uri in ls() if "somebody" in uri]
    manage("uninstall")
    manage("prune")
    assert list(definitions(Post._meta.db_table)) == ["somebody_elses"]
