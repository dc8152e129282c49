"""pgtrigger.statements: what a statement is, told by looking at it."""

import pytest
from django.db import connection

from pgtrigger.statements import Kind, is_plain_read, kind_of, may_undo_settings, text_of
from shop.database import second_connection

KINDS = {
    Kind.SINGLE: [
        "INSERT INTO t VALUES (1)",
        "  update t set a = 1;",
        "-- comment here\nDELETE FROM t",
        "/* comment here */ MERGE INTO t USING s",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
        "(((INSERT INTO t VALUES (1))))",
        "TRUNCATE t",
        "COPY t FROM STDIN",
        "EXECUTE prepared",
        "-- it could be; but is not\nDELETE FROM t",
        "INSERT INTO t VALUES ('it could be; but is not');  ; -- two ends",
        "EXPLAIN (ANALYZE) DELETE FROM t",
        "SELECT f()",
        "select 1",
    ],
    Kind.SEVERAL: [
        "INSERT INTO t VALUES (1); DELETE FROM t",
        "SELECT 1; SELECT 2",
        "CALL p(); SELECT 1",
    ],
    Kind.PROCEDURE: ["CALL p()", "call p();", "DO $$ BEGIN END; $$"],
    Kind.OTHER: [
        "",
        "   ",
        "-- only a comment",
        "SELECT * FROM t",
        "SELECT a\nFROM t",
        "VALUES (1)",
        "SHOW search_path",
        "CREATE INDEX ON t (a)",
        "CREATE TABLE t (a int)",
        "ALTER TABLE t ADD COLUMN concurrently int",
        "EXPLAIN DELETE FROM t",
        "SET search_path = a",
        "LOCK TABLE t",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
    ],
    Kind.OUTSIDE_TRANSACTION: [
        "VACUUM",
        "VACUUM (ANALYZE) t",
        "create database x",
        "DROP  DATABASE IF EXISTS x",
        "CREATE TABLESPACE x LOCATION 'y'",
        "ALTER SYSTEM SET x = 1",
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
        "DROP INDEX CONCURRENTLY i",
        "REINDEX INDEX CONCURRENTLY i",
        "REINDEX DATABASE x",
        "REINDEX (VERBOSE) DATABASE x",
        "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
        "DISCARD ALL",
        "CLUSTER",
    ],
    Kind.TRANSACTION_CONTROL: [
        "BEGIN",
        "start transaction",
        "COMMIT",
        "END",
        "ROLLBACK TO SAVEPOINT x",
        "ABORT",
        "SAVEPOINT x",
        "RELEASE x",
        "PREPARE TRANSACTION 'x'",
    ],
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in KINDS.items() for text in texts]
)
def test_a_statement_is_of_its_kind(kind, text):
    assert kind_of(text, connection) is kind
    assert kind_of(text.encode(), connection) is kind


def test_what_refuses_a_transaction_is_known(db):
    """The server's own opinion on the kinds, for those statements that it can run here."""
    other = second_connection()
    cursor = other.cursor()
    cursor.execute("CREATE TEMP TABLE t (a int); CREATE INDEX i ON t (a)")
    for text in ("VACUUM t", "DISCARD ALL", "DROP INDEX CONCURRENTLY i"):
        cursor.execute("BEGIN")
        with pytest.raises(Exception, match="cannot run inside a transaction block"):
            cursor.execute(text)
        cursor.execute("ROLLBACK")
    other.close()


def test_composed_statements_are_read_too(db):
    driver = pytest.importorskip("psycopg.sql", reason="objects of psycopg 3")
    composed = driver.SQL("DELETE FROM {}").format(driver.Identifier("t"))
    connection.ensure_connection()
    assert text_of(composed, connection) == 'DELETE FROM "t"'
    assert kind_of(composed, connection) is Kind.SINGLE


def test_anything_else_is_read_as_its_text():
    class Statement:
        def __str__(self):
            return "VACUUM"

    assert kind_of(Statement(), connection) is Kind.OUTSIDE_TRANSACTION
    assert kind_of(b"\xff", connection) is Kind.OTHER


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("ROLLBACK TO SAVEPOINT a", True),
        ("rollback", True),
        ("ABORT", True),
        (b"rollback", True),
        (b"SELECT 1", False),
        ("SELECT 1", False),
    ],
)
def test_a_rollback_is_suspected_rather_than_missed(statement, expected):
    assert may_undo_settings(statement, connection) is expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT * FROM t", True),
        ("  -- why\n(SELECT a FROM t FOR UPDATE)", True),
        ("VALUES (1)", True),
        ("TABLE t", True),
        ("SHOW search_path", True),
        ('SAVEPOINT "s"', True),
        ('RELEASE SAVEPOINT "s"', True),
        ("SELECT f()", False),
        ("SELECT * FROM f(1)", False),
        ("SELECT 1; DELETE FROM t", False),
        ("SET CONSTRAINTS ALL IMMEDIATE", False),
        ("COMMIT", False),
        ("FETCH ALL FROM c", False),
        ("UPDATE t SET a = 1", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("length", [0, 5000])
def test_what_only_reads(statement, expected, length):
    text = statement + " " * length
    assert is_plain_read(text, connection) is expected
