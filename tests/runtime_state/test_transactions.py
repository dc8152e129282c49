"""Whatever becomes of transactions and savepoints, triggers are ignored within the context only."""

import contextlib
import itertools

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    connection,
    connections,
    transaction,
)

import pgtrigger
from pgtrigger.session import local_settings
from runtime_state.probe import FIRED, QUIET, WRITE, ignored, notes, probe, psycopg3
from runtime_state.wire import wire
from shop.database import backend, logged, logs, run, terminate, value
from shop.models import Log, Order

LOGS = "shop.Order:logs"
REASON = "SELECT coalesce(nullif(current_setting('shop.reason', true), ''), 'none')"


# The one that the server takes leave with, or the one of libpq that it did not see that.
GONE = "terminating connection|server closed the connection"


class Mine(Exception):
    pass


# --- Savepoints by hand -------------------------------------------------------------------------


@pytest.mark.parametrize("write", [False, True], ids=["untouched", "written between"])
@pytest.mark.parametrize("end", ["ROLLBACK TO SAVEPOINT", "RELEASE SAVEPOINT"])
@pytest.mark.parametrize("begin", ["atomic", "by hand", "without autocommit"])
def test_every_order_of_context_and_savepoints(uri, begin, end, write):
    """The context spans places 1 to 3 of five; the savepoint begins at one and ends at a later."""
    for start, stop in itertools.combinations(range(5), 2):
        with transaction_of(begin):
            context = pgtrigger.ignore(uri)
            inside = False
            for place in range(5):
                if place == start:
                    run("SAVEPOINT s")
                if place == 1:
                    context.__enter__()
                    inside = True
                if write:
                    assert ignored() is inside, (start, stop, place)
                if place == 3:
                    context.__exit__(None, None, None)
                    inside = False
                if place == stop:
                    run(f"{end} s")
                assert ignored() is inside, (start, stop, place)
        assert not ignored()


@contextlib.contextmanager
def transaction_of(begin):
    if begin == "atomic":
        with transaction.atomic():
            yield
    elif begin == "by hand":
        run("BEGIN")
        yield
        run("COMMIT")
    else:
        transaction.set_autocommit(False)
        yield
        transaction.commit()
        transaction.set_autocommit(True)


@pytest.mark.parametrize(
    "text",
    [
        "rollback to s",
        "Rollback Work To Savepoint s",
        "/* x */ ROLLBACK TRANSACTION TO s",
        "SELECT 1; ROLLBACK TO s",
        "ROLLBACK TO s; SELECT 1",
        b"ROLLBACK TO s",
    ],
)
def test_a_rollback_is_noticed_however_it_is_written(uri, text):
    with transaction.atomic():
        run("SAVEPOINT s")
        with pgtrigger.ignore(uri):
            assert ignored()
            run(text)
            assert ignored()
        run(text)
        assert not ignored()


@psycopg3
def test_a_rollback_as_an_object_of_psycopg_is_noticed(uri):
    from psycopg import sql

    back = sql.SQL("ROLLBACK TO {}").format(sql.Identifier("s"))
    with transaction.atomic():
        run("SAVEPOINT s")
        with pgtrigger.ignore(uri):
            assert ignored()
            run(back)
            assert ignored()
        run(back)
        assert not ignored()


# --- Savepoints by atomic() ---------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True], ids=["released", "rolled back"])
@pytest.mark.parametrize("durable", [False, True], ids=["", "durable"])
def test_atomic_blocks_within_the_context(uri, fails, durable):
    outer = contextlib.nullcontext() if durable else transaction.atomic()
    with outer:
        with pgtrigger.ignore(uri):
            with contextlib.suppress(Mine), transaction.atomic(durable=durable):
                assert ignored()
                if fails:
                    raise Mine
            assert ignored()
        assert not ignored()


@pytest.mark.parametrize("fails", [False, True], ids=["released", "rolled back"])
@pytest.mark.parametrize("savepoint", [True, False], ids=["savepoint", "no savepoint"])
def test_atomic_blocks_around_the_context(uri, fails, savepoint):
    with contextlib.suppress(Mine), transaction.atomic():
        assert not ignored()
        with contextlib.suppress(Mine), transaction.atomic(savepoint=savepoint):
            with pgtrigger.ignore(uri):
                assert ignored()
            if fails:
                raise Mine
        if fails and not savepoint:
            raise Mine
        assert not ignored()
    assert not ignored()


