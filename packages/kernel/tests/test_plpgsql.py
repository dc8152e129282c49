"""pgtrigger.plpgsql: a function taken apart by its text."""

import pytest

from pgtrigger.errors import FunctionSyntaxError
from pgtrigger.plpgsql import Refusal, parse, refusals
from pgtrigger.plpgsql.raising import unquoted


def keywords(source):
    return [statement.keyword for statement in parse(source).block.walk()]


def test_statements_are_found_in_their_order():
    assert keywords(
        """
        DECLARE a int;
        BEGIN
            IF a = 1 THEN a := 2; ELSIF a = 2 THEN RETURN NEW; ELSE RETURN NULL; END IF;
            FOR i IN 1..10 LOOP CONTINUE; END LOOP;
            BEGIN PERFORM 1; EXCEPTION WHEN division_by_zero THEN RAISE; WHEN others THEN NULL; END;
            CASE a WHEN 1 THEN a = 1; ELSE a = 2; END CASE;
        END;
        """
    ) == [
        "block", "if", "a", "return", "return", "for", "continue",
        "block", "perform", "raise", "null", "case", "a", "a",
    ]  # fmt: skip


def test_an_expression_may_hold_the_words_of_statements():
    source = """BEGIN
        IF CASE WHEN a THEN b ELSE c END THEN RETURN NEW; END IF;
        NEW.end := CASE x WHEN 1 THEN 2 END;
        SELECT 1 AS case INTO a;
        RAISE 'IF THEN END; BEGIN';
        "if" := 1;
        case := 3;
    END"""
    assert keywords(source) == ["block", "if", "return", "new", "select", "raise", "", "case"]


def test_variables_are_declared_with_what_follows_their_names():
    block = parse(
        'DECLARE a CONSTANT int := 5; "B b" text; c CURSOR (k int) FOR SELECT k;\n'
        "DECLARE d ALIAS FOR NEW; BEGIN END"
    ).block
    assert [(v.name, v.kind, v.line) for v in block.variables] == [
        ("a", "CONSTANT int := 5", 1),
        ("B b", "text", 1),
        ("c", "CURSOR (k int) FOR SELECT k", 1),
        ("d", "ALIAS FOR NEW", 2),
    ]


def test_labels_and_options_are_read():
    function = parse(
        "#variable_conflict use_column\n#print_strict_params on\n<<outer>> DECLARE a int;\nBEGIN\n"
        '<<"In ner">> WHILE true LOOP EXIT "In ner"; END LOOP "In ner";\nEND outer;'
    )
    assert function.labels == {"outer", "In ner"}
    assert function.options == ("#variable_conflict use_column", "#print_strict_params on")


def test_the_body_is_what_is_between_begin_and_the_last_end():
    source = "DECLARE a int; BEGIN BEGIN NULL; END; RETURN NULL; END;"
    function = parse(source)
    assert source[function.begin : function.end] == " BEGIN NULL; END; RETURN NULL; "


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "line 1 of the function has 'its end' where BEGIN is expected"),
        ("BEGIN", "'its end' where EXCEPTION or END is expected"),
        ("BEGIN\nRETURN NEW", "line 2 of the function has 'its end' where ; is expected"),
        ("BEGIN IF a THEN NULL; END; END", "has ';' where IF is expected"),
        ("BEGIN END; x", "has 'x' where the end of the function is expected"),
        ("BEGIN BEGIN END 1; END", "has '1' where \";\" is expected"),
        ("BEGIN ; END", "has ';' where a statement is expected"),
        ("SELECT 1", "has 'SELECT' where BEGIN is expected"),
    ],
)
def test_what_is_no_block_is_refused(source, message):
    with pytest.raises(FunctionSyntaxError, match=message):
        parse(source)


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("RAISE EXCEPTION 'no'", ("P0001", "no", "")),
        ("RAISE 'a % b %% %', NEW.x, upper('y')", ("P0001", "a <NEW.x> b % <upper('y')>", "")),
        ("RAISE '% and %', 'one'", ("P0001", "one and %", "")),
        ("RAISE unique_violation", ("unique_violation", "", "")),
        ("RAISE SQLSTATE '23514' USING MESSAGE = 'm'", ("23514", "m", "")),
        ("RAISE 'm' USING ERRCODE := '22012', HINT := E'it\\'s\\n'", ("22012", "m", "it's\n")),
        ("RAISE USING MESSAGE = format('%s of %I', TG_NAME, a(1, 2))", ("P0001", "t of <a(1, 2)>", "")),
        ("RAISE USING MESSAGE = format(a, b)", ("P0001", "<format(a, b)>", "")),
        ("RAISE USING MESSAGE = $$do$$ , DETAIL", ("P0001", "do", "")),
    ],
)  # fmt: skip
def test_what_is_raised_is_read(statement, refusal):
    function = parse(f"BEGIN {statement}; END")
    state, message, hint = refusal
    assert refusals(function, {"tg_name": "t"}) == [
        Refusal(sqlstate=state, message=message, hint=hint)
    ]


def test_warnings_and_what_was_caught_are_no_refusals():
    source = "BEGIN RAISE NOTICE 'a'; RAISE WARNING 'b'; EXCEPTION WHEN others THEN RAISE; END"
    assert refusals(parse(source)) == []


@pytest.mark.parametrize(
    ("literal", "text"),
    [("'it''s'", "it's"), (r"E'a\tb\\'", "a\tb\\"), ("$x$a$b$x$", "a$b"), ("$$$$", "")],
)
def test_a_literal_stands_for_its_text(literal, text):
    assert unquoted(literal) == text
