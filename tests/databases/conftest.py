from contextlib import ExitStack

import pytest

from databases.place import known_as, new_database
from pgtrigger.registry import Registry, registry


@pytest.fixture(autouse=True)
def only_ours(django_db_blocker):
    """Nothing is declared but by the test, and databases may be used that it makes itself."""
    before = dict(vars(registry))
    vars(registry).update(vars(Registry()), version=before["version"] + 1)
    with django_db_blocker.unblock():
        yield
    vars(registry).update(before, version=registry.version + 1)


@pytest.fixture
def undo():
    """What the test leaves behind, undone in the end."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def declare(undo):
    """``declare(Model, trigger, …)``: as if they stood in its ``Meta`` until the test ends."""

    def declare(model, *triggers):
        for trigger in triggers:
            undo.enter_context(trigger.register(model))
        return triggers[0] if len(triggers) == 1 else triggers

    return declare


@pytest.fixture
def connect_as(undo):
    """``connect_as(alias, entry)``: Django's connection of an alias until the test ends."""
    return lambda alias, entry: undo.enter_context(known_as(alias, entry))


@pytest.fixture(scope="session")
def databases(server):
    """Two databases that tests use one after the other."""
    with new_database(server) as one, new_database(server) as two:
        yield one, two


@pytest.fixture
def empty(databases):
    """An empty database that Django does not know."""
    databases[0].empty()
    return databases[0]


@pytest.fixture
def empty_too(databases):
    """Another one."""
    databases[1].empty()
    return databases[1]


@pytest.fixture
def database(empty, connect_as):
    """An empty database, which Django takes for the default one."""
    connect_as("default", empty.entry())
    return empty
