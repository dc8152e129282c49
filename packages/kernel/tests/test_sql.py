"""pgtrigger.sql: what is quoted comes back from a real server as it was; tokens tell text apart."""

import datetime
import decimal
import doctest
import enum
import importlib
import ipaddress
import json
import string
import textwrap
import uuid

import pytest
from django.conf import settings
from django.db.backends.postgresql.base import Database
from django.utils.translation import gettext_lazy
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pgtrigger import sql
from pgtrigger.errors import DeclarationError
from project.connections import connect

psycopg3 = Database.__name__ == "psycopg"

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NAME = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15
)
NASTY = st.text(st.sampled_from("'\"\\$%{}; \n\r\tEe_-/*ab0é"), max_size=30)
# SQL in pieces, so that literals, comments and words meet in every way.
PIECES = st.lists(
    st.sampled_from(
        ["OLD", "NEW", ".", "a", '"b c"', "'x  y'", "'it''s'", "E'\\'  '", "$$  NEW.a  $$", "$q$"]
        + [" ", "  ", "\n", "--  NEW.a  \n", "--", "/* OLD.b  /* */ */", "/*", "1.5", "=", "'", '"']
        + ["$tag$ ' $tag$", "U&'\\0041'", "x", "e", "(", ")", ",", "*"]
    ),
    max_size=14,
).map("".join)


@pytest.fixture(scope="module")
def cursor():
    connection = connect(settings.SERVER.url)
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


def evaluate(cursor, expression):
    cursor.execute(f"SELECT {expression}")
    return cursor.fetchone()[0]


# --- Literals ---------------------------------------------------------------------------------

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.decimals(allow_nan=False, allow_infinity=False, places=5, max_value=10**12),
    TEXT,
    NASTY,
    st.dates(),
    st.datetimes(min_value=datetime.datetime(2, 1, 1)),
    st.datetimes(
        min_value=datetime.datetime(2, 1, 1),
        max_value=datetime.datetime(9998, 1, 1),
        timezones=st.just(datetime.UTC) | st.timezones(),
    ),
    st.times(),
    st.timedeltas(datetime.timedelta(-(10**6)), datetime.timedelta(10**6)),
)


@given(value=VALUES)
def test_a_literal_gives_the_value_back(cursor, value):
    found = evaluate(cursor, sql.literal(value))
    if isinstance(value, datetime.datetime) and value.tzinfo:
        # Python never calls times of two zones equal that a change of the clocks makes ambiguous.
        found, value = found.timestamp(), value.timestamp()
    assert found == value


@given(value=st.binary())
def test_a_literal_gives_bytes_back(cursor, value):
    for kind in (bytes, bytearray, memoryview):
        assert bytes(evaluate(cursor, sql.literal(kind(value)))) == value


@given(value=st.floats(allow_nan=False))
def test_a_literal_gives_a_float_back(cursor, value):
    assert float(evaluate(cursor, sql.literal(value))) == value


@pytest.mark.parametrize("value", [float("nan"), decimal.Decimal("NaN")])
def test_a_literal_gives_not_a_number_back(cursor, value):
    found = evaluate(cursor, sql.literal(value))
    assert type(found) is type(value)
    assert found != found  # noqa: PLR0124  # only NaN is unequal to itself


@given(value=st.uuids() | st.ip_addresses())
def test_a_literal_gives_uuids_and_addresses_back(cursor, value):
    assert type(value)(str(evaluate(cursor, f"{sql.literal(value)}::text")).split("/")[0]) == value


def test_a_literal_of_an_interface_keeps_its_network(cursor):
    value = ipaddress.ip_interface("10.1.2.3/8")
    assert evaluate(cursor, f"{sql.literal(value)}::text") == "10.1.2.3/8"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NASTY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=6,
)


@given(value=st.dictionaries(NASTY, JSON, max_size=4))
def test_a_literal_gives_json_back(cursor, value):
    assert json.loads(evaluate(cursor, f"{sql.literal(value)}::text")) == value


@given(value=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1) | st.lists(NASTY, min_size=1))
def test_a_literal_gives_an_array_back(cursor, value):
    assert evaluate(cursor, sql.literal(value)) == value
    assert evaluate(cursor, sql.literal(tuple(value))) == value


@example(names=["", "NULL", "null", "a b", "a,b", "{}", '"', "\\", "pgtrigger_a-b_0"])
@given(names=st.lists(NASTY))
def test_an_array_of_names_comes_back(cursor, names):
    assert evaluate(cursor, f"{sql.string(sql.array(names))}::text[]") == names


