"""Contract, section 10: ignore, schema, constraints and the errors; DESIGN, section 6."""

import contextlib
import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

import pgtrigger
from contract.helpers import (
    After,
    Delete,
    Insert,
    Truncate,
    Update,
    logged,
    logs,
    one,
    protects,
    refused,
    run,
    undone,
)
from contract.models import CannotDelete, Log, OfficialUser, Partitioned, Thing, ThingProxy

# Django 6.1 has another name for it.
new_savepoint = getattr(transaction, "savepoint_create", None) or transaction.savepoint

pytestmark = pytest.mark.django_db
URI = "contract.Thing:protects"
BOTH = ["default", "other"]
committed = pytest.mark.django_db(transaction=True)
everywhere = pytest.mark.parametrize(
    "mode", ["transaction", pytest.param("autocommit", marks=committed)]
)


@pytest.fixture
def things(db):
    return Thing.objects.bulk_create([Thing(int_field=number) for number in range(5)])


@pytest.fixture
def protected(things, live):
    """Nothing may be written into Thing."""
    return live(Thing, protects(Insert | Update | Delete))


# --- ignore: what it covers ------------------------------------------------------------------


def execute(statement, params=None):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def executemany():
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE contract_thing SET char_field = %s", [("1%",), ("2%",)])


def psycopg_sql():
    sql = pytest.importorskip("psycopg").sql
    execute(sql.SQL("UPDATE contract_thing SET char_field = 'x'"))


def psycopg_composed():
    sql = pytest.importorskip("psycopg").sql
    table = sql.Identifier("contract_thing")
    execute(sql.SQL("UPDATE {} SET char_field = {}").format(table, sql.Literal("50%")))
    execute(sql.SQL("UPDATE {} SET char_field = %s").format(table), ["50%"])


def copy():
    with connection.cursor() as cursor:
        copying = cursor.copy("COPY contract_thing (int_field, flag) FROM STDIN")
        with copying as stream:
            stream.write_row((1, True))


def bulk_update():
    things = list(Thing.objects.all())
    for thing in things:
        thing.int_field += 10
    Thing.objects.bulk_update(things, ["int_field"])


def delete_under_iterator():
    for thing in Thing.objects.iterator(chunk_size=2):
        thing.delete()


WRITES = {
    "save": lambda: Thing.objects.first().save(),
    "create": Thing.objects.create,
    "bulk_create": lambda: Thing.objects.bulk_create([Thing(), Thing()]),
    "update": lambda: Thing.objects.update(char_field="50%"),
    "bulk_update": bulk_update,
    "delete": lambda: Thing.objects.all().delete(),
    "delete one": lambda: Thing.objects.first().delete(),
    "iterator": delete_under_iterator,
    "raw": lambda: execute("UPDATE contract_thing SET char_field = '50%'"),
    "raw with parameters": lambda: execute("UPDATE contract_thing SET char_field = %s", ["50%"]),
    "raw with named parameters": lambda: execute(
        "UPDATE contract_thing SET char_field = %(x)s || '%%'", {"x": "50%"}
    ),
    "data-modifying CTE": lambda: execute(
        "WITH gone AS (DELETE FROM contract_thing RETURNING id) SELECT count(*) FROM gone"
    ),
    "several statements": lambda: execute(
        "UPDATE contract_thing SET flag = false; DELETE FROM contract_thing"
    ),
    "executemany": executemany,
    "psycopg SQL": psycopg_sql,
    "psycopg Composed": psycopg_composed,
    "COPY": copy,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@everywhere
def test_ignore_covers_every_way_to_write(protected, mode, write):
    # Django hands COPY through to the driver, with the driver's own errors.
    error = (DatabaseError, connection.Database.Error)
    with refused("rows from contract_thing table", error=error):
        write()
    with pgtrigger.ignore(URI):
        write()
    with pytest.raises(DatabaseError, match="rows from contract_thing table"), transaction.atomic():
        execute("UPDATE contract_thing SET flag = true; INSERT INTO contract_thing DEFAULT VALUES")


@everywhere
def test_the_callers_results_are_untouched(protected, mode):
    with pgtrigger.ignore(URI), connection.cursor() as cursor:
        cursor.execute("UPDATE contract_thing SET flag = false RETURNING int_field")
        assert cursor.rowcount == 5
        assert sorted(cursor.fetchall()) == [(number,) for number in range(5)]
        assert [c[0] for c in cursor.description] == ["int_field"]
        cursor.execute("SELECT %s, '%%'", ["a"])
        assert cursor.fetchone() == ("a", "%")
        assert Thing.objects.update(flag=True) == 5
        assert Thing.objects.filter(int_field__lt=2).delete()[0] == 2


@everywhere
def test_ignore_leaves_other_triggers_alone(protected, live, mode):
    live(Thing, logs())
    with pgtrigger.ignore(URI):
        Thing.objects.filter(int_field=0).update(flag=False)
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)
    assert logged() == ["fired"]


