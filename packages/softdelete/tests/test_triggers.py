"""pgtrigger_softdelete.triggers: what a deletion does to the row itself, by every way to delete."""

import datetime

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Value
from django.db.models.functions import Concat, Now
from hypothesis import given
from hypothesis import strategies as st

import pgtrigger
from archive.models import Crate, Folder, Kinds, Label, Peculiar, Shelf
from pgtrigger.errors import DeclarationError, FieldLookupError
from pgtrigger_softdelete import SoftDelete
from shop.database import definitions, refused, rows, run, value
from shop.models import AuditEntry, Event, Gadget, Line, Product

F = pgtrigger.F


def soft(field="is_active", **kwargs):
    return SoftDelete(name="soft_delete", field=field, **kwargs)


# --- Declarations -----------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", [{}, {"name": "soft"}, {"field": ""}])
def test_a_field_is_needed_and_asked_for_first(kwargs):
    with pytest.raises(ValueError, match='Must provide "field"'):
        SoftDelete(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"level": pgtrigger.Statement}, '"level" is always'),
        ({"when": pgtrigger.After}, '"when" is always'),
        ({"operation": pgtrigger.Update}, '"operation" is always'),
        ({"func": "RETURN NULL;"}, 'takes no "func"'),
        (
            {"cascade": "hard"},
            '"cascade" is one of "soft", "set_null", "refuse", "keep"; got \'hard\'',
        ),
        ({"cascade": {"a.B.c": "hard"}}, '"cascade" is one of'),
        ({"orphaned": "keep"}, '"orphaned" is one of "refuse", "delete", "set_null"'),
        ({"live": False}, '"live" and "value" are both False'),
        ({"live": Now()}, '"live" is a plain value'),
        ({"name": ""}, 'must have "name"'),
    ],
    ids=str,
)
def test_what_cannot_be_declared_is_refused_at_once(kwargs, message):
    with pytest.raises(DeclarationError, match=message):
        SoftDelete(**{"name": "soft_delete", "field": "is_active", **kwargs})


def test_class_attributes_are_defaults():
    class Archive(SoftDelete):
        field = "deleted_at"
        value = Now()

    assert Archive(name="a").mark == SoftDelete(name="b", field="deleted_at", value=Now()).mark
    assert Archive(name="a", value=None, field="x").value is None


@pytest.mark.parametrize(
    ("model", "kwargs", "message"),
    [
        (Shelf, {"field": "nothing"}, 'has no field "nothing"'),
        (Gadget, {"field": "stock"}, "stored in the table of the parent model"),
        (Crate, {"field": "is_active"}, "stored in the table of the parent model"),
        (Shelf, {"value": None}, "is to be NULL on a deleted row"),
        (Kinds, {"field": "number", "value": Value(1)}, "is to be NULL on a live row"),
        (Kinds, {"field": "number", "value": "many"}, "'many' is no value of"),
        (Kinds, {"field": "flag", "value": "nonsense"}, "'nonsense' is no value of"),
        (Kinds, {"field": "day", "value": models.F("user")}, r"use pgtrigger\.F"),
        (Kinds, {"field": "text_or_null", "value": F("new__user")}, '"value" reads NEW'),
        (Folder, {"field": "deleted_at", "value": Now(), "cascade_field": "nothing"}, "no field"),
        (Folder, {"field": "deleted_at", "value": Now(), "cascade_field": "name"}, "text field"),
    ],
    ids=str,
)
def test_what_a_model_cannot_have_is_refused_when_it_is_compiled(model, kwargs, message):
    trigger = soft(**{"field": "is_active", **kwargs})
    with pytest.raises(DeclarationError, match=message):
        trigger.compile(model)
    assert issubclass(FieldLookupError, DeclarationError)


def test_a_plain_declaration_is_one_postgres_trigger_that_sees_deletions_only(live):
    live(Label, soft())
    (definition,) = definitions("archive_label").values()
    assert "BEFORE DELETE ON" in definition
    assert "FOR EACH ROW" in definition


# --- Values -----------------------------------------------------------------------------------

MOMENT = datetime.datetime(2013, 1, 31, 12, tzinfo=datetime.UTC)

