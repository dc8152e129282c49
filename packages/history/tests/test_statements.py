"""Every way in which rows change is recorded, at both levels, whatever the search path is."""

import pytest
from django.db import connection, models, transaction

import pgtrigger
import pgtrigger_history
from pgtrigger_history.models import Context
from shop.database import run


def make(level, name):
    model = type(
        name,
        (models.Model,),
        {
            "__module__": __name__,
            "a": models.IntegerField(null=True),
            "b": models.TextField(null=True),
            "Meta": type("Meta", (), {"app_label": "ledger", "db_table": f"ways_{name.lower()}"}),
        },
    )
    return pgtrigger_history.track(level=level)(model)


@pytest.fixture(scope="module")
def ways():
    """Two models, which no other test sees."""
    from django.apps import apps

    from pgtrigger.registry import registry
    from pgtrigger_history import trackings

    before = {**apps.all_models["ledger"]}
    known = {**trackings._trackings}
    found = {level: make(level, name) for level, name in LEVELS.items()}
    yield found
    for model in [*found.values(), *(m.history.model for m in found.values())]:
        for trigger in [*model._meta.triggers]:
            registry.remove(model, trigger)
    apps.all_models["ledger"].clear()
    apps.all_models["ledger"].update(before)
    apps.clear_cache()
    trackings._trackings.clear()
    trackings._trackings.update(known)
    trackings._complete.clear()


LEVELS = {pgtrigger.Row: "ByRow", pgtrigger.Statement: "ByStatement"}


@pytest.fixture(params=LEVELS, ids=str)
def tracked(request, db, ways):
    model = ways[request.param]
    with connection.schema_editor() as editor:
        editor.create_model(model)
        editor.create_model(model.history.model)
    return model


def told(model):
    return [
        (event.pgh_operation, event.pgh_obj_id, event.a)
        for event in model.history.order_by("pgh_id")
    ]


def test_plain_sql(tracked):
    table = tracked._meta.db_table
    run(f"INSERT INTO {table} (id, a) OVERRIDING SYSTEM VALUE VALUES (1, 1), (2, 2)")
    run(f"UPDATE {table} SET a = a + 10")
    run(f"DELETE FROM {table} WHERE a > 11")
    assert told(tracked) == [
        ("INSERT", 1, 1),
        ("INSERT", 2, 2),
        ("UPDATE", 1, 11),
        ("UPDATE", 2, 12),
        ("DELETE", 2, 12),
    ]


def test_insert_on_conflict(tracked):
    table = tracked._meta.db_table
    statement = (
        f"INSERT INTO {table} (id, a) OVERRIDING SYSTEM VALUE VALUES (1, 1), (2, 2) "
        "ON CONFLICT (id) DO UPDATE SET a = excluded.a + 100"
    )
    run(f"INSERT INTO {table} (id, a) OVERRIDING SYSTEM VALUE VALUES (1, 0)")
    run(statement)
    assert sorted(told(tracked)) == [("INSERT", 1, 0), ("INSERT", 2, 2), ("UPDATE", 1, 101)]


def test_merge(tracked):
    table = tracked._meta.db_table
    run(f"INSERT INTO {table} (id, a) OVERRIDING SYSTEM VALUE VALUES (1, 1), (2, 2)")
    run(
        f"MERGE INTO {table} AS own USING (VALUES (1, 5), (2, 0), (3, 7)) AS given (id, a) "
        "ON own.id = given.id WHEN MATCHED AND given.a = 0 THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET a = given.a "
        "WHEN NOT MATCHED THEN INSERT (id, a) OVERRIDING SYSTEM VALUE VALUES (given.id, given.a)"
    )
    assert sorted(told(tracked)[2:]) == [("DELETE", 2, 2), ("INSERT", 3, 7), ("UPDATE", 1, 5)]


def test_copy(tracked):
    with connection.cursor() as cursor:
        if not hasattr(cursor.cursor, "copy"):
            pytest.skip("psycopg 3 has it, psycopg2 has another one")
        with cursor.copy(f"COPY {tracked._meta.db_table} (a) FROM STDIN") as copy:
            copy.write("1\n2\n")
    assert [(operation, a) for operation, _, a in told(tracked)] == [("INSERT", 1), ("INSERT", 2)]


def test_a_statement_with_several_changes(tracked):
    table = tracked._meta.db_table
    run(f"INSERT INTO {table} (id, a) OVERRIDING SYSTEM VALUE VALUES (1, 1), (2, 2)")
    run(
        f"WITH gone AS (DELETE FROM {table} WHERE id = 1 RETURNING a), "
        f"changed AS (UPDATE {table} SET a = 9 WHERE id = 2 RETURNING a) "
        f"INSERT INTO {table} (id, a) OVERRIDING SYSTEM VALUE SELECT 3, sum(a) FROM gone"
    )
    assert sorted(told(tracked)[2:]) == [("DELETE", 1, 1), ("INSERT", 3, 1), ("UPDATE", 2, 9)]


def test_a_cascade_in_the_database(tracked):
    table = tracked._meta.db_table
    run(f"INSERT INTO {table} (id, a) OVERRIDING SYSTEM VALUE VALUES (1, 1), (2, 1), (3, 2)")
    run("CREATE TABLE ways_parent (id int PRIMARY KEY)")
    run("INSERT INTO ways_parent VALUES (1), (2)")
    run(f"ALTER TABLE {table} ADD FOREIGN KEY (a) REFERENCES ways_parent ON DELETE CASCADE")
    run("DELETE FROM ways_parent WHERE id = 1")
    assert sorted(told(tracked)[3:]) == [("DELETE", 1, 1), ("DELETE", 2, 1)]


