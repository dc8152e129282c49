"""pgtrigger.agreement: the server has the wanted settings whenever a statement could tell."""

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    connection,
    connections,
    transaction,
)

import pgtrigger
from pgtrigger.agreement import Agreement, agreement_of
from pgtrigger.session import local_settings
from shop.database import logged, logs, refused, rows, run, statements, value
from shop.models import Log, Order

URI = "shop.Order:keep"
# Postgres remembers a setting that was once there as an empty one.
READ = "coalesce(nullif(current_setting('shop.reason', true), ''), 'none')"
IGNORED = "SELECT current_setting('pgtrigger.ignore', true) FROM pg_class LIMIT 1"
psycopg3 = pytest.mark.skipif("not hasattr(__import__('sys').modules.get('psycopg'), 'Pipeline')")


@pytest.fixture
def order(autocommit_live):
    trigger = pgtrigger.Protect(name="keep", operation=pgtrigger.Delete | pgtrigger.Update)
    autocommit_live(Order, trigger)
    return Order.objects.create(total=1)


# --- In autocommit ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE "user" SET "Total" = 5',
        'UPDATE "user" SET "Total" = 5;',
        'SELECT 1; UPDATE "user" SET "Total" = 5',
        'WITH x AS (UPDATE "user" SET "Total" = 5 RETURNING 1) SELECT * FROM x',
        'DO $$ BEGIN UPDATE "user" SET "Total" = 5; END $$',
        'DO $$ BEGIN UPDATE "user" SET "Total" = 5; END $$; SELECT 1',
        'EXPLAIN ANALYZE UPDATE "user" SET "Total" = 5',
        'MERGE INTO "user" USING (VALUES (1)) x ON true WHEN MATCHED THEN UPDATE SET "Total" = 5',
    ],
)
def test_a_write_runs_with_its_settings_and_leaves_nothing(order, statement):
    with pgtrigger.ignore(URI):
        run(statement)
        assert Order.objects.get().total == 5
    with pytest.raises(IntegrityError):
        run(statement)
    assert not value(IGNORED)


def test_a_write_of_several_rows_runs_with_its_settings(order):
    with pgtrigger.ignore(URI), connection.cursor() as cursor:
        cursor.executemany(
            'UPDATE "user" SET "Total" = %s WHERE id = %s', [(i, order.pk) for i in (7, 8)]
        )
    assert Order.objects.get().total == 8


def test_results_and_counts_are_the_statements_own(order):
    with pgtrigger.ignore(URI), connection.cursor() as cursor:
        cursor.execute('UPDATE "user" SET "Total" = 6 RETURNING "Total", id')
        assert cursor.fetchall() == [(6, order.pk)]
        assert cursor.rowcount == 1
        assert [item[0] for item in cursor.description] == ["Total", "id"]
        cursor.execute("SELECT %s || %s", ["100%", "x"])
        assert cursor.fetchone() == ("100%x",)
    with pgtrigger.ignore(URI):
        assert Order.objects.filter(pk=order.pk).update(total=7) == 1
        assert Order.objects.get().delete() == (1, {"shop.Order": 1})


@pytest.mark.parametrize(
    "statement", ["VACUUM shop_log", "CREATE INDEX CONCURRENTLY i ON shop_log (text)"]
)
def test_what_refuses_a_transaction_runs_inside_ignore_and_schema(order, statement):
    with pgtrigger.ignore(URI):
        run(statement)
    run("DROP INDEX IF EXISTS i")
    with pgtrigger.schema("public", "pg_temp"):
        run(statement)
    run("DROP INDEX IF EXISTS i")
    assert "pg_temp" not in value("SHOW search_path")


def test_settings_around_a_statement_without_a_transaction_go_also_when_it_fails(order):
    with pgtrigger.schema("shop_nowhere"), pytest.raises(DatabaseError):
        run("VACUUM shop_log")
    assert "shop_nowhere" not in value("SHOW search_path")


def test_transactions_by_hand_are_left_to_the_caller(order):
    with pgtrigger.ignore(URI):
        run("BEGIN")
        run('UPDATE "user" SET "Total" = 5')
        run("ROLLBACK")
        assert Order.objects.get().total == 1
        run("BEGIN")
        run('UPDATE "user" SET "Total" = 6')
        run("COMMIT")
    assert Order.objects.get().total == 6
    with pytest.raises(IntegrityError):
        Order.objects.update(total=7)


def test_a_read_sends_nothing_else(order, monkeypatch):
    seen = []
    with pgtrigger.ignore(URI):
        with connection.execute_wrapper(lambda e, *a: seen.append(a[0]) or e(*a)):
            assert Order.objects.count() == 1
            assert value("SELECT txid_current_if_assigned() FROM pg_class LIMIT 1") is None
        assert not value(IGNORED)
    assert len(seen) == 2


