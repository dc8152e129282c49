"""pgtrigger.linting: what is wrong in the functions of triggers."""

import pytest
from django.db import connection

import pgtrigger
from pgtrigger.linting import Finding, Subject, analyse, lint, worst
from shop.database import functions, noop, refused, run, value
from shop.models import Missing, Order, Product

COLUMNS = frozenset(["id", "stock", "Name"])


def found(body, declare="", **kwargs):
    given = {
        "source": f"{declare}\nBEGIN\n{body}\nEND;",
        "table": "shop",
        "columns": COLUMNS,
        "operations": frozenset(["UPDATE"]),
        "for_each_row": True,
        **kwargs,
    }
    return [(one.level, one.line, one.message) for one in analyse(Subject(**given))]


def messages(*args, **kwargs):
    return [f"{level}: {message}" for level, _, message in found(*args, **kwargs)]


@pytest.mark.parametrize(
    "body",
    [
        "NEW.stock = OLD.id; RETURN NEW;",
        'NEW."Name" = 1; RETURN NEW;',
        "IF NEW.* IS DISTINCT FROM OLD.* THEN RETURN NEW; ELSE RETURN NULL; END IF;",
        "RAISE 'NEW.nothing %', shop.new;",
        "LOOP RETURN NEW; END LOOP;",
        "LOOP LOOP EXIT; END LOOP; IF a THEN RETURN NEW; END IF; END LOOP;",
        "WHILE true LOOP PERFORM 1; END LOOP;",
        "CASE NEW.id WHEN 1 THEN RETURN NEW; WHEN 2 THEN RAISE 'x'; END CASE;",
        "BEGIN RETURN NEW; EXCEPTION WHEN others THEN RETURN NULL; END;",
        "RETURN NEW; EXCEPTION WHEN others THEN RAISE;",
    ],
)
def test_nothing_is_found_in_what_is_right(body):
    assert found(body) == []


def test_a_column_that_the_table_does_not_have_is_an_error_with_its_line():
    assert found("IF NEW.id = 1 THEN\n  NEW.stok = 1;\nEND IF;\nRETURN NEW;") == [
        ("error", 4, 'record "new" has no field "stok": table shop has no such column')
    ]
    [finding] = analyse(
        Subject(
            source="BEGIN RETURN OLD.stok; END",
            table="shop",
            columns=COLUMNS,
            operations=frozenset(["UPDATE"]),
            for_each_row=True,
        )
    )
    assert finding.hint == 'Perhaps "stock" is meant.'
    assert finding.sqlstate == "42703"


def test_names_are_folded_as_postgres_does():
    assert messages("RETURN NEW.STOCK;") == []
    assert messages("RETURN NEW.Name;") == [
        'error: record "new" has no field "name": table shop has no such column'
    ]


def test_without_knowing_the_columns_none_is_unknown():
    assert found("RETURN NEW.whatever;", columns=None) == []


@pytest.mark.parametrize(
    ("body", "level"),
    [
        ("NULL;", "error"),
        ("NEW.stock = 1;", "error"),
        ("IF NEW.id = 1 THEN RETURN NEW; END IF;", "warning"),
        ("IF NEW.id = 1 THEN RETURN NEW; ELSIF NEW.id = 2 THEN RETURN NEW; END IF;", "warning"),
        ("IF NEW.id = 1 THEN RETURN NEW; ELSE NULL; END IF;", "warning"),
        ("FOR i IN 1..2 LOOP RETURN NEW; END LOOP;", "warning"),
        ("LOOP IF NEW.id = 1 THEN EXIT; END IF; RETURN NEW; END LOOP;", "warning"),
        ("LOOP EXIT; END LOOP;", "error"),
        ("BEGIN RETURN NEW; EXCEPTION WHEN others THEN NULL; END;", "warning"),
        ("RETURN NEW; EXCEPTION WHEN others THEN NULL;", "warning"),
        ("RAISE NOTICE 'x';", "error"),
        ("CASE NEW.id WHEN 1 THEN RETURN NEW; ELSE NULL; END CASE;", "warning"),
    ],
)
def test_a_missing_return_is_an_error_if_it_is_certain(body, level):
    [(found_level, _, message)] = found(body)
    assert found_level == level
    verb = "reaches" if level == "error" else "may reach"
    assert message == f"control {verb} the end of the function without RETURN"


