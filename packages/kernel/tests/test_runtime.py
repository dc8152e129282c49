"""pgtrigger.runtime: ignore, schema and constraints, beyond what the contract already shows."""

import itertools

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.apps.registry import Apps
from django.db import IntegrityError, connection, connections, models, transaction

import pgtrigger
from pgtrigger.compiler import postgres_id
from pgtrigger.errors import (
    DatabaseNotSupportedError,
    DeclarationError,
    NotDeferrableError,
    NotInTransactionError,
    TriggerNotFoundError,
    TriggerUriError,
)
from shop.database import logged, logs, noop, refused, rows, run, statements, value
from shop.models import AuditEntry, Order, Product

IGNORED = "SELECT current_setting('pgtrigger.ignore', true)"
DEFERRED = {"when": pgtrigger.After, "timing": pgtrigger.Deferred}


def test_a_trigger_that_cannot_be_ignored_is_refused_by_name(declared):
    declared(Product, noop(ignorable=False))
    with pytest.raises(DeclarationError, match=r'"shop.Product:noop".*ignorable=False'):
        pgtrigger.ignore("shop.Product:noop").__enter__()
    assert not pgtrigger.is_ignored("shop.Product:noop")


def test_ignoring_all_leaves_out_what_cannot_be_ignored(db, declared):
    first, second = (
        declared(Product, noop("first")),
        declared(Product, noop("last", ignorable=False)),
    )
    with pgtrigger.ignore():
        assert first.get_pgid(Product) in value(IGNORED)
        assert second.get_pgid(Product) not in value(IGNORED)
        assert pgtrigger.is_ignored("shop.Product:first")
        assert not pgtrigger.is_ignored("shop.Product:last")


def test_ignoring_all_knows_triggers_that_are_declared_meanwhile(db, declared):
    with pgtrigger.ignore():
        pass
    trigger = declared(Product, noop("new"))
    with pgtrigger.ignore():
        assert trigger.get_pgid(Product) in value(IGNORED)


def test_nothing_is_looked_up_before_the_block_begins(declared):
    context = pgtrigger.ignore("shop.Product:later")
    with pytest.raises(TriggerNotFoundError):
        context.__enter__()
    declared(Product, noop("later"))
    with context:
        assert pgtrigger.is_ignored("shop.Product:later")


SEVERAL = {
    "shop.Product:keep": (Product, {"name": "keep"}),
    "shop.Product:logs": (Product, {"name": "logs"}),
    "shop.Order:keep": (Order, {"name": "keep"}),
    "shop.Order:never": (Order, {"name": "never", "ignorable": False}),
}


class Kept(pgtrigger.Trigger):
    """A type of triggers."""


class Unused(pgtrigger.Trigger):
    """A type that no trigger has."""


@pytest.fixture
def several(declared):
    made = {}
    for uri, (model, given) in SEVERAL.items():
        kind = Kept if given["name"] == "keep" else pgtrigger.Trigger
        trigger = kind(
            when=pgtrigger.Before, operation=pgtrigger.Update, func="RETURN NEW;", **given
        )
        made[uri] = declared(model, trigger)
    return made


@pytest.mark.parametrize(
    ("uris", "given", "expected"),
    [
        (["shop.*:keep"], {}, ["Product:keep", "Order:keep"]),
        (["shop.Pro*:*"], {}, ["Product:keep", "Product:logs"]),
        (["shop.Order:[kn]e*"], {}, ["Order:keep"]),
        (["shop.Product:logs", "*:keep"], {}, ["Product:keep", "Product:logs", "Order:keep"]),
        ([], {"model": Product}, ["Product:keep", "Product:logs"]),
        ([], {"model": Order}, ["Order:keep"]),
        ([], {"trigger": Kept}, ["Product:keep", "Order:keep"]),
        ([], {"trigger": pgtrigger.Trigger}, ["Product:keep", "Product:logs", "Order:keep"]),
        ([], {"trigger": Kept, "model": Product}, ["Product:keep"]),
        (["*.*:logs"], {"model": Product}, ["Product:logs"]),
    ],
    ids=[f"case{i}" for i in range(10)],
)
def test_triggers_are_selected_by_glob_model_and_type(several, uris, given, expected):
    with pgtrigger.ignore(*uris, **given):
        found = [uri for uri in SEVERAL if pgtrigger.is_ignored(uri)]
    assert found == [uri for uri in SEVERAL if uri.removeprefix("shop.") in expected]
    assert not [uri for uri in SEVERAL if pgtrigger.is_ignored(uri)]


def test_a_trigger_is_selected_by_itself(several):
    with pgtrigger.ignore(trigger=several["shop.Order:keep"]):
        assert [uri for uri in SEVERAL if pgtrigger.is_ignored(uri)] == ["shop.Order:keep"]


