"""pgtrigger.declaration: what a trigger cannot be declared as, said when it is declared."""

import inspect

import pytest

import pgtrigger
from pgtrigger.declaration import MAX_NAME_LENGTH, Declaration
from pgtrigger.errors import DeclarationError
from shop.database import noop
from shop.models import Product

Row, Statement = pgtrigger.Row, pgtrigger.Statement
Before, After, InsteadOf = pgtrigger.Before, pgtrigger.After, pgtrigger.InsteadOf
Insert, Update, Truncate = pgtrigger.Insert, pgtrigger.Update, pgtrigger.Truncate


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "ROW"}, r'Invalid "level".*pgtrigger\.Row, pgtrigger\.Statement'),
        ({"when": "BEFORE"}, r'Invalid "when".*pgtrigger\.InsteadOf'),
        ({"when": Row}, 'Invalid "when"'),
        ({"operation": "INSERT"}, r'Invalid "operation".*pgtrigger\.Truncate'),
        ({"operation": [Insert]}, 'Invalid "operation"'),
        ({"timing": "DEFERRED"}, r'Invalid "timing".*pgtrigger\.Deferred'),
        ({"referencing": pgtrigger.Referencing(old="o")}, "sees its rows as OLD and NEW"),
        ({"timing": pgtrigger.Deferred}, '"timing" must have "when" attribute pgtrigger.After'),
        (
            {"timing": pgtrigger.Deferred, "when": After, "level": Statement},
            '"timing" must have "level" attribute pgtrigger.Row',
        ),
        (
            {"timing": pgtrigger.Deferred, "when": After, "operation": Update | Truncate},
            r'"timing" cannot have operation pgtrigger\.Truncate',
        ),
        ({"when": InsteadOf, "level": Statement}, "rows of a view"),
        ({"when": InsteadOf, "operation": Truncate}, "rows of a view"),
        ({"when": InsteadOf, "operation": Insert | Truncate}, "rows of a view"),
        ({"when": InsteadOf, "operation": pgtrigger.UpdateOf("stock")}, "rows of a view"),
        ({"when": InsteadOf, "condition": pgtrigger.Q(new__stock=1)}, "rows of a view"),
        (
            {"level": Statement, "referencing": pgtrigger.Referencing(old="o")},
            '"referencing" needs "when" attribute pgtrigger.After',
        ),
        ({"name": ""}, 'must have "name"'),
        ({"name": "x" * 48}, "has 48 characters, > 47"),
        ({"name": "a b"}, 'the name "a b" is not alphanumeric'),
        ({"name": "naïve"}, 'the name "naïve" is not alphanumeric'),
        ({"name": "a\n"}, "is not alphanumeric"),
        ({"name": 'a"; DROP'}, "is not alphanumeric"),
    ],
)
def test_what_no_database_accepts_is_refused_at_construction(arguments, message):
    with pytest.raises(DeclarationError, match=message) as caught:
        noop(**arguments)
    assert "Trigger" in str(caught.value)


@pytest.mark.parametrize("name", ["x" * MAX_NAME_LENGTH, "a", "A-b_9", "-", "1"])
def test_a_name_that_fits_is_accepted(name):
    assert str(noop(name)) == name


def test_a_declaration_may_be_changed_and_is_checked_again_when_it_is_compiled():
    trigger = noop()
    trigger.when = "AFTER"
    with pytest.raises(DeclarationError, match='Invalid "when"'):
        trigger.compile(Product)
    trigger.when = After
    assert trigger.compile(Product).parts[0].when == "AFTER"


def test_none_leaves_the_default_of_the_class():
    class Silent(pgtrigger.Trigger):
        when = After
        operation = Insert
        ignorable = False
        func = "RETURN NULL;"

    trigger = Silent(name="a", when=None, ignorable=None)
    assert (trigger.when, trigger.ignorable) == (After, False)
    assert Silent(name="a", ignorable=True).ignorable


def test_an_error_names_the_type_the_trigger_and_the_model():
    class Special(pgtrigger.Trigger):
        pass

    trigger = Special(name="odd", when=Before, operation=Update)
    with pytest.raises(DeclarationError, match=r'Special "odd"'):
        trigger.get_func(Product)
    trigger.func = "x"
    trigger.condition = pgtrigger.Q(old__stock=1)
    trigger.operation = Insert
    with pytest.raises(DeclarationError, match=r'Special "odd" of model "shop\.Product"'):
        trigger.compile(Product)


def test_the_repr_says_type_and_name():
    assert repr(noop("odd")) == "<Trigger: odd>"


def parameters(kind):
    return {*inspect.signature(kind.__init__).parameters} - {"self"}


def test_the_arguments_to_pass_on_are_those_of_a_trigger():
    assert {*pgtrigger.TriggerArguments.__annotations__} == parameters(Declaration)


def test_a_composer_takes_the_same_arguments_but_the_tables_that_follow_from_its_operation():
    shared = {*pgtrigger.TriggerArguments.__annotations__}
    assert {*pgtrigger.ComposerArguments.__annotations__} == shared - {"referencing"}
