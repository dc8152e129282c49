"""pgtrigger_search.triggers: when the vector is filled, with what, and what is refused."""

import pytest
from django.db import DatabaseError, ProgrammingError

import pgtrigger
from library.models import Article, ArticleProxy, Book, Labelled, Shelf
from pgtrigger.errors import DeclarationError, FieldLookupError
from pgtrigger_search import UpdateSearchVector
from shop.database import definitions, refused, rows, run, value

DOCUMENTS = ["title", "body"]


def search(**kwargs):
    given = {"name": "search", "vector_field": "vector", "document_fields": DOCUMENTS}
    return UpdateSearchVector(**{**given, **kwargs})


def vector(model=Article, **where):
    return model.objects.filter(**where).values_list("vector", flat=True).get()


# --- What is in it ----------------------------------------------------------------------------


def test_the_words_of_all_documents_are_in_it_one_after_the_other(live, articles):
    live(Article, search())
    articles.create(title="This is a message", body="Check out my messages")
    assert vector() == "'check':5 'messag':4,8"


def test_one_document_will_do(live, articles):
    live(Article, search(document_fields=["title"]))
    articles.create(title="Cats", body="Dogs")
    assert vector() == "'cat':1"


def test_documents_have_weights(live, articles):
    live(Article, search(document_fields={"title": "A", "body": "B", "language": "D"}))
    articles.create(title="Cats", body="Dogs", language="Mice")
    assert vector() == "'cat':1A 'dog':2B 'mice':3"


@pytest.mark.parametrize("document_fields", [DOCUMENTS, {"title": "A", "body": "C"}])
def test_null_documents_count_as_empty(live, articles, document_fields):
    live(Article, search(document_fields=document_fields))
    articles.create(title="Cats", body=None)
    assert vector().startswith("'cat':1")
    articles.update(title="")
    assert vector() == ""


def test_markup_that_begins_in_one_document_does_not_swallow_the_next(live, articles):
    live(Article, search())
    articles.create(title="a <b", body="fish > c")
    assert "'fish'" in vector()


@pytest.mark.parametrize(
    "text", ["The Cats' <b>mats</b>", "x.example.org/a?b=1 1.5e3 Ärger", "", "  "]
)
def test_a_document_is_parsed_as_postgres_own_trigger_does(live, articles, text):
    live(Article, search(document_fields=["title"]))
    run(
        "CREATE TABLE hand (title text, vector tsvector);"
        " CREATE TRIGGER t BEFORE INSERT ON hand FOR EACH ROW EXECUTE FUNCTION"
        " tsvector_update_trigger(vector, 'pg_catalog.english', title)"
    )
    run("INSERT INTO hand VALUES (%s)", [text])
    articles.create(title=text)
    assert vector() == value("SELECT vector FROM hand")


# --- Types of documents -----------------------------------------------------------------------

TYPES = {
    "weight": (-42, "'-42':1"),
    "tags": (["Red cats", None, "blue", 'a "b" \\c'], "'b':5 'blue':3 'c':6 'cat':2 'red':1"),
    "bought_on": ("2013-01-31", "'-01':2 '-31':3 '2013':1"),
    "attributes": (
        {"colour": "red", "sizes": [1, 2.5], "deep": [{"a": "cats"}], "no": True, "nil": None},
        "'1':3 '2.5':4 'cat':1 'red':2",
    ),
}


@pytest.mark.parametrize(("field", "given", "expected"), [(k, *v) for k, v in TYPES.items()])
def test_other_types_than_text(live, tables, field, given, expected):
    tables(Shelf)
    live(Shelf, search(document_fields=[field]))
    Shelf.objects.create(room=1, number="a", **{field: given})
    found = value('SELECT "NEW" FROM "it\'s a table WHERE"')
    assert sorted(lexemes(found)) == sorted(lexemes(expected))
    Shelf.objects.update(**{field: None})
    assert value('SELECT "NEW" FROM "it\'s a table WHERE"') == ""