def test_the_check_that_passes_by_is_no_return_of_the_body():
    source = pgtrigger.Trigger(
        name="t",
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        func="PERFORM 1;",
    )
    text = source.compile(Product).source
    assert "pgtrigger.ignore" in text
    subject = Subject(
        source=text,
        table="shop",
        columns=None,
        operations=frozenset(["UPDATE"]),
        for_each_row=False,
    )
    assert [one.level for one in analyse(subject)] == ["error"]


@pytest.mark.parametrize(
    ("declare", "body", "unused"),
    [
        ("DECLARE a int; b int;", "a := 1; RETURN NEW;", ["b"]),
        ("DECLARE a int; b int := a;", "RETURN b;", []),
        ("DECLARE n int;", "FOR i IN 1..n LOOP NULL; END LOOP; RETURN NEW;", []),
        ("DECLARE a int;", "SELECT t.a FROM t; RETURN NEW;", ["a"]),
        ("<<l>> DECLARE a int;", "RETURN l.a;", []),
        ('DECLARE "A" int; a int;', 'RETURN "A";', ["a"]),
        ("", "DECLARE a int; BEGIN NULL; END; RETURN NEW;", ["a"]),
        ("DECLARE a int;", "RAISE 'a'; -- a", ["a"]),
    ],
)
def test_a_variable_that_nothing_reads_or_writes_is_a_warning(declare, body, unused):
    assert messages(body, declare) == [f'warning: unused variable "{name}"' for name in unused]


@pytest.mark.parametrize(
    ("body", "operations", "expected"),
    [
        ("RETURN NEW.stock;", ["DELETE"], ["warning: NEW is NULL in a trigger for DELETE"]),
        ("RETURN OLD.stock;", ["INSERT"], ["warning: OLD is NULL in a trigger for INSERT"]),
        ("RETURN NEW;", ["DELETE"], []),
        ("RETURN OLD.stock;", ["INSERT", "UPDATE"], []),
    ],
)
def test_a_row_that_no_operation_has_is_a_warning(body, operations, expected):
    assert messages(body, operations=frozenset(operations)) == expected


def test_a_statement_has_no_rows():
    assert messages("RETURN NEW;", for_each_row=False) == []
    assert messages("RETURN NEW.id;", for_each_row=False) == [
        "warning: NEW is NULL in a trigger for each statement"
    ]


def test_text_that_is_no_function_is_an_error():
    assert messages("IF THEN") == [
        "error: syntax error: line 4 of the function has ';' where IF is expected."
    ]


def test_rows_that_are_not_there_are_null_for_the_server_too(live):
    func = "IF NEW IS NULL AND NEW.stock IS NULL THEN RAISE 'there is none'; END IF; RETURN NULL;"
    live(Product, noop(level=pgtrigger.Statement, when=pgtrigger.After, func=func))
    live(Product, noop("deleting", operation=pgtrigger.Delete, func=func))
    with refused("there is none"):
        Product.objects.update(stock=1)
    Product.objects.create()
    with refused("there is none"):
        Product.objects.filter(stock=0).delete()


def report(*pairs, **kwargs):
    return lint(connection, pairs, **kwargs)


def test_an_installed_function_is_checked_with_the_columns_of_the_table(live):
    trigger = live(Product, noop(func="NEW.stok = 1; RETURN NEW;"))
    run("ALTER TABLE shop_product ADD COLUMN stok int")
    [clean] = report((Product, trigger)).triggers
    assert clean.findings == ()
    run("ALTER TABLE shop_product DROP COLUMN stok")
    [linted] = report((Product, trigger)).triggers
    assert [one.sqlstate for one in linted.findings] == ["42703"]
    assert linted.installed
    assert linted.name == "shop.Product:noop"
    assert linted.table == "shop_product"
    assert str(linted.place).endswith("shop/models.py:16")


