"""Fixtures for pytest, which imports this module in every run, also of projects without Django.

So it imports nothing of the package but in fixtures. ``-p no:pgtrigger`` leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # what only annotations name
    from django.db.models import Model

    from pgtrigger.testing import count_calls


def _use_database(request: pytest.FixtureRequest) -> None:
    from pgtrigger.testing.project import ensure_project  # noqa: PLC0415  # see above

    # pytest-django lets nobody use the database of a project who has not asked for it.
    if ensure_project() and request.config.pluginmanager.has_plugin("django"):
        request.getfixturevalue("db")


@pytest.fixture
def trigger_on(request: pytest.FixtureRequest) -> Iterator[Callable[..., type[Model]]]:
    """Make a table with triggers until the test ends: ``trigger_on(trigger, **fields)``.

    See `pgtrigger.testing.trigger_on`. Without a Django project it makes a small one.
    """
    _use_database(request)
    from pgtrigger.testing import trigger_on  # noqa: PLC0415  # see above

    with ExitStack() as undo:

        def make(*triggers: Any, **attributes: Any) -> type[Model]:
            return undo.enter_context(trigger_on(*triggers, **attributes))

        yield make


@pytest.fixture
def trigger_calls(request: pytest.FixtureRequest) -> Iterator[count_calls]:
    """How often each trigger has been called since the test began: ``trigger_calls[uri]``.

    See `pgtrigger.testing.count_calls`.
    """
    _use_database(request)
    from pgtrigger.testing import count_calls  # noqa: PLC0415  # see above

    with count_calls() as calls:
        yield calls
