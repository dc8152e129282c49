"""pgtrigger_fsm.checks: what manage.py check warns of, without a database."""

import pytest
from django.db import models
from django.db.models.functions import Now
from django.test.utils import isolate_apps

from pgtrigger.checks import check_triggers
from pgtrigger.registry import registry
from pgtrigger_fsm import ANY, FSM
from pgtrigger_fsm.plugin import pgtrigger_check
from workflow.models import Document, Level, Status

WHOLE = [("draft", ["sent", "void"]), ("sent", "paid")]


def warnings(transitions, field="status", model=Document, **kwargs):
    trigger = FSM(name="flow", field=field, transitions=transitions, **kwargs)
    return {message.id[-4:]: message.msg for message in pgtrigger_check(model, trigger)}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"transitions": WHOLE}, ""),
        ({"transitions": WHOLE, "initial": "draft"}, ""),
        ({"transitions": [(ANY, ANY)]}, ""),
        ({"transitions": [("draft", ANY)]}, ""),
        ({"transitions": [*WHOLE, ("sent", "lost")]}, "W001"),
        ({"transitions": [*WHOLE, ("sent", None)]}, "W001"),
        ({"transitions": WHOLE, "initial": ["draft", "new"]}, "W001"),
        ({"transitions": [("draft", "sent"), ("void", "paid")]}, "W002"),
        ({"transitions": [("draft", "sent")], "initial": ["draft", "paid"]}, "W002"),
        ({"transitions": WHOLE, "initial": ["sent", "void"]}, "W002 W003"),
        ({"transitions": [(1, 2), (Level.MIDDLE, "3")], "field": "level"}, ""),
        ({"transitions": [(1, 2), (2, 4)], "field": "level"}, "W001 W002"),
        ({"transitions": [("a", "b"), ("c", "d")], "field": "note"}, ""),
        ({"transitions": [("a", None)], "field": "note"}, ""),
        ({"transitions": [("open", "x" * 11)], "field": "sealing"}, "W001"),
        ({"transitions": [("open", "x" * 10)], "field": "sealing"}, ""),
        ({"transitions": [(1, 2)], "field": "stage"}, ""),
    ],
    ids=str,
)
def test_each_declaration_is_warned_of_as_it_deserves(arguments, expected):
    from workflow.models import Letter

    model = Letter if arguments.get("field") == "sealing" else Document
    assert set(warnings(model=model, **arguments)) == set(expected.split())


def test_the_states_are_named():
    found = warnings([("draft", "lost"), ("void", None)], initial=["sent"])
    assert found["W001"] == (
        'FSM "workflow.Document:flow" has states that "status" cannot have: lost, NULL.'
    )
    assert found["W002"].endswith("leads to from sent: draft, lost, void, NULL, paid.")
    assert found["W003"].endswith("which is no initial state: draft.")


@isolate_apps("workflow")
def test_only_plain_defaults_tell_where_rows_begin():
    class Plan(models.Model):
        by_function = models.TextField(default=lambda: pytest.fail("was called"))
        by_database = models.TextField(db_default="a")
        at = models.DateTimeField(db_default=Now())

        class Meta:
            app_label = "workflow"

    flow = [("b", "c")]
    assert warnings(flow, "by_function", Plan) == {}
    assert set(warnings(flow, "by_database", Plan)) == {"W002"}
    assert set(warnings(flow, "by_database", Plan, initial="b")) == {"W003"}
    assert warnings([("2024-01-01", "2024-01-02")], "at", Plan) == {}


@isolate_apps("workflow")
def test_choices_and_defaults_that_are_no_values_are_passed_over():
    class Form(models.Model):
        size = models.IntegerField(choices=[("", "?"), ("1", "S"), (2, "M")], default="")

        class Meta:
            app_label = "workflow"

    assert warnings([(1, 2)], "size", Form, initial=1) == {}
    assert set(warnings([(1, 3)], "size", Form)) == {"W001"}


def test_manage_py_check_shows_them(monkeypatch):
    trigger = FSM(name="flow", field="status", transitions=[("draft", "lost")])
    monkeypatch.setattr(registry, "_by_uri", {"workflow.Document:flow": (Document, trigger)})
    messages = check_triggers(None)
    assert [message.id for message in messages] == [
        "pgtrigger_fsm.W001",
        "pgtrigger_fsm.W002",
    ]
    assert all("docs/checks.md" in message.hint for message in messages)
    assert Status.SENT in messages[1].msg


def test_a_state_that_is_no_value_is_an_error(monkeypatch):
    trigger = FSM(name="flow", field="level", transitions=[("low", 2)])
    monkeypatch.setattr(registry, "_by_uri", {"workflow.Document:flow": (Document, trigger)})
    (message,) = check_triggers(None)
    assert message.id == "pgtrigger.E002"
    assert "'low' is no state" in message.msg
