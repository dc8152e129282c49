"""sql.catalog_query: operators of Postgres, whatever the search path has."""

import pytest

from pgtrigger import sql
from shop.database import rows

NAMED = "OPERATOR(pg_catalog.{})".format


@pytest.mark.parametrize("operator", ["=", "<>", "<", ">", "<=", ">=", "||"])
def test_a_comparison_is_named(operator):
    assert sql.catalog_query(f"a {operator} %s") == f"a {NAMED(operator)} %s"
    assert sql.catalog_query(f"a{operator}b") == f"a{NAMED(operator)}b"


@pytest.mark.parametrize(
    "text",
    [
        "'a = b'",
        '"a = b"',
        "$$a = b$$ -- a = b",
        "/* a = b */",
        "a::text[]",
        "a ->> 'b'",
        "-1 + 2",
        "a OPERATOR(pg_catalog.=) b",
        "count(*)",
        "(%s, %s)",
        '"LIKE"',
    ],
)
def test_everything_else_stays(text):
    assert sql.catalog_query(text) == text


def test_what_is_named_stays_so():
    once = sql.catalog_query("a = b AND c LIKE d AND e NOT LIKE f")
    assert sql.catalog_query(once) == once
    assert once == f"a {NAMED('=')} b AND c {NAMED('~~')} d AND e {NAMED('!~~')} f"


def test_it_means_the_same(db):
    query = (
        "SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
        " ON n.oid = c.relnamespace WHERE c.relname LIKE %s AND c.relname NOT LIKE %s"
        " AND n.nspname = ANY(%s) AND c.relkind <> 'i' AND c.oid >= 'pg_class'::regclass"
        " ORDER BY ('a' || c.relname) = 'a', 1"
    )
    parameters = ["shop%", "%_seq", ["public"]]
    found = rows(sql.catalog_query(query), parameters)
    assert found == rows(query, parameters)
    assert found
