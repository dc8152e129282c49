"""Schemas full of functions and operators that are a better match than those of Postgres.

What somebody who may create objects in a schema of the search path can do to everybody else.
PostgreSQL manual: "Type Conversion", operators and functions; "Schemas", secure usage.
"""

import re
from pathlib import Path

import pgtrigger

PACKAGES = Path(__file__).parents[2] / "packages"

TYPES = [
    "text",
    "varchar",
    "name",
    "oid",
    "regclass",
    "regtype",
    "regnamespace",
    "int2",
    "int4",
    "int8",
    "bool",
    "jsonb",
    "uuid",
    "xid8",
    "text[]",
    "name[]",
    "oid[]",
    "regconfig",
]
OPERATORS = ["=", "<>", "<", "||", "&&", "~~", "->>"]
ARGUMENTS = ["text", "varchar", "name", "regclass"]


def called():
    """The names of the functions that the packages' SQL may call."""
    texts = "\n".join(path.read_text() for path in PACKAGES.glob("*/src/**/*.py"))
    return sorted(set(re.findall(r"\b([a-z_][a-z_0-9]+)\(", texts)))


def make(database, schema, *, answer="", shadows=False):
    """Fill a schema.

    Args:
        database: whose superuser makes it.
        schema: its name.
        answer: what an operator with a boolean answer says; an exception, without any.
        shadows: also what Postgres has itself, for a search path on which ``pg_catalog`` is late.

    Returns:
        how many operators and functions.
    """
    body = f"BEGIN RETURN {answer}; END" if answer else ""
    place = pgtrigger.sql.literal(schema)
    existing = (
        ""
        if shadows
        else (
            "AND NOT EXISTS (SELECT FROM pg_operator WHERE oprname = o AND oprleft = l::regtype"
            " AND oprright = r::regtype AND oprnamespace = 'pg_catalog'::regnamespace)"
        )
    )
    arities = ["t1", "t1 || ',' || t2", "t1 || ',' || t2 || ',' || t3"]
    one, two, three = (
        f"SELECT DISTINCT {arity} FROM unnest(types) t1, unnest(CASE WHEN {n} > 1 THEN types"
        f" ELSE '{{text}}' END) t2, unnest(CASE WHEN {n} > 2 THEN types[1:3] ELSE '{{text}}' END) t3"
        for n, arity in enumerate(arities, 1)
    )
    functions = [] if answer else called()
    database.sql(
        f"CREATE SCHEMA {schema}",
        f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC",
        "SET check_function_bodies = off",
        f"""DO $do$
        DECLARE o text; l text; r text; f text; a text; kind text; body text; made int := 0;
            types text[] := {pgtrigger.sql.literal(ARGUMENTS)};
        BEGIN
            FOR o, l, r IN SELECT o1, l1, r1 FROM
                unnest({pgtrigger.sql.literal(OPERATORS)}) o1,
                unnest({pgtrigger.sql.literal(TYPES)}) l1, unnest({pgtrigger.sql.literal(TYPES)}) r1
            LOOP
                CONTINUE WHEN NOT (true {existing});
                made := made + 1;
                IF made % 500 = 0 THEN COMMIT; END IF;  -- each takes a lock
                kind := CASE WHEN o IN ('||', '->>') THEN 'text' ELSE 'bool' END;
                CONTINUE WHEN {bool(answer)} AND kind <> 'bool';
                body := coalesce(nullif({pgtrigger.sql.literal(body)}, ''),
                    format($b$BEGIN RAISE EXCEPTION 'HIJACKED by operator %s (%s, %s)'; END$b$,
                    replace(o, '%', ''), l, r));
                EXECUTE format('CREATE FUNCTION %I.%I(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L',
                    {place}, 'op' || o, l, r, kind, body);
                EXECUTE format('CREATE OPERATOR %I.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %I.%I)',
                    {place}, o, l, r, {place}, 'op' || o);
            END LOOP;
            FOR f, a IN SELECT f1, a1 FROM
                unnest({pgtrigger.sql.literal(functions)}::text[]) f1,
                ({one} UNION {two} UNION {three}) arguments (a1)
                WHERE EXISTS (SELECT FROM pg_proc WHERE proname = f1
                    AND pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f')
            LOOP
                made := made + 1;
                IF made % 500 = 0 THEN COMMIT; END IF;
                EXECUTE format('CREATE FUNCTION %I.%I(%s) RETURNS text LANGUAGE plpgsql AS %L',
                    {place}, f, a,
                    format($b$BEGIN RAISE EXCEPTION 'HIJACKED by function %s (%s)'; END$b$, f, a));
            END LOOP;
        END $do$""",
        "RESET check_function_bodies",
    )
    [(count,)] = database.sql(
        f"SELECT (SELECT count(*) FROM pg_operator WHERE oprnamespace = {place}::regnamespace)"
        f" + (SELECT count(*) FROM pg_proc WHERE pronamespace = {place}::regnamespace)"
    )
    return count