def lexemes(found):
    return [entry.partition(":")[0] for entry in found.split()]


def test_json_that_is_no_object(live, tables):
    tables(Shelf)
    live(Shelf, search(document_fields=["attributes"]))
    for number, given in enumerate(["cats", ["cats", ["dogs"]], 5, True]):
        Shelf.objects.create(room=1, number=number, attributes=given)
    found = rows('SELECT "NEW" FROM "it\'s a table WHERE" ORDER BY "order"')
    assert found == [("'cat':1",), ("'cat':1 'dog':2",), ("'5':1",), ("",)]


def test_the_values_of_hstore(live, tables):
    run("CREATE SCHEMA extensions; DROP EXTENSION IF EXISTS hstore CASCADE")
    run("CREATE EXTENSION hstore SCHEMA extensions")
    run("SET LOCAL search_path = public, extensions")
    tables(Labelled)
    live(Labelled, search(document_fields=["labels"]))
    run("SET LOCAL search_path = ''")
    run("""INSERT INTO public.library_labelled (labels) VALUES ('colour => "red cats"')""")
    assert value("SELECT vector FROM public.library_labelled") == "'cat':2 'red':1"


# --- Configuration ----------------------------------------------------------------------------


def test_the_configuration_is_given_by_name(live, articles):
    live(Article, search(config_name="pg_catalog.simple"))
    articles.create(title="The cats")
    assert vector() == "'cats':2 'the':1"


def test_a_configuration_of_ones_own_in_a_schema_with_odd_names(live, articles):
    run('CREATE SCHEMA "My ""%s"" Schema"')
    run('CREATE TEXT SEARCH CONFIGURATION "My ""%s"" Schema"."it\'s \\" (COPY = simple)')
    live(Article, search(config_name='"My ""%s"" Schema"."it\'s \\"'))
    articles.create(title="The cats")
    assert vector() == "'cats':2 'the':1"


CONFIGURED = {
    "pg_catalog.simple": "'cats':2 'the':1",
    "simple": "'cats':2 'the':1",
    "Simple": "'cats':2 'the':1",
    "german": "'cat':2 'the':1",
    None: "'cat':2",
    "": "'cat':2",
}


@pytest.mark.parametrize("language", CONFIGURED)
def test_the_configuration_is_given_by_a_text_column(live, articles, language):
    live(Article, search(config_field="language"))
    articles.create(title="The cats", language=language)
    assert vector() == CONFIGURED[language]


@pytest.mark.parametrize("language", ["simple", None])
def test_the_configuration_is_given_by_a_regconfig_column(live, articles, language):
    live(Article, search(config_field="configuration"))
    articles.create(title="The cats", configuration=language)
    assert vector() == CONFIGURED[language]


def test_the_fallback_of_a_column_is_the_name(live, articles):
    live(Article, search(config_field="language", config_name="pg_catalog.simple"))
    articles.create(title="The cats")
    assert vector() == "'cats':2 'the':1"


def test_a_name_without_schema_in_a_column_does_not_depend_on_the_search_path(live, articles):
    run("CREATE SCHEMA tenant; CREATE TEXT SEARCH CONFIGURATION tenant.english (COPY = simple)")
    run("SET LOCAL search_path = tenant, public, pg_catalog")
    live(Article, search(config_field="language"))
    articles.create(title="cats", language="english")
    assert vector() == "'cat':1"
    articles.update(language="tenant.english")
    assert vector() == "'cats':1"


def test_a_configuration_that_does_not_exist_is_told_by_postgres(live, articles):
    live(Article, search(config_field="language"))
    with refused('"pg_catalog.klingon" does not exist', ProgrammingError):
        articles.create(language="klingon")


