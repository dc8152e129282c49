"""startplugin: what it writes, and what it refuses before it has written anything.

That the tests of what it writes pass is in tests/packaging.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.core.management import call_command

import project
from pgtrigger.errors import NewPluginError
from pgtrigger.management.subcommands.startplugin import TEMPLATE, write_plugin


def written(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_it_writes_a_package_named_after_the_plugin(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    call_command("pgtrigger", "startplugin", "not_blank")
    folder = tmp_path / "pgtrigger-not-blank"
    assert written(folder) == [
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src/pgtrigger_not_blank/__init__.py",
        "src/pgtrigger_not_blank/plugin.py",
        "src/pgtrigger_not_blank/py.typed",
        "src/pgtrigger_not_blank/triggers.py",
        "tests/sample/__init__.py",
        "tests/sample/models.py",
        "tests/sample/settings.py",
        "tests/test_triggers.py",
    ]
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "pgtrigger-not-blank"
    assert project["entry-points"]["pgtrigger"] == {"not_blank": "pgtrigger_not_blank.plugin"}
    assert "class NotBlank(" in (folder / "src/pgtrigger_not_blank/triggers.py").read_text()
    message, then = capsys.readouterr().err.split("In it, run", 1)
    assert message == "pgtrigger: wrote pgtrigger-not-blank. "
    assert "pytest" in then


def test_all_python_that_it_writes_can_be_compiled(tmp_path):
    for file in write_plugin("a1", tmp_path / "new").rglob("*.py"):
        compile(file.read_text(), file, "exec")


def test_no_place_of_the_template_is_left(tmp_path):
    folder = write_plugin("count", tmp_path / "a" / "b")
    files = [folder / name for name in written(folder)]
    assert len(files) == len([*TEMPLATE.rglob("*-tpl")])
    assert not [file for file in files if "$" in file.read_text().replace(r"\s*$", "")]


def test_an_empty_folder_is_written_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_plugin("count", Path())
    assert (tmp_path / "src/pgtrigger_count").is_dir()


@pytest.mark.parametrize(
    "name", ["", "Count", "1count", "word count", "count-", "_count", "a__b", "../count", "größe"]
)
def test_a_name_that_no_package_can_have_is_refused(name, tmp_path):
    with pytest.raises(NewPluginError, match='cannot be the name of a plugin.*"not-blank"'):
        write_plugin(name, tmp_path / "new")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", ["pgtrigger", "pgtrigger-count", "pgtrigger_count"])
def test_the_prefix_is_not_to_be_said(name, tmp_path):
    with pytest.raises(NewPluginError, match='Leave "pgtrigger" out'):
        write_plugin(name, tmp_path / "new")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("protect", "the package pgtrigger_protect is installed"),
        ("kernel", "the distribution pgtrigger-kernel is installed"),
        ("append-only", 'plugin "protect = .*" .* offers the type AppendOnly'),
        ("trigger", "pgtrigger.Trigger is a name of pgtrigger itself"),
    ],
)
def test_a_name_that_is_taken_is_refused(name, why, tmp_path):
    with pytest.raises(NewPluginError, match=f'The name "{name}" is taken: .*{why}'):
        write_plugin(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_is_there_is_left_alone(tmp_path, there):
    target = tmp_path / "new"
    if there == "folder":
        target.mkdir()
        (target / "mine").touch()
    else:
        target.write_text("mine")
    with pytest.raises(NewPluginError, match="is there already"):
        write_plugin("count", target)
    assert written(tmp_path) == ["new/mine" if there == "folder" else "new"]


def test_a_folder_that_cannot_be_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").touch()
    for target in (tmp_path / ("x" * 300), tmp_path / "file" / "new"):
        with pytest.raises(NewPluginError, match="cannot be written"):
            write_plugin("count", target)
    assert written(tmp_path) == ["file"]


@pytest.mark.parametrize("was_there", [True, False])
def test_nothing_is_left_of_what_was_written_half(tmp_path, monkeypatch, was_there):
    target = tmp_path / "new"
    if was_there:
        target.mkdir()
    write_text, calls = Path.write_text, []

    def no_space(self, *args, **kwargs):
        calls.append(self)
        if len(calls) == 7:
            raise OSError(28, "No space left on device")
        return write_text(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", no_space)
    with pytest.raises(NewPluginError, match="No space left"):
        write_plugin("count", target)
    assert target.exists() is was_there
    assert written(tmp_path) == []


@pytest.mark.slow
def test_on_the_command_line_an_error_is_one_line_and_no_database_is_needed(tmp_path):
    manage = Path(project.__file__).parent / "manage.py"
    settings = {
        "DATABASE_URL": "postgresql://nowhere.invalid/",
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }
    for name, code in (("Count", 1), ("count", 0)):
        result = subprocess.run(
            # Since Django 6.1 the checks of generated fields ask the database.
            [sys.executable, manage, "pgtrigger", "--skip-checks", "startplugin", name, "new"],
            env={**os.environ, **settings},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode, result.stdout) == (code, ""), result.stderr
        assert (tmp_path / "new").exists() is not bool(code)
        if code:
            assert result.stderr.startswith('NewPluginError: "Count" cannot be')
            assert result.stderr.count("\n") == 1
