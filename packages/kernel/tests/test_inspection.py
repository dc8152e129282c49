"""pgtrigger.inspection: triggers of a database as declarations that do the same."""

import re
import shutil
import subprocess
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

import pgtrigger
from pgtrigger import sql
from pgtrigger.errors import TableNotFoundError
from pgtrigger.handwritten import read, relation_named
from pgtrigger.inspection import draft, source_of_table
from pgtrigger.inspection.drafting import declared_name
from pgtrigger.inspection.layout import WIDTH, string
from shop.database import noop, refused, rows, run, value
from shop.models import Order, Product

BODY = "BEGIN RETURN NEW; END"


def make(trigger, body=BODY, *, name="hand", table='"user"', options=""):
    run(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {options} AS "
        f"{sql.dollar_quote(body)}"
    )
    run(f"{trigger.replace(' ON ', f' ON {table} ', 1)} EXECUTE FUNCTION {name}()")


def triggers_of(source):
    """What the source declares."""
    namespace = {}
    exec(source, namespace)
    return namespace["triggers"]


def inspected(model=Order, **kwargs):
    return source_of_table(connection, model._meta.db_table, **kwargs)


def definition(name):
    """Of a trigger and its function, without their names."""
    [(text, source)] = rows(
        "SELECT pg_get_triggerdef(t.oid), p.prosrc FROM pg_trigger t"
        " JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgname = %s",
        [name],
    )
    text = re.sub(r'^(CREATE (?:CONSTRAINT )?TRIGGER) ("(?:[^"]|"")*"|\S+)', r"\1", text)
    text = re.sub(r"EXECUTE FUNCTION \S+\(\)$", "", text)
    return text, sql.normalise(source).rstrip("; ")


@contextmanager
def replaced(model=Order):
    """The triggers of a table by hand, replaced by what their source declares."""
    found = read(connection, relation_named(connection, model._meta.db_table))
    triggers = triggers_of(inspected(model))
    for one in found:
        run(f"DROP TRIGGER {sql.quote(one.name)} ON {one.db_table}")
    for trigger in triggers:
        trigger.ignorable = False
        trigger.register(model)
        trigger.install(model)
    try:
        yield triggers
    finally:
        for trigger in triggers:
            trigger.unregister(model)


FORMS = [
    "CREATE TRIGGER t BEFORE INSERT ON FOR EACH ROW",
    "CREATE TRIGGER t AFTER DELETE ON FOR EACH ROW",
    'CREATE TRIGGER t BEFORE INSERT OR UPDATE OF "Total", "it\'s odd" ON FOR EACH ROW',
    "CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON FOR EACH ROW",
    "CREATE TRIGGER t BEFORE UPDATE ON FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)",
    "CREATE TRIGGER t BEFORE UPDATE ON FOR EACH ROW WHEN (NEW.\"it's odd\" = E'a''\\\\\"b%%')",
    "CREATE TRIGGER t AFTER INSERT OR TRUNCATE ON FOR EACH STATEMENT",
    "CREATE TRIGGER t AFTER INSERT ON FOR EACH STATEMENT WHEN (current_user <> 'nobody')",
    'CREATE TRIGGER t AFTER UPDATE ON REFERENCING OLD TABLE AS "Olds" NEW TABLE AS news',
    "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
    "CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON DEFERRABLE FOR EACH ROW WHEN (NEW.id > 1)",
    'CREATE TRIGGER "Größe; DROP" BEFORE INSERT ON FOR EACH ROW',
]
BODIES = [
    BODY,
    "DECLARE a int; b CONSTANT text := 'x';\nBEGIN\n  a := 1;\n  RETURN NULL;\nEND;",
    '\n  DECLARE "A b" int NOT NULL := 5;\n  BEGIN\n    -- note\n    RETURN NULL; -- last\n  END',
    'BEGIN\n\tRAISE \'tab\t\\n """ %\', 1;\n\t\tRETURN NULL;\nEND;',
    "-- first\nBEGIN RETURN NULL; EXCEPTION WHEN others THEN RETURN NULL; END;",
    "<<own>> DECLARE a int; BEGIN own.a := 1; RETURN NULL; END own;",
    "BEGIN\n  RAISE 'two\nlines';\n  RETURN NULL;\nEND",
    "BEGIN DECLARE c int; BEGIN NULL; END; RETURN NULL; END",
]


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
def test_a_definition_comes_back_as_it_was(db, form):
    form = form.replace("%%", "%")
    make(form)
    name = re.match(r'CREATE (?:CONSTRAINT )?TRIGGER ("[^"]*"|\w+)', form)[1].strip('"')
    before = definition(name)
    with replaced() as [trigger]:
        assert definition(trigger.get_pgid(Order)) == before
        assert trigger.get_installation_status(Order) == ("INSTALLED", True)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_function_comes_back_as_it_was(db, body):
    make(FORMS[0], body)
    before = definition("t")[1]
    with replaced() as [trigger]:
        after = definition(trigger.get_pgid(Order))[1]
    if body.startswith("<<"):
        assert after == f"BEGIN {before}; END"
    elif body.startswith("--"):
        assert after == before.replace("-- first\nBEGIN ", "BEGIN -- first\n")
    else:
        assert after == before