# --- Accents ----------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", ["public", "Extensions of 'ours'"])
def test_accents_are_taken_away_wherever_the_extension_is(live, articles, schema):
    run(f'CREATE SCHEMA IF NOT EXISTS "{schema}"; CREATE EXTENSION unaccent SCHEMA "{schema}"')
    live(Article, search(unaccent=True, document_fields={"title": "A", "body": "B"}))
    run("SET LOCAL search_path = ''")
    run(
        "INSERT INTO public.library_article (title, body, views, published)"
        " VALUES ('Hôtels', 'garage', 0, false), ('', NULL, 0, false)"
    )
    found = rows("SELECT vector FROM public.library_article ORDER BY id")
    assert found == [("'garag':2B 'hotel':1A",), ("",)]


def test_the_extension_may_move(live, articles):
    run("CREATE EXTENSION unaccent")
    live(Article, search(unaccent=True))
    articles.create(title="Hôtels")
    run("CREATE SCHEMA elsewhere; ALTER EXTENSION unaccent SET SCHEMA elsewhere")
    articles.update(title="Cafés")
    assert vector() == "'cafe':1"


def test_a_dictionary_of_the_same_name_elsewhere_is_not_meant(live, articles):
    run("CREATE EXTENSION unaccent; CREATE SCHEMA other")
    run("CREATE TEXT SEARCH DICTIONARY other.unaccent (TEMPLATE = pg_catalog.simple)")
    live(Article, search(unaccent=True))
    articles.create(title="Hôtels")
    assert vector() == "'hotel':1"


def test_without_the_extension_the_error_says_what_to_do(live, articles):
    live(Article, search(unaccent=True))
    with refused("extension unaccent is not installed", ProgrammingError) as caught:
        articles.create(title="Hôtels")
    assert "UnaccentExtension" in caught.value.__cause__.diag.message_hint


def test_accents_are_taken_away_within_json_and_arrays(live, tables):
    run("CREATE EXTENSION unaccent")
    tables(Shelf)
    live(Shelf, search(document_fields=["tags", "attributes"], unaccent=True))
    Shelf.objects.create(room=1, number="a", tags=["Hôtels"], attributes={"a": "“Cafés”"})
    assert value('SELECT "NEW" FROM "it\'s a table WHERE"') == "'cafe':2 'hotel':1"


# --- When it is filled ------------------------------------------------------------------------


@pytest.fixture
def calls(db):
    """`calls()`: how many functions triggers have called in this transaction."""
    run("SET LOCAL track_functions = 'all'")

    def count():
        return value("SELECT coalesce(sum(calls), 0) FROM pg_stat_xact_user_functions")

    return count


@pytest.mark.parametrize(
    "change",
    [{"title": "dogs"}, {"body": "dogs"}, {"language": "simple"}, {"vector": None}],
    ids=lambda change: next(iter(change)),
)
def test_it_is_filled_anew_when_something_that_matters_changes(live, articles, change):
    live(Article, search(config_field="language"))
    articles.create(title="The cats", body="")
    articles.update(**change)
    expected = {"title": "'dog':1", "body": "'cat':2 'dog':3", "language": "'cats':2 'the':1"}
    assert vector() == expected.get(next(iter(change)), "'cat':2")


def test_an_update_of_other_columns_calls_no_function(live, articles, calls):
    live(Article, search(config_field="language"))
    articles.create(title="cats")
    assert calls() == 1
    articles.update(views=1)
    run("UPDATE library_article SET title = title, body = body, vector = vector")
    assert calls() == 1
    articles.update(title="dogs")
    assert calls() == 2


def test_a_vector_that_python_writes_back_stays_right(live, articles):
    live(Article, search())
    article = articles.create(title="cats")
    assert article.vector is None
    article.views = 1
    article.save()
    assert vector() == "'cat':1"
    assert articles.bulk_create([Article(title="dogs", vector="'nonsense'")])
    assert vector(title="dogs") == "'dog':1"


