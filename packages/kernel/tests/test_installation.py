"""pgtrigger.installation: by the smallest change, under the smallest lock, whole or not at all."""

import itertools
import re
import threading
import time
from contextlib import contextmanager

import pytest
from django.db import DatabaseError, connection, transaction

import pgtrigger
from pgtrigger import locks as installer_locks
from pgtrigger.errors import InstallationError
from shop.database import (
    definitions,
    functions,
    logged,
    logs,
    noop,
    refused,
    rows,
    run,
    second_connection,
    statements,
    value,
)
from shop.models import Log, Missing, Order, Product

URI = "shop.Product:noop"
DDL = ("CREATE", "DROP", "ALTER", "COMMENT", "DO")


def ddl_of(action):
    """The statements of an action that change something."""
    with statements() as found:
        action()
    return [re.sub(r"^DO .*'(COMMENT ON TRIGGER) ", r'\1 "', t) for t in found if t.startswith(DDL)]


def locks(relation="shop_product"):
    """The locks on a table that this transaction has taken so far."""
    return {
        mode
        for (mode,) in rows(
            "SELECT mode FROM pg_locks WHERE relation = %s::regclass AND pid = pg_backend_pid()",
            [relation],
        )
    }


@pytest.fixture
def other():
    connection = second_connection()
    yield connection.cursor()
    connection.close()


@contextmanager
def writing(other):
    """Meanwhile, a transaction of somebody else writes rows of the table."""
    other.execute("BEGIN")
    other.execute("LOCK TABLE shop_product IN ROW EXCLUSIVE MODE")
    yield
    other.execute("ROLLBACK")


# --- The smallest change ----------------------------------------------------------------------


def test_installing_an_unchanged_trigger_is_one_query(live):
    live(Product, noop())
    with statements() as found:
        pgtrigger.install(URI)
    assert len(found) == 1
    assert found[0].lstrip().startswith("SELECT")


@pytest.mark.parametrize("level", [pgtrigger.Row, pgtrigger.Statement])
def test_a_new_body_replaces_only_the_function(live, level):
    trigger = live(Product, noop(level=level))
    trigger.func = "RETURN NULL;"
    texts = ddl_of(lambda: pgtrigger.install(URI))
    assert [text.split("(")[0].split(' "')[0] for text in texts] == [
        "CREATE OR REPLACE FUNCTION",
        "COMMENT ON FUNCTION",
    ]
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)


def test_a_new_body_locks_nothing_of_the_table(autocommit_live, other):
    trigger = autocommit_live(Product, noop())
    trigger.func = "NEW.stock = 42; RETURN NEW;"
    with writing(other), transaction.atomic():
        run("SET LOCAL lock_timeout = '1s'")
        pgtrigger.install(URI)
        assert locks() <= {"AccessShareLock"}


def test_each_trigger_is_one_message_and_so_are_all_comments(db):
    triggers = [noop(f"message_{number}") for number in range(5)]
    sent = []

    def note(execute, text, params, many, context):
        sent.append(text.split(" ")[0])
        return execute(text, params, many, context)

    for trigger in triggers:
        trigger.register(Product)
    try:
        with connection.execute_wrapper(note):
            pgtrigger.install(*(trigger.get_uri(Product) for trigger in triggers))
        statuses = {trigger.get_installation_status(Product) for trigger in triggers}
    finally:
        for trigger in triggers:
            trigger.unregister(Product)
    assert [word for word in sent if word in DDL] == ["CREATE"] * 5 + ["DO"]
    assert statuses == {("INSTALLED", True)}


def test_a_new_condition_replaces_the_trigger_and_readers_go_on(autocommit_live, other):
    trigger = autocommit_live(Product, noop())
    trigger.condition = pgtrigger.AnyChange("stock")
    with transaction.atomic():
        texts = ddl_of(lambda: pgtrigger.install(URI))
        assert [text.split(' "')[0] for text in texts] == [
            "COMMENT ON FUNCTION",
            "CREATE OR REPLACE TRIGGER",
            "COMMENT ON TRIGGER",
        ]
        assert "AccessExclusiveLock" not in locks()
        assert "ShareRowExclusiveLock" in locks()
        other.execute("SET lock_timeout = '1s'")
        other.execute("SELECT count(*) FROM shop_product")


def test_a_constraint_trigger_is_dropped_and_created(live):
    trigger = live(
        Product, noop(when=pgtrigger.After, timing=pgtrigger.Deferred, func="RETURN NULL;")
    )
    trigger.timing = pgtrigger.Immediate
    texts = ddl_of(lambda: pgtrigger.install(URI))
    assert [text.split(' "')[0] for text in texts] == [
        "COMMENT ON FUNCTION",
        "DROP TRIGGER IF EXISTS",
        "CREATE CONSTRAINT TRIGGER",
        "COMMENT ON TRIGGER",
    ]
    (definition,) = definitions("shop_product").values()
    assert "DEFERRABLE" in definition
    assert "INITIALLY DEFERRED" not in definition