# field, value, live, the values of live rows, what a live row becomes.
MARKS = [
    ("flag", False, None, [True], False),
    ("gone", True, None, [False], True),
    ("flag_or_null", False, None, [True, None], False),
    ("flag_or_null", None, True, [True, False], None),
    ("text", "it's 100% {x} \\ $a$", "live", ["live", "other"], "it's 100% {x} \\ $a$"),
    ("text", "", None, ["live"], ""),
    ("text_or_null", "deleted", None, [None, "x"], "deleted"),
    ("text_or_null", None, "live", ["live"], None),
    ("number", -1, 0, [0, 7], -1),
    ("number_or_null", 0, None, [None, 1], 0),
    ("number_or_null", F("old__number") + 1, None, [None], 1),
    ("number", Value(5), 0, [0], 5),
    ("day", datetime.date(2013, 1, 31), None, [None], datetime.date(2013, 1, 31)),
    ("moment", MOMENT, None, [None], MOMENT),
    ("moment", Value(MOMENT), None, [None], MOMENT),
    ("text_or_null", Concat(F("old__user"), Value("'s %")), None, [None], "ada's %"),
]


def by_mark(mark):
    return f"{mark[0]}-{mark[1]!r}"


@pytest.mark.parametrize("mark", MARKS, ids=by_mark)
def test_a_deleted_row_stays_and_holds_the_value(live, mark):
    field, deleted, live_value, live_values, expected = mark
    given = {} if live_value is None else {"live": live_value}
    trigger = live(Kinds, soft(field, value=deleted, **given))
    for before in live_values:
        row = Kinds.objects.create(**{field: before})
        assert Kinds.objects.filter(trigger.mark.live_q(), pk=row.pk).exists()
        run("DELETE FROM archive_kinds WHERE id = %s", [row.pk])
        found = Kinds.objects.get(pk=row.pk)
        assert getattr(found, field) == expected
        assert Kinds.objects.filter(trigger.mark.deleted_q(), pk=row.pk).exists()
        assert not Kinds.objects.filter(trigger.mark.live_q(), pk=row.pk).exists()


@pytest.mark.parametrize("mark", MARKS, ids=by_mark)
def test_sql_and_querysets_agree_on_what_is_deleted(db, mark):
    field, deleted, live_value, live_values, expected = mark
    trigger = soft(field, value=deleted, **({} if live_value is None else {"live": live_value}))
    for content in (*live_values, expected):
        Kinds.objects.create(**{field: content})
    text = trigger.mark.deleted_sql(Kinds, "archive_kinds")
    by_sql = {pk for (pk,) in rows(f"SELECT id FROM archive_kinds WHERE {text}", None)}
    by_orm = {*Kinds.objects.filter(trigger.mark.deleted_q()).values_list("pk", flat=True)}
    live_ones = {*Kinds.objects.filter(trigger.mark.live_q()).values_list("pk", flat=True)}
    assert by_sql == by_orm
    assert len(by_orm) == 1
    assert len(live_ones) == len(live_values)


def test_now_is_the_time_of_the_deletion_and_a_second_deletion_does_not_change_it(live):
    live(Kinds, soft("moment", value=Now()))
    row = Kinds.objects.create()
    before = value("SELECT statement_timestamp()")
    row.delete()
    first = Kinds.objects.get().moment
    assert before < first <= value("SELECT clock_timestamp()")
    Kinds.objects.all().delete()
    assert Kinds.objects.get().moment == first


def test_a_value_that_a_live_row_cannot_have_is_refused_where_it_is_restored():
    trigger = soft("text", value="deleted")
    assert trigger.compile(Kinds)
    assert soft("text_or_null", value="deleted").mark.live_value(Kinds) is None
    with pytest.raises(DeclarationError, match='Declare the SoftDelete with "live"'):
        trigger.mark.live_value(Kinds)


# --- Ways to delete ---------------------------------------------------------------------------


def server_side_executemany(pks):
    with connection.cursor() as cursor:
        cursor.executemany("DELETE FROM archive_label WHERE id = %s", [(pk,) for pk in pks])


