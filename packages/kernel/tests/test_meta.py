"""pgtrigger.meta: `triggers` is an option of Meta, for models and for the states of migrations."""

from django.db.migrations import state
from django.db.models import options

from pgtrigger.meta import OPTION, allow_triggers


def test_the_option_is_known_once_however_often_it_is_allowed():
    allow_triggers()
    for names in (options.DEFAULT_NAMES, state.DEFAULT_NAMES):
        assert names.count(OPTION) == 1
