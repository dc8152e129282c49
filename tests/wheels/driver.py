"""Wheels of the packages, environments that hold some of them, and a project that runs there."""

import shutil
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import django

from project.environments import make_environment, python_of, run
from project.sites import MANAGE, SETTINGS

ROOT = Path(__file__).parent.parent.parent
KERNEL = ROOT / "packages" / "kernel"
THIRD_PARTY = ROOT / "examples" / "thirdparty"
PLUGINS = sorted(
    path.parent for path in ROOT.glob("packages/*/pyproject.toml") if path.parent != KERNEL
)
PACKAGES = [KERNEL, *PLUGINS, THIRD_PARTY]

# What is in each environment beside the packages: the Django that these tests run with.
ALWAYS = (f"Django=={django.get_version()}", "psycopg[binary]>=3.2")


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
    def python(self) -> Path:
        return python_of(self.home)

    @property
    def programs(self) -> Path:
        return self.python.parent

    @classmethod
    def with_packages(cls, home: Path, *requirements: object) -> "Environment":
        """A new environment that holds these packages and what they need."""
        make_environment(home, *requirements, *ALWAYS)
        return cls(home)

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