def test_an_empty_list_takes_the_type_of_its_surroundings(cursor):
    assert evaluate(cursor, f"'{{1}}'::int[] || {sql.literal([])}") == [1]


class Colour(enum.Enum):
    RED = "it's red"


class Size(enum.IntEnum):
    BIG = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "it's red"),
        (Size.BIG, 3),
        (gettext_lazy("later"), "later"),
        (datetime.timedelta(days=-1, microseconds=1), datetime.timedelta(-1, 0, 1)),
        (datetime.time(1, 2, tzinfo=datetime.UTC), datetime.time(1, 2, tzinfo=datetime.UTC)),
    ],
)
def test_a_literal_of_other_types_gives_the_value_back(cursor, value, expected):
    assert evaluate(cursor, sql.literal(value)) == expected


@pytest.mark.parametrize("value", [-1, -1.5, decimal.Decimal("-1.5"), Size.BIG - 5])
def test_a_negative_number_can_stand_after_an_operator(cursor, value):
    assert evaluate(cursor, f"1 -{sql.literal(value)}") == 1 - value


def test_a_negative_number_is_cast_as_a_whole(cursor):
    # -1::text is -(1::text)
    assert evaluate(cursor, f"{sql.literal(-1)}::text") == "-1"


@pytest.mark.skipif(not psycopg3, reason="ranges of psycopg 3")
def test_what_only_the_driver_can_write_is_left_to_it(cursor):
    from psycopg.types.range import Range

    assert evaluate(cursor, f"{sql.literal(Range(1, 5))}::int4range") == Range(1, 5)


def test_json_adapters_of_django_are_written_with_their_encoder(cursor):
    from django.db.backends.postgresql.psycopg_any import Jsonb

    class Encoder(json.JSONEncoder):
        def default(self, o):
            return f"a {type(o).__name__}"

    adapted = Jsonb({"who": object()}, dumps=lambda value: json.dumps(value, cls=Encoder))
    assert evaluate(cursor, f"{sql.literal(adapted)} ->> 'who'") == "a object"
    assert evaluate(cursor, f"{sql.literal(Jsonb([1]))} ->> 0") == "1"


def test_a_value_without_a_literal_form_is_refused_with_a_way_out():
    with pytest.raises(DeclarationError, match=r"object at .* cannot be written as an SQL literal"):
        sql.literal(object())
    with pytest.raises(DeclarationError, match=r"pgtrigger\.Condition"):
        sql.literal(lambda: None)


@pytest.mark.parametrize("write", [sql.string, sql.literal, sql.quote, sql.identifier])
def test_a_nul_character_is_refused(write):
    with pytest.raises(DeclarationError, match=r"a\\x00b"):
        write("a\0b")


@pytest.mark.parametrize("value", ["a\\b", "it's", "\\'; DROP TABLE x; --"])
@pytest.mark.parametrize("conforming", ["on", "off"])
def test_text_is_safe_whatever_standard_conforming_strings_says(cursor, value, conforming):
    cursor.execute(f"SET standard_conforming_strings = {conforming}")
    try:
        assert evaluate(cursor, sql.string(value)) == value
    finally:
        cursor.execute("RESET standard_conforming_strings")


# --- Identifiers ------------------------------------------------------------------------------


@given(name=NAME | NASTY.filter(bool).map(lambda name: name[:20]))
def test_an_identifier_gives_the_name_back(cursor, name):
    for quoted in (sql.quote(name), sql.identifier(name)):
        cursor.execute(f"SELECT 1 AS {quoted}".replace("%", "%%"), ())
        assert cursor.description[0][0] == name


def test_no_name_is_no_identifier():
    with pytest.raises(DeclarationError, match="'' cannot be an identifier"):
        sql.quote("")


def test_every_word_that_the_server_reserves_is_quoted(cursor):
    cursor.execute("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')")
    reserved = {word for (word,) in cursor.fetchall()}
    assert reserved - sql.RESERVED == set()


def test_every_keyword_can_be_a_table_and_a_column(cursor):
    cursor.execute("SELECT word FROM pg_get_keywords()")
    words = [word for (word,) in cursor.fetchall()]
    columns = ", ".join(f"{sql.identifier(word)} int" for word in words)
    cursor.execute("BEGIN")
    try:
        cursor.execute(f"CREATE TEMP TABLE keywords ({columns})")
        names = ", ".join(map(sql.identifier, words))
        cursor.execute(f"SELECT {names} FROM keywords")
        assert [item[0] for item in cursor.description] == words
        for word in words:
            cursor.execute(f"CREATE TEMP TABLE {sql.identifier(word)} ()")
    finally:
        cursor.execute("ROLLBACK")


