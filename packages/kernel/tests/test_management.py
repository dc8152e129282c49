"""manage.py pgtrigger: subcommands, and errors that are one line."""

import io
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

import pgtrigger
import project
from pgtrigger.errors import TriggerNotFoundError
from pgtrigger.management.commands import pgtrigger as command_module
from pgtrigger.management.commands.pgtrigger import Command, subcommands
from pgtrigger.management.subcommand import DatabaseSubcommand
from pgtrigger.management.subcommands import SUBCOMMANDS
from shop.database import definitions, noop, statements
from shop.models import Missing, Product

URI = "shop.Product:noop"


def output(*arguments):
    out = io.StringIO()
    call_command("pgtrigger", *arguments, stdout=out)
    return out.getvalue()


def manage(*arguments):
    return subprocess.run(
        [sys.executable, str(Path(project.__file__).parent / "manage.py"), *arguments],
        env={
            **os.environ,
            "DATABASE_URL": "postgresql://nowhere.invalid/",
            "DJANGO_SETTINGS_MODULE": "project.settings",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_error_is_one_line_on_the_command_line():
    # Since Django 6.1 the checks of generated fields ask the database.
    result = manage("pgtrigger", "--skip-checks", "ls", "shop.Nothing:here")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        'TriggerNotFoundError: URI "shop.Nothing:here" not found in pgtrigger registry\n'
    )


def test_in_code_an_error_is_an_exception():
    with pytest.raises(TriggerNotFoundError):
        output("ls", "shop.Nothing:here")


def test_run_from_argv_ends_with_one_line(capsys, monkeypatch):
    monkeypatch.setattr("django.db.connections.close_all", lambda: None)
    with pytest.raises(SystemExit) as caught:
        Command().run_from_argv(["manage.py", "pgtrigger", "--skip-checks", "ls", "no colon"])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("TriggerUriError: Trigger URI must be")


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_subcommand_has_a_help(name, capsys):
    with pytest.raises(SystemExit) as caught:
        Command().create_parser("manage.py", "pgtrigger").parse_args([name, "--help"])
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert SUBCOMMANDS[name].help in shown


def test_the_kernels_subcommands_are_there():
    assert {"ls", "install", "uninstall", "enable", "disable", "prune", "stubs"} <= {*subcommands()}


def test_ls_is_one_query(live, declared):
    live(Product, noop())
    declared(Missing, noop())
    with statements() as found:
        text = output("ls", URI, "shop.Missing:noop")
    assert len(found) == 1
    assert text.splitlines() == [
        "INSTALLED   ENABLED  shop.Product:noop",
        "UNINSTALLED N/A      shop.Missing:noop",
    ]


def test_ls_of_everything_is_one_query_with_leftovers_last(live):
    trigger = live(Product, noop())
    with trigger.unregister(Product), statements() as found:
        lines = output("ls").splitlines()
    assert len(found) == 1
    assert lines[-1].split() == ["PRUNE", "ENABLED", f"shop_product:{trigger.get_pgid(Product)}"]


def test_each_subcommand_does_its_work(live):
    live(Product, noop())
    for name, expected in [
        ("disable", "INSTALLED   DISABLED"),
        ("enable", "INSTALLED   ENABLED"),
        ("uninstall", "UNINSTALLED N/A"),
        ("install", "INSTALLED   ENABLED"),
    ]:
        output(name, URI)
        assert output("ls", URI).startswith(expected)
    with pgtrigger.registered(URI)[0][1].unregister(Product):
        output("prune")
        assert definitions("shop_product") == {}


def test_another_database_system_has_nothing_installed():
    assert "UNINSTALLED N/A" in output(
        "ls", "contract.CannotDelete:protect_deletes", "-d", "sqlite"
    )


def test_stubs_says_what_it_wrote(tmp_path, capsys):
    call_command("pgtrigger", "stubs", "--output", str(tmp_path))
    assert capsys.readouterr().err == f"pgtrigger: wrote {tmp_path}/pgtrigger/__init__.pyi\n"
    assert (tmp_path / "pgtrigger" / "py.typed").read_text() == "partial\n"


def test_stubs_check_wants_the_types_of_the_installed_plugins(tmp_path):
    with pytest.raises(
        CommandError, match=r"__init__\.pyi is not what the installed plugins offer"
    ):
        output("stubs", "--check", "--output", str(tmp_path))
    assert [*tmp_path.iterdir()] == []
    output("stubs", "--output", str(tmp_path))
    output("stubs", "--check", "--output", str(tmp_path))
    stub = tmp_path / "pgtrigger/__init__.pyi"
    stub.write_text(stub.read_text().replace("Protect as Protect", "Protect as Guard"))
    with pytest.raises(CommandError, match="Run `manage.py pgtrigger stubs --output"):
        output("stubs", "--check", "--output", str(tmp_path))


@pytest.fixture
def logger(monkeypatch):
    """A logger without the handlers that pytest puts on each."""
    logger = logging.Logger("pgtrigger")  # noqa: LOG001  # that is how to get such a one
    fake = SimpleNamespace(**{**vars(logging), "getLogger": lambda name: logger})
    monkeypatch.setattr(command_module, "logging", fake)
    return logger


@pytest.mark.parametrize(("verbosity", "expected"), [(0, 0), (1, 1)])
def test_progress_is_logged_to_people_on_the_command_line(logger, verbosity, expected):
    command = Command()
    command._called_from_command_line = True
    command._log_to_stderr(verbosity)
    assert len(logger.handlers) == expected
    command._log_to_stderr(verbosity)
    assert len(logger.handlers) == expected


def test_progress_of_a_call_in_code_is_left_to_the_projects_logging(logger):
    Command()._log_to_stderr(1)
    assert logger.handlers == []


def test_a_subcommand_says_what_it_does():
    class Half(DatabaseSubcommand):
        name = help = "half"

    with pytest.raises(NotImplementedError):
        Half().handle(Command(), database=None, schemas=None)
    assert "default" in connections
