"""pgtrigger.checks.shadows: names of plugins' types that `pgtrigger` has already."""

import sys
from importlib import metadata

import pytest

import pgtrigger
from pgtrigger import checks
from pgtrigger.checks import check_triggers
from pgtrigger.plugins import Plugins

SOURCE = """
import pgtrigger
from pgtrigger.hookspecs import hookimpl

{name} = type("{name}", (pgtrigger.Trigger,), {{}}) if {made} else pgtrigger.{name}

@hookimpl
def pgtrigger_register_trigger_types():
    return [{name}]
"""


@pytest.fixture
def messages(tmp_path, monkeypatch):
    """`messages(name)`: what the checks say of a plugin with a type of this name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def check(name, made=True):
        module = f"shadowing_{name}"
        (tmp_path / f"{module}.py").write_text(SOURCE.format(name=name, made=made))
        loaded = Plugins([metadata.EntryPoint("x", module, "pgtrigger")])
        monkeypatch.setattr(checks, "plugins", lambda: loaded)
        monkeypatch.delitem(sys.modules, module)
        return [m for m in check_triggers(None) if module in m.msg]

    return check


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Q", "one of pgtrigger's own names"),
        ("install", "one of pgtrigger's own names"),
        ("runtime", "is a module of pgtrigger"),
        ("testing", "is a module of pgtrigger"),
        ("_Hidden", "private"),
    ],
)
def test_a_type_that_cannot_be_reached_is_a_warning(messages, name, reason):
    (message,) = messages(name)
    assert message.id == "pgtrigger.W004"
    assert reason in message.msg
    assert f'"x = shadowing_{name}"' in message.msg
    assert f"Import it from shadowing_{name}" in message.hint


def test_what_is_found_is_nothing_to_say(messages):
    assert messages("Unheard") == []
    assert messages("Composer", made=False) == []
    assert pgtrigger.Composer.__module__ == "pgtrigger.composer"
