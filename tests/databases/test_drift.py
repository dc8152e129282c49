"""What somebody has changed by hand: seen for what it is, and repaired by what it takes."""

import pytest

import pgtrigger
from databases.place import command, create_table, statements
from databases.press import Page, keep, mark

URI = "press.Page:mark"
REPLACE_FUNCTION = ["CREATE OR REPLACE FUNCTION", "COMMENT ON"]
# The comment is written by a DO block, because it holds a fingerprint.
REPLACE_TRIGGER = ["CREATE OR REPLACE TRIGGER", "DO $pgtrigger$DECLARE"]


@pytest.fixture
def page(database):
    """The table, with no triggers."""
    create_table(Page)
    return database


def install(declare, trigger):
    declare(Page, trigger)
    pgtrigger.install()
    assert command("ls") == [f"INSTALLED ENABLED {trigger.get_uri(Page)}"]
    return trigger


def replace_body(database, body, name="mark"):
    database.sql(
        f"CREATE OR REPLACE FUNCTION {database.function(name)}() RETURNS trigger"
        f" LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
    )


def replace_trigger(database, old, new, name="mark"):
    """The trigger as it is, but for one clause."""
    definition = database.definition(name)
    assert definition.count(old) == 1, definition
    database.sql(
        definition.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER").replace(old, new)
    )


def seen():
    page = Page.objects.create(title="1", body="1", seen=0)
    Page.objects.filter(pk=page.pk).update(title="2", body="2")
    page.refresh_from_db()
    return page.seen


def test_a_body_that_was_replaced_by_hand_is_drift_and_repaired_without_the_table(page, declare):
    trigger = install(declare, mark())
    before, _ = page.everything()
    replace_body(page, "NEW.seen = 77; RETURN NEW;")
    assert command("ls") == [f"DRIFTED ENABLED {URI}"]
    assert trigger.get_installation_status(Page) == ("DRIFTED", True)
    assert seen() == 77

    with statements() as run:
        pgtrigger.install()
    assert run == REPLACE_FUNCTION
    assert command("ls") == [f"INSTALLED ENABLED {URI}"]
    assert page.everything()[0] == before
    assert seen() == 1
    with statements() as run:
        pgtrigger.install()
    assert run == []


def test_a_body_that_differs_only_in_white_space_has_been_replaced_too(page, declare):
    install(declare, mark())
    [(source,)] = page.sql("SELECT prosrc FROM pg_proc WHERE proname LIKE 'pgtrigger%'")
    page.sql(
        f"CREATE OR REPLACE FUNCTION {page.function('mark')}() RETURNS trigger"
        f" LANGUAGE plpgsql AS $_$ {source}$_$"
    )
    assert command("ls") == [f"DRIFTED ENABLED {URI}"]
    page.sql(
        f"CREATE OR REPLACE FUNCTION {page.function('mark')}() RETURNS trigger"
        f" LANGUAGE plpgsql AS $_${source}$_$"
    )
    assert command("ls") == [f"INSTALLED ENABLED {URI}"]


def test_only_the_trigger_that_has_drifted_is_repaired(page, declare):
    declare(Page, mark(), keep())
    pgtrigger.install()
    replace_body(page, "RETURN NEW;")
    assert command("ls") == [f"DRIFTED ENABLED {URI}", "INSTALLED ENABLED press.Page:keep"]
    with statements() as run:
        pgtrigger.install("press.Page:keep")
    assert run == []
    with statements() as run:
        pgtrigger.install()
    assert run == REPLACE_FUNCTION


CLAUSES = {
    "condition": (
        {"condition": pgtrigger.Q(old__title__df=pgtrigger.F("new__title"))},
        "new.title",
        "new.body",
    ),
    "condition literal": (
        {"condition": pgtrigger.Q(new__seen=1)},
        "seen = 1",
        "seen = 2",
    ),
    "events": ({"ignorable": False}, "BEFORE UPDATE", "BEFORE INSERT OR UPDATE"),
    "columns": (
        {"operation": pgtrigger.UpdateOf("title")},
        "UPDATE OF title",
        "UPDATE OF title, body",
    ),
    "other columns": (
        {"operation": pgtrigger.UpdateOf("title")},
        "UPDATE OF title",
        "UPDATE OF body",
    ),
    "no columns": ({"operation": pgtrigger.UpdateOf("title")}, "UPDATE OF title", "UPDATE"),
    "moment": ({}, "BEFORE UPDATE", "AFTER UPDATE"),
    "level": ({"ignorable": False}, "FOR EACH ROW", "FOR EACH STATEMENT"),
    "arguments": ({}, "()", "('x')"),
    "no guard": ({}, "WHEN ((NOT", "WHEN ((true OR NOT"),
    "names of the transition tables": (
        {
            "when": pgtrigger.After,
            "level": pgtrigger.Statement,
            "referencing": pgtrigger.Referencing(old="before", new="after"),
            "func": "RETURN NULL;",
        },
        "OLD TABLE AS before NEW TABLE AS after",
        "OLD TABLE AS after NEW TABLE AS before",
    ),
}


