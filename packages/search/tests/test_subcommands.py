"""pgtrigger_search.subcommands, and reindexing: `manage.py pgtrigger reindex`."""

import datetime
import io
import subprocess
import sys
import threading

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, connections

import pgtrigger
from library.models import Article, ArticleProxy, Book, Moment, Shelf, Unindexed
from pgtrigger.errors import (
    DatabaseNotSupportedError,
    DeclarationError,
    InstallationError,
    TriggerNotFoundError,
)
from pgtrigger.management import progress
from pgtrigger_search import UpdateSearchVector
from pgtrigger_search.reindexing import Reindexing
from pgtrigger_search.subcommands import key_text
from shop.database import column, rows, run, second_connection, statements, value

URI = "library.Article:search"


def search(**kwargs):
    given = {"name": "search", "vector_field": "vector", "document_fields": ["title"]}
    return UpdateSearchVector(**{**given, **kwargs})


def reindex(*arguments, **options):
    stderr = io.StringIO()
    call_command("pgtrigger", "reindex", *arguments, stderr=stderr, **options)
    return stderr.getvalue().splitlines()


@pytest.fixture
def stale(declared, articles):
    """Ten articles that were there before their trigger."""
    articles.bulk_create([Article(title=f"cat{n}") for n in range(10)])
    trigger = declared(Article, search())
    trigger.install(Article)
    return trigger


def vectors():
    return column("SELECT vector FROM library_article ORDER BY id")


FRESH = [f"'cat{n}':1" for n in range(10)]


# --- What it does -----------------------------------------------------------------------------


@pytest.mark.parametrize("target", [URI, "library.Article", "library.*:search", None])
@pytest.mark.parametrize("size", [1, 3, 5, 10, 1000])
def test_every_row_gets_its_vector(stale, size, target):
    targets = [] if target is None else [target]
    assert reindex(*targets, f"--batch-size={size}") == [f"{URI}: 10 rows, 10 updated"]
    assert vectors() == FRESH


def test_rows_that_are_right_are_not_written(stale):
    reindex(URI)
    run("UPDATE library_article SET vector = NULL, title = 'x' WHERE false")
    with pgtrigger.ignore(URI):
        run("UPDATE library_article SET vector = 'nonsense' WHERE title = 'cat4'")
    before = column("SELECT ctid::text FROM library_article WHERE title <> 'cat4' ORDER BY id")
    assert reindex(URI) == [f"{URI}: 10 rows, 1 updated"]
    assert vectors() == FRESH
    after = column("SELECT ctid::text FROM library_article WHERE title <> 'cat4' ORDER BY id")
    assert after == before


def test_a_dry_run_only_counts(stale):
    assert reindex(URI, "--dry-run", "--batch-size=4") == [f"{URI}: 10 rows, 10 to update"]
    assert vectors() == [None] * 10


def test_it_needs_no_installed_trigger(stale):
    stale.uninstall(Article)
    reindex(URI)
    assert vectors() == FRESH


def test_no_other_trigger_of_the_table_fires(stale, declared):
    never = pgtrigger.Trigger(
        name="never",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        func=pgtrigger.raise_violation("no"),
    )
    declared(ArticleProxy, never)
    never.install(ArticleProxy)
    reindex(URI)
    assert vectors() == FRESH


def test_a_trigger_that_cannot_be_ignored_fires(stale, declared):
    stamp = pgtrigger.Trigger(
        name="stamp",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        func="NEW.views = 1; RETURN NEW;",
        ignorable=False,
    )
    declared(Article, stamp)
    stamp.install(Article)
    reindex(URI)
    assert column("SELECT DISTINCT views FROM library_article") == [1]


def test_an_empty_table(declared, articles):
    declared(Article, search())
    assert reindex(URI) == [f"{URI}: 0 rows, 0 updated"]


def test_composite_keys_and_names_that_need_quotes(tables, declared):
    tables(Shelf)
    for room in range(3):
        for number in ("a", "b'", '"c"', "\\%s"):
            Shelf.objects.create(room=room, number=number, label=f"{room} cats")
    declared(Shelf, search(document_fields={"label": "A"}))
    (line,) = reindex("library.Shelf", "--batch-size=5")
    assert line == "library.Shelf:search: 12 rows, 12 updated"
    expected = {f"'{room}':1A 'cat':2A" for room in range(3)}
    assert {*Shelf.objects.values_list("vector", flat=True)} == expected


