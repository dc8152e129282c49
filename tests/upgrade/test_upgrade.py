"""From django-pgtrigger to pgtrigger: the real package writes the files and fills the database.

No module of that package is imported here; it runs in an environment of its own.
"""

import re
from dataclasses import replace

import pytest

from upgrade.driver import APPS, DISABLED

pytestmark = pytest.mark.slow

# What the smallest change of a trigger that is there already consists of.
SMALL = ("CREATE OR REPLACE FUNCTION", "COMMENT ON ", "CREATE OR REPLACE TRIGGER", "DROP FUNCTION")
CONSTRAINTS = ["in_the_end", "at_once"]


def statuses(site):
    return {status for status, _ in site.listed().values()}


def new_migrations(after, before):
    """The operations of the migrations that were added, by app."""
    added = {
        app: [name for name in names if name not in before.migrations()[app]]
        for app, names in after.migrations().items()
    }
    return {
        app: [
            re.findall(
                r"^ {8}(?:pgtrigger\.)?migrations\.(\w+)\(",
                (after.directory / app / "migrations" / f"{name}.py").read_text(),
                re.MULTILINE,
            )
            for name in names
        ]
        for app, names in added.items()
        if names
    }


def definitions(site):
    return {name: definition for name, (_, definition, *_) in site.triggers().items()}


def is_constraint(name):
    return any(f"pgtrigger_{constraint}_" in name for constraint in CONSTRAINTS)


# --- The old package ---------------------------------------------------------------------------


def test_what_the_old_package_leaves_is_what_these_tests_are_about(migrated_by_old):
    assert migrated_by_old.broken() == []
    written = "".join(
        path.read_text() for path in migrated_by_old.directory.glob("*/migrations/0*.py")
    )
    for text in (
        "pgtrigger.migrations.AddTrigger(",
        "pgtrigger.migrations.RemoveTrigger(",
        "pgtrigger.compiler.Trigger(",
        "level='STATEMENT'",
        "REFERENCING OLD TABLE AS before",
        "DEFERRABLE INITIALLY DEFERRED",
        "DEFERRABLE INITIALLY IMMEDIATE",
        "declare='DECLARE size INTEGER;",
        "INSTEAD OF",
        "UPDATE OF",
        "migrations.DeleteModel(",
        "migrations.AlterField(",
        "migrations.RenameModel(",
    ):
        assert text in written
    assert all(migrated_by_old.migrations().values())
    assert all(migrated_by_old.rows()[table] for table in ("store_order", '"Store_Ledger"'))


# --- On an empty database ----------------------------------------------------------------------


def test_its_files_apply_on_an_empty_database(fresh):
    assert statuses(fresh) <= {"INSTALLED", "OUTDATED"}
    assert fresh.broken() == []


def test_on_an_empty_database_no_function_is_left_without_a_trigger(fresh, fresh_upgraded):
    for site in (fresh, fresh_upgraded):
        assert site.uncalled() == set()


def test_one_more_migration_makes_a_new_database_complete(fresh, fresh_upgraded):
    for app, migrations in new_migrations(fresh_upgraded, fresh).items():
        assert app in APPS
        assert [set(operations) for operations in migrations] == [{"AlterTrigger"}]
    assert statuses(fresh_upgraded) == {"INSTALLED"}
    fresh_upgraded.manage("makemigrations", "--check", "--dry-run")
    assert fresh_upgraded.broken() == []


def test_old_and_new_databases_end_up_with_the_same_triggers(fresh_upgraded, upgraded):
    assert definitions(upgraded) == definitions(fresh_upgraded)
    assert {*upgraded.functions()} - upgraded.uncalled() == {*fresh_upgraded.functions()}


# --- On a database that the old package has migrated and filled ---------------------------------


def test_after_the_swap_nothing_is_left_to_migrate(swapped):
    rows, triggers = swapped.rows(), swapped.triggers()
    plan = swapped.manage("migrate", "--plan")
    assert not [app for app in APPS if f"{app}." in plan]
    swapped.manage("migrate")
    assert swapped.rows() == rows
    assert swapped.triggers() == triggers


def test_installed_old_triggers_go_on_working_and_obey_our_ignore(abandoned):
    assert abandoned.broken(DISABLED) == []


def test_installed_old_triggers_are_listed_as_outdated(abandoned):
    listed = abandoned.listed()
    assert {status for status, _ in listed.values()} == {"OUTDATED"}
    assert {uri for uri, (_, enabled) in listed.items() if enabled == "DISABLED"} == {*DISABLED}


def test_pruning_after_the_swap_finds_nothing(swapped):
    triggers = swapped.triggers()
    swapped.manage("pgtrigger", "prune")
    assert swapped.triggers() == triggers


def test_the_first_makemigrations_makes_one_migration_for_each_app(upgraded, abandoned):
    added = new_migrations(upgraded, abandoned)
    assert {*added} == {*APPS}
    for migrations in added.values():
        assert [set(operations) for operations in migrations] == [{"AlterTrigger"}]
    assert sum(len(operations) for (operations,) in added.values()) == len(upgraded.listed())


