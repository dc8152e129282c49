"""What somebody puts into a schema of the search path changes nothing of what triggers do.

A powerful role meets better matches than Postgres' own; a weak one chooses its search path, with
``pg_catalog`` late. PostgreSQL manual: "Schemas", usage patterns.
"""

import pytest
from django.db import Error, transaction

import pgtrigger
from shop.models import Maker, Product

# So that there is a test database to make the hostile one from.
pytestmark = pytest.mark.django_db

MAKERS = "INSERT INTO shop_maker (code, country) VALUES ('m', 'NL'), ('n', 'NL')"
PRODUCTS = (
    "INSERT INTO shop_product"
    " (name, stock, attributes, maker_id, created_at, updated_at)"
    " VALUES ('a', 1, '{}', 'm', now(), now()), ('b', 2, '{}', 'n', now(), now())"
)
TABLES = ["shop_maker", "shop_product"]
UPDATE = pgtrigger.Update
EVERYTHING = pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete
STATEMENT = pgtrigger.Statement
BLOCK = pgtrigger.raise_violation("blocked %s", "'here'")

PROTECT = {"name": "t", "operation": UPDATE | pgtrigger.Delete}
FSM = {"name": "t", "field": "name", "transitions": [("a", "c"), ("b", "d")]}
SOFT = {"name": "soft"}


def soft_maker(**kwargs):
    return pgtrigger.SoftDelete(name="soft", field="country", value="XX", live="NL", **kwargs)


def soft_product(**kwargs):
    return pgtrigger.SoftDelete(name="soft", field="name", value="gone", live="a", **kwargs)


TRIGGERS = {
    "protect-row": {Product: pgtrigger.Protect(condition=pgtrigger.Q(old__name="a"), **PROTECT)},
    "protect-row-message": {
        Product: pgtrigger.Protect(
            message="{columns.name} {old.maker} {operation} {table}",
            hint="see {columns.name}",
            **PROTECT,
        )
    },
    "protect-statement": {
        Product: pgtrigger.Protect(condition=pgtrigger.Q(old__name="a"), level=STATEMENT, **PROTECT)
    },
    "protect-statement-in": {
        Product: pgtrigger.Protect(
            condition=pgtrigger.Q(old__name__in=["a", "z"], old__stock__lt=5),
            level=STATEMENT,
            **PROTECT,
        )
    },
    "protect-statement-sql": {
        Product: pgtrigger.Protect(
            condition=pgtrigger.Condition("OLD.name = 'a' AND OLD.stock BETWEEN 0 AND 3"),
            level=STATEMENT,
            **PROTECT,
        )
    },
    "protect-statement-change": {
        Product: pgtrigger.Protect(
            name="t", operation=UPDATE, condition=pgtrigger.AnyChange(), level=STATEMENT
        )
    },
    "protect-truncate": {
        Product: pgtrigger.Protect(
            name="t", operation=pgtrigger.Truncate, condition=pgtrigger.Q(old__name="a")
        )
    },
    "append-only": {Product: pgtrigger.AppendOnly(name="t")},
    "read-only-row": {
        Product: pgtrigger.ReadOnly(name="t", fields=["name", "maker", "attributes"])
    },
    "read-only-statement": {
        Product: pgtrigger.ReadOnly(name="t", fields=["name", "maker"], level=STATEMENT)
    },
    "fsm-row": {Product: pgtrigger.FSM(**FSM)},
    "fsm-row-deferred": {Product: pgtrigger.FSM(timing=pgtrigger.Immediate, **FSM)},
    "fsm-statement": {Product: pgtrigger.FSM(level=STATEMENT, **FSM)},
    "composer-statement": {
        Product: pgtrigger.Composer(
            name="t",
            level=STATEMENT,
            when=pgtrigger.After,
            operation=UPDATE,
            condition=pgtrigger.AnyChange("name", "maker"),
            func=pgtrigger.Func(
                f"IF EXISTS (SELECT FROM {{cond_joined_values}}) THEN {BLOCK} END IF; RETURN NULL;"
            ),
        )
    },
    "soft-delete": {Product: soft_product()},
    "soft-delete-cascade": {Product: soft_product(), Maker: soft_maker(cascade="soft")},
    "soft-delete-refuse": {Product: soft_product(), Maker: soft_maker(cascade="refuse")},
    "soft-delete-set-null": {Product: soft_product(), Maker: soft_maker(cascade="set_null")},
}
WRITES = {
    "nothing": "UPDATE shop_product SET stock = stock",
    "update": "UPDATE shop_product SET name = 'c', maker_id = 'n'",
    "delete": "DELETE FROM shop_product",
    "delete-makers": "DELETE FROM shop_maker",
    "truncate": "TRUNCATE shop_product CASCADE",
    "insert": PRODUCTS,
}


