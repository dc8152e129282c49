"""pgtrigger.layout: statements as people like to read them."""

import pytest

import pgtrigger
from pgtrigger.layout import lay_out, script
from shop.database import definitions, noop, run
from shop.models import Product


def test_each_clause_of_a_trigger_stands_in_a_line():
    text = lay_out(
        "CREATE OR REPLACE TRIGGER t BEFORE UPDATE OF a, b ON x FOR EACH ROW "
        "WHEN (OLD.a IS DISTINCT FROM NEW.a AND (NEW.b = ' for each ')) EXECUTE FUNCTION f()"
    )
    assert text.splitlines() == [
        "CREATE OR REPLACE TRIGGER t",
        "    BEFORE UPDATE OF a, b",
        "    ON x",
        "    FOR EACH ROW",
        "    WHEN (OLD.a IS DISTINCT FROM NEW.a AND (NEW.b = ' for each '))",
        "    EXECUTE FUNCTION f()",
    ]


def test_clauses_of_constraints_and_transition_tables():
    deferred = "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON x DEFERRABLE INITIALLY DEFERRED FOR "
    assert lay_out(deferred + "EACH ROW EXECUTE FUNCTION f()").splitlines()[2:5] == [
        "    ON x",
        "    DEFERRABLE INITIALLY DEFERRED",
        "    FOR EACH ROW",
    ]
    assert "\n    NOT DEFERRABLE INITIALLY IMMEDIATE\n" in lay_out(
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON x NOT DEFERRABLE INITIALLY IMMEDIATE "
        "FOR EACH ROW EXECUTE FUNCTION f()"
    )
    assert "\n    REFERENCING OLD TABLE AS o\n    FOR EACH STATEMENT\n" in lay_out(
        "CREATE TRIGGER t AFTER DELETE ON x REFERENCING OLD TABLE AS o FOR EACH STATEMENT "
        "EXECUTE FUNCTION f()"
    )


def test_other_statements_stay_as_they_are():
    assert lay_out("DROP TRIGGER t ON x") == "DROP TRIGGER t ON x"


@pytest.mark.parametrize(
    "trigger",
    [
        noop(condition=pgtrigger.Q(old__name="a for each row execute")),
        noop(operation=pgtrigger.Update | pgtrigger.Truncate),
        noop(when=pgtrigger.After, timing=pgtrigger.Deferred),
        noop(
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=pgtrigger.Update,
            referencing=pgtrigger.Referencing(old="o", new="n"),
        ),
    ],
)
def test_a_script_installs_what_it_shows(db, trigger):
    trigger.install(Product)
    before = definitions("shop_product")
    trigger.uninstall(Product)
    run(script(trigger.compile(Product).install_sql("shop_product")).replace("%", "%%"), [])
    assert definitions("shop_product") == before
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)