def test_an_upsert_fills_it(live, articles):
    live(Article, search())
    article = articles.create(title="cats")
    articles.bulk_create(
        [Article(pk=article.pk, title="dogs")],
        update_conflicts=True,
        update_fields=["title"],
        unique_fields=["id"],
    )
    assert vector() == "'dog':1"


def test_what_an_earlier_trigger_writes_is_searched_too(live, articles):
    stamp = pgtrigger.Trigger(
        name="a",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        func="NEW.title = 'dogs'; RETURN NEW;",
    )
    live(Article, stamp)
    live(Article, search())
    articles.create(title="cats")
    articles.update(views=1)
    assert vector() == "'dog':1"


def test_it_can_be_ignored(live, articles):
    live(Article, search())
    with pgtrigger.ignore("library.Article:search"):
        articles.create(title="cats")
    assert vector() is None


def test_it_can_be_declared_as_not_to_be_ignored(live, articles):
    live(Article, search(ignorable=False))
    with pgtrigger.ignore():
        articles.create(title="cats")
    assert vector() == "'cat':1"


def test_one_operation_will_do(live, articles):
    live(Article, search(operation=pgtrigger.Insert))
    articles.create(title="cats")
    articles.update(title="dogs")
    assert vector() == "'cat':1"


def test_an_update_of_columns_is_told_by_its_set_list(live, articles, calls):
    live(Article, search(operation=pgtrigger.Insert | pgtrigger.UpdateOf(*DOCUMENTS, "vector")))
    articles.create(title="cats")
    articles.update(views=1)
    assert calls() == 1
    articles.update(title="dogs")
    assert vector() == "'dog':1"


def test_several_vectors_of_one_table(live, tables):
    tables(Article, Book)
    live(Book, search(name="blurbs", vector_field="blurb_vector", document_fields=["blurb"]))
    live(Article, search())
    Book.objects.create(title="cats", blurb="dogs")
    assert [*Book.objects.values_list("vector", "blurb_vector")] == [("'cat':1", "'dog':1")]


# --- On some rows -----------------------------------------------------------------------------


def test_a_condition_says_which_rows_are_kept_up_to_date(live, articles, calls):
    live(Article, search(condition=pgtrigger.Q(new__published=True)))
    articles.create(title="cats")
    assert (vector(), calls()) == (None, 0)
    articles.update(title="dogs")
    assert vector() is None
    articles.update(published=True)
    assert (vector(), calls()) == ("'dog':1", 1)
    articles.update(views=1)
    assert calls() == 1
    articles.update(title="mice", published=False)
    assert vector() == "'dog':1"


def test_a_condition_on_the_whole_row_is_asked_on_any_change(live, articles, calls):
    condition = pgtrigger.Condition("to_jsonb(NEW) ->> 'published' = 'true'")
    live(Article, search(condition=condition))
    articles.create(title="cats")
    articles.update(published=True)
    assert vector() == "'cat':1"


@pytest.mark.parametrize("sql", ["NEW.loud > 'A'", "to_jsonb(NEW) ? 'a'"])
def test_a_condition_cannot_read_a_generated_column(sql):
    trigger = search(document_fields=["label"], condition=pgtrigger.Condition(sql))
    with pytest.raises(DeclarationError, match="its condition reads the generated column loud"):
        trigger.compile(Shelf)


def test_a_condition_on_the_old_row_is_for_updates(live, articles):
    condition = pgtrigger.Q(old__published=False)
    with pytest.raises(DeclarationError, match="OLD, which an operation INSERT does not have"):
        search(condition=condition).compile(Article)
    live(Article, search(condition=condition, operation=pgtrigger.Update))
    articles.create(title="cats")
    articles.update(title="dogs")
    assert vector() == "'dog':1"


