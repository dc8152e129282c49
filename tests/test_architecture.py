"""What holds for the repository as a whole. docs/architecture.md gives the reasons."""

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pgtrigger import hookspecs

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
PLUGINS = [package for package in PACKAGES if package.name != "kernel"]
MODULES = sorted(ROOT.glob("packages/*/src/**/*.py"))

MAX_LINES = 300
NAMES_OF_NOTHING = {"utils", "misc", "common", "base", "manager"}

# What plugins offer. The kernel would have to change with each new one if it knew them by name.
TYPES_OF_PLUGINS = {
    "Protect",
    "AppendOnly",
    "ReadOnly",
    "SoftDelete",
    "FSM",
    "UpdateSearchVector",
    "History",
    "pghistory",
}

HOOKS = [name for name in vars(hookspecs) if name.startswith("pgtrigger_")]


def by_name(path: Path) -> str:
    return path.name


def by_path(path: Path) -> str:
    return str(path.relative_to(ROOT / "packages"))


def metadata(package: Path) -> dict:
    return tomllib.loads((package / "pyproject.toml").read_text())["project"]


def import_name(package: Path) -> str:
    return "pgtrigger" if package.name == "kernel" else f"pgtrigger_{package.name}"


def test_there_are_packages_and_hooks_to_look_at():
    assert {"kernel", "protect"} <= {package.name for package in PACKAGES}
    assert len(HOOKS) >= 1
    assert len(MODULES) > len(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES, ids=by_name)
class TestLayout:
    def test_folder_distribution_and_import_share_a_name(self, package):
        assert metadata(package)["name"] == f"pgtrigger-{package.name}"
        folders = {path.name for path in package.glob("src/*") if path.is_dir()}
        assert folders - {"__pycache__"} == {import_name(package)}

    def test_it_is_typed(self, package):
        assert (package / "src" / import_name(package) / "py.typed").exists()
        assert "Typing :: Typed" in metadata(package)["classifiers"]

    def test_it_has_a_readme_tests_and_the_license(self, package):
        assert (package / "README.md").read_text().startswith(f"# pgtrigger-{package.name}\n")
        assert list(package.glob("tests/**/test_*.py"))
        assert (package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()

    def test_all_packages_are_released_together(self, package):
        kernel = metadata(ROOT / "packages/kernel")
        for key in ("version", "requires-python", "license"):
            assert metadata(package)[key] == kernel[key]

    def test_its_plugins_are_its_own(self, package):
        for name, module in metadata(package).get("entry-points", {}).get("pgtrigger", {}).items():
            assert name == package.name
            assert module == f"{import_name(package)}.plugin"


@pytest.mark.parametrize("package", PLUGINS, ids=by_name)
def test_a_plugin_depends_on_the_kernel_and_on_no_other_plugin(package):
    dependencies = " ".join(metadata(package)["dependencies"])
    assert re.findall(r"pgtrigger-(\w+)", dependencies) == ["kernel"]


def test_the_import_contracts_hold():
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "module", [path for path in MODULES if "kernel" in path.parts], ids=by_path
)
def test_the_kernel_names_no_plugin(module):
    packages = {f"pgtrigger_{package.name}" for package in PLUGINS}
    words = set(re.findall(r"\w+", module.read_text()))
    assert words & (packages | TYPES_OF_PLUGINS) == set()


@pytest.mark.parametrize("hook", HOOKS)
class TestHook:
    def test_it_is_documented(self, hook):
        assert inspect.getdoc(getattr(hookspecs, hook))
        assert any(hook in page.read_text() for page in ROOT.glob("docs/**/*.md"))

    def test_it_is_tested(self, hook):
        tests = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("packages/*/tests/**/*.py")]
        assert any(hook in path.read_text() for path in tests if path != Path(__file__))


@pytest.mark.parametrize("module", MODULES, ids=by_path)
class TestModule:
    def test_it_is_short(self, module):
        assert len(module.read_text().splitlines()) <= MAX_LINES

    def test_its_name_says_what_is_in_it(self, module):
        names = module.relative_to(ROOT).parts
        assert not NAMES_OF_NOTHING & {part.removesuffix(".py") for part in names}


def test_pyright_is_told_of_every_package_by_its_name():
    """It finds nothing by a glob, and says that nothing is clean."""
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pyright"]["include"]
    sources = [f"packages/{package.name}/src" for package in PACKAGES]
    assert configured == [*sources, "typing_tests/accepted", "typing_tests/refused"]