@everywhere
def test_ignore_without_uris_ignores_all(protected, live, mode):
    live(Thing, logs())
    with pgtrigger.ignore():
        Thing.objects.update(flag=False)
        CannotDelete.objects.create().delete()
    assert logged() == []
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


@everywhere
def test_ignore_takes_several_uris(protected, live, mode):
    live(Thing, logs())
    with pgtrigger.ignore(URI, "contract.Thing:logs"):
        Thing.objects.update(flag=False)
    assert logged() == []


@everywhere
def test_ignore_nests(protected, live, mode):
    live(Thing, logs())
    with pgtrigger.ignore(URI):
        Thing.objects.filter(int_field=0).update(flag=False)
        with pgtrigger.ignore("contract.Thing:logs"):
            Thing.objects.filter(int_field=1).update(flag=False)
        with pgtrigger.ignore(URI):
            Thing.objects.filter(int_field=2).update(flag=False)
        Thing.objects.filter(int_field=3).update(flag=False)
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)
    assert logged() == ["fired"] * 3


@everywhere
def test_ignore_all_nests_with_ignore_one(protected, mode):
    with pgtrigger.ignore(URI):
        with pgtrigger.ignore():
            Thing.objects.update(flag=False)
        Thing.objects.update(flag=False)
    with pgtrigger.ignore():
        with pgtrigger.ignore(URI):
            Thing.objects.update(flag=False)
        CannotDelete.objects.create().delete()
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


@everywhere
@pytest.mark.parametrize("condition", [None, pgtrigger.Q(old__int_field__gte=0)])
def test_ignore_covers_statement_level_triggers(things, live, mode, condition):
    live(Thing, protects(Update, level=pgtrigger.Statement, condition=condition))
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)
    with pgtrigger.ignore(URI):
        Thing.objects.update(flag=False)
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


def test_ignore_covers_truncate(live):
    live(Thing, protects(Truncate))
    with refused("contract_thing table"):
        run("TRUNCATE contract_thing CASCADE")
    with pgtrigger.ignore(URI):
        run("TRUNCATE contract_thing CASCADE")


@everywhere
def test_ignore_covers_conditional_triggers(things, live, mode):
    live(Thing, protects(Update, condition=pgtrigger.Q(old__int_field=1)))
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)
    with pgtrigger.ignore(URI):
        Thing.objects.update(flag=False)


@pytest.mark.parametrize(
    ("operation", "func"),
    [
        (Insert, "RETURN NULL;"),
        (Update, "RETURN NULL;"),
        (Delete, "RETURN NULL;"),
        (Insert | Update | Delete, "RETURN NULL;"),
    ],
    ids=str,
)
def test_ignoring_a_before_trigger_lets_the_row_pass_unchanged(things, live, operation, func):
    """Ignored is as good as not there: the operation happens for every kind of row."""
    live(Thing, pgtrigger.Trigger(name="t", when=pgtrigger.Before, operation=operation, func=func))
    with pgtrigger.ignore("contract.Thing:t"):
        Thing.objects.update(int_field=7)
        Thing.objects.create(int_field=8)
        assert sorted(Thing.objects.values_list("int_field", flat=True)) == [7] * 5 + [8]
        Thing.objects.all().delete()
    assert not Thing.objects.exists()


