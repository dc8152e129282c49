"""pgtrigger_search.vectors: what the expressions come to, for any names and any text."""

from types import SimpleNamespace

import pytest
from django.apps.registry import Apps
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from hypothesis import example, given
from hypothesis import strategies as st

from library.models import Article
from pgtrigger import sql
from pgtrigger_search import UpdateSearchVector, vectors
from shop.database import run, value

pytestmark = pytest.mark.django_db

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
PIECES = ["'", '"', "\\", "%", "%s", "{", "}", "{x}", "$$", "$pgtrigger$", ";", "--", "/*", "\n"]
PIECES += ["é", "日本", " ", ".", "NEW", "OLD", "select", "item", "dictionary", "configuration"]
WORDS = st.text(st.sampled_from("abcé 日1_'\"\\{},"), max_size=20)
# A name of at most 63 bytes, which Postgres would cut off behind.
NAME = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15
    ),
    st.just("n" * 63),
).filter(lambda name: len(name.encode()) <= 63)
COLUMNS = ["key", "document", "array", "json", "language", "vector"]


def model(table, columns):
    def column(field, name, **kwargs):
        return field(db_column=columns[COLUMNS.index(name)], null=name != "key", **kwargs)

    body = {
        "__module__": __name__,
        "Meta": type("Meta", (), {"app_label": "library", "db_table": table, "apps": Apps()}),
        "key": column(models.IntegerField, "key", primary_key=True),
        "document": column(models.TextField, "document"),
        "json": column(models.JSONField, "json"),
        "language": column(models.TextField, "language"),
        "vector": column(SearchVectorField, "vector"),
    }
    return type("Any", (models.Model,), body)


@given(
    schema=NAME.filter(lambda name: not name.startswith("pg_")),
    table=NAME,
    columns=st.lists(NAME, min_size=6, max_size=6, unique=True),
    configuration=NAME,
    unaccent=st.booleans(),
    by_column=st.booleans(),
)
@example(
    schema="s",
    table=" \n \n",
    columns=["k", "a\n \nb", "\n ", "j", "l", " \n\t"],
    configuration="c\n  \nd",
    unaccent=True,
    by_column=True,
)
def test_names_of_any_characters(schema, table, columns, configuration, unaccent, by_column):
    """Each trigger is installed, and fired by an insert and an update."""
    if sql.relation(table) != (None, table) or schema == "public":
        return  # Django itself would not find this table
    key, document, _, json, language, vector = map(sql.quote, columns)
    named = f"{sql.quote(schema)}.{sql.quote(configuration)}"
    run("SAVEPOINT example")
    run("CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA public")
    run(f"CREATE SCHEMA {sql.quote(schema)}")
    run(f"CREATE TEXT SEARCH CONFIGURATION {named} (COPY = pg_catalog.simple)")
    run(
        f"CREATE TABLE public.{sql.quote(table)} ({key} int PRIMARY KEY, {document} text,"
        f" {json} jsonb, {language} text, {vector} tsvector)"
    )
    trigger = UpdateSearchVector(
        name="search",
        vector_field="vector",
        document_fields={"document": "A", "json": "D"},
        config_name=named,
        config_field="language" if by_column else None,
        unaccent=unaccent,
    )
    compiled = trigger.compile(model(table, columns))
    for statement in compiled.install_sql(table, "public"):
        run(statement)
    run(f"INSERT INTO public.{sql.quote(table)} ({key}, {document}) VALUES (1, 'The cats')")
    found = f"SELECT {vector}::text FROM public.{sql.quote(table)}"
    assert value(found) == "'cats':2A 'the':1A"
    language_of_row = sql.string(named) if "." in named else "NULL"
    run(
        f"""UPDATE public.{sql.quote(table)} SET {json} = '{{"a": "dogs"}}',"""
        f" {language} = {language_of_row}"
    )
    assert value(found) == "'cats':2A 'dogs':3 'the':1A"
    run("ROLLBACK TO example")


@given(text=TEXT)
def test_accents_are_taken_away_as_unaccent_does(text):
    run("CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA public")
    document = vectors.Document(Article._meta.get_field("title"), "D")
    expression = vectors.vector([document], "r", "'simple'", vectors.UNACCENT_DICTIONARY)
    literal = sql.string(text)
    query = f"SELECT {expression} = to_tsvector('simple', unaccent(r.title)) FROM"
    assert value(f"{query} (SELECT {literal}::text AS title) r")


@given(texts=st.lists(st.one_of(st.none(), TEXT), min_size=1, max_size=3))
def test_the_vector_has_the_words_of_each_document(texts):
    names = ["title", "body", "language"][: len(texts)]
    documents = [vectors.Document(Article._meta.get_field(name), "B") for name in names]
    expression = vectors.vector(documents, "r", "'simple'")
    row = ", ".join(
        f"{sql.literal(text)}::text AS {name}" for name, text in zip(names, texts, strict=True)
    )
    found = value(f"SELECT tsvector_to_array({expression}) FROM (SELECT {row}) r")
    words = [
        word
        for text in texts
        for word in value("SELECT tsvector_to_array(to_tsvector('simple', %s))", [text or ""])
    ]
    assert {*found} == {*words}


@given(item=st.recursive(WORDS | st.integers(-999, 999) | st.booleans() | st.none(), st.lists))
def test_json_has_the_words_that_postgres_own_function_finds(item):
    field = SimpleNamespace(column="j", db_type=lambda connection: "jsonb")
    literal = sql.literal({"key": item})
    expression = (
        f"tsvector_to_array(to_tsvector('simple', coalesce({vectors.text(field, 'r')}, '')))"
    )
    own = "tsvector_to_array(jsonb_to_tsvector('simple', r.j, '[\"string\", \"numeric\"]'))"
    query = f"SELECT {expression} = {own} FROM (SELECT {literal} AS j) r"
    if "\\u0000" not in literal:
        assert value(query)


@pytest.mark.parametrize(
    ("db_type", "expected"),
    [
        ("varchar(20)", "varchar"),
        ("varchar(20)[5]", "varchar[]"),
        ("numeric(8, 2)", "numeric"),
        ("TSVECTOR", "tsvector"),
        (None, ""),
    ],
)
def test_a_type_without_its_size(db_type, expected):
    field = SimpleNamespace(db_type=lambda connection: db_type)
    assert vectors.column_type(field) == expected
