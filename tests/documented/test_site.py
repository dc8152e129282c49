"""What the project of a page gets to see of the page."""

import ast
from types import SimpleNamespace

import pytest

from contract.models import Thing
from documented.site import NOT_RUN, models_of, reason_not_to_run

PAGE = """
import json
import pgtrigger as triggers
from django.db import models

rule = triggers.Condition("true")
rule |= triggers.Condition("false")
other = Page.objects.count()

def unused():
    pass

def default():
    return json.dumps({})

class Page(models.Model):
    text = models.TextField(default=default)

    class Meta:
        triggers = [triggers.Protect(name="a", operation=triggers.Delete, condition=rule)]

Page.objects.create()

class NoModel:
    pass
"""


def test_the_models_come_with_what_they_use_and_with_nothing_else():
    said = ast.parse(PAGE).body
    source = models_of(said, SimpleNamespace(Page=Thing, NoModel=object))
    names = ["json", "triggers", "models", "rule = ", "rule |= ", "def default", "class Page"]
    places = [source.index(name) for name in names]
    assert places == sorted(places)
    assert not any(word in source for word in ("unused", "other", "create", "NoModel"))


@pytest.mark.parametrize("command", NOT_RUN)
def test_what_is_not_run_has_a_reason(command):
    assert reason_not_to_run([*command.split(), "anything"]) == NOT_RUN[command]


def test_other_commands_are_run():
    assert reason_not_to_run(["manage.py", "migrate"]) is None
    assert reason_not_to_run(["gitlab"]) is None