def test_ignore_reaches_the_concrete_table_by_a_proxys_uri(things, live):
    live(ThingProxy, protects(Update))
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)
    with pgtrigger.ignore("contract.ThingProxy:protects"):
        Thing.objects.update(flag=False)
        ThingProxy.objects.update(flag=False)


def test_ignore_covers_partitions(live):
    run("CREATE TABLE contract_partitioned (id int NOT NULL) PARTITION BY RANGE (id)")
    run("CREATE TABLE contract_part_1 PARTITION OF contract_partitioned FOR VALUES FROM (0) TO (9)")
    live(Partitioned, protects(Insert))
    with refused("Cannot insert rows from"):
        Partitioned.objects.create(id=1)
    with pgtrigger.ignore("contract.Partitioned:protects"):
        Partitioned.objects.create(id=1)
        run("INSERT INTO contract_part_1 VALUES (2)")
    with refused("Cannot insert rows from"):
        run("INSERT INTO contract_part_1 VALUES (3)")


# --- ignore: deferred triggers ---------------------------------------------------------------


@pytest.fixture
def deferred(live):
    func = "RAISE EXCEPTION 'deferred fired';"
    return live(
        Thing,
        pgtrigger.Trigger(
            name="deferred", when=After, operation=Insert, timing=pgtrigger.Deferred, func=func
        ),
    )


DEFERRED = "contract.Thing:deferred"


@committed
def test_a_deferred_trigger_fires_at_commit(deferred):
    with pytest.raises(DatabaseError, match="deferred fired"), transaction.atomic():
        Thing.objects.bulk_create([Thing(), Thing()])
    with pytest.raises(DatabaseError, match="deferred fired"):
        Thing.objects.create()
    assert not Thing.objects.exists()


@committed
def test_a_commit_inside_ignore_skips_deferred_triggers(deferred):
    with pgtrigger.ignore(DEFERRED), transaction.atomic(durable=True):
        Thing.objects.create()
    with pgtrigger.ignore(DEFERRED):
        Thing.objects.create()
    assert Thing.objects.count() == 2


@committed
def test_a_deferred_trigger_fires_if_ignore_ends_before_the_check(deferred):
    @transaction.atomic
    def create():
        with pgtrigger.ignore(DEFERRED):
            Thing.objects.create()

    with pytest.raises(DatabaseError, match="deferred fired"):
        create()
    assert not Thing.objects.exists()


@committed
def test_a_commit_inside_ignore_skips_a_deferred_trigger_after_other_statements(deferred):
    with transaction.atomic():
        list(Thing.objects.all())
    with pgtrigger.ignore(DEFERRED), transaction.atomic():
        with transaction.atomic():
            Thing.objects.create()
        with undone():
            Thing.objects.create()
    assert Thing.objects.count() == 1


# --- ignore: no leaks ------------------------------------------------------------------------


def test_nothing_leaks_later_in_the_same_transaction(protected):
    for _ in range(2):
        with pgtrigger.ignore(URI):
            Thing.objects.update(flag=False)
        assert not one("SELECT current_setting('pgtrigger.ignore', true)")
        with refused("Cannot update rows from"):
            run("UPDATE contract_thing SET flag = true")


def test_nothing_leaks_through_a_cursor_opened_inside(protected):
    with connection.cursor() as cursor:
        with pgtrigger.ignore(URI):
            cursor.execute("UPDATE contract_thing SET flag = false")
        with refused("Cannot update rows from"):
            cursor.execute("UPDATE contract_thing SET flag = false")


