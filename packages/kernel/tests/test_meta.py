"""pgtrigger.meta: `triggers` is an option of Meta, for models and for the states of migrations."""

from django.db.migrations import state
from django.db.models import options

from pgtrigger.meta import OPTION, allow_declaration, allow_triggers, refuse_triggers


def test_the_option_is_known_once_however_often_it_is_allowed():
    allow_triggers()
    for names in (options.DEFAULT_NAMES, state.DEFAULT_NAMES):
        assert names.count(OPTION) == 1


def test_the_option_can_be_refused_and_allowed_to_models_alone(monkeypatch):
    for module in (options, state):
        monkeypatch.setattr(module, "DEFAULT_NAMES", module.DEFAULT_NAMES)
    refuse_triggers()
    refuse_triggers()
    assert OPTION not in options.DEFAULT_NAMES
    assert OPTION not in state.DEFAULT_NAMES
    allow_declaration()
    allow_declaration()
    assert options.DEFAULT_NAMES.count(OPTION) == 1
    assert OPTION not in state.DEFAULT_NAMES
