"""Runs without installing the distribution: its entry point is read from pyproject.toml."""

import io
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command

import pgtrigger
from pgtrigger.management.commands import pgtrigger as command
from pgtrigger.plugins import Plugins

HERE = Path(__file__).parent.parent


@pytest.fixture
def plugins(monkeypatch):
    """The plugins of an environment in which only this one is installed."""
    monkeypatch.syspath_prepend(HERE / "src")
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    loaded = Plugins(
        EntryPoint(name, value, "pgtrigger")
        for name, value in project["entry-points"]["pgtrigger"].items()
    )
    monkeypatch.setattr(pgtrigger, "_plugins", lambda: loaded)
    monkeypatch.setattr(command, "plugins", lambda: loaded)
    yield loaded
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme_stamp"]:
        del sys.modules[name]


@pytest.fixture
def stamped(plugins, db):
    """The table of users, stamped in `last_login` until the test ends."""
    trigger = pgtrigger.Stamp(name="seen", field="last_login", operation=pgtrigger.Update)
    with trigger.register(User), trigger.install(User):
        yield trigger


def test_the_type_is_an_attribute_of_pgtrigger(plugins):
    assert {*plugins.trigger_types} == {"Stamp"}
    assert pgtrigger.Stamp is plugins.trigger_types["Stamp"]
    assert "Stamp" in dir(pgtrigger)
    with pytest.raises(AttributeError, match="offer: Stamp"):
        pgtrigger.Protect  # the attribute is what is tested


def test_bulk_updates_are_stamped(stamped):
    User.objects.bulk_create([User(username="ada"), User(username="grace")])
    assert stamped.get_installation_status(User) == ("INSTALLED", True)
    assert User.objects.filter(last_login=None).count() == 2
    User.objects.filter(username="ada").update(first_name="Ada")
    assert User.objects.get(last_login=None).username == "grace"


def test_a_stamp_can_be_ignored(stamped):
    user = User.objects.create(username="ada")
    with pgtrigger.ignore("auth.User:seen"):
        User.objects.update(first_name="Ada")
    user.refresh_from_db()
    assert user.last_login is None


def test_a_stamp_without_field_is_refused(plugins):
    with pytest.raises(pgtrigger.DeclarationError, match='must have "field"'):
        pgtrigger.Stamp(name="seen")


def test_an_unknown_field_is_found_when_it_is_compiled(plugins):
    with pytest.raises(pgtrigger.FieldLookupError, match="last_logout"):
        pgtrigger.Stamp(name="seen", field="last_logout").compile(User)


def test_the_check_wants_a_field_for_times(plugins):
    (message,) = plugins.check(Group, pgtrigger.Stamp(name="seen", field="name"))
    assert message.id == "acme_stamp.E001"
    assert plugins.check(User, pgtrigger.Stamp(name="seen", field="last_login")) == []


def test_the_subcommand_lists_the_columns(stamped):
    out = io.StringIO()
    call_command("pgtrigger", "stamps", "--app", "auth", stdout=out)
    assert out.getvalue() == "auth_user.last_login  auth.User:seen\n"
    out = io.StringIO()
    call_command("pgtrigger", "stamps", "--app", "contenttypes", stdout=out)
    assert out.getvalue() == ""
