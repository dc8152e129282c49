"""What every test may use: a real PostgreSQL server, versions of it, empty databases."""

import os
import uuid
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

import django
import hypothesis
import pytest
from django.conf import settings
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pgtrigger.testing import Server
from project.connections import connect
from project.installed import complaint

# How many examples a property is tried with. `hatch run test` uses ci and `hatch run test:slow`
# thorough, which are the same each time; without a name it is dev, which always finds new ones.
for name, number, derandomize in (("dev", 15, False), ("ci", 15, True), ("thorough", 150, True)):
    hypothesis.settings.register_profile(
        name,
        max_examples=number,
        derandomize=derandomize,
        database=None if derandomize else hypothesis.settings.default.database,
        deadline=None,
        # Fixtures are made once for all examples: a test undoes itself what its examples do.
        suppress_health_check=[
            hypothesis.HealthCheck.function_scoped_fixture,
            hypothesis.HealthCheck.too_slow,
        ],
    )
hypothesis.settings.load_profile("dev")

SERVER_VERSION = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    if message := complaint():
        raise pytest.UsageError(message)
    connection = connect(settings.SERVER.url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            config.stash[SERVER_VERSION] = cursor.fetchone()[0]
    finally:
        connection.close()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    # Tests wait for servers and locks almost as much as they compute.
    return (os.cpu_count() or 1) + 1


def pytest_report_header(config: pytest.Config) -> str:
    drivers = []
    for name in ("psycopg", "psycopg2-binary", "psycopg2"):
        try:
            drivers.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    where = settings.SERVER.directory or "DATABASE_URL"
    return (
        f"PostgreSQL {config.stash[SERVER_VERSION]} ({where}), "
        f"Django {django.get_version()}, {', '.join(drivers)}"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # "17beta1" and "15.18 (Debian 15.18-0+deb12u1)" are versions too, as far as they go.
    there = Version(config.stash[SERVER_VERSION].split()[0])
    for item in items:
        for mark in item.iter_markers("pg"):
            (spec,) = mark.args
            if not SpecifierSet(spec).contains(there, prereleases=True):
                item.add_marker(pytest.mark.skip(reason=f"needs PostgreSQL {spec}, has {there}"))


@pytest.fixture(scope="session")
def server() -> Server:
    """The server that all test databases are on."""
    return settings.SERVER


@pytest.fixture
def empty_database(server: Server) -> Iterator[str]:
    """The URL of a new, empty database of the test's own."""
    name = f"empty_{uuid.uuid4().hex}"
    administration = connect(server.url)
    try:
        with administration.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        yield urlsplit(server.url)._replace(path=f"/{name}").geturl()
        with administration.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        administration.close()