def test_a_function_that_is_not_installed_is_read_by_the_server(db, declared):
    syntax = declared(Product, noop(func="IF true\n THEN RETUR; END IF;"))
    type_ = declared(Product, noop("type", declare=[("a", "no_such_type")], func="RETURN a;"))
    before = functions()
    wrong = report((Product, syntax), (Product, type_))
    assert [one.findings for one in wrong.triggers] == [
        (
            Finding(
                level="error",
                message='syntax error at or near "RETUR"',
                line=wrong.triggers[0].findings[0].line,
                sqlstate="42601",
            ),
        ),
        (
            Finding(
                level="error",
                message='type "no_such_type" does not exist',
                line=wrong.triggers[1].findings[0].line,
                sqlstate="42704",
            ),
        ),
    ]
    source = syntax.compile(Product).source.splitlines()
    assert "RETUR" in source[wrong.triggers[0].findings[0].line - 1]
    assert [one.checked_by for one in wrong.triggers] == ["server", "server"]
    assert not any(one.installed for one in wrong.triggers)
    assert wrong.worst == "error"
    assert functions() == before
    assert value("SELECT count(*) FROM pg_proc WHERE proname = 'pgtrigger_lint'") == 0


def test_an_outdated_function_is_checked_as_it_is_declared(live):
    trigger = live(Product, noop())
    trigger.func = "RETURN NEW.stok;"
    [linted] = report((Product, trigger)).triggers
    assert not linted.installed
    assert [one.sqlstate for one in linted.findings] == ["42703"]


def test_a_trigger_of_a_table_that_is_not_there_is_checked_by_the_models_columns(db, declared):
    trigger = declared(Missing, noop(func="NEW.value = NEW.valu; RETURN NEW;"))
    [linted] = report((Missing, trigger)).triggers
    assert [one.hint for one in linted.findings] == ['Perhaps "value" is meant.']


def test_where_nobody_may_make_functions_the_text_is_checked(db, declared):
    trigger = declared(Order, noop(func="RETURN NEW.nothing;"))
    run("CREATE ROLE linter")
    run("SET LOCAL ROLE linter")
    run("SET LOCAL transaction_read_only = on")
    [linted] = report((Order, trigger)).triggers
    assert linted.checked_by == "text"
    assert [one.sqlstate for one in linted.findings] == ["42703"]


def test_a_trigger_that_the_router_refuses_is_left_out(db, declared, settings):
    class Nowhere:
        def allow_migrate(self, *args, **kwargs):
            return False

    trigger = declared(Product, noop())
    assert len(report((Product, trigger)).triggers) == 1
    settings.DATABASE_ROUTERS = [Nowhere()]
    assert report((Product, trigger)).triggers == ()


def test_nothing_found_is_the_best(db):
    assert report().triggers == ()
    assert report().worst == ""
    assert worst([Finding(level="warning", message="x")]) == "warning"


def test_triggers_made_by_hand_are_checked_where_that_is_asked_for(db):
    run(
        "CREATE FUNCTION hand() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW.nothing; END'"
    )
    run("CREATE TRIGGER hand BEFORE INSERT ON shop_product FOR EACH ROW EXECUTE FUNCTION hand()")
    run(
        "CREATE TRIGGER other BEFORE UPDATE ON shop_product FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    hand, other = report(by_hand=True).triggers
    assert hand.name == "public.shop_product:hand"
    assert [one.sqlstate for one in hand.findings] == ["42703"]
    assert hand.place is None
    assert other.findings == ()


@pytest.mark.parametrize("level", [pgtrigger.Row, pgtrigger.Statement], ids=str)
def test_no_trigger_of_the_contract_tests_has_an_error(db, level):
    from pgtrigger.registry import registered

    pairs = [pair for pair in registered() if pair[1].get_level() == level]
    wrong = [
        (linted.name, finding)
        for linted in report(*pairs).triggers
        for finding in linted.findings
        if finding.level == "error"
    ]
    assert wrong == []