def test_nothing_leaks_through_an_iterator_opened_inside(protected):
    with pgtrigger.ignore(URI):
        iterator = Thing.objects.iterator(chunk_size=1)
        next(iterator)
    with refused("Cannot delete rows from"):
        Thing.objects.first().delete()
    assert len(list(iterator)) == 4


@committed
def test_nothing_leaks_into_the_next_transaction(protected):
    with pgtrigger.ignore(URI), transaction.atomic():
        Thing.objects.update(flag=False)
    with pytest.raises(DatabaseError, match="Cannot update rows from"):
        Thing.objects.update(flag=False)
    assert not one("SELECT current_setting('pgtrigger.ignore', true)")


@everywhere
def test_an_exception_in_the_block_comes_through_and_nothing_leaks(protected, mode):
    @pgtrigger.ignore(URI)
    def fail():
        Thing.objects.update(flag=False)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


def test_a_database_error_in_the_block_is_not_masked(protected):
    pk = Thing.objects.first().pk
    with refused("duplicate key", error=IntegrityError), pgtrigger.ignore(URI):
        Thing.objects.create(pk=pk)
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


def test_a_rollback_to_a_savepoint_inside_keeps_ignoring(protected):
    with pgtrigger.ignore(URI):
        with undone():
            Thing.objects.update(flag=False)
        Thing.objects.update(int_field=9)
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)
    assert set(Thing.objects.values_list("int_field", "flag")) == {(9, True)}


def test_a_rollback_to_a_savepoint_around_does_not_bring_ignoring_back(protected):
    with undone(), pgtrigger.ignore(URI):
        Thing.objects.update(flag=False)
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)
    with pgtrigger.ignore(URI):
        point = new_savepoint()
        Thing.objects.update(flag=False)
    transaction.savepoint_rollback(point)
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


def test_a_rollback_in_raw_sql_is_noticed(protected):
    with pgtrigger.ignore(URI):
        run("SAVEPOINT mine")
        Thing.objects.update(flag=False)
        run("ROLLBACK TO SAVEPOINT mine")
        Thing.objects.update(int_field=9)
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


@committed
def test_each_transaction_inside_one_block_is_covered(protected):
    with pgtrigger.ignore(URI):
        for number in range(3):
            with transaction.atomic():
                Thing.objects.update(int_field=number)
            Thing.objects.update(flag=False)
        with undone():
            Thing.objects.update(int_field=77)
        Thing.objects.filter(int_field=2).update(char_field="x")
    assert set(Thing.objects.values_list("int_field", "char_field")) == {(2, "x")}


@committed
def test_ignore_holds_after_a_reconnect(protected):
    with pgtrigger.ignore(URI):
        Thing.objects.update(flag=False)
        connection.close()
        Thing.objects.update(flag=False)
    connection.close()
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


@committed
def test_ignore_does_not_reach_other_threads(protected):
    outcome = []

    def write():
        try:
            outcome.append(Thing.objects.update(flag=False))
        except DatabaseError as error:
            outcome.append(str(error))
        finally:
            connection.close()

    with pgtrigger.ignore(URI):
        Thing.objects.update(flag=False)
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert "Cannot update rows from" in outcome[0]


def test_ignore_reaches_sync_to_async(protected):
    @sync_to_async
    def write():
        return Thing.objects.update(flag=False)

    async def ignoring():
        with pgtrigger.ignore(URI):
            return await write()

    assert async_to_sync(ignoring)() == 5
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


# --- ignore as a decorator -------------------------------------------------------------------


@pgtrigger.ignore("contract.OfficialUser:protect_inserts")
def create_user(count=1, **kwargs):
    """Creates users."""
    return create_user(count - 1, **kwargs) if count > 1 else OfficialUser.objects.create(**kwargs)


def test_ignore_is_a_decorator_too():
    for _ in range(2):
        assert create_user(name="a").name == "a"
        with refused("Cannot insert rows from"):
            OfficialUser.objects.create(name="b")


