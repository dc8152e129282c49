"""Packages that begin outside of this repository: by startplugin, and as copies of the example."""

import shutil
import zipfile

import pytest

from wheels.driver import THIRD_PARTY, Environment, build_wheel, run

pytestmark = pytest.mark.slow


def test_what_startplugin_writes_passes_its_tests_and_checks_as_written(home, wheels):
    kernel = Environment.with_packages(home / "kernel", wheels["kernel"])
    (home / "settings.py").write_text('INSTALLED_APPS = ["pgtrigger"]\nSECRET_KEY = "x"\n')
    run(
        *(kernel.python, "-W", "error", "-m", "django", "pgtrigger", "startplugin", "not-blank"),
        cwd=home,
        DJANGO_SETTINGS_MODULE="settings",
        PYTHONPATH=str(home),
    )
    package = home / "pgtrigger-not-blank"
    working = Environment.with_packages(home / "working", wheels["kernel"])
    working.install("-e", f"{package}[dev]", wheels["kernel"])

    assert " passed" in run(working.python, "-m", "pytest", cwd=package).splitlines()[-1]
    run(working.python, "-m", "mypy", cwd=package)
    run(working.programs / "ruff", "check", ".", cwd=package)
    run(working.programs / "ruff", "format", "--check", ".", cwd=package)

    triggers = package / "src/pgtrigger_not_blank/triggers.py"
    triggers.write_text(triggers.read_text() + "\n\nNotBlank(nmae='title')\n")
    assert 'Unexpected keyword argument "nmae"' in run(
        *(working.python, "-m", "mypy"), cwd=package, exits=1
    )


def test_the_wheel_of_a_new_package_holds_its_modules_and_no_tests(home, wheels):
    kernel = Environment.with_packages(home / "kernel", wheels["kernel"])
    code = "from pgtrigger.management.subcommands.startplugin import write_plugin as w; w('count')"
    run(kernel.python, "-c", code, cwd=home)
    names = zipfile.ZipFile(build_wheel(home / "pgtrigger-count", home / "dist")).namelist()
    assert [name for name in names if ".dist-info/" not in name] == [
        "pgtrigger_count/__init__.py",
        "pgtrigger_count/plugin.py",
        "pgtrigger_count/py.typed",
        "pgtrigger_count/triggers.py",
    ]


def test_a_copy_of_the_example_passes_its_tests_by_itself(home, wheels):
    package = home / "copy"
    shutil.copytree(THIRD_PARTY, package, ignore=shutil.ignore_patterns("__pycache__"))
    working = Environment.with_packages(home / "working", wheels["kernel"])
    working.install("-e", f"{package}[test]", wheels["kernel"])
    assert " passed" in run(working.python, "-m", "pytest", cwd=package).splitlines()[-1]
