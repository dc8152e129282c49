"""Wheels of the packages, environments that hold some of them, and a project that runs there."""

import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import django
import pytest

from upgrade.driver import NO_INDEX, clean_environment

ROOT = Path(__file__).parent.parent.parent
KERNEL = ROOT / "packages" / "kernel"
THIRD_PARTY = ROOT / "examples" / "thirdparty"
PLUGINS = sorted(
    path.parent for path in ROOT.glob("packages/*/pyproject.toml") if path.parent != KERNEL
)
PACKAGES = [KERNEL, *PLUGINS, THIRD_PARTY]

# What is in each environment beside the packages: the Django that these tests run with.
ALWAYS = (f"Django=={django.get_version()}", "psycopg[binary]>=3.2")

SETTINGS = """
    import os

    from pgtrigger.testing import database_settings

    INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "pgtrigger", "app"]
    DATABASES = {"default": database_settings(os.environ["DATABASE_URL"])}
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    SECRET_KEY = "for tests only"
    USE_TZ = True
"""

MANAGE = """
    import os
    import sys

    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    execute_from_command_line(sys.argv)
"""


def run(*command: object, exits: int = 0, cwd: Path | None = None, **env: str) -> str:
    """Run a program and give what it wrote: to stdout, or all of it where it is to fail.

    Skips the test where a package index is needed and none can be reached.

    Raises:
        AssertionError: it ended with another exit code.
    """
    words = [str(word) for word in command]
    result = subprocess.run(
        words,
        cwd=cwd,
        env={**clean_environment(), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    output = f"--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}"
    if result.returncode and not exits and any(text in result.stderr for text in NO_INDEX):
        pytest.skip(f"no package index: {result.stderr}")
    if result.returncode != exits:
        raise AssertionError(
            f"{' '.join(words)} ended with {result.returncode} instead of {exits}\n{output}"
        )
    return result.stdout if not exits else result.stdout + result.stderr


def build_wheel(package: Path, folder: Path) -> Path:
    """Build the wheel of a package, alone in a folder of its own."""
    if uv := shutil.which("uv"):
        run(uv, "build", "--quiet", "--wheel", "--out-dir", folder, package)
    else:
        run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, package)
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A Python environment, and where it is."""

    home: Path

    @property
    def programs(self) -> Path:
        return self.home / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        return self.programs / "python"

    @classmethod
    def with_packages(cls, home: Path, *requirements: object) -> "Environment":
        """A new environment that holds these packages and what they need."""
        made = cls(home)
        if uv := shutil.which("uv"):
            run(uv, "venv", "--quiet", "--python", sys.executable, home)
        else:
            run(sys.executable, "-m", "venv", home)
        made.install(*requirements, *ALWAYS)
        return made

    def install(self, *requirements: object) -> None:
        if uv := shutil.which("uv"):
            run(uv, "pip", "install", "--quiet", "--python", self.python, *requirements)
        else:
            run(self.python, "-m", "pip", "install", "--quiet", *requirements)

    def distributions(self) -> set[str]:
        """The names of what is installed."""
        code = "import importlib.metadata as m; print(*[d.name.lower() for d in m.distributions()])"
        return {*run(self.python, "-c", code).split()} - {"pip", "setuptools"}


@dataclass(frozen=True)
class Project:
    """A Django project with one app, named ``app``, in an environment and on a database."""

    directory: Path
    environment: Environment
    url: str

    def write(self, models: str) -> None:
        """Write all of its files; the source of the models may be indented."""
        for path, source in {
            "settings.py": SETTINGS,
            "manage.py": MANAGE,
            "app/__init__.py": "",
            "app/models.py": models,
            "app/migrations/__init__.py": "",
        }.items():
            file = self.directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(source).lstrip("\n"))

    def python(self, *args: object, exits: int = 0) -> str:
        """Run Python there; see `run`."""
        return run(
            self.environment.python,
            *("-W", "error", *args),
            exits=exits,
            cwd=self.directory,
            DATABASE_URL=self.url,
            DJANGO_SETTINGS_MODULE="settings",
        )

    def manage(self, *args: object, exits: int = 0) -> str:
        return self.python("manage.py", *args, exits=exits)

    def code(self, source: str, exits: int = 0) -> str:
        """Run Python code with the models ready."""
        begin = "import django; django.setup()\nimport pgtrigger\nfrom app.models import *\n"
        return self.python("-c", begin + textwrap.dedent(source), exits=exits)