def test_a_decorated_function_may_call_itself_and_keeps_its_name():
    create_user(3, name="a")
    assert (create_user.__name__, create_user.__doc__) == ("create_user", "Creates users.")
    with refused("Cannot insert rows from"):
        OfficialUser.objects.create(name="b")


def test_a_decorated_coroutine_ignores_while_it_runs(protected):
    @pgtrigger.ignore(URI)
    async def write():
        return await sync_to_async(Thing.objects.update)(flag=False)

    assert async_to_sync(write)() == 5
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


def test_a_context_may_be_entered_again(protected):
    context = pgtrigger.ignore(URI)
    for _ in range(2):
        with context:
            Thing.objects.update(flag=False)
        with refused("Cannot update rows from"):
            Thing.objects.update(flag=False)


# --- ignore.session --------------------------------------------------------------------------


def test_leaving_ignore_in_a_session_runs_no_sql(protected):
    with pgtrigger.ignore.session():
        ignoring = pgtrigger.ignore(URI)
        ignoring.__enter__()
        Thing.objects.update(flag=False)
        with CaptureQueriesContext(connection) as queries:
            ignoring.__exit__(None, None, None)
        assert queries.captured_queries == []
        with refused("Cannot update rows from"):
            Thing.objects.update(flag=False)


def test_leaving_ignore_in_a_session_works_in_a_failed_transaction(protected):
    pk = Thing.objects.first().pk
    with (
        undone(),
        pgtrigger.ignore.session(),
        pgtrigger.ignore(URI),
        contextlib.suppress(IntegrityError),
    ):
        Thing.objects.create(pk=pk)
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


@committed
def test_a_session_around_the_transaction_allows_to_fail_inside(protected):
    """The seeds' recipe for a caught error in a transaction."""
    pk = Thing.objects.first().pk
    with (
        pgtrigger.ignore.session(),
        transaction.atomic(),
        pgtrigger.ignore(URI),
        contextlib.suppress(IntegrityError),
    ):
        Thing.objects.create(pk=pk)
    with pytest.raises(DatabaseError, match="Cannot update rows from"):
        Thing.objects.update(flag=False)


@pytest.mark.parametrize("databases", [None, ["default"], BOTH])
@pytest.mark.django_db(databases=BOTH)
def test_a_session_alone_changes_nothing(protected, databases):
    path = one("SHOW search_path")
    with (
        pgtrigger.ignore.session(databases=databases),
        pgtrigger.schema.session(databases=databases),
    ):
        with refused("Cannot update rows from"):
            Thing.objects.update(flag=False)
        assert one("SHOW search_path") == path
        assert not pgtrigger.is_ignored(URI)


# --- is_ignored ------------------------------------------------------------------------------


def test_is_ignored(protected, live):
    live(Thing, logs())
    assert pgtrigger.is_ignored(URI) is False
    with pgtrigger.ignore(URI):
        assert pgtrigger.is_ignored(URI) is True
        assert pgtrigger.is_ignored("contract.Thing:logs") is False
        with pgtrigger.ignore("contract.Thing:logs"):
            assert pgtrigger.is_ignored(URI) is True
            assert pgtrigger.is_ignored("contract.Thing:logs") is True
        assert pgtrigger.is_ignored("contract.Thing:logs") is False
    assert pgtrigger.is_ignored(URI) is False
    with pgtrigger.ignore():
        assert pgtrigger.is_ignored(URI) is True


@pytest.mark.django_db(databases=[])
def test_is_ignored_needs_no_database():
    uri = "contract.CannotDelete:protect_deletes"
    with pgtrigger.ignore(uri):
        assert pgtrigger.is_ignored(uri)


# --- ignorable -------------------------------------------------------------------------------


def test_a_trigger_that_is_not_ignorable_is_not_ignored(things, live):
    """DESIGN, section 5."""
    live(Thing, protects(Update, ignorable=False))
    with pgtrigger.ignore(), refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