@pytest.mark.parametrize("mode", ["DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"])
@pytest.mark.parametrize("timing", [None, pgtrigger.Deferred], ids=["plain", "constraint"])
@pytest.mark.parametrize(
    "change",
    [{"func": "RETURN NULL; "}, {"operation": pgtrigger.Insert}],
    ids=["body", "operation"],
)
def test_a_changed_trigger_keeps_its_state(live, mode, timing, change):
    trigger = live(Product, noop(when=pgtrigger.After, timing=timing))
    pgid = trigger.get_pgid(Product)
    run(f'ALTER TABLE shop_product {mode} TRIGGER "{pgid}"')
    state = value("SELECT tgenabled::text FROM pg_trigger WHERE tgname = %s", [pgid])
    for name, new in change.items():
        setattr(trigger, name, new)
    pgtrigger.install(URI)
    assert trigger.get_installation_status(Product)[0] == "INSTALLED"
    assert value("SELECT tgenabled::text FROM pg_trigger WHERE tgname = %s", [pgid]) == state != "O"


def test_another_level_leaves_exactly_the_declared_parts(live):
    trigger = live(Product, noop(operation=pgtrigger.Update | pgtrigger.Truncate))
    trigger.operation = pgtrigger.Truncate
    pgtrigger.install(URI)
    pgtrigger.prune()
    assert [*definitions("shop_product")] == [trigger.get_pgid(Product)]
    assert pgtrigger.prunable() == []


FORMS = {
    "row": {"operation": pgtrigger.Update},
    "row and truncate": {"operation": pgtrigger.Update | pgtrigger.Truncate},
    "statement": {"operation": pgtrigger.Update, "level": pgtrigger.Statement},
    "deferred": {"operation": pgtrigger.Update, "timing": pgtrigger.Deferred},
    "not ignorable": {"operation": pgtrigger.Update, "ignorable": False},
}
PLAIN = {"level": pgtrigger.Row, "timing": None, "ignorable": True}


@pytest.mark.parametrize(("before", "after"), [*itertools.permutations(FORMS, 2)])
def test_after_a_change_the_function_is_what_a_new_installation_would_have(live, before, after):
    trigger = live(Order, logs(**{**PLAIN, **FORMS[before]}))
    for name, new in {**PLAIN, **FORMS[after]}.items():
        setattr(trigger, name, new)
    pgtrigger.install("shop.Order:logs")
    compiled = trigger.compile(Order)
    source = value("SELECT prosrc FROM pg_proc WHERE proname = %s", [compiled.function])
    assert source == compiled.source
    Order.objects.create()
    if after != "not ignorable":
        with pgtrigger.ignore("shop.Order:logs"):
            Order.objects.update(total=1)
            run("SET CONSTRAINTS ALL IMMEDIATE")
        assert logged() == []
    Order.objects.update(total=2)
    run("SET CONSTRAINTS ALL IMMEDIATE")
    assert logged() == ["fired"]


def test_the_function_goes_with_its_trigger(live):
    live(Product, noop())
    assert any("_noop_" in name for name in functions())
    pgtrigger.uninstall(URI)
    assert not any("_noop_" in name for name in functions())


def test_a_function_that_another_trigger_calls_stays(live):
    trigger = live(Product, noop())
    function = trigger.compile(Product).function
    run(
        "CREATE TRIGGER theirs BEFORE UPDATE ON shop_line"
        f" FOR EACH ROW EXECUTE FUNCTION {function}()"
    )
    pgtrigger.uninstall(URI)
    assert definitions("shop_product") == {}
    assert function in functions()


def test_leftovers_are_pruned_with_their_functions(live):
    with noop("left").register(Product):
        pgtrigger.install("shop.Product:left")
    live(Order, noop())
    (leftover,) = pgtrigger.prunable()
    assert (leftover.table, leftover.enabled, leftover.database) == (
        "shop_product",
        True,
        "default",
    )
    pgtrigger.prune()
    assert pgtrigger.prunable() == []
    assert definitions("shop_product") == {}
    assert not any("_left_" in name for name in functions())
    assert len(definitions('"user"')) == 1


def test_pruning_nothing_is_one_query(live):
    live(Product, noop())
    with statements() as found:
        pgtrigger.prune()
    assert len(found) == 1


# --- Whole or not at all ----------------------------------------------------------------------


def test_a_missing_table_is_an_error_that_says_what_to_do(live, declared):
    declared(Missing, noop())
    with pytest.raises(InstallationError, match=r'"shop.Missing:noop".*"shop_missing".*migrate'):
        pgtrigger.install("shop.Missing:noop")
    assert not any("_noop_" in name for name in functions())


def test_a_missing_table_undoes_what_came_before(live, declared):
    declared(Product, noop())
    declared(Missing, noop())
    with pytest.raises(InstallationError):
        pgtrigger.install("shop.Product:noop", "shop.Missing:noop")
    assert definitions("shop_product") == {}
    assert not any("_noop_" in name for name in functions())