WAYS = {
    "queryset": lambda pks: Label._base_manager.filter(pk__in=pks).delete(),
    "instance": lambda pks: [
        models.Model.delete(label) for label in Label._base_manager.filter(pk__in=pks)
    ],
    "raw": lambda pks: run("DELETE FROM archive_label WHERE id = ANY(%s)", [pks]),
    "all": lambda pks: run("DELETE FROM archive_label"),
    "with": lambda pks: run("WITH x AS (DELETE FROM archive_label RETURNING 1) SELECT * FROM x"),
    "merge": lambda pks: run(
        "MERGE INTO archive_label USING (VALUES (1)) v(a) ON TRUE WHEN MATCHED THEN DELETE"
    ),
    "do": lambda pks: run("DO $$ BEGIN DELETE FROM archive_label; END $$"),
    "executemany": server_side_executemany,
}


@pytest.mark.parametrize("delete", WAYS.values(), ids=WAYS)
def test_no_way_to_delete_goes_past_it(live, delete):
    live(Label, soft())
    pks = [Label._base_manager.create().pk for _ in range(3)]
    delete(pks)
    assert rows("SELECT is_active FROM archive_label") == [(False,)] * 3


def test_the_statement_reports_that_no_row_was_deleted(live):
    live(Label, soft())
    Label._base_manager.create()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM archive_label")
        assert cursor.rowcount == 0


def test_only_the_rows_of_the_statement_are_marked(live):
    live(Label, soft())
    first, second = Label._base_manager.create(), Label._base_manager.create()
    run("DELETE FROM archive_label WHERE id = %s", [first.pk])
    assert rows("SELECT id FROM archive_label WHERE is_active") == [(second.pk,)]


def test_within_ignore_rows_are_really_deleted(live):
    trigger = live(Label, soft())
    Label._base_manager.create()
    with pgtrigger.ignore(trigger.get_uri(Label)):
        run("DELETE FROM archive_label")
    assert value("SELECT count(*) FROM archive_label") == 0


def test_rows_that_do_not_meet_the_condition_are_really_deleted(live):
    live(Label, soft(condition=pgtrigger.Q(old__name="published")))
    Label._base_manager.create(name="published")
    Label._base_manager.create(name="draft")
    run("DELETE FROM archive_label")
    assert rows("SELECT name, is_active FROM archive_label") == [("published", False)]


def test_djangos_cascade_to_other_models_still_happens(live):
    live(Shelf, soft())
    shelf = Shelf._base_manager.create()
    Folder._base_manager.create(shelf=shelf)
    models.Model.delete(shelf)
    assert not Folder._base_manager.exists()
    assert Shelf._base_manager.get().is_active is False


def test_other_triggers_see_the_update(live):
    live(Label, soft())
    live(Label, pgtrigger.Protect(name="locked", operation=pgtrigger.Update))
    Label._base_manager.create()
    with refused("Cannot update rows", IntegrityError):
        run("DELETE FROM archive_label")


# --- Shapes of tables -------------------------------------------------------------------------


def test_composite_keys(live):
    trigger = SoftDelete(name="soft_delete", field="amount", value=-1, live=0)
    live(Line, trigger)
    Line.objects.bulk_create([Line(order=1, number=n, amount=n) for n in range(3)])
    Line.objects.filter(pk=(1, 1)).delete()
    assert rows("SELECT number, amount FROM shop_line ORDER BY 1") == [(0, 0), (1, -1), (2, 2)]


def test_names_that_are_words_of_sql(live):
    run('CREATE TEMPORARY TABLE "group" ("select" int, "order" text, "target" int)')
    run('INSERT INTO pg_temp."group" VALUES (1, NULL, NULL), (2, NULL, 1)')
    live(Peculiar, soft("order", value="it's gone"))
    run('DELETE FROM "group" WHERE "select" = 2')
    assert rows('SELECT "order" FROM "group" ORDER BY "select"') == [(None,), ("it's gone",)]


def test_a_trigger_that_is_declared_on_a_proxy(live):
    class LabelProxy(Label):
        class Meta:
            proxy = True
            app_label = "archive"

    try:
        trigger = live(LabelProxy, soft())
        Label._base_manager.create()
        run("DELETE FROM archive_label")
        assert rows("SELECT is_active FROM archive_label") == [(False,)]
        from pgtrigger_softdelete.triggers import soft_delete_of

        assert soft_delete_of(Label) is trigger
    finally:
        from django.apps import apps

        del apps.all_models["archive"]["labelproxy"]
        apps.clear_cache()


