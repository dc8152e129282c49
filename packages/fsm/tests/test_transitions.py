"""pgtrigger_fsm.transitions: transitions are values."""

import copy
import pickle

import pytest

import pgtrigger
from pgtrigger.errors import DeclarationError
from pgtrigger_fsm import ANY, Transition
from pgtrigger_fsm.transitions import transitions_of


def test_transitions_are_equal_by_value():
    assert Transition("a", ["b", "c"], name="go") == Transition("a", ("b", "c"), name="go")
    assert Transition("a", {"c", "b"}) == Transition("a", frozenset(["b", "c"]))
    assert len({Transition("a", ["b"]), Transition("a", ["b"]), Transition("a", "b")}) == 2
    with pytest.raises(AttributeError):
        Transition("a", "b").name = "go"


def test_one_state_and_a_list_of_one_mean_the_same():
    assert Transition("a", "b").targets == Transition("a", ["b"]).targets == ("b",)
    assert Transition(None, ANY).sources == (None,)
    assert Transition(None, ANY).targets is ANY


def test_any_stays_itself_when_it_is_copied():
    assert copy.deepcopy(ANY) is pickle.loads(pickle.dumps(ANY)) is ANY
    assert repr(ANY) == "pgtrigger_fsm.ANY"
    assert copy.deepcopy(Transition(ANY, "a")) == Transition(ANY, "a")


def test_only_what_stays_in_its_one_state_stays():
    assert Transition("a", ["a"]).stays
    assert Transition(None, None).stays
    for other in (Transition("a", "b"), Transition(ANY, ANY), Transition(["a", "b"], ["a", "b"])):
        assert not other.stays


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, '"name" is text'),
        ({"name": 5}, '"name" is text'),
        ({"permission": 5}, '"permission" is the name'),
        ({"condition": "a = b"}, '"condition" is a pgtrigger.Condition'),
    ],
    ids=str,
)
def test_an_argument_of_another_type_is_refused(arguments, message):
    with pytest.raises(DeclarationError, match=f"^Transition from 'a' to 'b': its {message}"):
        Transition("a", "b", **arguments)


def test_a_condition_can_be_any_boolean_expression():
    given = pgtrigger.F("new__approved")
    assert Transition("a", "b", condition=given).condition == pgtrigger.Q(given)
    condition = pgtrigger.Condition("TRUE")
    assert Transition("a", "b", condition=condition).condition is condition


def test_pairs_and_transitions_can_be_mixed():
    named = Transition("b", "c", name="go")
    assert transitions_of([("a", "b"), named]) == (Transition("a", "b"), named)