def test_the_guard_reads_the_setting_of_existing_installations(protected):
    """DESIGN, section 5: an array of trigger names in pgtrigger.ignore."""
    with pgtrigger.ignore(URI):
        setting = one("SELECT current_setting('pgtrigger.ignore', true)")
        assert protected.get_pgid(Thing) in setting.strip("{}").split(",")
    run(f"SELECT set_config('pgtrigger.ignore', '{{{protected.get_pgid(Thing)}}}', true)")
    run("UPDATE contract_thing SET flag = false")
    run("SELECT set_config('pgtrigger.ignore', '', true)")
    with refused("Cannot update rows from"):
        run("UPDATE contract_thing SET flag = false")


# --- schema ----------------------------------------------------------------------------------


def path(using="default"):
    return one("SHOW search_path", using=using)


@everywhere
def test_schema_sets_the_search_path(db, mode):
    before = path()
    with pgtrigger.schema("hello"):
        assert path() == "hello"
    assert path() == before


@everywhere
def test_schema_nests_by_appending(db, mode):
    before = path()
    with pgtrigger.schema("hello"):
        with pgtrigger.schema("$user"):
            assert path() == 'hello, "$user"'
            with pgtrigger.schema("hello", "public"):
                assert path() == 'hello, "$user", public'
        assert path() == "hello"
    assert path() == before


@everywhere
def test_schema_takes_several(db, mode):
    with pgtrigger.schema("myschema", "public"):
        assert path() == "myschema, public"


def test_schema_quotes_odd_names():
    with pgtrigger.schema("My Schema", 'a"b', "it's"):
        assert path() == '"My Schema", "a""b", "it\'s"'


@everywhere
def test_an_earlier_search_path_set_by_hand_comes_back(db, mode):
    run("SET search_path TO public, by_hand")
    try:
        with pgtrigger.schema("hello"):
            assert path() == "hello"
        assert path() == "public, by_hand"
    finally:
        run("RESET search_path")


def test_an_earlier_search_path_set_by_hand_for_the_transaction_comes_back():
    run("SET LOCAL search_path TO public, by_hand")
    for _ in range(2):
        with pgtrigger.schema("hello"):
            assert path() == "hello"
        assert path() == "public, by_hand"


def test_the_search_path_comes_back_after_an_exception():
    before = path()
    with pytest.raises(ZeroDivisionError), pgtrigger.schema("hello"):
        raise ZeroDivisionError(path())
    assert path() == before


@everywhere
def test_schema_decides_which_table_is_meant(db, mode):
    run("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.contract_log (LIKE contract_log)")
    try:
        with pgtrigger.schema("elsewhere"):
            run("INSERT INTO contract_log VALUES (1, NULL, 'there')")
            assert logged() == ["there"]
        assert logged() == []
    finally:
        run("DROP SCHEMA elsewhere CASCADE")


@pytest.mark.django_db(databases=BOTH)
def test_schema_takes_databases():
    before = path()
    with pgtrigger.schema("hello", databases=["other"]):
        assert path("other") == "hello"
        assert path() == before


def test_ignore_and_schema_work_together(protected):
    with pgtrigger.schema("public"), pgtrigger.ignore(URI), pgtrigger.schema("pg_catalog"):
        assert Thing.objects.update(flag=False) == 5
        assert path() == "public, pg_catalog"
    with refused("Cannot update rows from"):
        Thing.objects.update(flag=False)


# --- constraints -----------------------------------------------------------------------------


def make_deferrable(timing=pgtrigger.Deferred, name="deferred"):
    return pgtrigger.Trigger(
        name=name, when=After, operation=Insert, timing=timing, func="RAISE EXCEPTION 'fired';"
    )


def test_constraints_make_a_deferred_trigger_immediate(live):
    live(Thing, make_deferrable())
    with refused("fired"):
        pgtrigger.constraints(pgtrigger.Immediate, DEFERRED)
        Thing.objects.create()
    with refused("fired"):
        Thing.objects.create()
        pgtrigger.constraints(pgtrigger.Immediate, DEFERRED)