TEXTS = st.sampled_from(["x", "it's", 'say "hi"', "back\\slash", "{brace} %s", "", "  two  "])
STATEMENTS = st.one_of(
    st.builds(lambda text: f"RAISE NOTICE '%', {sql.string(text)};", TEXTS),
    st.builds(lambda n: f"IF TG_OP = 'INSERT' THEN\n    PERFORM {n};\nEND IF;", st.integers(0, 9)),
    st.just("-- a comment with 'quotes\"\nNULL;"),
    st.just("/* BEGIN\n END; */ NULL;"),
    st.builds(lambda text: f"PERFORM $x${text}\n$x$;", TEXTS),
)


@st.composite
def functions(draw):
    names = draw(st.lists(st.sampled_from(["a", '"B c"', "d_1"]), unique=True, max_size=3))
    kinds = st.sampled_from(
        ["int", "text NOT NULL := 'x;y'", "CONSTANT int := 3", '"user"."Total"%TYPE']
    )
    declared = " ".join(f"{name} {draw(kinds)};\n" for name in names)
    indent = draw(st.sampled_from(["", "  ", "\t", "\n    "]))
    body = "\n".join(indent + text for text in draw(st.lists(STATEMENTS, max_size=4)))
    end = draw(st.sampled_from(["END", "END;", "END; -- done", "\n  end ;\n"]))
    head = f"DECLARE {declared}" if names else ""
    return f"{indent}{head}BEGIN\n{body}\n{indent}RETURN NULL;\n{end}"


@st.composite
def forms(draw):
    constraint = draw(st.booleans())
    row = constraint or draw(st.booleans())
    when = "AFTER" if constraint else draw(st.sampled_from(["BEFORE", "AFTER"]))
    columns = draw(st.lists(st.sampled_from(['"Total"', '"it\'s odd"', '"user"']), unique=True))
    update = f"UPDATE OF {', '.join(columns)}" if columns else "UPDATE"
    events = ["INSERT", "DELETE", update] + ["TRUNCATE"] * (not row)
    chosen = draw(st.lists(st.sampled_from(events), unique=True, min_size=1))
    clauses = []
    if constraint:
        clauses.append(draw(st.sampled_from(["DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"])))
    elif not row and when == "AFTER" and chosen[0] in ("INSERT", "DELETE", "UPDATE"):
        chosen = chosen[:1]
        tables = {"INSERT": ["NEW"], "DELETE": ["OLD"], "UPDATE": ["OLD", "NEW"]}[chosen[0]]
        clauses.append("REFERENCING " + " ".join(f"{kind} TABLE AS {kind}_rows" for kind in tables))
    clauses.append(f"FOR EACH {'ROW' if row else 'STATEMENT'}")
    if row and chosen in (["INSERT"], [update], ["INSERT", update]) and draw(st.booleans()):
        test = draw(
            st.sampled_from(['NEW."Total" > 3', 'NEW."user" <> \'a"b\'', "NEW.* IS NOT NULL"])
        )
        clauses.append(f"WHEN ({test})")
    name = draw(st.sampled_from(["t", '"My Trigger"', '"' + "é" * 30 + '"', "x" * 60]))
    kind = "CREATE CONSTRAINT TRIGGER" if constraint else "CREATE TRIGGER"
    return name.strip('"'), f"{kind} {name} {when} {' OR '.join(chosen)} ON {' '.join(clauses)}"