@pytest.mark.parametrize("fails", [False, True], ids=["released", "rolled back"])
def test_atomic_blocks_across_the_edges(uri, fails):
    """The context ends within a block that began before it, and the reverse."""
    context = pgtrigger.ignore(uri)
    with transaction.atomic():
        with contextlib.suppress(Mine), transaction.atomic():
            context.__enter__()
            assert ignored()
            if fails:
                raise Mine
        assert ignored()
        with contextlib.suppress(Mine), transaction.atomic():
            context.__exit__(None, None, None)
            assert not ignored()
            if fails:
                raise Mine
        assert not ignored()
        with pgtrigger.ignore(uri):
            assert ignored()


def test_savepoints_of_the_api(uri):
    # Its name since Django 6.1.
    savepoint = getattr(transaction, "savepoint_create", None) or transaction.savepoint
    with transaction.atomic():
        before = savepoint()
        with pgtrigger.ignore(uri):
            within = savepoint()
            assert ignored()
            transaction.savepoint_rollback(within)
            assert ignored()
            transaction.savepoint_commit(within)
            assert ignored()
            transaction.savepoint_rollback(before)
            assert ignored()
        assert not ignored()
        transaction.savepoint_rollback(before)
        assert not ignored()


def test_many_levels_each_with_a_context_of_its_own(uri):
    def nest(level):
        if not level:
            return
        try:
            with transaction.atomic():
                if level % 2:
                    with pgtrigger.ignore(uri):
                        assert ignored()
                        nest(level - 1)
                        assert ignored()
                else:
                    outer = pgtrigger.is_ignored(uri)
                    assert ignored() is outer
                    nest(level - 1)
                    assert ignored() is outer
                transaction.set_rollback(level % 3 == 0)
        finally:
            assert ignored() is pgtrigger.is_ignored(uri)

    nest(8)
    assert not ignored()


# --- Transactions by hand -----------------------------------------------------------------------


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK", "END", "ABORT", "commit work"])
def test_transactions_by_hand_that_begin_and_end_anywhere(uri, end):
    for enter, leave in itertools.combinations(range(4), 2):
        context = pgtrigger.ignore(uri)
        for place in range(4):
            if place == enter:
                context.__enter__()
            if place == leave:
                context.__exit__(None, None, None)
            if place == 1:
                run("BEGIN")
            if place == 3:
                run(end)
            assert ignored() is (enter <= place < leave), (enter, leave, place)


CHAINS = [
    "ROLLBACK AND CHAIN",
    *(text for text in ("COMMIT AND CHAIN", "END AND CHAIN", "COMMIT; BEGIN", b"COMMIT AND CHAIN")),
]


@pytest.mark.parametrize("chain", CHAINS)
def test_a_transaction_that_begins_where_another_ends_is_noticed(uri, chain):
    run("BEGIN")
    with pgtrigger.ignore(uri):
        assert ignored()
        run(chain)
        assert ignored()
    assert not ignored()
    run("COMMIT")
    assert not ignored()


def test_without_autocommit_each_transaction_is_covered(uri):
    transaction.set_autocommit(False)
    for end in (transaction.commit, transaction.rollback):
        assert not ignored()
        with pgtrigger.ignore(uri):
            assert ignored()
            end()
            assert ignored()
        assert not ignored()
        end()
    with pgtrigger.ignore(uri):
        assert ignored()
        transaction.rollback()
    assert not ignored()
    transaction.rollback()
    transaction.set_autocommit(True)
    assert not ignored()


@psycopg3
def test_transactions_of_the_driver_are_covered(uri):
    connection.ensure_connection()
    with pgtrigger.ignore(uri):
        with connection.connection.transaction():
            assert ignored()
            with connection.connection.transaction(force_rollback=True):
                assert ignored()
        assert ignored()
    with connection.connection.transaction():
        with pgtrigger.ignore(uri):
            assert ignored()
        assert not ignored()


# --- Failed transactions ------------------------------------------------------------------------

UNIQUE = "INSERT INTO shop_maker (code, country) VALUES ('x', 'NL')"


@pytest.mark.parametrize("contexts", [1, 3])
@pytest.mark.parametrize("inner", [False, True], ids=["one block", "a savepoint"])
def test_an_integrity_error_stays_one(uri, contexts, inner):
    run(UNIQUE)
    with pytest.raises(IntegrityError) as caught, transaction.atomic(), contextlib.ExitStack() as s:
        for _ in range(contexts):
            s.enter_context(pgtrigger.ignore(uri))
        with transaction.atomic() if inner else contextlib.nullcontext():
            ignored()
            run(UNIQUE)
    assert caught.value.__context__ is caught.value.__cause__
    assert "shop_maker_pkey" in str(caught.value)
    assert not ignored()


