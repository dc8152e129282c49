"""Contract, section 14: where we differ from the existing package on purpose."""

import io

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

import pgtrigger
from contract.evolution import Evolution
from contract.helpers import (
    Delete,
    Insert,
    Truncate,
    Update,
    definitions,
    noop,
    protects,
    refused,
    run,
    trigger_functions,
)
from contract.models import Order, Thing

pytestmark = pytest.mark.django_db
LEVELS = pytest.mark.parametrize(
    "level", [pgtrigger.Row, pgtrigger.Statement], ids=["row", "statement"]
)


def sqlstate(error):
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or cause.pgcode


# --- Violations ------------------------------------------------------------------------------

VIOLATIONS = {
    "protect": lambda level: protects(Update, level=level),
    "conditional protect": lambda level: protects(
        Update, level=level, condition=pgtrigger.AnyChange("flag")
    ),
    "read only": lambda level: pgtrigger.ReadOnly(name="protects", level=level, fields=["flag"]),
}


@LEVELS
@pytest.mark.parametrize("make", VIOLATIONS.values(), ids=VIOLATIONS)
def test_violations_are_integrity_errors_with_diagnostics(live, make, level):
    Thing.objects.create()
    trigger = live(Thing, make(level))
    with refused("Cannot update rows from contract_thing table", error=IntegrityError) as info:
        Thing.objects.update(flag=False)
    assert sqlstate(info.value).startswith("23")
    diagnostics = info.value.__cause__.diag
    assert diagnostics.table_name == "contract_thing"
    assert diagnostics.schema_name == "public"
    assert diagnostics.constraint_name == trigger.get_pgid(Thing)


@LEVELS
def test_violations_have_a_hint(live, level):
    """DESIGN, section 5."""
    Thing.objects.create()
    live(Thing, protects(Update, level=level))
    with refused("Cannot update rows from") as info:
        Thing.objects.update(flag=False)
    assert info.value.__cause__.diag.message_hint


def test_a_read_only_field_is_named_as_the_column(live):
    """DESIGN, section 5: COLUMN where one is meant."""
    Thing.objects.create()
    live(Thing, pgtrigger.ReadOnly(name="r", fields=["flag"]))
    with refused("Cannot update rows from") as info:
        Thing.objects.update(flag=False)
    assert info.value.__cause__.diag.column_name == "flag"


@LEVELS
def test_errcode_brings_the_old_code_back(live, settings, level):
    settings.PGTRIGGER_ERRCODE = "P0001"
    Thing.objects.create()
    live(Thing, protects(Update, level=level))
    with refused("Cannot update rows from contract_thing table") as info:
        Thing.objects.update(flag=False)
    assert not isinstance(info.value, IntegrityError)
    assert sqlstate(info.value) == "P0001"


def test_errcode_is_read_at_run_time(settings):
    trigger = protects(Update)
    trigger.install(Thing)
    settings.PGTRIGGER_ERRCODE = "P0001"
    assert trigger.get_installation_status(Thing)[0] == "OUTDATED"


def test_a_violation_tells_who_what_where(live):
    """DESIGN, section 5."""
    Thing.objects.create()
    trigger = live(Thing, protects(Update | Delete))
    with refused("Cannot delete rows from") as info:
        Thing.objects.all().delete()
    violation = pgtrigger.violation(info.value)
    assert violation.model is Thing
    assert violation.trigger is trigger
    assert violation.uri == "contract.Thing:protects"
    assert "Cannot delete rows from contract_thing table" in violation.message
    assert str(violation.operation) == "DELETE"


def test_other_errors_are_no_violations():
    thing = Thing.objects.create()
    with refused("duplicate key") as info:
        run(f"INSERT INTO contract_thing (id, int_field, flag) VALUES ({thing.pk}, 1, true)")
    assert pgtrigger.violation(info.value) is None


# --- Truncate --------------------------------------------------------------------------------


def test_protect_works_for_truncate_at_statement_level_by_itself(live):
    trigger = live(Thing, protects(Truncate))
    with refused("Cannot truncate .*contract_thing", error=IntegrityError):
        run("TRUNCATE contract_thing CASCADE")
    (found,) = definitions("contract_thing").values()
    assert "FOR EACH STATEMENT" in found
    assert trigger.get_installation_status(Thing) == ("INSTALLED", True)


