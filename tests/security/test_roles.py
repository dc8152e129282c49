"""What a role without rights can do to triggers, by plain SQL: ignore those that can be ignored.

PostgreSQL manual: "Customized Options", "GRANT".
"""

import pytest
from django.db import Error, IntegrityError, transaction

import pgtrigger
from shop.models import Product

pytestmark = pytest.mark.django_db

INSERT = (
    "INSERT INTO shop_product (name, stock, attributes, created_at, updated_at)"
    " VALUES ('a', 1, '{}', now(), now())"
)
KINDS = {
    "protect": pgtrigger.Protect(name="t", operation=pgtrigger.Update, ignorable=False),
    "protect-statement": pgtrigger.Protect(
        name="t",
        operation=pgtrigger.Update,
        condition=pgtrigger.Q(old__stock=1),
        level=pgtrigger.Statement,
        ignorable=False,
    ),
    "read-only": pgtrigger.ReadOnly(name="t", fields=["name"], ignorable=False),
    "fsm": pgtrigger.FSM(name="t", field="name", transitions=[("a", "z")], ignorable=False),
    "deferred": pgtrigger.Trigger(
        name="t",
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        timing=pgtrigger.Deferred,
        func=pgtrigger.raise_violation("not this"),
        ignorable=False,
    ),
}


@pytest.fixture
def install(sql):
    """``install(trigger)``: on a table with a row, until the test ends."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def install(trigger):
            sql(INSERT)
            stack.enter_context(trigger.register(Product))
            trigger.install(Product)
            return trigger

        yield install


@pytest.fixture
def refused(sql):
    """Whether an update is refused, after some settings."""

    def refused(*settings):
        try:
            with transaction.atomic():
                sql(*settings, "UPDATE shop_product SET name = 'b'")
                sql("SET CONSTRAINTS ALL IMMEDIATE")
                transaction.set_rollback(True)
        except IntegrityError:
            return True
        return False

    return refused


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_a_role_sets_ignores_what_is_not_ignorable(
    kind, install, writer, sql, refused
):
    trigger = install(KINDS[kind])
    compiled = trigger.compile(Product)
    names = [*compiled.pgids, compiled.function, trigger.get_uri(Product), "*"]
    sql(f"SET LOCAL ROLE {writer}")
    assert refused()
    for value in ["*", "{*}", "{*,*}", *names, pgtrigger.sql.array(names)]:
        assert refused(f"SET LOCAL pgtrigger.ignore = {pgtrigger.sql.literal(value)}")
        assert refused(f"SET SESSION pgtrigger.ignore = {pgtrigger.sql.literal(value)}")


def test_any_role_ignores_what_can_be_ignored(install, writer, sql, refused):
    # That is what the setting is for, and no right is asked for.
    install(pgtrigger.Protect(name="t", operation=pgtrigger.Update))
    sql(f"SET LOCAL ROLE {writer}")
    assert refused()
    assert not refused("SET LOCAL pgtrigger.ignore = '{*}'")


@pytest.mark.parametrize(
    "value", ["{", "}", "{a", '{"a}', "NULL", "a,b", "{{a}}", "{a}{b}", "'", "\\", "{*", "}*{", " "]
)
def test_no_value_of_the_setting_ignores_what_it_does_not_name(install, sql, refused, value):
    install(pgtrigger.Protect(name="t", operation=pgtrigger.Update))
    setting = f"SET LOCAL pgtrigger.ignore = {pgtrigger.sql.literal(value)}"
    if value == "{*":  # how everything begins
        assert not refused(setting)
        return
    try:
        assert refused(setting)
    except Error as error:
        assert "array" in str(error)  # the statement fails as well


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE shop_product DISABLE TRIGGER ALL",
        "ALTER TABLE shop_product DISABLE TRIGGER USER",
        "DROP TRIGGER {pgid} ON shop_product",
        "DROP FUNCTION {function}() CASCADE",
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE TRIGGER z BEFORE UPDATE ON shop_product EXECUTE FUNCTION {function}()",
        "SET session_replication_role = replica",
        "ALTER FUNCTION {function}() SET pgtrigger.ignore = '{{*}}'",
    ],
)
def test_a_role_that_only_writes_cannot_take_a_trigger_away(install, writer, sql, statement):
    compiled = install(KINDS["protect"]).compile(Product)
    sql(f"SET LOCAL ROLE {writer}")
    with pytest.raises(Error, match="must be owner|permission denied"), transaction.atomic():
        sql(statement.format(pgid=compiled.pgid, function=compiled.function))


def test_a_function_has_no_rights_but_those_of_who_writes(install, sql):
    compiled = install(KINDS["protect"]).compile(Product)
    query = f"SELECT prosecdef FROM pg_proc WHERE proname = '{compiled.function}'"
    assert sql(query) == [(False,)]


def test_a_search_path_of_its_own_is_that_of_the_function(install, writer, sql):
    install(
        pgtrigger.Trigger(
            name="t",
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            func="NEW.note = pg_catalog.current_setting('search_path'); RETURN NEW;",
            search_path=["shop", 'say "hi"', "pg_temp"],
        )
    )
    sql(f"SET LOCAL ROLE {writer}", "UPDATE shop_product SET name = 'b'")
    assert sql("SELECT note FROM shop_product") == [('shop, "say ""hi""", pg_temp',)]
    assert sql("SHOW search_path") == [('"$user", public',)]


@pytest.mark.parametrize("path", ["public", ["public", ""]])
def test_a_search_path_that_is_none_is_refused(path):
    with pytest.raises(pgtrigger.DeclarationError, match='"search_path" is a list of schemas'):
        pgtrigger.Trigger(
            name="t",
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            func="RETURN NEW;",
            search_path=path,
        )


def test_only_conditions_on_types_of_postgres_are_confined():
    from pgtrigger.confinement import is_confined

    assert is_confined("OLD.\"name\" = 'a' AND NEW.stock > 1", Product)
    assert is_confined("OLD.* IS DISTINCT FROM NEW.*", Product)
    assert is_confined("OLD.stock OPERATOR(pg_catalog.=) 1", Product)
    for expression in [
        "is_mine(OLD.id)",
        "public.is_mine(OLD.id)",
        "EXISTS (SELECT FROM shop_order)",
        'OLD.name = "x"',
        "OLD.name @@ 'x'",
        "OLD.name::citext = 'a'",
        "OLD.stock OPERATOR(public.=) 1",
    ]:
        assert not is_confined(expression, Product), expression
