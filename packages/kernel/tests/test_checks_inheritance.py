"""pgtrigger.checks.inheritance: triggers of abstract parents that a Meta leaves behind."""

import re
import types

import pytest
from django.db import models
from django.test.utils import isolate_apps

from pgtrigger.checks import check_inheritance
from shop.database import noop

HEAD = """
class One(models.Model):
    class Meta:
        abstract = True
        triggers = [noop("one")]

class Two(models.Model):
    class Meta:
        abstract = True
        triggers = [noop("two")]

class Plain(models.Model):
    class Meta:
        abstract = True
        ordering = ["pk"]

class Table(One):
    pass
"""


def messages(source):
    """What is said of the models of this source, and the models."""
    module = types.ModuleType("shop.inherited")
    vars(module).update(models=models, noop=noop, __name__="shop.inherited")
    with isolate_apps("shop") as apps:
        exec(HEAD + source, vars(module))
        return check_inheritance([apps.get_app_config("shop")])


LOST = {
    "own meta": ("class C(One):\n    class Meta:\n        ordering = ['pk']", "one"),
    "other triggers": ("class C(One):\n    class Meta:\n        triggers = [noop('x')]", "one"),
    "second parent": ("class C(One, Two):\n    pass", "two"),
    "plain parent first": ("class C(Plain, One):\n    pass", "one"),
    "meta of one": ("class C(One, Two):\n    class Meta(Two.Meta):\n        pass", "one"),
    "proxy with a mixin": ("class C(Two, Table):\n    class Meta:\n        proxy = True", "two"),
    "abstract between": (
        "class C(One):\n    class Meta:\n        abstract = True\nclass D(C):\n    pass",
        "one",
    ),
    "overriding parent": (
        (
            "class B(One):\n    class Meta:\n        abstract = True\n        triggers = [noop('one')]"
            "\nclass C(B):\n    class Meta:\n        pass"
        ),
        "one",
    ),
}


@pytest.mark.parametrize(("source", "name"), LOST.values(), ids=LOST)
def test_a_lost_trigger_is_a_warning(source, name):
    (message,) = messages(source)
    assert message.id == "pgtrigger.W003"
    assert f": {name} of " in message.msg
    assert "docs/checks.md#W003" in message.hint


KEPT = {
    "no meta": "class C(One):\n    pass",
    "inherited meta": "class C(One):\n    class Meta(One.Meta):\n        ordering = ['pk']",
    "by object": "class C(One):\n    class Meta:\n        triggers = [*One.Meta.triggers]",
    "by name": "class C(One):\n    class Meta:\n        triggers = [noop('one')]",
    "on purpose": "class C(One):\n    class Meta:\n        triggers = []",
    "on purpose between": (
        "class C(One):\n    class Meta:\n        abstract = True\n        triggers = []"
        "\nclass D(C):\n    class Meta:\n        pass"
    ),
    "chain": (
        "class C(One):\n    class Meta(One.Meta):\n        abstract = True\nclass D(C):\n    pass"
    ),
    "of another table": "class C(Table):\n    class Meta:\n        ordering = ['pk']",
    "proxy": "class C(Table):\n    class Meta:\n        proxy = True",
    "both": (
        "class C(One, Two):\n    class Meta:\n"
        "        triggers = [*One.Meta.triggers, *Two.Meta.triggers]"
    ),
    "no triggers": "class C(Plain):\n    class Meta:\n        ordering = []",
}


@pytest.mark.parametrize("source", KEPT.values(), ids=KEPT)
def test_what_is_carried_or_left_on_purpose_is_nothing_to_say(source):
    assert messages(source) == []


@pytest.mark.parametrize("key", LOST)
def test_the_hint_is_the_repair(key):
    source, _ = LOST[key]
    (message,) = messages(source)
    found = re.search(
        r"Write in (?P<name>\w+): (?P<head>class Meta\(.*?\)): "
        r"(?P<body>triggers = \[.*?\](; abstract = True)?)\.",
        message.hint,
    )
    body = found["body"].replace("…", "noop('x')")
    if key == "proxy with a mixin":
        body += "; proxy = True"
    meta = f"    {found['head']}: {body}\n"
    first, marker, rest = source.partition(f"class {found['name']}(")
    head, _, tail = rest.partition("\n")
    after = tail[tail.find("\nclass ") :] if "\nclass " in tail else ""
    assert messages(f"{first}{marker}{head}\n{meta}{after}") == []


def test_both_lost_lists_are_in_one_message():
    (message,) = messages("class C(One, Two):\n    class Meta:\n        ordering = ['pk']")
    assert 'one of "shop.One" and two of "shop.Two"' in message.msg
    assert "class Meta(One.Meta, Two.Meta): triggers = [*One.Meta.triggers, *Two" in message.hint


def test_the_class_at_fault_is_named_though_it_is_abstract():
    source, _ = LOST["abstract between"]
    (message,) = messages(source)
    assert 'are not on "shop.D"' in message.msg
    assert "Write in C: class Meta(One.Meta): triggers = [*One.Meta.triggers]; abstract" in (
        message.hint
    )


def test_own_triggers_are_not_forgotten_in_the_repair():
    source, _ = LOST["other triggers"]
    assert "[*One.Meta.triggers, …]" in messages(source)[0].hint


def test_without_triggers_in_meta_there_is_nothing_to_lose(settings):
    settings.PGTRIGGER_MODEL_META = False
    assert messages(LOST["own meta"][0]) == []


def test_all_apps_are_looked_at_by_default():
    assert [m.obj.__name__ for m in check_inheritance()] == ["DropsMeta"]