def without_end(source):
    """Before the last END, around which a declaration keeps nothing."""
    return re.split(r"\bend\b(?!.*\bend\b)", source, flags=re.IGNORECASE | re.DOTALL)[0].rstrip()


@given(form=forms(), body=functions())
def test_whatever_is_declared_is_what_was_there(db, form, body):
    name, statement = form
    with transaction.atomic():
        make(statement, body)
        before = definition(name)
        with replaced() as [trigger]:
            after = definition(trigger.get_pgid(Order))
            assert after[0] == before[0]
            assert without_end(after[1]) == without_end(before[1])
        transaction.set_rollback(True)


def test_it_behaves_as_before(db):
    make(
        'CREATE TRIGGER t BEFORE UPDATE OF "Total" ON FOR EACH ROW WHEN (NEW."Total" > 5)',
        "DECLARE most int := 10;\nBEGIN\n  IF NEW.\"Total\" > most THEN\n    RAISE 'too\n      much';"
        "\n  END IF;\n  NEW.\"user\" := 'capped';\n  RETURN NEW;\nEND",
    )

    def outcomes():
        order = Order.objects.create(user="u", total=1)
        found = []
        for total in (4, 7):
            Order.objects.filter(pk=order.pk).update(total=total)
            found.append(Order.objects.get(pk=order.pk).user)
        with refused("too\n      much"):
            Order.objects.filter(pk=order.pk).update(total=11)
        return found

    before = outcomes()
    assert before == ["u", "capped"]
    with replaced():
        assert outcomes() == before


@pytest.mark.parametrize(
    ("form", "options", "body", "reason"),
    [
        (FORMS[0], "SECURITY DEFINER", BODY, "is SECURITY DEFINER: it runs as its owner"),
        (FORMS[0], "SET search_path = public", BODY, "runs with settings: SET search_path=public"),
        (FORMS[0], "STABLE", BODY, "is STABLE"),
        (FORMS[0], "IMMUTABLE", BODY, "is IMMUTABLE"),
        (FORMS[0], "", f"#variable_conflict use_column\n{BODY}", "begins with variable_conflict use_column"),
        ("CREATE TRIGGER t AFTER INSERT ON REFERENCING NEW TABLE AS n FOR EACH ROW", "", BODY, "fires for each row and has transition tables"),
        ("CREATE CONSTRAINT TRIGGER t AFTER INSERT ON FROM shop_product FOR EACH ROW", "", BODY, "constraint trigger FROM another table"),
    ],
)  # fmt: skip
def test_what_cannot_be_declared_is_a_comment_that_says_why(db, form, options, body, reason):
    make(form, body, options=options)
    source = inspected()
    assert reason in " ".join(source.replace("#", "").split())
    assert triggers_of(source) == []
    assert "DROP" not in source


def test_functions_of_other_languages_and_arguments_are_not_declared(db):
    run(
        'CREATE TRIGGER c BEFORE UPDATE ON "user" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'
    )
    make(FORMS[0])
    run("CREATE TRIGGER a BEFORE INSERT ON \"user\" FOR EACH ROW EXECUTE FUNCTION hand('x', 'y')")
    source = " ".join(inspected().replace("#", "").split())
    assert "is written in internal" in source
    assert "is called with 2 arguments (TG_ARGV)" in source
    assert [trigger.name for trigger in triggers_of(inspected())] == ["t"]


def test_a_function_that_cannot_be_read_is_not_declared(db):
    run("SET LOCAL check_function_bodies = off")
    make(FORMS[0], "BEGIN IF; END")
    assert "its function cannot be read: line 1" in inspected()


def test_the_sessions_that_it_fires_in_are_declared(db):
    make(FORMS[0])
    for state, text in {"ENABLE": None, "DISABLE": None, "ENABLE ALWAYS": "firing=pgtrigger.Always", "ENABLE REPLICA": "firing=pgtrigger.Replica"}.items():  # fmt: skip
        run(f'ALTER TABLE "user" {state} TRIGGER t')
        assert (text or "func=") in inspected()
        assert ("firing=" in inspected()) == (text is not None)
        assert ("it is disabled" in inspected()) == (state == "DISABLE")
        assert len(triggers_of(inspected())) == 1


