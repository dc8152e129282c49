from contextlib import closing

import pytest
from django.db import connections, transaction

from databases.place import known_as, new_database
from project.connections import connect
from security import hostile

# Schemas with better matches than Postgres' own, which raise an exception when they are called;
# and with operators that shadow Postgres' own and say that all is well, or that nothing is.
SCHEMAS = {"loud": {}, "never": {"answer": "false"}, "always": {"answer": "true"}}


@pytest.fixture(scope="session")
def _prepared(server, django_db_setup):
    name = connections["default"].settings_dict["NAME"]
    connections.close_all()
    with closing(connect(server.url)) as administration, administration.cursor() as cursor:
        # Threads of other tests may have left theirs, and nobody may be there while it is copied.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
    with new_database(server, f"TEMPLATE {name}") as database:
        database.made = {
            schema: hostile.make(database, schema, shadows=bool(options), **options)
            for schema, options in SCHEMAS.items()
        }
        yield database


@pytest.fixture
def hostile_database(_prepared, django_db_blocker):
    """Django's default database has the hostile schemas; what a test does is rolled back."""
    with django_db_blocker.unblock(), known_as("default", _prepared.entry()):
        with transaction.atomic():
            yield _prepared
            transaction.set_rollback(True)


@pytest.fixture
def sql(hostile_database):
    """``sql(text, …)``: runs statements, and gives the rows of the last one."""

    def run(*statements):
        with connections["default"].cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def writer(sql):
    """A role that may write the rows of all tables, and nothing else."""
    sql(
        "CREATE ROLE security_writer NOSUPERUSER",
        "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public"
        " TO security_writer",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO security_writer",
    )
    return "security_writer"