def test_the_second_makemigrations_makes_none(upgraded):
    assert "No changes detected" in upgraded.manage("makemigrations", "--check", "--dry-run")


def test_the_first_migration_changes_each_trigger_by_the_smallest_statements(upgraded, abandoned):
    log = (upgraded.directory / "statements.log").read_text()
    statements = [
        line for line in log.splitlines() if re.match("(CREATE|DROP|COMMENT|ALTER) ", line)
    ]
    count = len(upgraded.listed())
    assert len([s for s in statements if s.startswith("CREATE OR REPLACE FUNCTION")]) == count
    assert len([s for s in statements if s.startswith("DROP FUNCTION")]) == count
    others = [s for s in statements if not s.startswith(SMALL)]
    # A constraint trigger cannot be replaced; a new trigger is not disabled by itself.
    assert sorted(s.split()[0:2] for s in others) == sorted(
        [["DROP", "TRIGGER"], ["CREATE", "CONSTRAINT"]] * len(CONSTRAINTS)
        + [["ALTER", "TABLE"]] * len(DISABLED)
    )


def test_triggers_are_replaced_rather_than_dropped(upgraded, abandoned):
    before, after = abandoned.triggers(), upgraded.triggers()
    assert {*after} == {*before}
    replaced = {name for name in before if before[name][0] == after[name][0]}
    assert {name for name in before if name not in replaced} == {
        name for name in before if is_constraint(name)
    }


def test_after_the_first_migration_every_trigger_is_installed_and_works(upgraded):
    assert statuses(upgraded) == {"INSTALLED"}
    assert upgraded.broken(DISABLED) == []


def test_triggers_that_were_disabled_stay_disabled(upgraded):
    listed = upgraded.listed()
    assert {uri for uri, (_, enabled) in listed.items() if enabled == "DISABLED"} == {*DISABLED}


def test_the_first_migration_leaves_the_rows_alone(upgraded, abandoned):
    assert upgraded.rows() == abandoned.rows()


def test_the_functions_of_the_old_triggers_are_gone(upgraded, abandoned):
    # The old package leaves those of triggers that it removes; see the next test.
    assert upgraded.uncalled() == abandoned.uncalled()


def test_functions_that_the_old_package_left_behind_can_be_pruned(swapped):
    assert swapped.uncalled()
    swapped.manage("pgtrigger", "prune")
    assert swapped.uncalled() == set()


def test_files_that_the_old_package_has_not_applied_yet_apply_after_the_swap(
    releases, migrated_by_old, copy, upgraded
):
    site = copy(replace(migrated_by_old, url=releases[0].url))
    site.manage("migrate")
    assert statuses(site) <= {"INSTALLED", "OUTDATED"}
    assert site.broken() == []
    site.manage("makemigrations")
    site.manage("migrate")
    assert definitions(site) == definitions(upgraded)
    assert statuses(site) == {"INSTALLED"}
    assert site.uncalled() == set()


# --- By the command instead of migrations -------------------------------------------------------


def test_the_install_command_upgrades_every_trigger(swapped, abandoned):
    swapped.manage("pgtrigger", "install")
    listed = swapped.listed()
    assert {status for status, _ in listed.values()} == {"INSTALLED"}
    assert {uri for uri, (_, enabled) in listed.items() if enabled == "DISABLED"} == {*DISABLED}
    assert swapped.rows() == abandoned.rows()
    assert swapped.uncalled() <= abandoned.uncalled()
    assert swapped.broken(DISABLED) == []


def test_migrations_after_the_install_command_change_nothing(swapped, abandoned):
    swapped.manage("pgtrigger", "install")
    triggers = swapped.triggers()
    swapped.manage("makemigrations")
    assert all(len(names) == 1 for names in new_migrations(swapped, abandoned).values())
    swapped.manage("migrate")
    assert swapped.triggers() == triggers
    swapped.manage("makemigrations", "--check", "--dry-run")


# --- Backwards ----------------------------------------------------------------------------------


@pytest.mark.parametrize("with_our_migration", [False, True])
def test_migrating_to_zero_and_forwards_again(swapped, with_our_migration):
    left_behind = swapped.uncalled()
    if with_our_migration:
        swapped.manage("makemigrations")
        swapped.manage("migrate")
    for app in ("people", "reports", "store"):
        swapped.manage("migrate", app, "zero")
    assert swapped.triggers() == {}
    assert {*swapped.functions()} <= left_behind
    swapped.manage("migrate")
    assert statuses(swapped) <= ({"INSTALLED"} if with_our_migration else {"INSTALLED", "OUTDATED"})
    assert swapped.broken() == []


def test_our_migration_can_be_taken_back(swapped, abandoned):
    swapped.manage("makemigrations")
    swapped.manage("migrate")
    for app, names in abandoned.migrations().items():
        swapped.manage("migrate", app, names[-1])
    assert swapped.rows() == abandoned.rows()
    assert swapped.broken(DISABLED) == []
    swapped.manage("migrate")
    assert statuses(swapped) == {"INSTALLED"}