def test_a_read_sees_the_search_path(order):
    run("CREATE SCHEMA IF NOT EXISTS shop_s")
    try:
        run("CREATE TABLE shop_s.shop_log (id int, text text)")
        with pgtrigger.schema("shop_s"):
            assert rows("SELECT count(*) FROM shop_log") == [(0,)]
            assert value("SHOW search_path") == "shop_s"
        Log.objects.create(text="x")
        assert rows("SELECT count(*) FROM shop_log") == [(1,)]
    finally:
        run("DROP SCHEMA shop_s CASCADE")


def test_an_iterator_of_the_server_works_in_and_after_the_context(order):
    with pgtrigger.schema("public"):
        iterator = Order.objects.iterator(chunk_size=1)
        assert next(iterator).total == 1
    assert [*iterator] == []
    with transaction.atomic(), pgtrigger.ignore(URI):
        assert [o.total for o in Order.objects.iterator()] == [1]


def test_the_statement_is_the_callers_to_see_and_to_count(order):
    with pgtrigger.ignore(URI), statements() as found:
        run('UPDATE "user" SET "Total" = 5')
        Order.objects.filter(pk=0).delete()
    assert len([text for text in found if "set_config" in text]) == 0
    assert found[0] == 'UPDATE "user" SET "Total" = 5'


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize(
    ("statement", "error", "sqlstate"),
    [
        ("INSERT INTO shop_maker (code, country) VALUES ('dup', 'NL')", IntegrityError, "23505"),
        ("UPDATE shop_maker SET code = NULL", IntegrityError, "23502"),
        ("INSERT INTO nothing VALUES (1)", DatabaseError, "42P01"),
        ("SELECT 1; SELECT 1/0", DatabaseError, "22012"),
        ("UPDATE", DatabaseError, "42601"),
    ],
)
def test_errors_keep_their_class_and_their_code(order, atomic, statement, error, sqlstate):
    run("INSERT INTO shop_maker (code, country) VALUES ('dup', 'NL')")
    with pytest.raises(error) as caught, pgtrigger.ignore(URI):
        if atomic:
            with transaction.atomic():
                run(statement)
        else:
            run(statement)
    cause = caught.value.__cause__
    assert (getattr(cause, "sqlstate", None) or cause.pgcode) == sqlstate
    assert value("SELECT 1") == 1


def test_a_statement_that_fails_in_autocommit_leaves_no_transaction_open(order):
    for text in ("UPDATE nothing SET a = 1", "SELECT 1; UPDATE nothing SET a = 1"):
        with pgtrigger.ignore(URI), pytest.raises(DatabaseError):
            run(text)
        assert connection.connection.info.transaction_status == 0


# --- In a transaction -------------------------------------------------------------------------


def test_the_settings_are_written_once_for_each_change(order):
    with transaction.atomic():
        with pgtrigger.ignore(URI):
            Order.objects.update(total=2)
            applied = agreement_of(connections["default"]).applied
            assert [*applied] == ["pgtrigger.ignore"]
            Order.objects.update(total=3)
            assert agreement_of(connections["default"]).applied is applied
        with refused("Cannot update"):
            Order.objects.update(total=4)


def test_savepoints_by_hand_are_noticed(order):
    with transaction.atomic():
        run("SAVEPOINT outside")
        with pgtrigger.ignore(URI):
            run("SAVEPOINT inside")
            Order.objects.update(total=2)
            run("ROLLBACK TO SAVEPOINT inside")
            Order.objects.update(total=3)
            run("ROLLBACK TO SAVEPOINT outside")
            Order.objects.update(total=4)
            run(b"ROLLBACK TO SAVEPOINT outside")
            Order.objects.update(total=5)
            run("RELEASE SAVEPOINT outside")
        with refused("Cannot update"):
            Order.objects.update(total=6)
    assert Order.objects.get().total == 5


def test_a_rollback_around_the_context_does_not_bring_it_back(order):
    with transaction.atomic():
        with pgtrigger.ignore(URI):
            run("SAVEPOINT inside")
            Order.objects.update(total=2)
        run("ROLLBACK TO SAVEPOINT inside")  # the server now has the setting of the context again
        with refused("Cannot update"):
            Order.objects.update(total=3)


def test_a_failed_transaction_is_left_alone(order):
    with pytest.raises(DatabaseError, match="aborted"), transaction.atomic():
        with pgtrigger.ignore(URI):
            with pytest.raises(DatabaseError):
                run("SELECT 1/0")
            run("SELECT 1")
    with pytest.raises(IntegrityError):
        Order.objects.update(total=3)


def test_each_transaction_begins_without_settings(order):
    with pgtrigger.ignore(URI):
        for total in (2, 3):
            with transaction.atomic():
                Order.objects.update(total=total)
            assert not value(IGNORED)
    with transaction.atomic(), refused("Cannot update"):
        Order.objects.update(total=4)


@psycopg3
def test_copy_inside_a_transaction_finds_the_settings(autocommit_live):
    autocommit_live(Order, logs(READ, operation=pgtrigger.Insert))
    text = 'COPY "user" ("user", "Total", "it\'s odd") FROM STDIN'

    def copy():
        with connection.cursor() as cursor, cursor.copy(text) as copying:
            copying.write_row(["a", 1, ""])

    with transaction.atomic():
        with local_settings(shop__reason="inside"):
            copy()
        copy()
    with local_settings(shop__reason="autocommit"):
        copy()
    assert logged() == ["inside", "none", "autocommit"]


