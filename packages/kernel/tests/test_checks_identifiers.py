"""pgtrigger.checks.identifiers: names that the server takes for one."""

import time

import pytest

import pgtrigger
from pgtrigger import checks
from pgtrigger.checks import check_triggers
from pgtrigger.checks.identifiers import Identifiers, cut
from pgtrigger.registry import registry
from shop.database import column, noop, value
from shop.models import AuditEntry, Maker, Product, Tag

LONG = "pgtrigger_" + "x" * 53


class Named(pgtrigger.Trigger):
    when = pgtrigger.Before
    operation = pgtrigger.Update
    func = "RETURN NEW;"

    def __init__(self, *, pgid=None, function=None, **kwargs):
        self.pgid, self.function = pgid, function
        super().__init__(**kwargs)

    def get_pgid(self, model):
        return self.pgid or super().get_pgid(model)

    def get_function_name(self, model):
        return self.function or super().get_function_name(model)


@pytest.fixture
def messages(monkeypatch):
    """`messages((Model, trigger), …)`: what the checks say when just these are registered."""

    def check(*pairs, app_configs=None):
        by_uri = {trigger.get_uri(model): (model, trigger) for model, trigger in pairs}
        monkeypatch.setattr(registry, "_by_uri", by_uri)
        return check_triggers(app_configs)

    return check


def test_one_name_after_the_cut_is_an_error_and_one_trigger_on_the_server(db, messages):
    first, second = Named(name="a", pgid=LONG + "a"), Named(name="b", pgid=LONG + "b")
    *too_long, clash = messages((Product, first), (Product, second))
    assert {m.id for m in [*too_long, clash]} == {"pgtrigger.E006"}
    assert len(too_long) == 2
    assert all("64 bytes" in m.msg for m in too_long)
    assert '"shop.Product:b" and "shop.Product:a" have one name in Postgres' in clash.msg
    assert clash.obj is Product
    assert "docs/checks.md#E006" in clash.hint
    first.install(Product)
    assert first.get_installation_status(Product) == ("UNINSTALLED", None)  # never found again
    assert column("SELECT tgname FROM pg_trigger WHERE tgname LIKE %s", [LONG + "%"]) == [LONG]


def test_one_name_on_two_tables_is_fine(messages):
    pgid = LONG[:60]
    pairs = [(Product, Named(name="a", pgid=pgid)), (Tag, Named(name="a", pgid=pgid))]
    assert messages(*pairs) == []


def test_bytes_count_and_not_letters(db, messages):
    name = "é" * 32
    (message,) = messages((Product, Named(name="a", pgid=name)))
    assert "64 bytes" in message.msg
    assert cut(name) == value("SELECT %s::text::name", [name]) == "é" * 31
    odd = "x" + name
    assert cut(odd) == value("SELECT %s::text::name", [odd])


def test_a_name_of_63_bytes_and_names_in_other_letters_are_fine(db, messages):
    pairs = [(Product, Named(name=n, pgid=p)) for n, p in [("a", LONG), ("b", LONG.upper())]]
    assert messages(*pairs) == []
    for _, trigger in pairs:
        trigger.install(Product)
        assert trigger.get_installation_status(Product) == ("INSTALLED", True)


def test_the_second_function_of_one_name_replaces_the_first(db, messages):
    first = Named(name="a", function="pgtrigger_same", func="RETURN NULL;")
    second = Named(name="b", function="pgtrigger_same")
    (message,) = messages((Product, first), (Tag, second))
    assert message.id == "pgtrigger.E006"
    assert 'The functions of triggers "shop.Tag:b" and "shop.Product:a"' in message.msg
    first.install(Product)
    second.install(Tag)
    assert first.get_installation_status(Product)[0] != "INSTALLED"


def test_functions_of_two_schemas_are_two(messages):
    function = "pgtrigger_same"
    pairs = [
        (Product, Named(name="a", function=function)),
        (AuditEntry, Named(name="b", function=function)),
    ]
    assert messages(*pairs) == []


def test_the_parts_of_a_trigger_have_names_too(messages, monkeypatch):
    monkeypatch.setattr("pgtrigger.trigger.postgres_id", lambda name, identity: f"same_{name}")
    operation = pgtrigger.Update | pgtrigger.Truncate
    found = messages((Product, noop(operation=operation)))
    assert [m.id for m in found] == ["pgtrigger.E006"]
    assert '"shop.Product:noop" and "shop.Product:noop"' in found[0].msg


def test_a_clash_is_found_with_an_app_that_is_not_asked_about(messages):
    from django.apps import apps

    first, second = Named(name="a", function="pgtrigger_x"), Named(name="b", function="pgtrigger_x")
    pairs = [(Product, first), (Maker, second)]
    assert len(messages(*pairs, app_configs=[apps.get_app_config("shop")])) == 1
    assert messages(*pairs, app_configs=[apps.get_app_config("contract")]) == []


def test_names_are_taken_in_constant_time(messages):
    trigger = noop()
    compiled = trigger.compile(Product)

    def seconds(number):
        taken, start = Identifiers(), time.perf_counter()
        for index in range(number):
            object.__setattr__(compiled, "function", f"pgtrigger_{index}")
            assert [*taken.check(Product, trigger, compiled)][1:] == []
        return time.perf_counter() - start

    assert seconds(8000) < 20 * seconds(1000) + 0.2


def test_plugins_are_asked_about_what_has_no_fault(messages, monkeypatch):
    loaded = checks.plugins()
    asked = []
    monkeypatch.setattr(type(loaded), "check", lambda self, model, trigger: asked.append(1) or [])
    messages((Product, Named(name="a", pgid=LONG + "a")))
    assert asked == []
    messages((Product, Named(name="a")))
    assert asked == [1]
