"""The stages of an upgrade, each prepared once for each worker.

``migrated_by_old`` becomes ``upgraded``, and its files alone ``fresh`` and ``fresh_upgraded``. A
test that changes something takes the copy that ``swapped`` is.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from pgtrigger.testing import Server
from project.environments import environment_with
from upgrade.driver import DISABLED, OLD, SITE, Databases, Site


@pytest.fixture(scope="session")
def databases(server: Server) -> Iterator[Databases]:
    """Where the databases of these tests come from."""
    databases = Databases(server)
    yield databases
    databases.drop()


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Callable[..., Site]:
    """Copies a project, with its database or with an empty one, to be run with our package."""

    def copy(site: Site, *, empty: bool = False) -> Site:
        directory = tmp_path_factory.mktemp("upgrade") / "site"
        return site.copy(directory, databases.create(None if empty else site.url))

    return copy


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> list[Site]:
    """A project of the old package: its files, and its database as each release has left it."""
    interpreter = str(environment_with(*OLD))
    directory = tmp_path_factory.mktemp("old") / "site"
    site = Site(SITE, "").copy(directory, databases.create(), interpreter)
    sites = []
    for release in (1, 2, 3):
        if sites:
            site = replace(site, url=databases.create(site.url))
        site = replace(site, release=release)
        site.manage("makemigrations")
        site.manage("migrate")
        if release == 1:
            site.call("rows", "fill")
        if release == 2:
            # It leaves the trigger of a renamed model behind, under its former id.
            site.manage("pgtrigger", "prune")
        sites.append(site)
    return sites


@pytest.fixture(scope="session")
def migrated_by_old(releases: list[Site]) -> Site:
    """The same after the last release."""
    return releases[-1]


@pytest.fixture(scope="session")
def abandoned(migrated_by_old: Site, copy: Callable[..., Site]) -> Site:
    """The same on the day of the swap: some triggers have been disabled by hand."""
    site = copy(migrated_by_old)
    for uri, table in DISABLED.items():
        name = f"pgtrigger_{uri.partition(':')[2]}_"
        (pgid,) = [key.partition(":")[2] for key in site.triggers() if f":{name}" in key]
        site.sql(f"ALTER TABLE {table} DISABLE TRIGGER {pgid}")
    return site


@pytest.fixture
def swapped(abandoned: Site, copy: Callable[..., Site]) -> Site:
    """A copy for one test of what the old package has left, with ours in its place."""
    return copy(abandoned)


@pytest.fixture(scope="session")
def fresh(migrated_by_old: Site, copy: Callable[..., Site]) -> Site:
    """The files of the old package, applied by ours to an empty database."""
    site = copy(migrated_by_old, empty=True)
    site.manage("migrate")
    return site


@pytest.fixture(scope="session")
def fresh_upgraded(fresh: Site, copy: Callable[..., Site]) -> Site:
    """The same after the first makemigrations and its migrate."""
    site = copy(fresh)
    site.manage("makemigrations")
    site.manage("migrate")
    return site


@pytest.fixture(scope="session")
def upgraded(abandoned: Site, copy: Callable[..., Site]) -> Site:
    """A database that the old package has filled, after our first makemigrations and migrate.

    What the migration did to the database is in ``statements.log``.
    """
    site = copy(abandoned)
    site.manage("makemigrations")
    site.manage("migrate", SITE_LOG=str(site.directory / "statements.log"))
    return site
