"""pgtrigger.clauses: closed sets of keywords, as values."""

import copy
import doctest
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgtrigger import clauses
from pgtrigger.clauses import (
    After,
    Delete,
    Insert,
    InsteadOf,
    Level,
    Operation,
    Operations,
    Referencing,
    Row,
    Statement,
    Timing,
    Truncate,
    Update,
    UpdateOf,
    When,
)
from pgtrigger.errors import DeclarationError

SINGLE = [Insert, Update, Delete, Truncate, UpdateOf("a"), UpdateOf("b", "a")]
COMBINED = st.lists(st.sampled_from(SINGLE), min_size=1, max_size=5)


@pytest.mark.parametrize("kind", [Level, When, Timing, Operation])
@pytest.mark.parametrize("name", ["", "insert", "ROWS", None])
def test_a_keyword_outside_the_set_is_refused_with_the_choices(kind, name):
    with pytest.raises(DeclarationError, match=kind.__name__) as caught:
        kind(name)
    assert repr(name) in str(caught.value)
    assert all(keyword in str(caught.value) for keyword in kind.allowed)


@pytest.mark.parametrize("kind", [Level, When, Timing, Operation])
def test_every_keyword_of_the_set_is_a_hashable_value(kind):
    for name in kind.allowed:
        assert kind(name) == kind(name)
        assert len({kind(name), kind(name)}) == 1
        assert str(kind(name)) == name


def test_the_repr_is_how_it_is_written():
    assert repr(InsteadOf) == "pgtrigger.InsteadOf"
    assert repr(Insert | UpdateOf("a", "b")) == "pgtrigger.Insert | pgtrigger.UpdateOf('a', 'b')"


def test_a_clause_cannot_be_changed():
    with pytest.raises(AttributeError):
        Row.name = "STATEMENT"


@given(COMBINED, st.randoms())
def test_the_order_of_operations_has_no_meaning(operations, random):
    shuffled = random.sample(operations, len(operations))
    one, other = Operations(*operations), Operations(*shuffled)
    assert one.names == other.names
    assert [o.name for o in one.members] == [o.name for o in other.members]
    if not any(isinstance(operation, UpdateOf) for operation in operations):
        assert one == other
        assert hash(one) == hash(other)


@given(COMBINED)
def test_each_event_is_named_once(operations):
    names = [member.name for member in Operations(*operations).members]
    assert len(names) == len({*names})


def test_members_come_in_the_order_of_the_manual():
    assert (Truncate | Delete | Update | Insert).members == (Insert, Update, Delete, Truncate)


def test_a_single_operation_equals_its_combination():
    assert (Insert | Insert) == Insert
    assert hash(Insert | Insert) != 0
    assert (Insert | Update) != Insert
    assert (Insert | Update) != "INSERT OR UPDATE"


def test_an_update_of_any_column_covers_an_update_of_some():
    assert (UpdateOf("a") | Update).members == (Update,)
    assert (Update | UpdateOf("a")).members == (Update,)
    assert (UpdateOf("a") | UpdateOf("b", "a")).members == (UpdateOf("a", "b"),)


def test_an_operation_combines_only_with_operations():
    with pytest.raises(TypeError):
        Insert | "UPDATE"


def test_a_column_is_quoted_and_named_once():
    assert str(UpdateOf('say "hi"', "b", "b")) == 'UPDATE OF "say ""hi""", "b"'


@pytest.mark.parametrize(
    "value", [Row, Insert, Insert | Delete, UpdateOf("a"), Referencing(old="o")]
)
def test_a_clause_survives_copying_and_pickling(value):
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value


def test_levels_of_one_name_are_equal_and_others_are_not():
    assert Level("ROW") == Row != Statement
    assert When("AFTER") == After
    assert Level("ROW") != When("BEFORE")


@pytest.mark.parametrize("tables", [{}, {"old": ""}, {"old": None, "new": ""}])
def test_referencing_nothing_is_refused(tables):
    with pytest.raises(DeclarationError, match='either "old" and/or "new"'):
        Referencing(**tables)


def test_names_of_transition_tables_are_quoted_where_needed():
    assert str(Referencing(old="Old Rows")) == 'REFERENCING OLD TABLE AS "Old Rows"'
    assert str(Referencing(new="new")) == 'REFERENCING NEW TABLE AS "new"'


def test_the_examples_run():
    results = doctest.testmod(clauses)
    assert results.attempted > 0
    assert results.failed == 0
