"""What nobody declares any more: found wherever it is, and nothing else with it."""

import pytest

import pgtrigger
from databases.place import command, create_table, statements
from databases.press import Page, Reader, keep, mark

BODY = "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
DROP_FUNCTION = ["DROP FUNCTION"]


@pytest.fixture
def page(database, declare):
    """A table with one declared trigger."""
    create_table(Page)
    declare(Page, keep())
    pgtrigger.install()
    return database


DECLARED = ["INSTALLED ENABLED press.Page:keep"]


def forgotten(model, trigger):
    """A trigger that has been installed, and whose declaration is gone."""
    with trigger.register(model):
        pgtrigger.install(trigger.get_uri(model))
    return trigger.get_pgid(model), trigger.get_function_name(model)


def test_a_function_whose_trigger_was_dropped_by_hand_is_found_and_pruned(page):
    pgid, function = forgotten(Page, mark())
    before = page.everything()
    page.sql(f"DROP TRIGGER {pgid} ON press_page")
    assert command("ls") == [*DECLARED, f"PRUNE N/A public.{function}()"]
    assert page.everything()[1] == before[1]
    with statements() as run:
        command("prune")
    assert run == DROP_FUNCTION
    assert page.functions() == ["public.keep"]
    assert command("ls") == DECLARED


def test_a_function_whose_declaration_is_there_is_kept_for_it(page, declare):
    trigger = declare(Page, mark())
    pgtrigger.install()
    page.sql(f"DROP TRIGGER {trigger.get_pgid(Page)} ON press_page")
    assert command("ls") == ["INSTALLED ENABLED press.Page:keep", "UNINSTALLED N/A press.Page:mark"]
    with statements() as run:
        command("prune")
    assert run == []
    assert page.functions() == ["public.keep", "public.mark"]
    command("install")
    assert command("ls") == [
        "INSTALLED ENABLED press.Page:keep",
        "INSTALLED ENABLED press.Page:mark",
    ]


def test_the_functions_of_a_table_that_was_dropped_by_hand_are_pruned(page):
    create_table(Reader)
    _, function = forgotten(Reader, mark())
    _, further = forgotten(Reader, mark(name="more"))
    page.sql("DROP TABLE people_reader")
    assert command("ls") == [
        *DECLARED,
        f"PRUNE N/A public.{function}()",
        f"PRUNE N/A public.{further}()",
    ]
    command("prune")
    assert page.functions() == ["public.keep"]


@pytest.mark.parametrize("subcommand", ["prune", "install", "uninstall"])
def test_the_triggers_of_a_model_that_is_gone_are_pruned_with_their_functions(page, subcommand):
    create_table(Reader)
    pgid, _ = forgotten(Reader, mark())
    assert command("ls") == [*DECLARED, f"PRUNE ENABLED people_reader:{pgid}"]
    command(subcommand)
    assert "public.people_reader:mark" not in page.triggers()
    assert "public.mark" not in page.functions()
    assert page.sql("SELECT to_regclass('people_reader')::text") == [("people_reader",)]
    assert (page.triggers() == []) == (subcommand == "uninstall")


@pytest.mark.parametrize("subcommand", ["install", "uninstall"])
def test_the_setting_keeps_leftovers_until_somebody_prunes(page, settings, subcommand):
    settings.PGTRIGGER_PRUNE_ON_INSTALL = False
    forgotten(Page, mark())
    command(subcommand)
    assert "public.press_page:mark" in page.triggers()
    command("prune")
    assert "public.press_page:mark" not in page.triggers()


def test_a_function_that_a_trigger_of_somebody_elses_calls_stays(page):
    page.sql(
        f"CREATE FUNCTION pgtrigger_something() {BODY}",
        "CREATE TRIGGER by_hand BEFORE UPDATE ON press_page FOR EACH ROW"
        " EXECUTE FUNCTION pgtrigger_something()",
    )
    before = page.everything()
    assert command("ls") == DECLARED
    for subcommand in ("prune", "install"):
        with statements() as run:
            command(subcommand)
        assert run == []
    command("prune", "--all-schemas")
    assert page.everything() == before
    # From here on nobody needs it.
    page.sql("DROP TRIGGER by_hand ON press_page")
    command("prune")
    assert page.functions() == ["public.keep"]


