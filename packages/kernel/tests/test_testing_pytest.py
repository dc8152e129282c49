"""_pgtrigger_pytest: fixtures with a Django project and without, and no cost for who needs none.

Also the project that tests get who have none. Each test is a run of pytest or Python of its own.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TRIGGER = """
import pytest
from django.db import models

import pgtrigger

keep = pgtrigger.Trigger(
    name="keep",
    when=pgtrigger.Before,
    operation=pgtrigger.Delete,
    func=pgtrigger.raise_violation("No."),
)
"""

ALONE = """
from pgtrigger.testing import raises_violation

def check(trigger_on):
    samples = trigger_on(keep, total=models.IntegerField()).objects
    sample = samples.create(total=1)
    with raises_violation("*:keep"):
        sample.delete()
    with pgtrigger.ignore("*:keep"):
        samples.all().delete()

def test_once(trigger_on):
    check(trigger_on)

def test_again(trigger_on):
    check(trigger_on)
    check(trigger_on)

def test_the_function():
    from pgtrigger.testing import trigger_on

    with trigger_on(keep) as model:
        assert model.objects.count() == 0
"""

SETTINGS = """
import os
from pgtrigger.testing import database_settings

INSTALLED_APPS = ["pgtrigger", "app"]
DATABASES = {"default": database_settings(os.environ["DATABASE_URL"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""

APP = """
from django.db import models

import pgtrigger

class Order(models.Model):
    total = models.IntegerField(default=0)

    class Meta:
        triggers = [
            pgtrigger.Trigger(
                name="stamp",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="NEW.total = NEW.total + 1; RETURN NEW;",
            )
        ]
"""


@pytest.fixture
def write(tmp_path):
    def write(name, *sources):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(map(textwrap.dedent, sources)))

    return write


@pytest.fixture
def run(tmp_path, server):
    """`run(*arguments)` of Python in an empty folder, without a Django project."""

    def run(*arguments, expect=0, **env):
        unset = {"DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"}
        kept = {name: text for name, text in os.environ.items() if name not in unset}
        result = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=tmp_path,
            env={**kept, "DATABASE_URL": server.url, "PYTHONDONTWRITEBYTECODE": "1", **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == expect, result.stdout + result.stderr
        return result.stdout

    return run


def pytest_run(*arguments):
    # A folder of its own to begin with: nothing is read from those above.
    return ("-m", "pytest", "--rootdir=.", "-c", os.devnull, "-q", "-W", "error", *arguments)


def test_importing_the_plugin_imports_neither_django_nor_the_package(run):
    run(
        "-c",
        "import sys, _pgtrigger_pytest; "
        "assert not {'django', 'pgtrigger', 'psycopg', 'asgiref'} & {*sys.modules}",
    )


def test_a_run_of_pytest_that_needs_none_of_it_imports_none_of_it(run, write):
    write(
        "test_it.py",
        """
        import sys

        def test_it(request):
            assert request.config.pluginmanager.has_plugin("pgtrigger")
            assert "pgtrigger" not in sys.modules
            assert "_pgtrigger_pytest" in sys.modules
        """,
    )
    run(*pytest_run())


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-p", "no:django"), ("-p", "xdist", "-n1")])
def test_a_trigger_is_tested_without_a_django_project(run, write, options):
    write("test_it.py", TRIGGER, ALONE)
    assert "3 passed" in run(*pytest_run(*options))


def test_without_a_project_and_the_plugin_a_script_can_do_it(run, write):
    write(
        "script.py",
        TRIGGER.replace("import pytest\n", ""),
        """
        from pgtrigger.testing import raises_violation, trigger_on

        with trigger_on(keep) as model, raises_violation("*:keep") as refused:
            model.objects.create().delete()
        print(refused.violation.message)
        """,
    )
    assert run("script.py") == "No.\n"


def test_without_a_project_the_embedded_server_is_started(run, write, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    write(
        "script.py",
        """
        import os
        del os.environ["DATABASE_URL"]
        """,
        TRIGGER.replace("import pytest\n", ""),
        """
        from django.conf import settings
        from pgtrigger.testing import trigger_on

        with trigger_on(keep) as model:
            model.objects.create()
        print(settings.DATABASES["default"]["HOST"])
        """,
    )
    directory = run("script.py").strip()
    assert directory
    assert not Path(directory).exists()


def test_settings_that_were_configured_by_hand_are_taken(run, write):
    write(
        "script.py",
        """
        import os
        from django.conf import settings
        from pgtrigger.testing import database_settings

        settings.configure(
            INSTALLED_APPS=["pgtrigger"],
            DATABASES={"default": database_settings(os.environ["DATABASE_URL"])},
            DEFAULT_AUTO_FIELD="django.db.models.SmallAutoField",
        )
        """,
        TRIGGER.replace("import pytest\n", ""),
        """
        from pgtrigger.testing import trigger_on

        with trigger_on(keep) as model:
            print(type(model._meta.pk).__name__)
        """,
    )
    assert run("script.py") == "SmallAutoField\n"


@pytest.fixture
def project(write, empty_database):
    write("settings.py", SETTINGS)
    write("app/__init__.py", "")
    write("app/models.py", APP)
    return {"DJANGO_SETTINGS_MODULE": "settings", "DATABASE_URL": empty_database}


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--no-migrations",), ("--nomigrations", "-n1")])
def test_in_a_project_the_fixtures_ask_for_its_database(run, write, project, options):
    write(
        "test_it.py",
        TRIGGER,
        ALONE.partition("def test_the_function")[0],
        """
        from app.models import Order
        from django.db import connection

        def test_calls(trigger_calls):
            assert connection.settings_dict["NAME"].startswith("test_")
            Order.objects.create()
            assert trigger_calls == {"app.Order:stamp": 1}
            Order.objects.create()
            assert trigger_calls["app.Order:stamp"] == 2

        @pytest.mark.django_db(transaction=True)
        def test_calls_in_transactions(trigger_calls, trigger_on):
            Order.objects.create()
            trigger_on(keep).objects.create()
            assert trigger_calls == {"app.Order:stamp": 1}

        def test_a_failed_test_tells_the_calls(trigger_calls):
            Order.objects.create()
            assert trigger_calls == {}

        def test_the_database_must_be_asked_for():
            from pgtrigger.testing import trigger_on

            with pytest.raises(RuntimeError, match="Database access not allowed"):
                trigger_on(keep).__enter__()
        """,
    )
    written = run(*pytest_run("-p", "django", *options), expect=1, **project)
    assert "1 failed, 5 passed" in written
    assert "<count_calls: {'app.Order:stamp': 1}>" in written


@pytest.mark.slow
def test_without_pytest_django_the_project_is_made_ready(run, write, project):
    write("test_it.py", TRIGGER, ALONE)
    assert "3 passed" in run(*pytest_run("-p", "no:django"), **project)
