"""pgtrigger.errors: each class is also the built-in that a caller would expect."""

import inspect
import re

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError

from pgtrigger import errors

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, errors.PgTriggerError)
}
BUILT_IN = {
    "DeclarationError": ValueError,
    "FieldLookupError": FieldDoesNotExist,
    "TriggerUriError": ValueError,
    "TriggerNotFoundError": KeyError,
    "DuplicateTriggerError": KeyError,
    "NotDeferrableError": ValueError,
    "NotInTransactionError": RuntimeError,
    "DatabaseNotSupportedError": ValueError,
    "InstallationError": DatabaseError,
    "CallCountError": RuntimeError,
    "NewPluginError": ValueError,
    "FunctionSyntaxError": ValueError,
    "TableNotFoundError": LookupError,
    "PluginError": ImportError,
    "NoServerError": RuntimeError,
}


@pytest.mark.parametrize(("name", "built_in"), BUILT_IN.items())
def test_a_class_is_the_built_in_that_a_caller_expects(name, built_in):
    assert issubclass(CLASSES[name], built_in)


def test_the_docstring_draws_every_class_with_its_built_in():
    drawn = dict(re.findall(r"[├└]── (\w+) \((\w+)\)", errors.__doc__))
    assert drawn == {name: built_in.__name__ for name, built_in in BUILT_IN.items()}
    assert {*drawn, "PgTriggerError"} == {*CLASSES}


@pytest.mark.parametrize("kind", CLASSES.values())
def test_the_text_is_shown_as_it_was_written(kind):
    assert str(kind('has "quotes"')) == 'has "quotes"'


def test_several_arguments_are_all_shown():
    assert str(errors.DeclarationError("a", "b")) == "('a', 'b')"