def test_keys_are_what_the_server_says_in_whatever_time_zone_its_session_is(tables, declared):
    tables(Moment)
    start = datetime.datetime(2026, 3, 29, tzinfo=datetime.UTC)
    for hour in range(7):
        Moment.objects.create(at=start + datetime.timedelta(hours=hour), text="cats")
    declared(Moment, search(document_fields=["text"]))
    run("SET LOCAL timezone = 'America/New_York'")
    (line,) = reindex("library.Moment", "--batch-size=3")
    assert line == "library.Moment:search: 7 rows, 7 updated"


def test_a_childs_own_vector(tables, declared):
    tables(Article, Book)
    Book.objects.create(title="cats", blurb="dogs")
    declared(Book, search(vector_field="blurb_vector", document_fields=["blurb"]))
    assert reindex("library.Book") == ["library.Book:search: 1 rows, 1 updated"]
    assert Book.objects.get().blurb_vector == "'dog':1"


def test_configuration_and_accents_of_each_row(declared, articles):
    run("CREATE SCHEMA extensions; CREATE EXTENSION unaccent SCHEMA extensions")
    articles.create(title="The Hôtels", language="simple")
    articles.create(title="The Hôtels")
    declared(Article, search(config_field="language", unaccent=True))
    reindex(URI)
    assert vectors() == ["'hotels':2 'the':1", "'hotel':2"]


def test_the_missing_extension_is_told_before_anything_is_changed(declared, articles):
    declared(Article, search(unaccent=True))
    with pytest.raises(InstallationError, match="unaccent is not installed.*UnaccentExtension"):
        reindex(URI)


def test_only_the_rows_of_the_condition(declared, articles):
    articles.create(title="cats", published=True)
    articles.create(title="dogs")
    declared(Article, search(condition=pgtrigger.Q(new__published=True)))
    assert reindex(URI) == [f"{URI}: 2 rows, 1 updated"]
    assert vectors() == ["'cat':1", None]


def test_a_condition_on_the_old_row_is_refused(declared, articles):
    trigger = search(condition=pgtrigger.Q(old__published=True), operation=pgtrigger.Update)
    declared(Article, trigger)
    with pytest.raises(DeclarationError, match="depends on the old row"):
        reindex(URI)


def test_one_schema_is_chosen(stale):
    run("CREATE SCHEMA tenant")
    run("CREATE TABLE tenant.library_article (LIKE public.library_article INCLUDING ALL)")
    run("INSERT INTO tenant.library_article (title, views, published) VALUES ('dogs', 0, false)")
    assert reindex(URI, "--schema=tenant") == [f"{URI}: 1 rows, 1 updated"]
    assert column("SELECT vector FROM tenant.library_article") == ["'dog':1"]
    assert vectors() == [None] * 10


# --- Batches ----------------------------------------------------------------------------------


def test_the_last_key_says_where_to_go_on(stale):
    work = Reindexing(Article, stale, database="default", batch_size=4)
    batches = work.batches()
    first = next(batches)
    assert (first.rows, first.wrong) == (4, 4)
    batches.close()
    assert vectors() == FRESH[:4] + [None] * 6
    (line,) = reindex(URI, "--after", key_text(first.last))
    assert line == f"{URI}: 6 rows, 6 updated"
    assert vectors() == FRESH


def test_a_composite_key_to_begin_behind(tables, declared):
    tables(Shelf)
    for number in "abc":
        Shelf.objects.create(room=1, number=number, label="cats")
    declared(Shelf, search(document_fields=["label"]))
    assert reindex("library.Shelf", "--after", "1", "a") == [
        "library.Shelf:search: 2 rows, 2 updated"
    ]
    with pytest.raises(DeclarationError, match="Room, order: 2 values, but 1 were given"):
        reindex("library.Shelf", "--after", "1")


def test_a_key_needs_one_table(declared, tables):
    declared(Article, search())
    declared(Unindexed, search())
    with pytest.raises(DeclarationError, match="name one trigger, not 2"):
        reindex("--after", "1")


def test_a_key_is_shown_as_a_shell_takes_it():
    assert key_text((1, "it's", "a b")) == """1 'it'"'"'s' 'a b'"""