def test_what_is_to_be_known_is_noted(db):
    make(FORMS[0], "BEGIN RAISE '%', TG_NAME; END")
    run('CREATE TRIGGER u BEFORE DELETE ON "user" FOR EACH ROW EXECUTE FUNCTION hand()')
    make("CREATE CONSTRAINT TRIGGER v AFTER INSERT ON FOR EACH ROW", name="other")
    source = " ".join(inspected().replace("#", "").split())
    assert '"public"."hand"() is called by 2 triggers; this has a copy of it.' in source
    make(FORMS[1].replace(" t ", " w "), "DECLARE a int; BEGIN RETURN named.a; END", name="named")
    assert "may name itself, as named.…" in inspected()
    assert "reads TG_NAME, which becomes the Postgres id" in source
    assert "a constraint trigger that cannot be deferred, which is an ordinary one" in source


def test_the_originals_are_dropped_with_their_functions(db):
    make(FORMS[0])
    run('CREATE TRIGGER u BEFORE DELETE ON "user" FOR EACH ROW EXECUTE FUNCTION hand()')
    run("CREATE TRIGGER u BEFORE DELETE ON shop_product FOR EACH ROW EXECUTE FUNCTION hand()")
    make(FORMS[1].replace(" t ", " v "), name='"Other"')
    drops = [line.strip("# ") for line in inspected().splitlines() if "DROP" in line]
    assert drops == [
        'DROP TRIGGER "t" ON "public"."user";',
        'DROP TRIGGER "u" ON "public"."user";',
        'DROP TRIGGER "v" ON "public"."user";',
        'DROP FUNCTION "public"."Other"();',
    ]


def test_fields_stand_for_their_columns(db):
    make('CREATE TRIGGER t BEFORE UPDATE OF "Total" ON FOR EACH ROW')
    assert 'pgtrigger.UpdateOf("total")' in inspected()
    assert "For Meta.triggers of shop.Order (shop.models)." in inspected()


def test_a_column_that_the_model_does_not_know_cannot_be_named(db):
    run('ALTER TABLE "user" ADD COLUMN extra int')
    make("CREATE TRIGGER t BEFORE UPDATE OF extra ON FOR EACH ROW")
    assert "updates of extra, which is no column of a field of shop.Order" in inspected()


def test_a_table_without_a_model_is_inspected(db):
    run("CREATE SCHEMA far")
    run("CREATE TABLE far.away (id int)")
    make("CREATE TRIGGER t BEFORE UPDATE OF id ON FOR EACH ROW", table="far.away")
    source = source_of_table(connection, "far.away")
    assert "No model has this table" in source
    assert triggers_of(source)[0].operation == pgtrigger.UpdateOf("id")


def test_a_model_may_be_named_too(db):
    make(FORMS[0])
    assert source_of_table(connection, "shop.Order") == inspected()
    with pytest.raises(TableNotFoundError):
        source_of_table(connection, "shop.Nothing")


def test_a_view_is_inspected(db):
    run("CREATE VIEW seen AS SELECT 1 AS id")
    make("CREATE TRIGGER t INSTEAD OF UPDATE ON FOR EACH ROW", table="seen")
    [trigger] = triggers_of(source_of_table(connection, "seen"))
    assert trigger.when == pgtrigger.InsteadOf


def test_ours_are_left_out_unless_asked_for(live):
    live(Product, noop())
    assert inspected(Product) == "# Table shop_product has no triggers that were made by hand.\n"
    assert "pgtrigger_noop_" in inspected(Product, ours=True)


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("plain", [], "plain"),
        ("set stamp!", [], "set_stamp_"),
        ("Größe", [], "Gr_e"),
        ("t", ["T"], "t_2"),
        ("t", ["t", "t_2"], "t_3"),
        ("x" * 60, [], "x" * 47),
        ("x" * 60, ["x" * 47], "x" * 45 + "_2"),
    ],
)
def test_names_are_made_valid_and_numbered(name, taken, expected):
    assert declared_name(name, taken) == expected
    noop(expected)


def test_names_of_declarations_are_taken(declared):
    declared(Order, noop("t"))
    with transaction.atomic():
        make(FORMS[0])
        assert [trigger.name for trigger in triggers_of(inspected())] == ["t_2"]
        transaction.set_rollback(True)


