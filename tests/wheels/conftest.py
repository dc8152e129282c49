"""The wheels, built once for all workers, and environments and projects made of them."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wheels.driver import PACKAGES, Environment, Project, build_wheel


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each package, by the name of its folder."""
    home = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        home = home.parent
    home /= "wheels"
    home.mkdir(exist_ok=True)
    found = {}
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for package in PACKAGES:
            folder = home / package.name
            built = [*folder.glob("*.whl")]
            found[package.name] = built[0] if built else build_wheel(package, folder)
    return found


@pytest.fixture
def home() -> Iterator[Path]:
    """A new folder that the system user of the embedded server may read, as pytest's are not."""
    home = Path(tempfile.mkdtemp(prefix="pgtrigger-wheels-"))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home)


@pytest.fixture
def project(home: Path, empty_database: str) -> Callable[..., Project]:
    """Makes a project with these models, where only these requirements are installed."""

    def project(models: str, *requirements: object) -> Project:
        environment = Environment.with_packages(home / "environment", *requirements)
        project = Project(home / "project", environment, empty_database)
        project.write(models)
        return project

    return project
