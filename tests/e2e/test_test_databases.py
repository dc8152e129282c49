"""Test databases have all triggers, whoever makes them: manage.py test, pytest, or migrate."""

import pytest

MODELS = """
    from django.contrib.auth.models import User

    def stamp(name, field="note", **kwargs):
        return pgtrigger.Trigger(
            name=name,
            when=pgtrigger.Before,
            operation=pgtrigger.Insert,
            func=f"NEW.{field} = '{name}'; RETURN NEW;",
            **kwargs,
        )

    def count(name):
        return pgtrigger.Trigger(
            name=name,
            when=pgtrigger.After,
            operation=pgtrigger.Insert,
            func=f"UPDATE app_calls SET {name} = {name} + 1; RETURN NULL;",
        )

    class Tag(models.Model):
        pass

    class Abstract(models.Model):
        note = models.TextField(default="")

        class Meta:
            abstract = True
            triggers = [stamp("inherited")]

    class Order(Abstract):
        other = models.TextField(default="")
        tags = models.ManyToManyField(Tag)

        class Meta(Abstract.Meta):
            triggers = [
                *Abstract.Meta.triggers,
                # Its function names the type of a table that is created later.
                stamp("other", "other", declare=[("call", "app_calls")]),
            ]

    class Express(Order):
        speed = models.TextField(default="")

        class Meta:
            triggers = [stamp("speed", "speed")]

    class ProtectedUser(User):
        class Meta:
            proxy = True
            triggers = [stamp("first", "first_name")]

    class Membership(User.groups.through):
        class Meta:
            proxy = True
            triggers = [count("groups")]

    class Tagging(Order.tags.through):
        class Meta:
            proxy = True
            triggers = [count("tags")]

    class Calls(models.Model):
        groups = models.IntegerField(default=0)
        tags = models.IntegerField(default=0)
"""

LATE = """
    from django.apps import AppConfig

    import pgtrigger

    def stamp(name, field):
        return pgtrigger.Trigger(
            name=name,
            when=pgtrigger.Before,
            operation=pgtrigger.Insert,
            func=f"NEW.{field} = '{name}'; RETURN NEW;",
        )

    class LateConfig(AppConfig):
        name = "late"

        def ready(self):
            from django.contrib.auth.models import Group, User

            stamp("last", "last_name").register(User)
            pgtrigger.register(stamp("group", "name"))(Group)
"""

CHECKS = """
    from django.contrib.auth.models import Group, User

    import pgtrigger
    from app.models import Calls, Express, Order, Tag

    def check():
        statuses = {
            trigger.get_uri(model): trigger.get_installation_status(model)
            for model, trigger in pgtrigger.registered()
        }
        assert set(statuses.values()) == {("INSTALLED", True)}, statuses
        assert len(statuses) == 8, statuses
        Calls.objects.create()
        order = Express.objects.create()
        order.tags.add(Tag.objects.create())
        order.refresh_from_db()
        assert (order.note, order.other, order.speed) == ("inherited", "other", "speed")
        user = User.objects.create()
        user.groups.add(Group.objects.create())
        user.refresh_from_db()
        assert (user.first_name, user.last_name) == ("first", "last")
        assert Group.objects.get().name == "group"
        calls = Calls.objects.get()
        assert (calls.groups, calls.tags) == (1, 1)
"""

# In TestCase nothing is committed; TransactionTestCase empties the tables, and the triggers stay.
TESTS = """
    from django.test import TestCase, TransactionTestCase

    from app.models import Order
    from checks import check
    from pgtrigger.testing import assert_calls, raises_violation, trigger_on
    import pgtrigger

    class InTestCase(TestCase):
        def test_triggers_fire(self):
            check()

        def test_they_still_do(self):
            check()

        def test_helpers(self):
            keep = pgtrigger.Trigger(
                name="keep",
                when=pgtrigger.Before,
                operation=pgtrigger.Delete,
                func=pgtrigger.raise_violation("No."),
            )
            with trigger_on(keep) as model, raises_violation("*:keep"):
                model.objects.create().delete()
            with assert_calls({"app.Order:inherited": 1, "app.Membership:groups": 0}):
                Order.objects.create()

    class InTransactionTestCase(TransactionTestCase):
        def test_triggers_fire(self):
            check()

        def test_they_still_do_after_the_flush(self):
            check()
"""