# --- Where ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"config_field": "language"}, {"document_fields": {"title": "A", "body": "B"}}],
    ids=["plain", "column", "weights"],
)
def test_it_needs_no_search_path(live, articles, kwargs):
    live(Article, search(**kwargs))
    run("SET LOCAL search_path = ''")
    run(
        "INSERT INTO public.library_article (title, views, published, language)"
        " VALUES ('cats', 0, false, 'english')"
    )
    run("UPDATE public.library_article SET title = 'dogs'")
    assert "'dog':1" in value("SELECT vector::text FROM public.library_article")


def test_what_is_shadowed_on_the_search_path_is_not_called(live, articles):
    live(Article, search(document_fields={"title": "A", "body": "B"}, config_field="language"))
    run(
        "CREATE SCHEMA evil;"
        " CREATE FUNCTION evil.to_tsvector(regconfig, text) RETURNS tsvector LANGUAGE sql"
        "  AS $$ SELECT 'evil'::tsvector $$;"
        " CREATE FUNCTION evil.cat(tsvector, tsvector) RETURNS tsvector LANGUAGE sql"
        "  AS $$ SELECT 'evil'::tsvector $$;"
        " CREATE OPERATOR evil.|| (LEFTARG = tsvector, RIGHTARG = tsvector, FUNCTION = evil.cat);"
        " SET LOCAL search_path = evil, pg_catalog, public"
    )
    articles.create(title="cats", body="dogs", language="english")
    assert vector() == "'cat':1A 'dog':2B"


def test_names_that_need_quotes_and_composite_keys(live, tables):
    tables(Shelf)
    live(Shelf, search(document_fields={"label": "A", "weight": "B"}))
    Shelf.objects.create(room=1, number="a", label="cats", weight=7)
    Shelf.objects.update(label="dogs")
    assert vector(Shelf) == "'7':2B 'dog':1A"
    Shelf.objects.update(weight=8)
    assert vector(Shelf) == "'8':2B 'dog':1A"


def test_partitions_have_it_too(live, db):
    run(
        "CREATE TABLE library_article (id int, title text, body text, vector tsvector)"
        " PARTITION BY RANGE (id);"
        "CREATE TABLE library_article_1 PARTITION OF library_article FOR VALUES FROM (0) TO (9);"
        "CREATE TABLE library_article_2 PARTITION OF library_article FOR VALUES FROM (9) TO (99)"
    )
    live(Article, search())
    run("INSERT INTO library_article_1 VALUES (1, 'cats')")
    run("UPDATE library_article SET title = 'dogs', id = 11")
    assert rows("SELECT vector FROM library_article_2") == [("'dog':1",)]


def test_a_table_of_another_schema_of_the_same_name_is_left_alone(live, articles):
    trigger = search()
    for tenant in ("tenant_a", "tenant_b"):
        run(f"CREATE SCHEMA {tenant}")
        run(f"CREATE TABLE {tenant}.library_article (LIKE public.library_article INCLUDING ALL)")
        run(f"INSERT INTO {tenant}.library_article (title, views, published) VALUES ('x', 0, true)")
    with pgtrigger.schema("tenant_a"):
        live(Article, trigger)
    with pgtrigger.schema("tenant_b"):
        run("UPDATE tenant_a.library_article SET title = 'cats'")
    assert rows("SELECT vector FROM tenant_a.library_article") == [("'cat':1",)]
    assert rows("SELECT vector FROM tenant_b.library_article") == [(None,)]


def test_proxies_and_children(live, tables):
    tables(Article, Book)
    live(ArticleProxy, search())
    Book.objects.create(title="cats")
    assert vector() == "'cat':1"
    with pytest.raises(DeclarationError, match="parent model"):
        search(vector_field="blurb_vector").compile(Book)


def test_it_is_one_declaration_of_two_postgres_triggers(live, articles):
    trigger = live(Article, search())
    first, second = sorted(
        definitions("library_article").values(), key=lambda text: "UPDATE" in text
    )
    assert "BEFORE INSERT ON" in first
    assert "IS DISTINCT FROM" not in first
    assert "BEFORE UPDATE ON" in second
    assert second.count("IS DISTINCT FROM") == 3
    assert trigger.get_installation_status(Article) == ("INSTALLED", True)
    trigger.uninstall(Article)
    assert definitions("library_article") == {}