def test_plain_names_stay_readable():
    assert sql.identifier("shop_order2") == "shop_order2"


@pytest.mark.parametrize("name", ["order", "Mixed", "a b", "1a", "é", "a-b", "a.b", "new"])
def test_other_names_are_quoted(name):
    assert sql.identifier(name) == f'"{name}"'


@pytest.mark.parametrize(
    ("db_table", "expected"),
    [
        ("plain", (None, "plain")),
        ('"plain"', (None, "plain")),
        ("with.dots", (None, "with.dots")),
        ('"schema"."table"', ("schema", "table")),
        ('schema"."table', ("schema", "table")),
        ('"a.b"."c.d"', ("a.b", "c.d")),
    ],
)
def test_a_db_table_is_split_as_django_quotes_it(db_table, expected):
    assert sql.relation(db_table) == expected


def test_a_schema_qualifies_only_a_name_without_one():
    assert sql.quote_relation("order", "s") == '"s"."order"'
    assert sql.quote_relation('"own"."order"', "s") == '"own"."order"'
    assert sql.quote_relation("order") == '"order"'


@given(schema=st.none() | st.text("ab .é", min_size=1), table=st.text("ab .é", min_size=1))
def test_a_quoted_relation_is_split_again(schema, table):
    assert sql.relation(sql.quote_relation(table, schema)) == (schema, table)


# --- Dollar quotes ----------------------------------------------------------------------------


@given(body=NASTY | TEXT | st.text(st.sampled_from("$pgtrier01 "), max_size=40))
@example(body="$pgtrigger$")
@example(body="$pgtrigger $pgtrigger1 $pgtrigger2$")
@example(body="ends with $")
@example(body="$$")
@example(body="$pgtrigger")
def test_a_dollar_quoted_body_comes_back(cursor, body):
    assume("\0" not in body)
    assert evaluate(cursor, sql.dollar_quote(body)) == body


# --- Tokens -----------------------------------------------------------------------------------


@given(text=PIECES | NASTY | TEXT)
def test_tokens_lose_nothing(text):
    assert "".join(token.text for token in sql.tokens(text)) == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("'it''s'", "string"),
        (r"E'a\'b'", "string"),
        ("e''", "string"),
        ("$$ any 'thing $a$ $$", "string"),
        ("$tag$ $$ $other$ $tag$", "string"),
        ("U&'d\\0061t'", "string"),
        ("B'01'", "string"),
        ('"a ""b"" \'c"', "quoted"),
        ('U&"a"', "quoted"),
        ("name_1", "word"),
        ("na$me", "word"),
        ("Übung", "word"),
        ("1.5e10", "number"),
        ("-- to the end", "comment"),
        ("/* nested /* twice */ 'still' */", "comment"),
        ("/* without end", "comment"),
        (" \n\t", "space"),
        ("=", "other"),
    ],
)
def test_a_token_is_of_its_kind(text, kind):
    assert list(sql.tokens(text)) == [sql.Token(kind, text)]


def significant(text):
    return [token for token in sql.tokens(text) if token.kind != "space"]


@given(text=PIECES | NASTY)
def test_normalising_twice_is_normalising_once(text):
    assert sql.normalise(sql.normalise(text)) == sql.normalise(text)


@given(text=PIECES | NASTY)
def test_normalising_touches_only_white_space(text):
    assert significant(sql.normalise(text)) == significant(text)


@given(pieces=st.lists(st.sampled_from(["a", "=", "'x  y'", "$$ \n $$", "NEW", '"b  c"'])))
def test_white_space_does_not_count_where_there_is_some(pieces):
    assert sql.normalise(" ".join(pieces)) == sql.normalise("\n\t ".join(pieces) + " \n")


@pytest.mark.parametrize("text", ["'a  b'", "$$a  b$$", '"a  b"', "E'a  \\'  b'"])
def test_white_space_within_quotes_counts(text):
    assert sql.normalise(text) != sql.normalise(text.replace("  ", " "))


# --- Rows -------------------------------------------------------------------------------------