@pytest.mark.parametrize(
    ("uris", "given"),
    [
        (["nowhere.*:keep"], {}),
        (["shop.Product:logs"], {"model": Order}),
        ([], {"model": AuditEntry}),
        ([], {"trigger": Unused}),
    ],
    ids=["glob", "uri and model", "model", "type"],
)
def test_nothing_to_ignore_is_an_error(several, uris, given):
    with pytest.raises(TriggerNotFoundError):
        pgtrigger.ignore(*uris, **given).__enter__()


def test_what_cannot_be_ignored_is_refused_where_there_is_nothing_else(several):
    never = several["shop.Order:never"]
    for uris, given in ((["shop.Or*:nev*"], {}), ([], {"trigger": never})):
        with pytest.raises(DeclarationError, match="shop.Order:never.*ignorable=False"):
            pgtrigger.ignore(*uris, **given).__enter__()


@pytest.mark.parametrize(
    "given",
    [{"model": "shop.Order"}, {"model": Order()}, {"trigger": "keep"}, {"trigger": Order}],
    ids=["label", "instance", "name", "model"],
)
def test_what_is_no_model_and_no_trigger_is_refused_at_once(given):
    with pytest.raises(TypeError, match=f"ignore.{next(iter(given))}=…. takes"):
        pgtrigger.ignore(**given)


def test_whether_a_glob_is_ignored_is_no_question(several):
    with pytest.raises(TriggerUriError, match="glob"):
        pgtrigger.is_ignored("shop.*:keep")


def test_a_list_of_many_is_built_once(several, monkeypatch):
    with pgtrigger.ignore(model=Product):
        pass
    monkeypatch.setattr(Kept, "get_pgid", None)
    with pgtrigger.ignore(model=Product):
        assert pgtrigger.is_ignored("shop.Product:logs")


def clashing_models():
    """Two tables whose triggers of one name get the same Postgres id, which has five digits."""
    seen, pgid = {}, None
    for number in itertools.count():
        pgid = postgres_id("refuses", f"shop.Clash{number}:refuses")
        if pgid in seen:
            break
        seen[pgid] = number
    return [
        type(
            f"Clash{n}",
            (models.Model,),
            {
                "__module__": "shop.models",
                "Meta": type("Meta", (), {"app_label": "shop", "apps": Apps()}),
            },
        )
        for n in (seen[pgid], number)
    ]


@pytest.mark.parametrize(
    "kwargs", [{}, {"when": pgtrigger.After, "timing": pgtrigger.Immediate}], ids=["when", "inside"]
)
def test_triggers_that_share_a_postgres_id_are_ignored_one_by_one(live, kwargs):
    trigger = pgtrigger.Protect(name="refuses", operation=pgtrigger.Delete, **kwargs)
    one, other = clashing_models()
    assert trigger.get_pgid(one) == trigger.get_pgid(other)
    for model in (one, other):
        with connection.schema_editor() as editor:
            editor.create_model(model)
        live(model, trigger)
    with pgtrigger.ignore(trigger.get_uri(one)):
        one.objects.create().delete()
        with refused("Cannot delete"):
            other.objects.create().delete()
        assert pgtrigger.is_ignored(trigger.get_uri(one))
        assert not pgtrigger.is_ignored(trigger.get_uri(other))
    with pgtrigger.ignore():
        one.objects.create().delete()
        other.objects.create().delete()
    with refused("Cannot delete"):
        one.objects.create().delete()


def test_nested_contexts_add_up_and_are_taken_back_one_by_one(db, declared):
    ids = [declared(Product, noop(name)).get_pgid(Product) for name in ("a", "b")]
    with pgtrigger.ignore("shop.Product:a"):
        with pgtrigger.ignore("shop.Product:b"):
            assert value(IGNORED) == "{" + ",".join(sorted(ids)) + "}"
        assert value(IGNORED) == "{" + ids[0] + "}"
    assert not value(IGNORED)


def test_one_database_is_ignored_and_asked_about(declared):
    declared(Product, noop())
    uri = "shop.Product:noop"
    with pgtrigger.ignore(uri, databases=["other"]):
        assert pgtrigger.is_ignored(uri)
        assert pgtrigger.is_ignored(uri, database="other")
        assert not pgtrigger.is_ignored(uri, database="default")


def test_entering_outside_a_transaction_opens_no_connection(committed):
    connections["default"].close()
    with pgtrigger.ignore(), pgtrigger.schema("a"):
        pass
    assert connections["default"].connection is None


@pytest.mark.parametrize(
    ("names", "path"),
    [
        (["a"], "a"),
        (["a", "b"], "a, b"),
        (["a", "a"], "a"),
        (["$user", "Mixed", "or der", 'quo"te'], '"$user", "Mixed", "or der", "quo""te"'),
    ],
)
def test_a_search_path_is_quoted(db, names, path):
    with pgtrigger.schema(*names):
        assert value("SHOW search_path") == path


