import pytest
from django.db import connections

from schema_changes.history import SCHEMA, SCHEMAS, History

OPTIONS = f"-c search_path={SCHEMA} -c synchronous_commit=off -c lock_timeout=30s"


@pytest.fixture(scope="session")
def connection_of_our_own(django_db_setup):
    """A connection in autocommit, as migrate has it, that sees only the schema of these tests."""
    connection = connections["default"].copy()
    connection.settings_dict["OPTIONS"] = {
        **connection.settings_dict["OPTIONS"],
        "options": OPTIONS,
    }
    yield connection
    connection.close()


@pytest.fixture
def database(db, connection_of_our_own):
    """Empty schemas, on the connection that Django takes for the default one."""
    outer, connections["default"] = connections["default"], connection_of_our_own
    try:
        run(*(f"CREATE SCHEMA {schema}" for schema in SCHEMAS))
        run(f"CREATE TABLE {SCHEMA}.fired (name text)")
        yield
    finally:
        run(f"DROP SCHEMA IF EXISTS {', '.join(SCHEMAS)} CASCADE")
        connections["default"] = outer


def run(*statements):
    with connections["default"].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(
    params=[True, pytest.param(False, marks=pytest.mark.slow)], ids=["atomic", "not-atomic"]
)
def history(request, database):
    """The history of a project with atomic migrations, and that of one without."""
    return History(atomic=request.param)