@pytest.mark.parametrize(
    "bad",
    [
        {"func": "THIS IS NOT PLPGSQL"},
        {"condition": pgtrigger.Condition("NEW.nothing = 1")},
        {"declare": [("a", "no_such_type")]},
    ],
    ids=str,
)
def test_what_the_server_refuses_leaves_the_old_trigger_and_names_it(live, bad):
    trigger = live(Product, noop())
    before = definitions("shop_product"), functions()
    for name, new in bad.items():
        setattr(trigger, name, new)
    with refused() as caught:
        pgtrigger.install(URI)
    assert any(URI in note for note in caught.value.__notes__)
    assert (definitions("shop_product"), functions()) == before


def test_a_lock_that_is_not_to_be_had_in_time_is_an_error_and_nothing_is_half_done(
    autocommit_live, other, settings
):
    settings.PGTRIGGER_LOCK_TIMEOUT = "50ms"
    trigger = autocommit_live(Order, noop())
    trigger.condition = pgtrigger.AnyChange("total")
    before = definitions('"user"'), functions()
    with noop().register(Product), writing(other):
        begin = time.monotonic()
        with pytest.raises(InstallationError, match="PGTRIGGER_LOCK_TIMEOUT is 50ms") as caught:
            pgtrigger.install("shop.Order:noop", URI)
        assert time.monotonic() - begin < 10
    assert '"default"' in str(caught.value)
    assert isinstance(caught.value, DatabaseError)
    assert (definitions('"user"'), functions()) == before
    assert definitions("shop_product") == {}


def test_the_lock_timeout_of_the_caller_comes_back(live, declared, settings):
    settings.PGTRIGGER_LOCK_TIMEOUT = 2000
    run("SET LOCAL lock_timeout = '7s'")
    live(Product, noop())
    assert value("SHOW lock_timeout") == "7s"
    declared(Missing, noop())
    with pytest.raises(InstallationError):
        pgtrigger.install("shop.Missing:noop")
    assert value("SHOW lock_timeout") == "7s"


def test_an_error_that_is_no_timeout_is_passed_on(db):
    with pytest.raises(DatabaseError, match="cancel") as caught:  # reads in order
        with installer_locks.installer(connection) as cursor:
            cursor.execute("SELECT pg_cancel_backend(pg_backend_pid())")
    assert not isinstance(caught.value, InstallationError)


def test_installers_wait_for_each_other(autocommit_live, other, settings):
    settings.PGTRIGGER_LOCK_TIMEOUT = "50ms"
    other.execute("BEGIN")
    other.execute("SELECT pg_advisory_xact_lock(%s)", [installer_locks._ADVISORY_LOCK])
    with noop().register(Product), pytest.raises(InstallationError):
        pgtrigger.install(URI)
    other.execute("ROLLBACK")
    autocommit_live(Product, noop())


def test_two_threads_install_at_once(committed, declared):
    triggers = [declared(Product, noop(f"noop{i}")) for i in range(3)]
    barrier, errors = threading.Barrier(4), []

    def work():
        try:
            barrier.wait(10)
            for trigger in triggers:
                pgtrigger.install(trigger.get_uri(Product))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    try:
        assert errors == []
        states = {trigger.get_installation_status(Product) for trigger in triggers}
        assert states == {("INSTALLED", True)}
        assert len([name for name in functions() if "_noop" in name]) == 3
    finally:
        for trigger in triggers:
            trigger.uninstall(Product)


# --- Everything -------------------------------------------------------------------------------


def test_many_unchanged_triggers_are_one_query(live):
    for i in range(20):
        live(Product, noop(f"noop{i}"))
    uris = [f"shop.Product:noop{i}" for i in range(20)]
    with statements() as found:
        pgtrigger.install(*uris)
    assert len(found) == 1


@pytest.mark.parametrize("name", ["install", "uninstall", "enable", "disable", "prune"])
def test_what_is_done_is_logged(live, caplog, name):
    trigger = live(Product, noop())
    arguments = [URI]
    if name == "install":
        trigger.uninstall(Product)
    if name == "enable":
        trigger.disable(Product)
    if name == "prune":
        arguments = []
        trigger.unregister(Product)
    caplog.clear()
    with caplog.at_level("INFO", "pgtrigger"):
        getattr(pgtrigger, name)(*arguments)
    if name == "prune":
        trigger.register(Product)
    (message,) = caplog.messages
    assert "for shop_product table on default database" in message


@pytest.mark.parametrize("name", ["install", "uninstall", "enable", "disable", "prune", "prunable"])
def test_another_database_system_is_left_alone(name):
    assert not getattr(pgtrigger, name)(database="sqlite")


def test_a_disabled_trigger_does_not_fire_and_an_enabled_one_does(live):
    live(Order, logs())
    Order.objects.create()
    pgtrigger.disable("shop.Order:logs")
    Order.objects.update(total=1)
    assert logged() == []
    pgtrigger.enable("shop.Order:logs")
    Order.objects.update(total=2)
    assert logged() == ["fired"]
    assert Log.objects.count() == 1