def test_each_batch_looks_only_at_its_own_rows(stale):
    with statements() as found:
        reindex(URI, "--batch-size=4", verbosity=0)
    updates = [text for text in found if text.startswith("UPDATE")]
    assert len(updates) == 3
    assert all(" <= (" in text for text in updates)
    assert [" > (" in text for text in updates] == [False, True, True]


@pytest.fixture
def kept(committed):
    """The table of articles, for all connections to see."""
    with connection.schema_editor() as editor:
        editor.create_model(Article)
    yield
    connections["default"].close()
    with connection.schema_editor() as editor:
        editor.delete_model(Article)


def test_each_batch_is_committed(kept, declared):
    Article.objects.bulk_create([Article(title=f"cat{n}") for n in range(10)])
    trigger = declared(Article, search())
    other = second_connection()
    try:
        with other.cursor() as cursor:
            counts = []
            for _ in Reindexing(Article, trigger, database="default", batch_size=4).batches():
                cursor.execute("SELECT count(vector) FROM library_article")
                counts += cursor.fetchone()
                assert not connection.in_atomic_block
    finally:
        other.close()
    assert counts == [4, 8, 10]


def test_a_row_that_somebody_changes_meanwhile_gets_the_vector_of_what_it_is_then(kept, declared):
    """The update waits for the other's row lock, and then looks at the row again."""
    Article.objects.create(title="cats")
    declared(Article, search())
    other = second_connection()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE library_article SET title = 'dogs'")

        def work():
            try:
                reindex(URI)
            finally:
                connections.close_all()

        thread = threading.Thread(target=work)
        thread.start()
        while not value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert thread.is_alive()
        with other.cursor() as cursor:
            cursor.execute("COMMIT")
        thread.join()
    finally:
        other.close()
    assert rows("SELECT title, vector FROM library_article") == [("dogs", "'dog':1")]


# --- What it tells ----------------------------------------------------------------------------


def test_lines_of_progress_where_there_is_no_terminal(stale, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL", 0)
    first = Article.objects.order_by("pk").values_list("pk", flat=True)[0]
    assert reindex(URI, "--batch-size=4") == [
        f"{URI}: 4 of 10 rows, 4 updated, up to {first + 3}",
        f"{URI}: 8 of 10 rows, 8 updated, up to {first + 7}",
        f"{URI}: 10 of 10 rows, 10 updated, up to {first + 9}",
        f"{URI}: 10 rows, 10 updated",
    ]


def test_nothing_is_written_to_stdout_and_verbosity_0_silences_it(stale, capsys):
    assert reindex(URI, verbosity=0) == []
    assert vectors() == FRESH
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_on_a_terminal(stale, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    call_command("pgtrigger", "reindex", URI, "--batch-size=4")
    assert "━" in terminal.getvalue()
    assert "10 updated, up to" in terminal.getvalue()
    assert vectors() == FRESH


def test_lines_on_a_terminal_without_rich(stale, monkeypatch):
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    call_command("pgtrigger", "reindex", URI)
    assert "━" not in terminal.getvalue()
    assert "10 updated" in terminal.getvalue()


# --- What it refuses --------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["library.Book", "library.Article:other", "nothing", "shop.*:*"])
def test_a_target_without_a_search_vector(stale, target):
    with pytest.raises(TriggerNotFoundError, match=f"There are: {URI}"):
        reindex(target)


def test_other_types_of_triggers_are_no_targets(declared, db):
    noop = pgtrigger.Trigger(
        name="noop", when=pgtrigger.Before, operation=pgtrigger.Update, func="RETURN NEW;"
    )
    declared(Article, noop)
    with pytest.raises(TriggerNotFoundError, match="There are: none"):
        reindex("library.Article:noop")


def test_without_any_search_vector_there_is_nothing_to_do(db):
    assert reindex() == []


@pytest.mark.parametrize("size", ["0", "-1", "many"])
def test_a_batch_has_at_least_one_row(db, size):
    with pytest.raises(CommandError, match="not a number, at least 1"):
        reindex(f"--batch-size={size}")


def test_a_database_that_is_not_postgres(db):
    with pytest.raises(DatabaseNotSupportedError, match='"sqlite" is not PostgreSQL'):
        reindex("--database=sqlite")


def test_importing_the_plugin_needs_neither_models_nor_rich():
    code = (
        "import sys; sys.modules['rich'] = None\n"
        "import pgtrigger_search.plugin\n"
        "from django.apps import apps; assert not apps.apps_ready\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
