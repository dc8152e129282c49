"""pgtrigger_protect.wording: what a refusal says in the declaration's own words."""

import pytest
from django.db import IntegrityError
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

import pgtrigger
from pgtrigger import sql
from pgtrigger.errors import DeclarationError, FieldLookupError
from pgtrigger_protect import AppendOnly, Protect, ReadOnly
from shop.database import refused, run
from shop.models import Line, Peculiar
from shop.named import named

Insert, Update, Delete, Truncate = (
    pgtrigger.Insert,
    pgtrigger.Update,
    pgtrigger.Delete,
    pgtrigger.Truncate,
)
LEVELS = pytest.mark.parametrize("level", [pgtrigger.Row, pgtrigger.Statement], ids=str)


@pytest.fixture
def lines(db):
    return Line.objects.bulk_create([Line(order=1, number=n, amount=n * 10) for n in range(1, 3)])


def said(statement):
    with refused(error=IntegrityError) as caught:
        run(statement)
    diagnostics = caught.value.__cause__.diag
    return diagnostics.message_primary, diagnostics.message_hint


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE shop_line SET amount = 11 WHERE number = 1",
            "update 100%: line 1 of 10, 10 -> 11",
        ),
        ("DELETE FROM shop_line WHERE number = 2", "delete 100%: line 2 of 20, 20 -> NULL"),
        ("INSERT INTO shop_line VALUES (3, 3, 30)", "insert 100%: line 3 of 30, NULL -> 30"),
        ("TRUNCATE shop_line", "truncate 100%: line * of *, * -> *"),
    ],
)
def test_a_message_shows_the_row(live, lines, statement, message):
    live(
        Line,
        Protect(
            name="keep",
            operation=Insert | Update | Delete | Truncate,
            message="{operation} 100%: line {columns.number} of {columns.amount}, "
            "{old.amount} -> {new.amount}",
            hint="See {table} {{sic}} 5%.",
        ),
    )
    assert said(statement) == (message, "See shop_line {sic} 5%.")


@LEVELS
def test_a_message_without_a_row_is_for_either_level(live, lines, level):
    live(
        Line,
        Protect(
            name="keep",
            level=level,
            operation=Update | Delete | Truncate,
            condition=pgtrigger.Q(old__amount=20),
            message="Lines of 20 stay, said {table} to {operation}",
        ),
    )
    for operation in ("UPDATE shop_line SET amount = 1", "DELETE FROM shop_line"):
        message, hint = said(operation)
        assert message == f"Lines of 20 stay, said shop_line to {operation.split()[0].lower()}"
        assert "pgtrigger.ignore" in hint
    assert said("TRUNCATE shop_line")[0] == "Lines of 20 stay, said shop_line to truncate"


def test_null_is_shown_as_such(live, lines):
    live(Line, Protect(name="keep", operation=Delete, message="{new.number}"))
    assert said("DELETE FROM shop_line")[0] == "NULL"


def test_read_only_tells_what_was_to_change(live, lines):
    live(
        Line, ReadOnly(name="keep", message="Not {changed} of {columns.number}", hint="{changed}!")
    )
    assert said("UPDATE shop_line SET amount = 1 WHERE number = 2") == (
        "Not amount of 2",
        "amount!",
    )


def test_a_type_of_its_own_may_say_it_for_all(live, lines):
    class Ledger(AppendOnly):
        message = "The ledger is final"
        hint = "Book the reverse."

    live(Line, Ledger(name="final"))
    assert said("DELETE FROM shop_line") == ("The ledger is final", "Book the reverse.")


@pytest.mark.parametrize("text", ["{nothing}", "{columns}", "{0}", "{}", "{old.}", "{columns.a!r}"])
@pytest.mark.parametrize("argument", ["message", "hint"])
def test_a_place_that_there_is_not_is_refused_with_those_there_are(argument, text):
    with pytest.raises(DeclarationError, match=r"\{columns\.<field>\}"):
        Protect(name="keep", operation=Update, **{argument: text})