@given(text=TEXT | NASTY | PIECES)
def test_renaming_rows_never_touches_literals(text):
    assume("\0" not in text)
    assume(text not in ("old", "new"))  # which are rows when they are quoted, too
    for quoted in (sql.string(text), sql.quote(text or "x"), sql.dollar_quote(text)):
        renamed = sql.rename_rows(f"NEW.a = {quoted}", "o", "n")
        assert renamed == f"n.a = {quoted}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("OLD.a = NEW.b", "o.a = n.b"),
        ("old . a = New.b", "o . a = n.b"),
        ("OLD.* IS DISTINCT FROM NEW.*", "o.* IS DISTINCT FROM n.*"),
        ('"old".a = "new".b', "o.a = n.b"),
        ('"Old".a = "NEW".b AND x."new"', '"Old".a = "NEW".b AND x."new"'),
        ("NEW.old = OLD.new", "n.old = o.new"),
        ('"NEW".a', '"NEW".a'),
        ("s.NEW.a", "s.NEW.a"),
        ("renew.a", "renew.a"),
        ("/* NEW.a */ NEW.a", "/* NEW.a */ n.a"),
        ("NEW /* here */ . a", "n /* here */ . a"),
    ],
)
def test_row_variables_are_renamed(text, expected):
    assert sql.rename_rows(text, "o", "n") == expected


@pytest.mark.parametrize("text", ["OLD IS DISTINCT FROM NEW", "(NEW).a = (OLD).a"])
def test_whole_rows_are_row_variables_too(text):
    assert sql.rows_used(text) == {"OLD", "NEW"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TRUE", set()),
        ("NEW.a", {"NEW"}),
        ("old.a = new.b", {"OLD", "NEW"}),
        ("'OLD.a' = NEW.b", {"NEW"}),
        ("-- OLD.a\nNEW.b", {"NEW"}),
    ],
)
def test_rows_used(text, expected):
    assert sql.rows_used(text) == expected


def test_row_columns_of_one_row():
    text = 'NEW.Plain = OLD.other AND NEW . "Say ""it""" AND NEW.* = \'NEW.literal\''
    assert sql.row_columns(text, "NEW") == {"plain", 'Say "it"', "*"}
    assert sql.row_columns(text, "OLD") == {"other"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(NEW).a", {"a"}),
        ("(( NEW )) . a", {"a"}),
        ("(NEW) IS NULL", {"*"}),
        ("f(NEW)", {"*"}),
        ("NEW /* row */ . -- column\na", {"a"}),
        ('"new"."A"', {"A"}),
        ("NEW", {"*"}),
    ],
)
def test_row_columns_in_all_ways_that_a_row_is_written(text, expected):
    assert sql.row_columns(text, "NEW") == expected


def test_words_used_folds_case_as_postgres_does():
    text = """SELECT "Id", 'literal' FROM New_Values -- comment"""
    assert sql.words_used(text) == {"select", "Id", "from", "new_values"}


@given(st.text(string.ascii_letters, min_size=1))
def test_plain_words_are_words(word):
    assert sql.words_used(f"({word})") == {word.lower()}


@pytest.mark.parametrize("module", ["quoting", "tokens"])
def test_the_examples_run(module):
    # The package has a function of the name of its module.
    results = doctest.testmod(importlib.import_module(f"pgtrigger.sql.{module}"))
    assert results.attempted > 0
    assert results.failed == 0


def test_a_uuid_literal_has_its_type():
    value = uuid.UUID(int=1)
    assert sql.literal(value) == "'00000000-0000-0000-0000-000000000001'::uuid"


# Lines, and what spans several of them.
LINES = st.lists(
    st.sampled_from(
        [
            "\n",
            "\n    ",
            "\n  \n",
            " ",
            "a;",
            "'b\n  c'",
            '"d\n \n  e"',
            "$$\n    f\n$$",
            "E'\\'\n g'",
        ]
        + ["'h'", "'i''j'", '"k l"', "/* m '\n    n */", "-- it's\n", "\t"]
    )
).map("".join)


@given(text=LINES)
def test_taking_indentation_off_touches_only_white_space(text):
    assert significant(sql.dedent(text)) == significant(text)
    assert sql.dedent(sql.dedent(text)) == sql.dedent(text)


@given(text=PIECES | NASTY)
def test_taking_indentation_off_is_what_textwrap_does_outside_quotes(text):
    if not {"'", '"', "$", "-", "/"} & {*text}:
        assert sql.dedent(text) == textwrap.dedent(text).strip()


@given(text=LINES)
def test_indentation_is_put_before_each_line_but_those_within_quotes(text):
    breaks = sum(token.text.count("\n") for token in sql.tokens(text) if token.kind == "space")
    indented = sql.indent(text)
    assert significant(indented) == significant(text)
    assert len(indented) == len(text) + 4 * (1 + breaks)


def test_the_indentation_that_lines_share_is_taken_off():
    text = """
        a := 'b
  c';
            d;

        -- e
    """
    assert sql.dedent(text) == "a := 'b\n  c';\n    d;\n\n-- e"