def test_no_schema_is_no_change(db):
    with statements() as found, pgtrigger.schema():
        pass
    assert found == []
    with pgtrigger.schema("a"), pgtrigger.schema():
        assert value("SHOW search_path") == "a"


# --- Constraints ------------------------------------------------------------------------------


def test_all_deferrable_triggers_are_moved_without_names(live):
    live(Order, logs(**DEFERRED))
    live(Order, noop())
    Order.objects.create()
    Order.objects.update(total=1)
    assert logged() == []
    with statements() as found:
        pgtrigger.constraints(pgtrigger.Immediate, "shop.Order:logs")
    assert logged() == ["fired"]
    assert len(found) == 1
    assert "IMMEDIATE" in found[0]


def test_no_deferrable_trigger_is_nothing_to_do(db, monkeypatch):
    from pgtrigger import runtime

    monkeypatch.setattr(runtime, "registered", lambda *uris: [])
    with statements() as found:
        pgtrigger.constraints(pgtrigger.Immediate)
    assert found == []


def test_a_trigger_that_is_not_deferrable_is_named(declared):
    declared(Order, noop())
    with pytest.raises(NotDeferrableError, match='"shop.Order:noop" is not deferrable'):
        pgtrigger.constraints(pgtrigger.Deferred, "shop.Order:noop")


def test_outside_a_transaction_there_is_nothing_to_move(committed, declared):
    declared(Order, logs(**DEFERRED))
    with pytest.raises(NotInTransactionError, match="current thread is not in a transaction"):
        pgtrigger.constraints(pgtrigger.Deferred, "shop.Order:logs")
    with pytest.raises(NotInTransactionError, match='"default" is not in a transaction'):
        pgtrigger.constraints(pgtrigger.Deferred, "shop.Order:logs", databases=["default"])


def test_another_database_system_is_named(declared):
    declared(Order, logs(**DEFERRED))
    with pytest.raises(DatabaseNotSupportedError, match='"sqlite" is not PostgreSQL'):
        pgtrigger.constraints(pgtrigger.Deferred, "shop.Order:logs", databases=["sqlite"])


def test_checks_are_moved_from_asynchronous_code(autocommit_live):
    live = autocommit_live
    live(Order, logs(**DEFERRED))
    Order.objects.create()

    @async_to_sync
    async def moved():
        @sync_to_async
        def begin():
            transaction.get_connection().set_autocommit(False)
            connection.in_atomic_block = True
            Order.objects.update(total=3)
            return logged()

        @sync_to_async
        def end():
            found = logged()
            connection.in_atomic_block = False
            connection.rollback()
            connection.set_autocommit(True)
            return found

        before = await begin()
        await pgtrigger.aconstraints(pgtrigger.Immediate, "shop.Order:logs")
        return before, await end()

    assert moved() == ([], ["fired"])
    with pytest.raises(NotInTransactionError):
        async_to_sync(pgtrigger.aconstraints)(pgtrigger.Immediate, "shop.Order:logs")


def test_moving_holds_for_the_transaction(autocommit_live):
    autocommit_live(Order, logs(**DEFERRED))
    Order.objects.create()
    with transaction.atomic():
        pgtrigger.constraints(pgtrigger.Immediate, "shop.Order:logs", databases=["default"])
        Order.objects.update(total=1)
        assert logged() == ["fired"]
    with transaction.atomic():
        Order.objects.update(total=2)
        assert logged() == ["fired"]
    assert logged() == ["fired", "fired"]


def test_a_trigger_of_another_schema_is_moved(live):
    run("CREATE SCHEMA shop_audit")
    run("CREATE TABLE shop_audit.entry (id int PRIMARY KEY, value int)")
    live(AuditEntry, logs(**DEFERRED))
    run("INSERT INTO shop_audit.entry VALUES (1, 1)")
    run("UPDATE shop_audit.entry SET value = 2")
    assert logged() == []
    pgtrigger.constraints(pgtrigger.Immediate, "shop.AuditEntry:logs")
    assert logged() == ["fired"]


def test_a_guard_reads_an_array_of_any_names(live):
    live(Order, pgtrigger.Protect(name="keep", operation=pgtrigger.Delete))
    Order.objects.create()
    run("SELECT set_config('pgtrigger.ignore', '{\"odd, name\",other}', true)")
    with refused("Cannot delete", IntegrityError):
        run('DELETE FROM "user"')
    run("SELECT set_config('pgtrigger.ignore', '', true)")
    with refused("Cannot delete", IntegrityError):
        run('DELETE FROM "user"')
    assert rows('SELECT count(*) FROM "user"') == [(1,)]