def test_a_text_that_cannot_be_read_is_refused():
    with pytest.raises(DeclarationError, match="braces"):
        Protect(name="keep", operation=Update, message="{")


def test_a_row_cannot_be_shown_at_statement_level():
    with pytest.raises(DeclarationError, match="shows a row"):
        Protect(
            name="keep", operation=Update, level=pgtrigger.Statement, message="{columns.number}"
        )


def test_a_field_that_there_is_not_is_refused_when_it_is_compiled():
    with pytest.raises(FieldLookupError, match="nothing"):
        Protect(name="keep", operation=Update, message="{columns.nothing}").compile(Line)


def test_a_generated_column_is_refused_when_it_is_compiled():
    with pytest.raises(DeclarationError, match="computes"):
        Protect(name="keep", operation=Update, message="{old.loud}").compile(Peculiar)


def test_a_text_that_is_none_is_refused():
    with pytest.raises(DeclarationError, match="no text"):
        Protect(name="keep", operation=Update, message=gettext_lazy("No"))


def test_what_changed_is_for_read_only():
    with pytest.raises(DeclarationError, match="ReadOnly"):
        Protect(name="keep", operation=Update, message="{changed}").compile(Line)


def test_what_is_appended_stays(live, lines):
    live(Line, AppendOnly(name="append_only"))
    run("INSERT INTO shop_line VALUES (3, 3, 30)")
    for statement in (
        "UPDATE shop_line SET amount = 0 WHERE number = 1",
        "DELETE FROM shop_line WHERE number = 1",
        "TRUNCATE shop_line",
    ):
        assert "Cannot" in said(statement)[0]
    assert Line.objects.count() == 3


def test_append_only_is_an_attribute_of_pgtrigger():
    assert pgtrigger.AppendOnly is AppendOnly


NASTY = ["'", "\\", "%", "%s", "%%", "{{", "}}", "$$", "$pgtrigger$", "\n", "--", "/*", ";", '"']
NASTY += ["select", "OLD", "new", "old_values", "é", "😀", "n" * 63]
# Not empty: without a message a trigger has one of its own.
TEXTS = (
    st.lists(
        st.sampled_from(NASTY)
        | st.text(st.characters(exclude_characters="\0{}", exclude_categories=["Cs"])),
        min_size=1,
        max_size=4,
    )
    .map("".join)
    .filter(bool)
)
NAMES = (
    st.lists(st.sampled_from([text for text in NASTY if text != '"']), min_size=1, max_size=3)
    .map("".join)
    .filter(lambda name: len(name.encode()) <= 63)
)


@pytest.mark.parametrize("kind", [Protect, ReadOnly])
@LEVELS
@given(
    table=NAMES,
    columns=st.lists(NAMES, min_size=2, max_size=2, unique=True),
    text=TEXTS,
    value=TEXTS,
)
def test_any_name_and_any_text_is_quoted(db, kind, level, table, columns, text, value):
    """For each type and level, with names, values and messages that quoting gets wrong."""
    message, shown = text, text.replace("{{", "{").replace("}}", "}")
    if level == pgtrigger.Row:
        message, shown = f"{text}{{old.state}}", f"{shown}{value}"
    trigger = kind(
        name="keep",
        level=level,
        operation=Update,
        condition=pgtrigger.Q(old__state=value),
        message=message,
    )
    with named("shop", table, columns) as (model, cursor, relation, key, column):
        trigger.install(model)
        values = f"(1, {sql.string(value)}), (2, '')"
        cursor.execute(f"INSERT INTO {relation} VALUES {values}")
        cursor.execute(f"UPDATE {relation} SET {column} = 'x' WHERE {key} = 2")
        with refused(error=IntegrityError) as caught:
            cursor.execute(f"UPDATE {relation} SET {column} = 'x' WHERE {key} = 1")
        diagnostics = caught.value.__cause__.diag
        assert diagnostics.message_primary == shown
        assert diagnostics.table_name == table
