from contextlib import ExitStack

import pytest


@pytest.fixture
def live(db):
    """`live(Model, trigger)`: registers and installs a trigger until the test ends."""
    with ExitStack() as undo:

        def add(model, trigger, **where):
            undo.enter_context(trigger.register(model))
            undo.enter_context(trigger.install(model, **where))
            return trigger

        yield add