NO_MIGRATIONS = """
    class Nowhere:
        def __contains__(self, label):
            return True

        def __getitem__(self, label):
            return None

    MIGRATION_MODULES = Nowhere()
"""
NO_MIGRATIONS_AS_DICT = """
    MIGRATION_MODULES = dict.fromkeys(["auth", "contenttypes", "app", "late", "pgtrigger"])
"""
TEST_WITHOUT_MIGRATIONS = """
    DATABASES["default"]["TEST"] = {"MIGRATE": False}
"""
PGTRIGGER_LAST = """
    INSTALLED_APPS.append(INSTALLED_APPS.pop(INSTALLED_APPS.index("pgtrigger")))
"""
PGTRIGGER_FIRST = """
    INSTALLED_APPS.insert(0, INSTALLED_APPS.pop(INSTALLED_APPS.index("pgtrigger")))
"""


@pytest.fixture
def shop(project):
    """A project with triggers of all kinds, and tests of them."""
    project.models(MODELS)
    project.write("late/__init__.py", "")
    project.write("late/apps.py", LATE)
    project.write("checks.py", CHECKS)
    project.write("tests.py", TESTS)
    project.settings("INSTALLED_APPS.append('late')\n")
    return project


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        NO_MIGRATIONS,
        NO_MIGRATIONS_AS_DICT + PGTRIGGER_FIRST,
        TEST_WITHOUT_MIGRATIONS + PGTRIGGER_LAST,
    ],
    ids=["all", "named", "test-settings"],
)
def test_the_test_command_without_migrations(shop, settings):
    shop.settings(settings)
    shop.manage("test", "tests")


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--no-migrations", "--nomigrations"])
def test_pytest_without_migrations(shop, option):
    written = shop.python(
        "-m", "pytest", "-c", "/dev/null", "--rootdir=.", "-q", "tests.py", option
    )
    assert "5 passed" in written.stdout


@pytest.mark.slow
def test_migrate_run_syncdb(shop):
    shop.settings(NO_MIGRATIONS)
    shop.manage("migrate", "--run-syncdb")
    shop.python("-c", "import django; django.setup(); from checks import check; check()")


KEPT = """
    class Order(models.Model):
        note = models.TextField(default="")

        class Meta:
            triggers = [
                pgtrigger.Trigger(
                    name="keep",
                    level=pgtrigger.Statement,
                    when=pgtrigger.Before,
                    operation=pgtrigger.Truncate,
                    func=pgtrigger.raise_violation("Orders stay."),
                )
            ]
"""
KEPT_TESTS = """
    from django.test import TransactionTestCase

    import pgtrigger
    from app.models import Order

    class Tests(TransactionTestCase):
        def test_the_trigger_is_up_to_date(self):
            ((model, trigger),) = pgtrigger.registered()
            status, enabled = trigger.get_installation_status(model)
            assert (status, enabled) == ("INSTALLED", True), status
            Order.objects.create()

        def test_nothing_is_left(self):
            assert not Order.objects.exists()
            Order.objects.create()
"""
# As docs/testing.md has it.
FLUSH = """
    import pgtrigger
    from django.test import TransactionTestCase

    TransactionTestCase._fixture_teardown = pgtrigger.ignore()(
        TransactionTestCase._fixture_teardown
    )
"""


@pytest.mark.slow
def test_a_trigger_against_truncate_stops_the_flush_unless_it_is_ignored(project):
    project.settings(NO_MIGRATIONS)
    project.models(KEPT)
    project.write("tests.py", KEPT_TESTS)
    result = project.manage("test", "tests", exits=1)
    assert "Orders stay." in result.stderr
    project.write("conftest.py", FLUSH)
    pytest_run = ("-m", "pytest", "-c", "/dev/null", "--rootdir=.", "-q", "--no-migrations")
    assert "2 passed" in project.python(*pytest_run, "tests.py").stdout


@pytest.mark.slow
def test_a_kept_database_gets_changed_triggers_where_migrate_installs_them(project):
    project.settings(NO_MIGRATIONS)
    project.models(KEPT)
    project.write("tests.py", FLUSH + KEPT_TESTS)
    project.manage("test", "tests", "--keepdb")
    project.models(KEPT.replace("stay.", "stay here."))
    assert "OUTDATED" in project.manage("test", "tests", "--keepdb", exits=1).stderr
    project.settings("PGTRIGGER_INSTALL_ON_MIGRATE = True\n")
    project.manage("test", "tests", "--keepdb")
    project.manage("test", "tests", "--noinput")  # it is not kept any longer