@psycopg3
def test_a_copy_that_fails_in_autocommit_leaves_no_transaction_open(order):
    with pgtrigger.ignore(URI), pytest.raises(Exception, match="integer"):
        with (
            connection.cursor() as cursor,
            cursor.copy('COPY "user" ("Total") FROM STDIN') as copying,
        ):
            copying.write("no number\n")
    assert connection.connection.info.transaction_status == 0
    assert value("SELECT 1") == 1


@psycopg3
def test_a_copy_in_a_failed_transaction_gets_the_servers_own_error(order):
    with pytest.raises(Exception, match="current transaction is aborted"):
        with transaction.atomic(), pgtrigger.ignore(URI), connection.cursor() as cursor:
            with pytest.raises(DatabaseError):
                cursor.execute("SELECT 1/0")
            with cursor.copy('COPY "user" TO STDOUT'):
                pass


def test_functions_find_the_settings(committed):
    run(
        f"CREATE OR REPLACE FUNCTION shop_reason() RETURNS text LANGUAGE sql AS $$ SELECT {READ} $$"
    )
    try:
        with local_settings(shop__reason="autocommit"):
            assert value("SELECT shop_reason()") == "autocommit"
            with connection.cursor() as cursor:
                cursor.callproc("shop_reason")
                assert cursor.fetchone() == ("autocommit",)
        assert value("SELECT shop_reason()") == "none"
    finally:
        run("DROP FUNCTION shop_reason()")


def test_a_procedure_that_commits_works_inside_ignore_as_it_does_outside(order):
    run(
        "CREATE OR REPLACE PROCEDURE shop_commits() LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO shop_log(text) VALUES ('a'); COMMIT; END $$"
    )
    try:
        run("CALL shop_commits()")
        with pgtrigger.ignore(URI):
            run("CALL shop_commits()")
        assert logged() == ["a", "a"]
    finally:
        run("DROP PROCEDURE shop_commits()")


def test_a_procedure_that_fails_leaves_no_settings_behind(order):
    for text in ("DO $$ BEGIN COMMIT; PERFORM 1/0; END $$", "DO $$ BEGIN PERFORM 1/0; END $$"):
        with pgtrigger.ignore(URI), pytest.raises(DatabaseError, match="division by zero"):
            run(text)
        assert not value(IGNORED)


# --- Connections ------------------------------------------------------------------------------


def test_without_autocommit_the_first_statement_begins_the_transaction(order):
    transaction.set_autocommit(False)
    try:
        with pgtrigger.ignore(URI):
            Order.objects.update(total=2)
            transaction.commit()
            Order.objects.update(total=3)
            transaction.rollback()
            Order.objects.update(total=4)
            transaction.commit()
        with pytest.raises(IntegrityError):
            Order.objects.update(total=5)
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    assert Order.objects.get().total == 4


def test_a_connection_that_was_lost_begins_anew(order):
    with pgtrigger.ignore(URI):
        Order.objects.update(total=2)
        with pytest.raises(OperationalError):
            value("SELECT pg_terminate_backend(pg_backend_pid()) FROM pg_class LIMIT 1")
        connection.close()
        Order.objects.update(total=3)
        with transaction.atomic():
            Order.objects.update(total=4)
    with pytest.raises(IntegrityError):
        Order.objects.update(total=5)


def test_the_wrapper_is_attached_once_and_comes_first(order):
    before = [*connection.execute_wrappers]
    connection.close()
    connection.ensure_connection()
    assert connection.execute_wrappers == before
    assert before[0].__module__ == "pgtrigger.supervision"


def test_deferred_triggers_find_at_the_commit_what_holds_then(autocommit_live):
    trigger = logs(READ, timing=pgtrigger.Deferred)
    autocommit_live(Order, trigger)
    Order.objects.create()
    with local_settings(shop__reason="around"), transaction.atomic():
        Order.objects.update(total=1)
    with transaction.atomic(), local_settings(shop__reason="within"):
        Order.objects.update(total=2)
    assert logged() == ["around", "none"]


def test_what_is_not_wanted_costs_nothing(order):
    with statements() as found, transaction.atomic():
        Order.objects.count()
    assert len(found) == 1
    assert agreement_of(connections["default"]).applied == {}


def test_an_agreement_knows_what_is_to_be_changed():
    agreement = Agreement()
    assert agreement.changes({"a.b": "1"}) == {"a.b": "1"}
    agreement.before, agreement.applied = {"a.b": "0"}, {"a.b": "1"}
    assert agreement.changes({"a.b": "1"}) == {}
    assert agreement.changes({}) == {"a.b": "0"}
    agreement.doubt()
    assert agreement.changes({"a.b": "1"}) == {"a.b": "1"}
    agreement.forget()
    assert agreement.changes({}) == {}