@pytest.fixture
def installed(request, sql):
    """The triggers of the test, on tables with rows."""
    from contextlib import ExitStack

    sql(MAKERS, PRODUCTS)
    with ExitStack() as stack:
        for model, trigger in request.param.items():
            stack.enter_context(trigger.register(model))
        for model, trigger in request.param.items():
            trigger.install(model)
        sql("SET CONSTRAINTS ALL IMMEDIATE")
        yield
        # What is deferred must not fire while the transaction ends.
        transaction.set_rollback(True)


@pytest.fixture
def outcome(sql):
    """``outcome(write, *before)``: what a statement comes to, after some settings."""

    def outcome(write, *before, tables=TABLES, columns="*"):
        try:
            with transaction.atomic():
                sql(*before, write)
                sql("RESET search_path", "RESET ROLE", "SET LOCAL pgtrigger.ignore = '*'")
                rows = [sorted(map(repr, sql(f"SELECT {columns} FROM {t}"))) for t in tables]
                transaction.set_rollback(True)
        except Error as error:
            assert "HIJACKED" not in str(error), str(error)
            return [type(error).__name__, *str(error).splitlines()[:1]]
        return rows

    return outcome


ALL = pytest.mark.parametrize(
    "installed", [pytest.param(value, id=key) for key, value in TRIGGERS.items()], indirect=True
)
WITHOUT_TIMES = "t.*"


def compared(outcome, *hostile):
    """Each write with the search path as it is and with another one."""
    for write in WRITES.values():
        options = {"columns": "to_jsonb(t) - 'id' - 'created_at' - 'updated_at'"}
        options["tables"] = [f"{table} t" for table in TABLES]
        before = [statement for statement in hostile if "search_path" not in statement]
        plain = outcome(write, *before, **options)
        assert outcome(write, *hostile, **options) == plain, write


def test_the_schemas_are_as_hostile_as_they_should_be(hostile_database, sql, outcome):
    assert min(hostile_database.made.values()) > 500
    sql(MAKERS, "SET LOCAL search_path = public, loud")
    with pytest.raises(Error, match=r"HIJACKED by operator = \(varchar, varchar\)"):
        with transaction.atomic():
            sql("SELECT 1 FROM shop_maker WHERE code = 'm'")
    with pytest.raises(Error, match=r"HIJACKED by function format"), transaction.atomic():
        sql("SELECT format('%s %s', 'a'::text, 'b'::name)")
    sql("SET LOCAL search_path = never, pg_catalog, public")
    assert sql("SELECT 'a'::text = 'a'::text, 1 = 1") == [(False, False)]


@ALL
def test_nothing_of_others_runs_when_a_powerful_role_writes(installed, outcome):
    path = "SET LOCAL search_path = public, loud"
    compared(outcome, path)
    compared(outcome, "SET LOCAL pgtrigger.ignore = '{another,and-another}'", path)


@ALL
def test_a_weak_role_changes_nothing_by_its_search_path(installed, writer, outcome):
    role = f"SET LOCAL ROLE {writer}"
    for schema in ("never", "always"):
        compared(outcome, role, f"SET LOCAL search_path = {schema}, pg_catalog, public")