@pytest.mark.parametrize(("declared", "old", "new"), CLAUSES.values(), ids=CLAUSES)
def test_a_clause_that_was_replaced_by_hand_is_drift_and_repaired(
    page, declare, declared, old, new
):
    install(declare, mark(**declared))
    definition = page.definition("mark")
    _, functions = page.everything()
    replace_trigger(page, old, new)
    assert command("ls") == [f"DRIFTED ENABLED {URI}"]

    with statements() as run:
        pgtrigger.install()
    assert run == REPLACE_TRIGGER
    assert command("ls") == [f"INSTALLED ENABLED {URI}"]
    assert page.definition("mark") == definition
    assert page.everything()[1] == functions


def test_a_transition_table_of_the_other_rows_is_drift(page, declare):
    install(
        declare,
        mark(
            when=pgtrigger.After,
            level=pgtrigger.Statement,
            referencing=pgtrigger.Referencing(new="changed"),
            func="RETURN NULL;",
        ),
    )
    replace_trigger(page, "NEW TABLE AS changed", "OLD TABLE AS changed")
    assert command("ls") == [f"DRIFTED ENABLED {URI}"]


def test_a_constraint_trigger_that_was_made_anew_is_repaired(page, declare):
    install(
        declare,
        mark(when=pgtrigger.After, timing=pgtrigger.Deferred, func="RETURN NULL;"),
    )
    definition = page.definition("mark")
    name = definition.split()[3]
    page.sql(
        f"DROP TRIGGER {name} ON press_page",
        definition.replace("INITIALLY DEFERRED", "INITIALLY IMMEDIATE"),
    )
    # With the trigger went the comment, so this one was never ours.
    assert command("ls") == [f"OUTDATED ENABLED {URI}"]
    pgtrigger.install()
    assert command("ls") == [f"INSTALLED ENABLED {URI}"]
    assert page.definition("mark") == definition


def test_a_trigger_that_was_dropped_and_made_anew_is_repaired(page, declare):
    install(declare, mark())
    definition = page.definition("mark")
    name = definition.split()[2]
    page.sql(f"DROP TRIGGER {name} ON press_page")
    assert command("ls") == [f"UNINSTALLED N/A {URI}"]
    page.sql(definition.replace("BEFORE UPDATE", "AFTER UPDATE"))
    assert command("ls") == [f"OUTDATED ENABLED {URI}"]
    with statements() as run:
        pgtrigger.install()
    assert run == REPLACE_TRIGGER
    assert page.definition("mark") == definition


