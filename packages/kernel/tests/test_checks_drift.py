"""pgtrigger.checks.drift: one warning for a database that is not as declared, by one query."""

import pytest
from django.core import checks
from django.core.checks import Tags
from django.core.management import call_command

import pgtrigger
from pgtrigger.checks import check_drift
from pgtrigger.checks.databases import reachable
from pgtrigger.registry import registered, registry
from shop.database import noop, run, statements
from shop.models import Missing, Product, Tag

pytestmark = pytest.mark.django_db


@pytest.fixture
def only(monkeypatch, declared):
    """Only what the test declares is; and what was installed besides is gone."""
    pgtrigger.uninstall()
    for name in ("_by_uri", "_by_name", "_by_pgid", "_keys"):
        monkeypatch.setattr(registry, name, {})
    return declared


def messages():
    return check_drift(None, databases=["default"])


def test_a_database_that_is_as_declared_is_nothing_to_say():
    assert messages() == []
    assert [m for m in checks.run_checks(databases=["default"]) if m.id == "pgtrigger.W005"] == []


def test_each_state_is_counted_and_named(only):
    triggers = {
        name: noop(name) for name in ("current", "outdated", "drifted", "disabled", "missing")
    }
    for trigger in triggers.values():
        only(Product, trigger).install(Product)
    noop("leftover").install(Product)
    triggers["outdated"].condition = pgtrigger.AnyChange()
    run(
        f"CREATE OR REPLACE FUNCTION {triggers['drifted'].get_function_name(Product)}() "
        "RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    triggers["disabled"].disable(Product)
    triggers["missing"].uninstall(Product)
    (message,) = messages()
    assert message.id == "pgtrigger.W005"
    assert message.msg.startswith('The triggers of database "default" are not as they are declared')
    assert "1 OUTDATED, 1 DRIFTED, 1 DISABLED, 1 UNINSTALLED, 1 PRUNE." in message.msg
    for name in ("outdated", "drifted", "disabled"):
        assert f"shop.Product:{name} ({name.upper()})" in message.msg
    assert "shop.Product:missing (UNINSTALLED)" in message.msg
    assert f"shop_product:{noop('leftover').get_pgid(Product)} (PRUNE)" in message.msg
    assert "current" not in message.msg
    assert '"manage.py pgtrigger check --database default" shows all' in message.hint
    for command in ("migrate", "pgtrigger install", "pgtrigger enable", "pgtrigger prune"):
        assert f'"manage.py {command}"' in message.hint
    assert "docs/checks.md#W005" in message.hint


@pytest.mark.parametrize("command", ["install", "enable", "prune"])
def test_the_command_of_the_hint_repairs_it_and_no_other_is_named(only, command):
    trigger = only(Product, noop())
    if command == "prune":
        trigger.install(Product)
        noop("leftover").install(Product)
    if command == "enable":
        trigger.install(Product)
        trigger.disable(Product)
    (message,) = messages()
    named = {c for c in ("install", "enable", "prune") if f"pgtrigger {c}" in message.hint}
    assert named == {command}
    call_command("pgtrigger", command)
    assert messages() == []


def test_of_many_only_some_are_named(only):
    for index in range(8):
        only(Product, noop(f"t{index}"))
    (message,) = messages()
    assert "8 UNINSTALLED" in message.msg
    assert message.msg.count("shop.Product:") == 5
    assert message.msg.endswith("and 3 more.")


def test_one_query_is_all_that_it_takes():
    with statements() as sent:
        messages()
    assert len(sent) == 1


def test_a_table_that_does_not_exist_is_no_failure(only):
    only(Missing, noop())
    assert "shop.Missing:noop (UNINSTALLED)" in messages()[0].msg


def test_what_does_not_compile_is_for_the_other_checks(only):
    only(Product, noop(condition=pgtrigger.Q(new__nothing=1)))
    only(Tag, noop(func=""))
    assert messages() == []


def test_what_the_routers_refuse_is_not_missed(only):
    from project.routers import Router

    only(Product, noop())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Router.routes, "allow_migrate", lambda db, app_label, **h: db != "default")
        assert messages() == []


@pytest.mark.django_db(databases=["default", "other", "sqlite"])
def test_each_database_that_is_asked_about_has_its_own_message(only):
    pgtrigger.uninstall(database="other")
    only(Product, noop()).install(Product, "other")
    found = check_drift(None, databases=["default", "other", "sqlite"])
    assert ['database "default"' in m.msg for m in found] == [True]
    assert check_drift(None) == []


def test_it_runs_only_when_a_database_is_named():
    assert check_drift in checks.registry.registry.get_checks()
    assert Tags.database in check_drift.tags
    assert registered()


def test_a_server_that_does_not_answer_is_passed_over(monkeypatch):
    from django.db import connections

    closed = connections["default"].copy()
    closed.settings_dict = {**closed.settings_dict, "HOST": "127.0.0.1", "PORT": "1"}
    outer = connections["default"]
    connections["default"] = closed
    try:
        assert [*reachable(["default"])] == []
        assert messages() == []
    finally:
        connections["default"] = outer
