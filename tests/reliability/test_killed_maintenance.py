"""Server or client are killed in the middle of maintaining the history, and the work is done again."""

from contextlib import closing

import pytest

from reliability.conftest import Session, eventually
from reliability.durable import needs_a_durable_server

pytestmark = [pytest.mark.slow, *needs_a_durable_server]

ROWS, BATCH = 50, 10
# The rows that the test locks in another session, and so the batch in which a command waits.
FIRST, MIDDLE, LAST = 5, 25, 45

BACKFILL = "pgtrigger", "history", "backfill", "depot.Parcel", f"--batch-size={BATCH}"
PRUNE = (
    *("pgtrigger", "history", "prune", "depot.Parcel", "--older-than=1d"),
    f"--batch-size={BATCH}",
)
EVENTS = "SELECT pgh_obj_id, pgh_label, pgh_context_id FROM depot_parcelevent ORDER BY pgh_id"


@pytest.fixture
def untracked(depot):
    """Parcels that were there before they were tracked."""
    with closing(Session(depot.url)) as session:
        session.sql("SET session_replication_role = replica")
        session.sql(
            "INSERT INTO depot_parcel (status, note, weight, is_active)"
            f" SELECT 'packed', 'note ' || n, n, true FROM generate_series(1, {ROWS}) AS n"
        )
    assert depot.sql(EVENTS) == []
    return depot


@pytest.fixture
def old(depot):
    """Each parcel has one event, and each second one another, each with a context of its own."""
    with closing(Session(depot.url)) as session:
        session.sql("SET session_replication_role = replica")
        session.sql(f"""
            INSERT INTO pgtrigger_history_context (id, transaction, created_at, data)
            SELECT n, n::text::xid8, now() - interval '1 year', '{{}}'
              FROM generate_series(1, {ROWS}) AS n
        """)
        session.sql(f"""
            INSERT INTO depot_parcelevent (pgh_id, pgh_label, pgh_operation, pgh_created_at,
                   pgh_transaction, pgh_obj_id, pgh_context_id, id, note)
            SELECT n, 'update', 'UPDATE', now() - interval '1 year', n::text::xid8,
                   (n + 1) / 2, n, (n + 1) / 2, n
              FROM generate_series(1, {ROWS}) AS n
        """)
    return depot


class Killed:
    """Kills the server."""

    def __init__(self, durable, running, session):
        durable.crash()
        assert "OperationalError" in running.result(exits=1).stderr
        durable.restart()


class Gone:
    """Kills the client, and lets go of what its session waits for, so that it can notice."""

    def __init__(self, durable, running, session):
        running.close()
        session.sql("ROLLBACK")
        others = "backend_type = 'client backend'"
        eventually(lambda: not session.sessions(others), "the server to notice")


def stop_in_the_middle(depot, durable, end, table, condition, command):
    """Run a command until it waits for these rows, and end it there."""
    with closing(Session(depot.url)) as session, depot.background() as manage:
        session.sql("BEGIN")
        assert session.sql(f"SELECT 1 FROM {table} WHERE {condition} FOR UPDATE")
        running = manage(*command)
        session.someone_blocked()
        end(durable, running, session)
    assert depot.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


@pytest.mark.parametrize(("end", "stop"), [(Killed, FIRST), (Gone, MIDDLE), (Killed, LAST)])
def test_a_backfill_goes_on_after_the_last_whole_batch(untracked, durable, end, stop):
    stop_in_the_middle(untracked, durable, end, "depot_parcel", f"id = {stop}", BACKFILL)
    done = stop // BATCH * BATCH
    assert untracked.sql(EVENTS) == [(n, "backfill", None) for n in range(1, done + 1)]

    # Somebody writes before it goes on, and this row has its event then.
    untracked.sql(f"UPDATE depot_parcel SET note = 'changed' WHERE id = {ROWS}")
    said = untracked.manage(*BACKFILL).stderr
    assert said == f"depot.ParcelEvent: {ROWS - done - 1} rows recorded\n"
    told = [key for key, label, _ in untracked.sql(EVENTS) if label == "backfill"]
    assert sorted(told) == [*range(1, ROWS)]
    assert untracked.manage(*BACKFILL).stderr == "depot.ParcelEvent: 0 rows recorded\n"


@pytest.mark.parametrize(("end", "stop"), [(Gone, FIRST), (Killed, MIDDLE), (Killed, LAST)])
def test_a_prune_goes_on_after_the_last_whole_batch(old, durable, end, stop):
    stop_in_the_middle(old, durable, end, "depot_parcelevent", f"pgh_id = {stop}", PRUNE)
    done = stop // BATCH * BATCH
    left = [n for n in range(1, ROWS + 1) if n > done or n % 2 == 0]
    assert [context for _, _, context in old.sql(EVENTS)] == left

    # The last event of each stays, with its context.
    old.manage(*PRUNE)
    assert [context for _, _, context in old.sql(EVENTS)] == [*range(2, ROWS + 1, 2)]
    contexts = old.sql("SELECT id FROM pgtrigger_history_context ORDER BY id")
    assert contexts == [(n,) for n in range(2, ROWS + 1, 2)]


def test_a_prune_that_had_removed_the_events_removes_their_contexts_later(old, durable):
    table = "pgtrigger_history_context"
    stop_in_the_middle(old, durable, Killed, table, f"id = {MIDDLE}", PRUNE)
    left = [*range(2, ROWS + 1, 2)]
    assert [context for _, _, context in old.sql(EVENTS)] == left
    contexts = [n for (n,) in old.sql(f"SELECT id FROM {table} ORDER BY id")]
    assert {*left} < {*contexts}
    assert 1 not in contexts

    old.manage(*PRUNE)
    assert old.sql(f"SELECT id FROM {table} ORDER BY id") == [(n,) for n in left]