@LEVELS
def test_truncate_beside_other_operations_is_one_trigger(live, level):
    trigger = protects(Delete | Truncate, level=level)
    live(Thing, trigger)
    before = trigger_functions()
    assert len([name for name in before if "protects" in name]) == 1
    Thing.objects.create()
    for sql in ("DELETE FROM contract_thing", "TRUNCATE contract_thing CASCADE"):
        with refused("contract_thing", error=IntegrityError):
            run(sql)
    with pgtrigger.ignore("contract.Thing:protects"):
        run("TRUNCATE contract_thing CASCADE")
    trigger.disable(Thing)
    assert trigger.get_installation_status(Thing) == ("INSTALLED", False)
    run("TRUNCATE contract_thing CASCADE")
    trigger.enable(Thing)
    with refused("contract_thing"):
        run("TRUNCATE contract_thing CASCADE")
    assert pgtrigger.prunable() == []
    trigger.uninstall(Thing)
    assert definitions("contract_thing") == {}


def test_a_part_that_is_missing_makes_the_trigger_outdated(live):
    trigger = live(Thing, protects(Delete | Truncate))
    names = definitions("contract_thing")
    assert len(names) == 2
    run(f'DROP TRIGGER "{max(names)}" ON contract_thing')
    assert trigger.get_installation_status(Thing)[0] == "OUTDATED"
    trigger.install(Thing)
    assert trigger.get_installation_status(Thing) == ("INSTALLED", True)
    assert definitions("contract_thing") == names


def test_the_leftover_of_a_trigger_with_parts_is_pruned_entirely():
    trigger = protects(Delete | Truncate)
    trigger.install(Thing)
    assert pgtrigger.prunable()
    pgtrigger.prune()
    assert definitions("contract_thing") == {}
    assert not [name for name in trigger_functions() if "protects" in name]


# --- ls --------------------------------------------------------------------------------------


def test_ls_has_no_colours_on_a_pipe():
    out = io.StringIO()
    call_command("pgtrigger", "ls", stdout=out)
    assert "\x1b" not in out.getvalue()


def test_ls_has_colours_on_a_terminal(tmp_path, empty_database):
    project = Evolution(tmp_path, empty_database)
    project.models(
        """
        class M(models.Model):
            class Meta:
                triggers = [pgtrigger.Protect(name="guard", operation=pgtrigger.Delete)]
        """
    )
    assert "\x1b[" in project.on_a_terminal("pgtrigger", "ls")


# --- Installation ----------------------------------------------------------------------------


def ddl(queries):
    words = ("CREATE", "ALTER", "DROP", "COMMENT")
    statements = [query["sql"] for query in queries.captured_queries]
    return [sql for sql in statements if any(word in sql.upper() for word in words)]


@pytest.mark.parametrize("model", [Thing, Order])
def test_installing_an_unchanged_trigger_does_nothing(model):
    trigger = protects(Insert | Update)
    trigger.install(model)
    with CaptureQueriesContext(connection) as queries:
        trigger.install(model)
    assert ddl(queries) == []


def test_installing_all_unchanged_triggers_takes_one_catalog_query():
    pgtrigger.install()
    with CaptureQueriesContext(connection) as queries:
        pgtrigger.install()
    assert ddl(queries) == []
    assert len([query for query in queries.captured_queries if "pg_trigger" in query["sql"]]) == 1


def test_an_unchanged_disabled_trigger_stays_disabled():
    trigger = noop()
    trigger.install(Thing)
    trigger.disable(Thing)
    trigger.install(Thing)
    assert trigger.get_installation_status(Thing) == ("INSTALLED", False)


def test_a_changed_body_only_replaces_the_function():
    noop().install(Thing)
    with CaptureQueriesContext(connection) as queries:
        noop(func="NEW.flag = false; RETURN NEW;").install(Thing)
    statements = ddl(queries)
    assert any("CREATE OR REPLACE FUNCTION" in sql for sql in statements)
    assert not any("CREATE OR REPLACE TRIGGER" in sql for sql in statements)
    assert not any("DROP" in sql.upper().split() for sql in statements)


@pytest.mark.parametrize("when", [pgtrigger.Before, pgtrigger.After])
def test_removing_a_trigger_removes_its_function(when):
    before = trigger_functions("%")
    trigger = noop(when=when)
    trigger.install(Thing)
    trigger.uninstall(Thing)
    assert trigger_functions("%") == before


def test_a_failing_installation_leaves_the_old_trigger():
    """Never a half-installed trigger (issue 2)."""
    noop(func="RAISE EXCEPTION 'old one';").install(Thing)
    Thing.objects.create()
    broken = noop(func="RETURN NEW; END; this is no plpgsql")
    with pytest.raises(DatabaseError), transaction.atomic():
        broken.install(Thing)
    with refused("old one"):
        Thing.objects.update(flag=False)