def test_the_child_of_a_parent_with_a_table_of_its_own(live):
    live(Crate, SoftDelete(name="soft_delete", field="is_kept"))
    crate = Crate._base_manager.create()
    run("DELETE FROM archive_crate")
    assert rows("SELECT is_kept FROM archive_crate") == [(False,)]
    assert crate.pk


def test_two_soft_deletes_on_one_table_are_refused(declared):
    from pgtrigger_softdelete.triggers import soft_delete_of

    declared(Product, SoftDelete(name="one", field="stock", value=1))
    declared(Product, SoftDelete(name="two", field="stock", value=2))
    with pytest.raises(DeclarationError, match=r"several SoftDelete triggers \(one, two\)"):
        soft_delete_of(Product)


# --- Schemas and search paths -----------------------------------------------------------------


@pytest.fixture
def tenants(live):
    """Two schemas with the table of labels, each with the trigger and one row of key 1."""
    trigger = soft()
    live(Label, trigger)
    run("DELETE FROM archive_label")
    for tenant in ("tenant_a", "tenant b"):
        run(f'CREATE SCHEMA "{tenant}"')
        run(f'CREATE TABLE "{tenant}".archive_label (LIKE public.archive_label INCLUDING ALL)')
        run(f"INSERT INTO \"{tenant}\".archive_label (id, name, is_active) VALUES (1, '', true)")
        with pgtrigger.schema(tenant):
            trigger.install(Label)
    return trigger


def active(tenant):
    return value(f'SELECT is_active FROM "{tenant}".archive_label')


@pytest.mark.parametrize("path", ["", '"tenant b"', "tenant_a", "public", '"tenant b", tenant_a'])
@pytest.mark.parametrize(("tenant", "other"), [("tenant_a", "tenant b"), ("tenant b", "tenant_a")])
def test_it_marks_the_row_of_its_own_schema_whatever_the_search_path_is(
    tenants, path, tenant, other
):
    run("SELECT set_config('search_path', %s, true)", [path])
    run(f'DELETE FROM "{tenant}".archive_label')
    assert (active(tenant), active(other)) == (False, True)
    run("SELECT set_config('search_path', 'public', true)")
    run(f'DELETE FROM "{other}".archive_label')
    assert active(other) is False


def test_a_session_that_changes_its_search_path_between_deletions_is_served_each_time(tenants):
    for tenant in ("tenant_a", "tenant b", "tenant_a", "tenant b"):
        run("SELECT set_config('search_path', %s, true)", [f'"{tenant}"'])
        run("UPDATE archive_label SET is_active = true")
        run("DELETE FROM archive_label")
        assert active(tenant) is False
        run(f'UPDATE "{tenant}".archive_label SET is_active = true')


def test_a_temporary_table_of_the_same_name_is_not_taken_for_the_table(live):
    live(Label, soft())
    Label._base_manager.create()
    run("CREATE TEMPORARY TABLE archive_label (LIKE public.archive_label) ON COMMIT DROP")
    run("INSERT INTO archive_label SELECT * FROM public.archive_label")
    run("DELETE FROM public.archive_label")
    assert rows("SELECT is_active FROM public.archive_label") == [(False,)]
    assert rows("SELECT is_active FROM pg_temp.archive_label") == [(True,)]


def test_a_table_whose_name_has_a_schema(live, db):
    run("CREATE SCHEMA shop_audit")
    run("CREATE TABLE shop_audit.entry (id int PRIMARY KEY, value int)")
    run("INSERT INTO shop_audit.entry VALUES (1, 1)")
    live(AuditEntry, SoftDelete(name="soft_delete", field="value", value=9))
    run("DELETE FROM shop_audit.entry")
    assert rows("SELECT value FROM shop_audit.entry") == [(9,)]


@pytest.fixture
def partitions(db):
    run("CREATE TABLE shop_event (id int PRIMARY KEY, value int) PARTITION BY RANGE (id)")
    run("CREATE SCHEMA archived")
    run("CREATE TABLE shop_event_a PARTITION OF shop_event FOR VALUES FROM (0) TO (10)")
    run("CREATE TABLE archived.shop_event PARTITION OF shop_event FOR VALUES FROM (10) TO (20)")
    run("INSERT INTO shop_event VALUES (1, 0), (2, 0), (11, 0), (12, 0)")


