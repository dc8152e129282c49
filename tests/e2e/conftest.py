from pathlib import Path

import pytest

from project.sites import Project


@pytest.fixture
def project(tmp_path: Path, empty_database: str) -> Project:
    """A new Django project with an app ``app`` that has no models yet."""
    project = Project(tmp_path, empty_database)
    project.furnish()
    return project
