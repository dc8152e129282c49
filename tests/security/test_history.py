"""History records what a weak role does, and nobody but the owner takes events away."""

import pytest
from django.db import Error, IntegrityError, transaction

from pgtrigger_history.protection import MAINTENANCE

pytestmark = pytest.mark.django_db

INVOICES = (
    "INSERT INTO ledger_invoice (total, note, created_at, changed_at)"
    " VALUES (1, 'a', now(), now()), (2, 'b', now(), now())"
)
PAYMENTS = (
    "INSERT INTO ledger_payment (invoice_id, amount, changed_at)"
    " SELECT id, 1, now() FROM ledger_invoice"
)
# Statement level; row level with the context inline; a key of type varchar; two of them.
STATEMENTS = {
    "invoice": [
        INVOICES,
        "UPDATE ledger_invoice SET note = 'c'",
        "UPDATE ledger_invoice SET note = note",
        "UPDATE ledger_invoice SET id = 1000000 - id",
        "DELETE FROM ledger_invoice",
    ],
    "account": [
        "INSERT INTO ledger_account (number, balance, owner) VALUES ('1', 1, ''), ('2', 2, '')",
        "UPDATE ledger_account SET balance = 5",
        "UPDATE ledger_account SET balance = balance",
    ],
    "seat": [
        "INSERT INTO ledger_seat (row, number, guest) VALUES ('a', 1, ''), ('b', 2, '')",
        "UPDATE ledger_seat SET guest = 'Ada'",
        "UPDATE ledger_seat SET row = 'c' WHERE number OPERATOR(pg_catalog.=) 1",
        "DELETE FROM ledger_seat",
    ],
    "payment": [
        "INSERT INTO ledger_customer (name, \"Town\") VALUES ('Ada', '')",
        "INSERT INTO ledger_invoice (total, note, created_at, changed_at) VALUES (1, '', now(), now())",
        PAYMENTS,
        "UPDATE ledger_payment SET amount = 2",
        "UPDATE ledger_payment SET amount = amount",
        "UPDATE ledger_payment SET id = id + 1000000",
        "DELETE FROM ledger_payment",
    ],
}
CONTEXT = """SELECT set_config('pgtrigger.context', '{"user": 7}', true)"""
LEFT_OUT = ["pgh_id", "pgh_created_at", "pgh_transaction", "pgh_context_id", "id", "pgh_obj_id"]
OURS = ["invoice_id", "created_at", "changed_at"]


@pytest.fixture
def recorded(sql):
    """``recorded(table, *before)``: the events of the statements, after some settings."""

    def recorded(table, *before):
        removed = " - ".join(f"'{name}'" for name in [*LEFT_OUT, *OURS])
        with transaction.atomic():
            sql(CONTEXT, *before)
            for statement in STATEMENTS[table]:
                sql(statement)
            sql("RESET search_path", "RESET ROLE")
            found = sql(f"SELECT to_jsonb(e) - {removed} FROM ledger_{table}event e")
            contexts = sql("SELECT data FROM pgtrigger_history_context")
            transaction.set_rollback(True)
        return sorted(map(str, found)), contexts

    return recorded


@pytest.mark.parametrize("table", STATEMENTS)
def test_nothing_of_others_runs_when_a_powerful_role_is_recorded(recorded, table):
    plain = recorded(table)
    assert len(plain[0]) > 3
    assert recorded(table, "SET LOCAL search_path = public, loud") == plain


@pytest.mark.parametrize("schema", ["never", "always"])
# The condition of an account's events is a Q, which at statement level is of the writer's path.
@pytest.mark.parametrize("table", sorted({*STATEMENTS} - {"account"}))
def test_a_weak_role_is_recorded_whatever_its_search_path(recorded, writer, table, schema):
    role = f"SET LOCAL ROLE {writer}"
    path = f"SET LOCAL search_path = {schema}, pg_catalog, public"
    assert recorded(table, role, path) == recorded(table, role)