def test_a_partitioned_table(tracked):
    table = tracked._meta.db_table
    run(f"ALTER TABLE {table} RENAME TO ways_old")
    run(f"CREATE TABLE {table} (id bigint, a int, b text) PARTITION BY RANGE (a)")
    run(f"CREATE TABLE ways_low PARTITION OF {table} FOR VALUES FROM (0) TO (10)")
    run(f"CREATE TABLE ways_high PARTITION OF {table} FOR VALUES FROM (10) TO (100)")
    for trigger in tracked._meta.triggers:
        trigger.install(tracked)
    run(f"INSERT INTO {table} (id, a) VALUES (1, 1), (2, 20)")
    run(f"UPDATE {table} SET b = 'x'")
    run(f"UPDATE {table} SET a = 30 WHERE id = 1")  # from one partition to the other
    run(f"DELETE FROM {table}")
    found = told(tracked)
    assert found[:4] == [("INSERT", 1, 1), ("INSERT", 2, 20), ("UPDATE", 1, 1), ("UPDATE", 2, 20)]
    # What fires for each row sees a row that moves as a deletion and an insertion.
    assert found[4:-2] in ([("UPDATE", 1, 30)], [("DELETE", 1, 1), ("INSERT", 1, 30)])
    assert sorted(found[-2:]) == [("DELETE", 1, 30), ("DELETE", 2, 20)]


def test_a_temporary_table_of_the_same_name_catches_nothing(tracked):
    events = tracked.history.model._meta.db_table
    run(f"CREATE TEMPORARY TABLE {events} (LIKE public.{events} INCLUDING ALL)")
    run("CREATE TEMPORARY TABLE pgtrigger_history_context (LIKE public.pgtrigger_history_context)")
    with pgtrigger_history.context(user=1):
        run(f"INSERT INTO {tracked._meta.db_table} (a) VALUES (1)")
    run(f"DROP TABLE pg_temp.{events}, pg_temp.pgtrigger_history_context")
    assert len(told(tracked)) == 1
    assert tracked.history.get().pgh_context.data == {"user": 1}


def test_with_an_empty_search_path(tracked):
    table = tracked._meta.db_table
    run("SET LOCAL search_path = ''")
    with pgtrigger_history.context(user=1):
        run(f"INSERT INTO public.{table} (id, a) OVERRIDING SYSTEM VALUE VALUES (1, 1), (2, 2)")
        run(f"UPDATE public.{table} SET a = 5 WHERE id = 1")
        run(f"UPDATE public.{table} SET id = 9 WHERE id = 2")
        run(f"DELETE FROM public.{table} WHERE id = 9")
    run(f"TRUNCATE public.{table}")
    run("SET LOCAL search_path = public")
    assert told(tracked) == [
        ("INSERT", 1, 1), ("INSERT", 2, 2), ("UPDATE", 1, 5),
        *told(tracked)[3:5], ("DELETE", 9, 2), ("TRUNCATE", 1, 5),
    ]  # fmt: skip
    assert sorted(told(tracked)[3:5]) == [("DELETE", 2, 2), ("INSERT", 9, 2)]
    assert Context.objects.count() == 1


def test_each_schema_has_its_own_events(tracked):
    table, events = tracked._meta.db_table, tracked.history.model._meta.db_table
    run("CREATE SCHEMA tenant")
    for name in (table, events, "pgtrigger_history_context"):
        run(f"CREATE TABLE tenant.{name} (LIKE public.{name} INCLUDING ALL)")
    with pgtrigger.schema("tenant", "public"):
        for trigger in tracked._meta.triggers:
            trigger.install(tracked)
    with pgtrigger_history.context(user=1):
        run(f"INSERT INTO {table} (a) VALUES (1)")
        run(f"INSERT INTO tenant.{table} (a) VALUES (2)")
        with pgtrigger.schema("tenant"):
            tracked.objects.create(a=3)
        run(f"INSERT INTO {table} (a) VALUES (4)")
    assert [a for _, _, a in told(tracked)] == [1, 4]
    with pgtrigger.schema("tenant"):
        assert [a for _, _, a in told(tracked)] == [2, 3]
        assert tracked.history.filter(pgh_context__user="1").count() == 2
    assert tracked.history.filter(pgh_context__user="1").count() == 2


def test_a_schema_without_events_says_so(tracked):
    table, events = tracked._meta.db_table, tracked.history.model._meta.db_table
    run(f"ALTER TABLE {events} RENAME TO elsewhere")
    with pytest.raises(Exception, match=rf"history of public\.{table} needs table .*{events}"):
        with transaction.atomic():
            run(f"INSERT INTO {table} (a) VALUES (1)")


def test_an_update_of_all_rows_without_a_change_writes_nothing(tracked):
    tracked.objects.bulk_create([tracked(a=n) for n in range(5)])
    tracked.objects.update(a=models.F("a"))
    assert tracked.history.count() == 5


@pytest.mark.parametrize("rows", [1, 2000])
def test_a_large_statement_after_a_small_one_has_a_plan_for_many(tracked, rows):
    tracked.objects.create(a=0)
    tracked.objects.update(a=1)
    tracked.objects.bulk_create([tracked(a=n) for n in range(rows)])
    tracked.objects.update(b="x")
    assert tracked.history.filter(pgh_operation="UPDATE").count() == rows + 2