def test_constraints_make_an_immediate_trigger_deferred(live):
    live(Thing, make_deferrable(pgtrigger.Immediate))
    with refused("fired"):
        Thing.objects.create()
    with refused("fired"):
        pgtrigger.constraints(pgtrigger.Deferred, DEFERRED)
        Thing.objects.create()
        log = Log.objects.create(new="reached")
        assert log.pk
        pgtrigger.constraints(pgtrigger.Immediate, DEFERRED)


def test_constraints_take_several_uris_and_proxies(live):
    live(Thing, make_deferrable())
    live(ThingProxy, make_deferrable(name="of_proxy"))
    with transaction.atomic():
        point = new_savepoint()
        Thing.objects.create()
        transaction.savepoint_rollback(point)
    with refused("fired"):
        pgtrigger.constraints(pgtrigger.Immediate, DEFERRED, "contract.ThingProxy:of_proxy")
        Thing.objects.create()


@pytest.mark.django_db(databases=BOTH)
def test_constraints_take_databases(live):
    trigger = live(Thing, make_deferrable())
    trigger.install(Thing, database="other")
    with refused("fired", "other"):
        pgtrigger.constraints(pgtrigger.Immediate, DEFERRED, databases=["other"])
        Thing.objects.using("other").create()
    point = new_savepoint()
    with CaptureQueriesContext(connection) as queries:
        pgtrigger.constraints(pgtrigger.Immediate, DEFERRED, databases=["other"])
    assert queries.captured_queries == []
    Thing.objects.create()
    transaction.savepoint_rollback(point)


def test_constraints_refuse_a_trigger_that_is_not_deferrable(protected):
    with pytest.raises(ValueError, match="is not deferrable"):
        pgtrigger.constraints(pgtrigger.Immediate, URI)


@committed
def test_constraints_need_a_transaction(live):
    live(Thing, make_deferrable())
    with pytest.raises(RuntimeError, match="not in a transaction"):
        pgtrigger.constraints(pgtrigger.Immediate, DEFERRED)


@committed
def test_not_deferrable_comes_before_not_in_a_transaction(protected, live):
    live(Thing, make_deferrable())
    with pytest.raises(ValueError, match="is not deferrable"):
        pgtrigger.constraints(pgtrigger.Immediate, DEFERRED, URI)


@pytest.mark.django_db(databases=BOTH, transaction=True)
def test_constraints_refuse_before_any_database_is_touched(live):
    live(Thing, make_deferrable())
    connections["other"].close()
    with (
        transaction.atomic("default"),
        CaptureQueriesContext(connection) as queries,
        pytest.raises(RuntimeError, match="not in a transaction"),
    ):
        pgtrigger.constraints(pgtrigger.Immediate, DEFERRED, databases=BOTH)
    assert queries.captured_queries == []
    assert connections["other"].connection is None


def test_constraints_refuse_bad_uris():
    with pytest.raises(KeyError, match="not found in pgtrigger registry"):
        pgtrigger.constraints(pgtrigger.Immediate, "contract.Thing:nope")
    with pytest.raises(ValueError, match="Trigger URI must be"):
        pgtrigger.constraints(pgtrigger.Immediate, "nope")


# --- Errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [pgtrigger.Row, pgtrigger.Statement], ids=["row", "statement"])
@pytest.mark.parametrize(
    ("operation", "message", "write"),
    [
        (Insert, "Cannot insert rows from contract_thing table", Thing.objects.create),
        (
            Update,
            "Cannot update rows from contract_thing table",
            lambda: Thing.objects.update(id=1),
        ),
        (
            Delete,
            "Cannot delete rows from contract_thing table",
            lambda: Thing.objects.all().delete(),
        ),
    ],
    ids=["insert", "update", "delete"],
)
def test_protect_names_operation_and_table(live, level, operation, message, write):
    Thing.objects.create()
    live(Thing, protects(operation, level=level))
    with refused(message, error=DatabaseError):
        write()