def test_a_failed_transaction_that_is_gone_on_with_is_the_servers_own_error(uri):
    run("BEGIN")
    with pytest.raises(DatabaseError, match="division by zero"), pgtrigger.ignore(uri):
        run("SELECT 1/0")
    with pytest.raises(DatabaseError, match="current transaction is aborted"):
        with pgtrigger.ignore(uri):
            run("SELECT 1")
    with pytest.raises(DatabaseError, match="current transaction is aborted"):
        run(WRITE)
    with pgtrigger.ignore(uri):
        run("ROLLBACK")
        assert ignored()
    assert not ignored()


def test_a_failed_transaction_is_recovered_by_a_savepoint(uri):
    run("BEGIN")
    run("SAVEPOINT s")
    with pgtrigger.ignore(uri):
        assert ignored()
        with pytest.raises(DatabaseError):
            run("SELECT 1/0")
    with pytest.raises(DatabaseError, match="aborted"):
        run("SELECT 1")
    run("ROLLBACK TO s")
    assert not ignored()
    with pgtrigger.ignore(uri):
        with pytest.raises(DatabaseError):
            run("SELECT 1/0")
        run("ROLLBACK TO s")
        assert ignored()
    assert not ignored()
    run("ROLLBACK")


def test_a_context_that_is_entered_in_a_failed_transaction_holds_after_it(uri):
    run("BEGIN")
    with pytest.raises(DatabaseError):
        run("SELECT 1/0")
    with pgtrigger.ignore(uri), local_settings(shop__reason="x"):
        run("ROLLBACK")
        assert ignored()
        assert value(REASON) == "x"
    assert not ignored()
    assert value(REASON) == "none"


@pytest.mark.parametrize("raised", [Mine, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("failed", [False, True], ids=["healthy", "failed"])
def test_what_the_block_raises_comes_through(uri, raised, failed):
    problem = raised()
    with pytest.raises(raised) as caught, transaction.atomic(), pgtrigger.ignore(uri):
        ignored()
        if failed:
            with contextlib.suppress(DatabaseError):
                run("SELECT 1/0")
        raise problem
    assert caught.value is problem
    assert not ignored()
    assert not pgtrigger.is_ignored(uri)


def test_what_the_block_raises_comes_through_when_the_server_is_gone(uri):
    with pytest.raises(Mine), transaction.atomic(), pgtrigger.ignore(uri):
        ignored()
        terminate(backend())
        raise Mine
    connection.close()
    assert not ignored()


@pytest.mark.parametrize("why", ["server gone", "bad setting"])
def test_a_context_whose_settings_cannot_be_written_leaves_nothing(uri, why):
    with pytest.raises(DatabaseError):
        with transaction.atomic():
            run("SELECT 1")
            if why == "server gone":
                terminate(backend())
                with pgtrigger.ignore(uri):
                    run("SELECT 1")
            else:
                with pgtrigger.ignore(uri), local_settings(work_mem="much"):
                    run("SELECT 1")
    connection.close()
    assert not pgtrigger.is_ignored(uri)
    with transaction.atomic():
        assert not ignored()
        assert not value("SELECT current_setting('shop.reason', true)")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1; SELECT pg_terminate_backend(pg_backend_pid())",
        "DO $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$",
    ],
)
def test_a_server_that_goes_away_in_autocommit_tells_so(uri, statement):
    with pytest.raises(OperationalError, match=GONE), pgtrigger.ignore(uri):
        run(statement)
    connection.close()
    assert not ignored()