test_names_of_declarations_are_taken = pytest.mark.django_db(test_names_of_declarations_are_taken)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("CREATE TRIGGER a BEFORE INSERT ON FOR EACH ROW", "CREATE TRIGGER b BEFORE INSERT ON FOR EACH ROW", False),
        ("CREATE TRIGGER a BEFORE INSERT ON FOR EACH ROW", "CREATE TRIGGER a_b BEFORE INSERT ON FOR EACH ROW", True),
        ('CREATE TRIGGER "B" BEFORE INSERT ON FOR EACH ROW', "CREATE TRIGGER a BEFORE INSERT ON FOR EACH ROW", True),
        ('CREATE TRIGGER "B" BEFORE INSERT ON FOR EACH ROW', "CREATE TRIGGER a BEFORE UPDATE ON FOR EACH ROW", False),
        ('CREATE TRIGGER "B" BEFORE INSERT ON FOR EACH ROW', "CREATE TRIGGER a AFTER INSERT ON FOR EACH ROW", False),
        ("CREATE TRIGGER a BEFORE INSERT ON FOR EACH ROW", "CREATE CONSTRAINT TRIGGER b AFTER INSERT ON FROM shop_product FOR EACH ROW", False),
        ("CREATE TRIGGER a AFTER INSERT ON FOR EACH ROW", "CREATE CONSTRAINT TRIGGER b AFTER INSERT ON FROM shop_product FOR EACH ROW", True),
    ],
)  # fmt: skip
def test_another_order_is_told_where_it_may_be(db, first, second, told):
    make(first)
    make(second)
    assert ("in the order of their names" in inspected()) == told


def test_the_source_is_laid_out_as_a_formatter_does(db, tmp_path):
    program = shutil.which("ruff")
    if program is None:
        pytest.skip("ruff is not installed")
    run("CREATE TABLE wide (" + ", ".join(f"a_rather_long_column_{n} int" for n in range(8)) + ")")
    columns = [f"a_rather_long_column_{n}" for n in range(8)]
    for number, (update, rest) in enumerate(
        [
            (columns[:1], ""),
            (columns[:3], ""),
            (columns[:4], ""),
            (columns, ""),
            ([], f"WHEN (NEW.{columns[0]} > 1)"),
            ([], "WHEN (" + " OR ".join(f"NEW.{column} > 1" for column in columns) + ")"),
        ]
    ):
        for insert in ("", "INSERT OR DELETE OR " if not rest else "INSERT OR "):
            event = "UPDATE OF " + ", ".join(update) if update else "UPDATE"
            make(
                f"CREATE TRIGGER t{number}{len(insert)} BEFORE {insert}{event} ON FOR EACH ROW {rest}",
                BODIES[number],
                table="wide",
                name=f"f{number}",
            )
    make(
        "CREATE TRIGGER s AFTER UPDATE ON REFERENCING OLD TABLE AS "
        f"{'o' * 40} NEW TABLE AS {'n' * 40}",
        "DECLARE a text := 'it''s'; b text := 'say \"hi\"';"
        + "".join(f" c{n} int := {n};" for n in range(9))
        + BODY,
        name="s",
        table="wide",
    )
    source = source_of_table(connection, "wide")
    path = tmp_path / "triggers.py"
    path.write_text(source)
    subprocess.run([program, "format", "--isolated", "-q", path], check=True)
    assert path.read_text() == source
    assert len(triggers_of(source)) == 13
    for line in source.splitlines():
        assert len(line) <= WIDTH or '"' in line


@pytest.mark.parametrize(
    "text", ["plain", "it's", 'say "hi"', 'it\'s "both"', "back\\slash", "tab\t\n\r\0é\x1b"]
)
def test_a_string_means_the_text(text):
    assert eval(string(text)) == text


def test_a_draft_holds_what_was_found(db):
    make(FORMS[0])
    [found] = read(connection, relation_named(connection, "user"))
    drafted = draft(found, None, {"t"})
    assert drafted.found is found
    assert drafted.name == "t_2"
    assert drafted.notes == ('"t" is no name for a declaration, or is taken',)
    assert value("SELECT 1") == 1