def test_tables_of_the_same_name_in_pg_temp_catch_no_events(recorded, writer, sql):
    tables = ["ledger_invoiceevent", "pgtrigger_history_context"]
    plain = recorded("invoice")
    catching = [f"CREATE TEMPORARY TABLE {table} (LIKE public.{table})" for table in tables]
    dropping = [f"ALTER TABLE pg_temp.{table} RENAME TO caught_{table}" for table in tables]
    with transaction.atomic():
        sql(CONTEXT, f"SET LOCAL ROLE {writer}", *catching, *STATEMENTS["invoice"], *dropping)
        for table in tables:
            assert sql(f"SELECT count(*) FROM caught_{table}") == [(0,)]
        assert sql("SELECT count(*) FROM public.ledger_invoiceevent") == [(len(plain[0]),)]
        transaction.set_rollback(True)


@pytest.fixture
def event(sql, writer):
    """There is an event."""
    sql(STATEMENTS["invoice"][0])
    # What the role owns is in the catalogs: an operator of its own may look for just that.
    sql(f"GRANT CREATE ON SCHEMA never TO {writer}", f"SET LOCAL ROLE {writer}")
    sql("CREATE TABLE never.mine ()")
    return "ledger_invoiceevent"


@pytest.mark.parametrize(
    "write", ["DELETE FROM {}", "UPDATE {} SET total = 0", "TRUNCATE {} CASCADE"]
)
@pytest.mark.parametrize(
    "path", ["public", "never, pg_catalog, public", "always, pg_catalog, public"]
)
@pytest.mark.parametrize("maintenance", ["", "on"])
def test_a_weak_role_takes_no_events_away(event, sql, write, path, maintenance):
    with pytest.raises(Error), transaction.atomic():
        sql(
            "SET LOCAL pgtrigger.ignore = '*'",
            f"SET LOCAL {MAINTENANCE} = '{maintenance}'",
            f"SET LOCAL search_path = {path}",
            write.format(event),
        )
    assert sql(f"SELECT count(*) FROM public.{event}") == [(2,)]


def test_an_operator_that_finds_ones_own_table_does_not_make_one_the_owner(event, sql):
    # It would name the writer the owner of any table.
    sql(
        "SET LOCAL search_path = public",
        "CREATE FUNCTION never.finds_mine(l oid, r oid) RETURNS boolean LANGUAGE sql"
        " AS $$SELECT l OPERATOR(pg_catalog.=) 'never.mine'::regclass::oid$$",
    )
    sql("RESET ROLE", "DROP OPERATOR never.= (oid, oid)", "SET LOCAL ROLE security_writer")
    sql("CREATE OPERATOR never.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = never.finds_mine)")
    sql(f"SET LOCAL {MAINTENANCE} = 'on'")
    with pytest.raises(IntegrityError, match="Cannot delete rows"), transaction.atomic():
        # The text of the setting is 'on' for this role, too.
        sql("SET LOCAL search_path = public")
        sql("SET LOCAL search_path = never, pg_catalog, public", f"DELETE FROM {event}")


def test_the_owner_takes_events_away_when_it_says_so(event, sql):
    sql("RESET ROLE")
    with pytest.raises(IntegrityError), transaction.atomic():
        sql(f"DELETE FROM {event}")
    sql(f"SET LOCAL {MAINTENANCE} = 'on'", f"DELETE FROM {event}")
    assert sql(f"SELECT count(*) FROM {event}") == [(0,)]


def test_a_role_that_may_not_insert_events_cannot_write_unrecorded(sql, writer):
    sql(f"REVOKE INSERT ON ledger_invoiceevent FROM {writer}", f"SET LOCAL ROLE {writer}")
    with pytest.raises(Error, match="permission denied for table ledger_invoiceevent"):
        with transaction.atomic():
            sql(STATEMENTS["invoice"][0])
    assert sql("SELECT count(*) FROM ledger_invoice") == [(0,)]