def test_a_leftover_leaves_a_function_to_somebody_elses_trigger(page):
    pgid, function = forgotten(Page, mark())
    page.sql(
        "CREATE TRIGGER by_hand BEFORE INSERT ON press_page FOR EACH ROW"
        f" EXECUTE FUNCTION {function}()"
    )
    assert command("ls") == [*DECLARED, f"PRUNE ENABLED press_page:{pgid}"]
    command("prune")
    assert page.triggers() == ["public.press_page:by_hand", "public.press_page:keep"]
    assert page.functions() == ["public.keep", "public.mark"]


def test_functions_that_are_not_of_triggers_or_not_of_ours_stay(page):
    page.sql(
        "CREATE FUNCTION pgtrigger_one_00000() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION pgtrigger_two_00000() RETURNS event_trigger LANGUAGE plpgsql"
        " AS $$ BEGIN END $$",
        f"CREATE FUNCTION pgtriggerthree() {BODY}",
        f"CREATE FUNCTION mine() {BODY}",
    )
    before = page.everything()
    assert command("ls") == DECLARED
    command("prune", "--all-schemas")
    assert page.everything() == before


def test_a_trigger_of_somebody_elses_stays_whatever_it_is_like(page):
    page.sql(
        f"CREATE FUNCTION mine() {BODY}",
        "CREATE TRIGGER pgtriggerish BEFORE UPDATE ON press_page EXECUTE FUNCTION mine()",
        "CREATE TRIGGER mine BEFORE UPDATE ON press_page EXECUTE FUNCTION mine()",
    )
    before = page.everything()
    command("prune", "--all-schemas")
    assert page.everything() == before


def test_names_that_need_quotes_are_pruned(page):
    odd = '"pgtrigger_odd "" name"'
    page.sql(
        'CREATE SCHEMA "Odd ""schema"',
        'CREATE TABLE "Odd ""schema"."a.table" (id int)',
        f'CREATE FUNCTION "Odd ""schema".{odd}() {BODY}',
        f'CREATE TRIGGER {odd} BEFORE UPDATE ON "Odd ""schema"."a.table" FOR EACH ROW'
        f' EXECUTE FUNCTION "Odd ""schema".{odd}()',
        f'CREATE FUNCTION "Odd ""schema"."pgtrigger_%s"() {BODY}',
    )
    assert command("ls", "--all-schemas") == [
        f"{DECLARED[0]} public",
        'PRUNE ENABLED a.table:pgtrigger_odd " name Odd "schema',
        'PRUNE N/A Odd "schema.pgtrigger_%s() Odd "schema',
    ]
    command("prune", "--all-schemas")
    assert page.functions() == ["public.keep"]
    assert page.triggers() == ["public.press_page:keep"]


def test_a_partitioned_leftover_is_pruned_once(page):
    page.sql(
        "CREATE TABLE event (day int, seen int) PARTITION BY LIST (day)",
        "CREATE TABLE event_1 PARTITION OF event FOR VALUES IN (1)",
        "CREATE TABLE event_2 PARTITION OF event FOR VALUES IN (2)",
        f"CREATE FUNCTION pgtrigger_old_00000() {BODY}",
        "CREATE TRIGGER pgtrigger_old_00000 BEFORE UPDATE ON event FOR EACH ROW"
        " EXECUTE FUNCTION pgtrigger_old_00000()",
    )
    assert command("ls") == [*DECLARED, "PRUNE ENABLED event:pgtrigger_old_00000"]
    with statements() as run:
        command("prune")
    assert run == ["DROP TRIGGER", "DROP FUNCTION"]
    assert page.triggers() == ["public.press_page:keep"]