# --- What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"vector_field": None, "name": None}, 'provide "vector_field"'),
        ({"document_fields": None, "name": None}, 'provide "document_fields"'),
        ({"document_fields": [], "name": None}, 'provide "document_fields"'),
        ({"document_fields": {}}, 'provide "document_fields"'),
        ({"name": None}, 'must have "name"'),
        ({"document_fields": "title"}, "list of names, not the text 'title'"),
        ({"document_fields": ["title", "body", "title"]}, "names title more than once"),
        ({"document_fields": {"title": "E"}}, "weight of \"title\" is 'E'; .* A, B, C, D"),
        ({"document_fields": {"title": "a"}}, "weight"),
        ({"document_fields": {"title": None}}, "weight"),
        ({"config_name": "english"}, r"'english' is not a name with its schema"),
        ({"config_name": "a.b.c"}, "is not a name with its schema"),
        ({"config_name": "pg_catalog.'x'"}, "is not a name with its schema"),
        ({"config_name": "pg_catalog."}, "is not a name with its schema"),
        ({"level": pgtrigger.Statement}, "before each row"),
        ({"when": pgtrigger.After}, "before each row"),
        ({"func": "RETURN NEW;"}, "before each row"),
        ({"operation": pgtrigger.Update | pgtrigger.Delete}, "no vector to fill on DELETE"),
    ],
)
def test_what_cannot_work_is_refused_at_once(kwargs, match):
    with pytest.raises(ValueError, match=match) as caught:
        search(**kwargs)
    assert isinstance(caught.value, DeclarationError)


@pytest.mark.parametrize(
    ("model", "kwargs", "match", "kind"),
    [
        (Article, {"vector_field": "nothing"}, "has no field", FieldLookupError),
        (Article, {"document_fields": ["nothing"]}, "has no field", FieldLookupError),
        (Article, {"config_field": "nothing"}, "has no field", FieldLookupError),
        (Article, {"document_fields": ["title", "vector"]}, "be a document", DeclarationError),
        (Shelf, {"document_fields": ["loud"]}, "generated column", DeclarationError),
        (Shelf, {"vector_field": "loud"}, "generated column", DeclarationError),
        (
            Shelf,
            {"document_fields": ["label"], "config_field": "loud"},
            "generated",
            DeclarationError,
        ),
    ],
)
def test_what_a_model_does_not_have_is_refused_when_it_is_compiled(model, kwargs, match, kind):
    trigger = search(**kwargs)
    with pytest.raises(kind, match=match):
        trigger.compile(model)


def test_class_attributes_are_defaults(live, articles):
    class Search(UpdateSearchVector):
        name = "search"
        vector_field = "vector"
        document_fields = ("title",)
        config_name = "pg_catalog.simple"
        unaccent = True

    assert Search(unaccent=False).compile(Article) == search(
        document_fields=["title"], config_name="pg_catalog.simple"
    ).compile(Article)
    assert "unaccent" in Search().render_func(Article)
    live(Article, Search(unaccent=False))
    articles.create(title="The cats")
    assert vector() == "'cats':2 'the':1"


def test_a_generator_of_names_is_read_once():
    trigger = search(document_fields=(name for name in DOCUMENTS))
    assert trigger.compile(Article) == search().compile(Article) == trigger.compile(Article)


def test_an_own_variable_is_declared_beside():
    trigger = search(declare=[("mine", "int")], unaccent=True)
    assert trigger.render_declare(Article).startswith("DECLARE mine int;")


def test_a_row_that_is_too_long_for_postgres_is_told_by_postgres(live, articles):
    live(Article, search())
    with refused("too long for tsvector", DatabaseError):
        articles.create(body=" ".join(f"w{number}" for number in range(200_000)))