def test_a_server_that_goes_away_during_a_write_tells_so(uri):
    with pytest.raises(OperationalError, match=GONE), pgtrigger.ignore(uri):
        run("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()
    with pgtrigger.ignore(uri):
        assert ignored()
    assert not ignored()


@pytest.mark.parametrize(
    "statement",
    [
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "/* x */ set local transaction isolation level serializable;",
        "SET transaction_isolation = 'serializable'",
    ],
)
@pytest.mark.parametrize("reading", [True, False], ids=["schema", "ignore"])
def test_the_isolation_level_can_be_chosen_within_a_context(uri, statement, reading):
    """Before the settings are sent, because it has to be the first of its transaction."""
    context = pgtrigger.schema("public") if reading else pgtrigger.ignore(uri)
    with context, transaction.atomic():
        run(statement)
        assert value("SHOW transaction_isolation") == "serializable"
        assert ignored() is not reading
        if reading:
            assert value("SHOW search_path") == "public"


# --- Deferred triggers --------------------------------------------------------------------------


@pytest.fixture
def deferred(autocommit_live):
    autocommit_live(Order, logs(timing=pgtrigger.Deferred))
    Order.objects.create()
    return LOGS


def by_atomic():
    with transaction.atomic():
        yield
        Order.objects.update(total=1)
        yield
    yield


def by_hand(end="COMMIT"):
    run("BEGIN")
    yield
    Order.objects.update(total=1)
    yield
    run(end)
    yield


def without_autocommit():
    transaction.set_autocommit(False)
    yield
    Order.objects.update(total=1)
    yield
    transaction.commit()
    transaction.set_autocommit(True)
    yield


def in_one_text():
    run("BEGIN")
    yield
    yield
    run('UPDATE "user" SET "Total" = 1; COMMIT')
    yield


def made_immediate():
    run("BEGIN")
    yield
    Order.objects.update(total=1)
    yield
    run("SET CONSTRAINTS ALL IMMEDIATE")
    yield
    run("COMMIT")


def by_constraints():
    with transaction.atomic():
        yield
        Order.objects.update(total=1)
        yield
        pgtrigger.constraints(pgtrigger.Immediate, LOGS)
        yield


WAYS = {
    way.__name__: way
    for way in (by_atomic, by_hand, without_autocommit, in_one_text, made_immediate, by_constraints)
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_deferred_trigger_is_ignored_exactly_when_the_check_happens_inside(deferred, way):
    """The places: before the write, before the check, after it; the context spans some of them."""
    for enter, leave in itertools.combinations(range(4), 2):
        Log.objects.all().delete()
        context = pgtrigger.ignore(deferred)
        for place, _ in enumerate(itertools.chain([None], way())):
            if place == leave:
                context.__exit__(None, None, None)
            if place == enter:
                context.__enter__()
        if leave == 4:
            context.__exit__(None, None, None)
        assert logged() == ([] if enter <= 2 < leave else ["fired"]), (enter, leave)


def test_a_deferred_trigger_of_a_write_in_autocommit_is_ignored(deferred):
    with pgtrigger.ignore(deferred):
        Order.objects.update(total=1)
        run('UPDATE "user" SET "Total" = 2; SELECT 1')
        run('DO $$ BEGIN UPDATE "user" SET "Total" = 3; END $$')
    assert logged() == []
    Order.objects.update(total=4)
    assert logged() == ["fired"]


@psycopg3
def test_a_deferred_trigger_of_a_copy_in_autocommit_is_ignored(autocommit_live):
    autocommit_live(Order, logs(timing=pgtrigger.Deferred, operation=pgtrigger.Insert))

    def copy():
        statement = 'COPY "user" ("user", "Total", "it\'s odd") FROM STDIN'
        with connection.cursor() as cursor, cursor.copy(statement) as copying:
            copying.write_row(("", 1, ""))

    with pgtrigger.ignore(LOGS):
        copy()
    assert logged() == []
    copy()
    assert logged() == ["fired"]


def test_a_deferred_trigger_that_refuses_is_an_integrity_error_at_the_commit(autocommit_live):
    from pgtrigger_protect import Protect

    autocommit_live(
        Order,
        Protect(
            name="keep",
            when=pgtrigger.After,
            operation=pgtrigger.Update,
            timing=pgtrigger.Deferred,
        ),
    )
    Order.objects.create()
    with pytest.raises(IntegrityError, match="Cannot update"), transaction.atomic():
        with pgtrigger.ignore("shop.Order:keep"):
            Order.objects.update(total=1)
    with pgtrigger.ignore("shop.Order:keep"), transaction.atomic():
        Order.objects.update(total=2)
    assert Order.objects.get().total == 2


def test_hooks_on_commit_run_in_the_callers_state(deferred):
    seen = []
    with pgtrigger.ignore(deferred):
        with transaction.atomic():
            transaction.on_commit(lambda: seen.append(pgtrigger.is_ignored(deferred)))
            transaction.on_commit(lambda: Order.objects.update(total=5))
    assert seen == [True]
    assert logged() == []


# --- What the caller has set by hand ---------------------------------------------------------------


def path():
    return value("SHOW search_path")


@pytest.mark.parametrize("level", ["SET", "SET LOCAL"])
def test_a_search_path_of_the_callers_comes_back(uri, level):
    with transaction.atomic():
        run(f"{level} search_path = mine, public")
        with pgtrigger.schema("theirs"):
            assert path() == "theirs"
        assert path() == "mine, public"
    run("RESET search_path")


def test_a_search_path_that_is_set_between_two_contexts_comes_back(uri):
    with transaction.atomic():
        with pgtrigger.schema("a"):
            assert path() == "a"
        run("SET LOCAL search_path = mine, public")
        with pgtrigger.schema("b"):
            assert path() == "b"
        assert path() == "mine, public"


def test_a_rollback_after_the_context_leaves_the_callers_search_path_alone(uri):
    with transaction.atomic():
        with pgtrigger.schema("a"):
            assert path() == "a"
        run("SET LOCAL search_path = mine, public")
        with contextlib.suppress(Mine), transaction.atomic():
            raise Mine
        assert path() == "mine, public"


def test_a_rollback_takes_back_the_callers_search_path_too(uri):
    before = path()
    with transaction.atomic():
        with contextlib.suppress(Mine), transaction.atomic():
            run("SET LOCAL search_path = mine, public")
            with pgtrigger.schema("a"):
                assert path() == "a"
            raise Mine
        assert path() == before


def test_resetting_all_settings_inside_is_noticed(uri):
    with transaction.atomic(), pgtrigger.ignore(uri):
        run("RESET ALL")
        assert ignored()


# --- Two databases ------------------------------------------------------------------------------------


@pytest.mark.django_db(databases=["default", "other"])
def test_each_database_is_synchronised_by_itself(uri):
    with transaction.atomic(), transaction.atomic("other"):
        with pgtrigger.ignore(uri, databases=["other"]), pgtrigger.schema("x", databases=["other"]):
            assert not ignored()
            assert path() != "x"
            with connections["other"].cursor() as cursor:
                cursor.execute("SELECT current_setting('pgtrigger.ignore', true), current_setting('search_path')")  # fmt: skip
                ((names, other_path),) = cursor.fetchall()
            assert "probe" in names
            assert other_path == "x"
            with pgtrigger.ignore(uri, databases=["default"]):
                assert ignored()
            assert not ignored()


# --- A pipeline of the caller's ------------------------------------------------------------------------


@psycopg3
@pytest.mark.parametrize(
    "where",
    [
        "context around",
        "context within",
        "context over its end",
    ],
)
def test_a_pipeline_of_the_callers_within_a_transaction(uri, where):
    with transaction.atomic(), contextlib.ExitStack() as stack:
        assert not ignored()
        if where == "context around":
            stack.enter_context(pgtrigger.ignore(uri))
        with connection.connection.pipeline(), contextlib.ExitStack() as inner:
            run("SELECT 1")
            if where != "context around":
                (inner if where == "context within" else stack).enter_context(pgtrigger.ignore(uri))
            run(WRITE)
            run(WRITE)
        assert ignored() is (where != "context within")
        stack.close()
        assert not ignored()
    assert notes() == [FIRED, QUIET, QUIET, FIRED if where == "context within" else QUIET, FIRED]


@psycopg3
def test_a_pipeline_of_the_callers_in_autocommit(uri):
    connection.ensure_connection()
    with connection.connection.pipeline():
        run(WRITE)
        with pgtrigger.ignore(uri):
            run(WRITE)
            run(WRITE)
        run(WRITE)
    assert notes() == [FIRED, QUIET, QUIET, FIRED]


# --- Nothing else is sent ---------------------------------------------------------------------------------


@psycopg3
def test_leaving_in_a_failed_transaction_sends_nothing(uri):
    run("BEGIN")
    with wire() as heard:
        with pgtrigger.ignore(uri), contextlib.suppress(DatabaseError):
            run("SELECT 1/0")
        with pgtrigger.ignore(uri):
            pass
    assert len(heard.statements) == 2
    run("ROLLBACK")


def test_a_trigger_that_cannot_be_ignored_is_not(autocommit_live):
    autocommit_live(Order, probe(ignorable=False))
    with pgtrigger.ignore(), transaction.atomic():
        assert not ignored()
    with pgtrigger.ignore():
        assert not ignored()