@pytest.mark.parametrize("path", ["public", "", "archived"])
@pytest.mark.parametrize(
    ("statement", "marked"),
    [
        ("DELETE FROM public.shop_event", [1, 2, 11, 12]),
        ("DELETE FROM public.shop_event WHERE id IN (1, 11)", [1, 11]),
        ("DELETE FROM public.shop_event_a", [1, 2]),
        ("DELETE FROM archived.shop_event WHERE id = 11", [11]),
    ],
)
def test_partitions(live, partitions, path, statement, marked):
    live(Event, SoftDelete(name="soft_delete", field="value", value=9, live=0))
    run("SELECT set_config('search_path', %s, true)", [path])
    run(statement)
    found = [pk for (pk,) in rows("SELECT id FROM public.shop_event WHERE value = 9 ORDER BY 1")]
    assert found == marked


# --- Quoting ----------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
PIECES = st.lists(
    st.sampled_from(
        ["'", '"', "\\", "%", "%s", "%I", "{", "}", "$$", "$1", "\n", "é", "select", ";"]
    )
    | TEXT,
    max_size=6,
).map("".join)


@given(content=PIECES.filter(lambda text: len(text) <= 60))
def test_any_text_can_be_the_value(db, content):
    """Each is installed and fired."""
    trigger = soft("text_or_null", value=content)
    with transaction.atomic():
        row = Kinds.objects.create()
        with trigger.register(Kinds), trigger.install(Kinds):
            row.delete()
            assert Kinds.objects.get().text_or_null == content
        transaction.set_rollback(True)


def names(limit):
    return PIECES.filter(lambda text: text and 0 < len(text.encode()) <= limit)


@given(table=names(63), columns=st.lists(names(63), min_size=3, max_size=3, unique=True))
def test_any_names_can_be_those_of_the_table_and_its_columns(db, table, columns):
    """Each is installed and fired, by the search path and beyond it."""
    from django.apps.registry import Apps

    meta = type("Meta", (), {"app_label": "archive", "db_table": table, "apps": Apps()})
    key, mark, with_parent = columns
    body = {
        "__module__": __name__,
        "Meta": meta,
        "id": models.IntegerField(primary_key=True, db_column=key),
        "is_active": models.BooleanField(db_column=mark),
        "deleted_with": models.TextField(null=True, db_column=with_parent),
    }
    model = type("Named", (models.Model,), body)
    if sql_relation(table)[0] is not None or table != table.strip('"'):
        return  # Django's own way to name a schema
    with transaction.atomic():
        run(
            f"CREATE TABLE {quoted(table)} ({quoted(key)} int, {quoted(mark)} bool, "
            f"{quoted(with_parent)} text)"
        )
        run(f"INSERT INTO {quoted(table)} VALUES (1, true, 'x'), (2, true, NULL)")
        soft(cascade_field="deleted_with").install(model)
        run(f"DELETE FROM {quoted(table)} WHERE {quoted(key)} = 1")
        run("SELECT set_config('search_path', '', true)")
        run(f"DELETE FROM public.{quoted(table)}")
        found = rows(f"SELECT {quoted(mark)}, {quoted(with_parent)} FROM public.{quoted(table)}")
        assert found == [(False, None)] * 2
        transaction.set_rollback(True)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def sql_relation(name):
    from pgtrigger import sql

    return sql.relation(name)


def test_rows_of_an_inheriting_table_at_the_same_place_are_not_touched(live, db):
    """A row is found by its place, and each table has places of its own."""
    run("TRUNCATE archive_kinds CASCADE")
    live(Kinds, soft("flag"))
    row = Kinds.objects.create()
    run("CREATE TABLE heir () INHERITS (archive_kinds)")
    run("INSERT INTO heir SELECT * FROM ONLY archive_kinds")
    assert len({*rows("SELECT ctid FROM archive_kinds")}) == 1
    run("DELETE FROM ONLY archive_kinds WHERE id = %s", [row.pk])
    assert rows("SELECT flag FROM ONLY archive_kinds") == [(False,)]
    assert rows("SELECT flag FROM heir") == [(True,)]