def test_a_trigger_that_calls_another_function_is_brought_back(page, declare):
    install(declare, mark())
    definition = page.definition("mark")
    function = page.function("mark").partition(".")[2].strip('"')
    page.sql(
        "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    )
    replace_trigger(page, f"{function}()", "mine()")
    assert command("ls")[0] != f"INSTALLED ENABLED {URI}"
    pgtrigger.install()
    assert command("ls") == [f"INSTALLED ENABLED {URI}"]
    assert page.definition("mark") == definition
    assert page.functions() == ["public.mine", "public.mark"]


def test_disabled_is_not_drifted(page, declare):
    trigger = install(declare, mark())
    for state, enabled in (("DISABLE", False), ("ENABLE REPLICA", False), ("ENABLE ALWAYS", True)):
        page.sql(f"ALTER TABLE press_page {state} TRIGGER {trigger.get_pgid(Page)}")
        assert trigger.get_installation_status(Page) == ("INSTALLED", enabled)
        with statements() as run:
            pgtrigger.install()
        assert run == []


@pytest.mark.parametrize("state", ["DISABLE", "ENABLE REPLICA", "ENABLE ALWAYS"])
def test_what_is_repaired_stays_enabled_as_it_was(page, declare, state):
    trigger = install(declare, mark())
    page.sql(f"ALTER TABLE press_page {state} TRIGGER {trigger.get_pgid(Page)}")
    [(before,)] = page.sql("SELECT tgenabled::text FROM pg_trigger WHERE tgname LIKE 'pgtrigger%'")
    replace_body(page, "RETURN NEW;")
    assert trigger.get_installation_status(Page)[0] == "DRIFTED"
    pgtrigger.install()
    replace_trigger(page, "BEFORE UPDATE", "BEFORE UPDATE OF title")
    # Postgres has enabled it.
    page.sql(f"ALTER TABLE press_page {state} TRIGGER {trigger.get_pgid(Page)}")
    assert trigger.get_installation_status(Page)[0] == "DRIFTED"
    pgtrigger.install()
    assert trigger.get_installation_status(Page)[0] == "INSTALLED"
    assert page.sql("SELECT tgenabled::text FROM pg_trigger WHERE tgname LIKE 'pgtrigger%'") == [
        (before,)
    ]


def test_renaming_a_column_or_a_table_by_hand_is_no_drift(page, declare):
    title = pgtrigger.Q(old__title__df=pgtrigger.F("new__title"))
    trigger = install(declare, mark(operation=pgtrigger.UpdateOf("title", "body"), condition=title))
    page.sql("ALTER TABLE press_page RENAME title TO headline")
    assert trigger.get_installation_status(Page) == ("INSTALLED", True)
    page.sql("ALTER TABLE press_page RENAME TO sheet")
    assert trigger.get_installation_status(Page) == ("UNINSTALLED", None)
    page.sql("ALTER TABLE sheet RENAME headline TO title", "ALTER TABLE sheet RENAME TO press_page")
    assert trigger.get_installation_status(Page) == ("INSTALLED", True)
    # Drift is still told from that.
    page.sql("ALTER TABLE press_page RENAME title TO headline")
    replace_trigger(page, "UPDATE OF headline, body", "UPDATE OF headline")
    assert trigger.get_installation_status(Page) == ("DRIFTED", True)


def test_what_happens_around_a_trigger_is_no_drift(page, declare):
    trigger = install(
        declare, mark(operation=pgtrigger.UpdateOf("body"), condition=pgtrigger.Q(new__seen=1))
    )
    page.sql(
        "ALTER TABLE press_page DROP COLUMN title",
        "ALTER TABLE press_page ADD COLUMN title text DEFAULT ''",
        "CREATE INDEX ON press_page (title)",
        "VACUUM FULL press_page",
        "ANALYZE press_page",
        "GRANT SELECT ON press_page TO PUBLIC",
        f"REVOKE EXECUTE ON FUNCTION {page.function('mark')}() FROM PUBLIC",
    )
    assert trigger.get_installation_status(Page) == ("INSTALLED", True)


def test_one_part_of_a_trigger_that_drifts_is_repaired_alone(page, declare):
    install(
        declare,
        mark(
            when=pgtrigger.After,
            level=pgtrigger.Statement,
            operation=pgtrigger.Update | pgtrigger.Delete,
            referencing=pgtrigger.Referencing(old="before"),
            func="RETURN NULL;",
        ),
    )
    before = page.everything()[0]
    [deleting] = [row for row in before if "AFTER DELETE" in row[6]]
    page.sql(
        deleting[6]
        .replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER")
        .replace(" AS before", " AS gone")
    )
    assert command("ls") == [f"DRIFTED ENABLED {URI}"]
    with statements() as run:
        pgtrigger.install()
    assert run == REPLACE_TRIGGER
    after = page.everything()[0]
    assert [row[6:] for row in after] == [row[6:] for row in before]
    assert len([row for row in after if row in before]) == 1


def test_a_drifted_trigger_can_be_disabled_and_removed(page, declare):
    trigger = install(declare, mark())
    replace_body(page, "RETURN NULL;")
    pgtrigger.disable()
    assert trigger.get_installation_status(Page) == ("DRIFTED", False)
    pgtrigger.enable()
    assert trigger.get_installation_status(Page) == ("DRIFTED", True)
    pgtrigger.uninstall()
    assert trigger.get_installation_status(Page) == ("UNINSTALLED", None)
    assert page.functions() == []


def test_a_declaration_that_changed_after_the_drift_is_outdated_and_then_installed(page, declare):
    trigger = install(declare, mark())
    replace_body(page, "RETURN NEW;")
    trigger.func = "NEW.seen = 5; RETURN NEW;"
    assert trigger.get_installation_status(Page) == ("OUTDATED", True)
    pgtrigger.install()
    assert trigger.get_installation_status(Page) == ("INSTALLED", True)
    assert seen() == 5
