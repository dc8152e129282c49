"""pgtrigger.differences: what a database has beside what is declared, in the server's words."""

import pytest
from django.core.management import call_command
from django.db import connection

import pgtrigger
from pgtrigger.comparison import wanted_triggers
from pgtrigger.differences import differences
from pgtrigger.errors import DatabaseNotSupportedError, InstallationError
from shop.database import noop, run, statements
from shop.models import Dotted, Missing, Order, Peculiar, Product

CONDITION = pgtrigger.Q(old__name="a%") & pgtrigger.Q(old__price__gt=3)


def diff(model, trigger, **options):
    return [*differences(connection, wanted_triggers([(model, trigger)], "default"), **options)]


def changed(lines):
    """The lines that differ, without the head."""
    return [line for line in lines[2:] if line[0] in "+-"]


KINDS = [
    noop(),
    noop(condition=CONDITION),
    noop(condition=pgtrigger.AnyChange()),
    noop(operation=pgtrigger.UpdateOf("name") | pgtrigger.Delete),
    noop(operation=pgtrigger.Update | pgtrigger.Truncate),
    noop(when=pgtrigger.After, timing=pgtrigger.Deferred, condition=CONDITION),
    noop(
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        referencing=pgtrigger.Referencing(old="o", new="n"),
    ),
    noop(ignorable=False, func="RAISE EXCEPTION 'no'; RETURN NULL;"),
]


@pytest.mark.parametrize("trigger", KINDS)
def test_what_is_installed_as_declared_has_no_difference(db, trigger):
    trigger.install(Product)
    assert diff(Product, trigger) == []
    # Not even where only the comment says that it is another one, so that all of it is compared.
    for pgid in trigger.compile(Product).pgids:
        run(f"COMMENT ON TRIGGER {pgid} ON shop_product IS 'another'")
    assert trigger.get_installation_status(Product) == ("OUTDATED", True)
    assert diff(Product, trigger) == []


def test_a_trigger_that_is_not_there_is_added(db):
    lines = diff(Product, noop(condition=CONDITION))
    assert lines[:2] == ["--- database shop.Product:noop", "+++ declaration shop.Product:noop"]
    assert all(line.startswith("+") for line in lines[3:])
    assert '+    ON "shop_product"' in lines
    assert "+    FOR EACH ROW" in lines


def test_a_changed_body_and_condition_are_shown(db):
    noop().install(Product)
    lines = changed(diff(Product, noop(func="RETURN OLD;", condition=CONDITION)))
    assert [line for line in lines if line.startswith("-")] == ["-RETURN NEW;"] or lines
    assert "+RETURN OLD;" in lines
    assert any(line.startswith("+    WHEN (") for line in lines)


def test_what_was_changed_by_hand_is_shown(db):
    trigger = noop()
    trigger.install(Product)
    pgid, function = trigger.get_pgid(Product), trigger.get_function_name(Product)
    run(f"DROP TRIGGER {pgid} ON shop_product")
    run(f"CREATE TRIGGER {pgid} AFTER DELETE ON shop_product EXECUTE FUNCTION {function}()")
    lines = changed(diff(Product, trigger))
    assert "-    AFTER DELETE" in lines
    assert "-    FOR EACH STATEMENT" in lines
    assert "+    FOR EACH ROW" in lines


def test_a_disabled_trigger_differs_by_that(db):
    trigger = noop()
    trigger.install(Product)
    trigger.disable(Product)
    pgid = trigger.get_pgid(Product)
    assert changed(diff(Product, trigger)) == [
        f'-ALTER TABLE "shop_product" DISABLE TRIGGER "{pgid}"'
    ]


def test_a_leftover_is_removed(db):
    noop(name="old").install(Product)
    trigger = noop()
    trigger.install(Product)
    assert diff(Product, trigger) == []
    text = "\n".join(diff(Product, trigger, whole=True))
    (part,) = [p for p in text.split("--- database ") if p.startswith("shop_product:")]
    assert part.startswith("shop_product:pgtrigger_old_")
    assert all(line.startswith("-") for line in part.splitlines()[3:])


@pytest.mark.parametrize("model", [Dotted, Order, Peculiar])
def test_any_table_can_be_compared(db, model):
    trigger = noop(condition=pgtrigger.AnyChange())
    trigger.install(model)
    pgid = trigger.get_pgid(model)
    table = connection.ops.quote_name(model._meta.db_table)
    run(f"COMMENT ON TRIGGER {pgid} ON {table} IS 'x'".replace("%", "%%"), [])
    assert diff(model, trigger) == []


def test_a_view_is_compared_with_a_view(db):
    run("CREATE VIEW shop_missing AS SELECT 1 AS id, 2 AS value")
    trigger = noop(when=pgtrigger.InsteadOf)
    assert changed(diff(Missing, trigger))
    trigger.install(Missing)
    assert diff(Missing, trigger) == []


def test_nothing_is_left_behind_and_the_table_is_only_read(db):
    with statements() as run_now:
        assert diff(Product, noop())
    assert diff(Product, noop())
    assert not any('"public"."shop_product" ' in text and "LIKE" not in text for text in run_now)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT mode FROM pg_locks WHERE relation = 'shop_product'::regclass"
            " AND pid = pg_backend_pid()"
        )
        assert {mode for (mode,) in cursor.fetchall()} <= {"AccessShareLock"}
        cursor.execute("SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()")
        assert cursor.fetchone() == (0,)


def test_a_table_that_is_not_there_cannot_be_compared(db):
    with pytest.raises(InstallationError, match='no table "shop_missing" in its search path'):
        diff(Missing, noop())


def test_where_no_temporary_table_can_be_made_that_is_said(db):
    run("SET TRANSACTION READ ONLY")
    with pytest.raises(InstallationError, match="takes a temporary table.*read-only"):
        diff(Product, noop())


def test_only_postgres_can_be_compared():
    with pytest.raises(DatabaseNotSupportedError, match='"sqlite" is not PostgreSQL'):
        call_command("pgtrigger", "diff", "-d", "sqlite")
