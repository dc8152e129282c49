"""``manage.py pgtrigger startplugin``."""

from __future__ import annotations

import re
import shutil
from argparse import ArgumentParser
from importlib import metadata, util
from pathlib import Path
from string import Template
from typing import Any, ClassVar, Final

from django.core.management.base import BaseCommand

from pgtrigger.errors import NewPluginError
from pgtrigger.management.subcommands.stubs import public_names
from pgtrigger.plugins import plugins

TEMPLATE: Final = Path(__file__).parent.parent / "plugin_template"
SUFFIX: Final = "-tpl"  # so that nobody takes a template for a module

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


class StartPlugin:
    """Write a package with a trigger type, whose tests pass as written."""

    name: ClassVar[str] = "startplugin"
    help: ClassVar[str] = "Write a package with a trigger type of your own, to begin with."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "name",
            metavar="NAME",
            help='Such as "not-blank": the package is then pgtrigger-not-blank, imported as '
            "pgtrigger_not_blank, with the type NotBlank.",
        )
        parser.add_argument(
            "directory",
            nargs="?",
            type=Path,
            help="Where to write it: a new or an empty folder; ./pgtrigger-NAME by default.",
        )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        written = write_plugin(options["name"], options["directory"])
        command.stderr.write(
            f"pgtrigger: wrote {written}. In it, run\n"
            f'    python -m pip install -e ".[dev]" && python -m pytest\n'
            f"and then make the type your own."
        )


def write_plugin(name: str, directory: Path | None = None) -> Path:
    """Write a package with a trigger type, its tests and its metadata.

    Args:
        name: lower-case words with ``-`` or ``_`` between them, such as ``"not-blank"``.
        directory: a folder that is empty or does not exist; ``pgtrigger-<name>`` by default.

    Returns:
        The folder.

    Raises:
        NewPluginError: the name is not fit for it or is taken, or the folder cannot be written.
            Nothing has been written then.

    Example::

        write_plugin("not-blank", Path("/home/me/pgtrigger-not-blank"))
    """
    values = _values(name)
    files = {
        _path(source.relative_to(TEMPLATE), values): _text(source, values)
        for source in sorted(TEMPLATE.rglob(f"*{SUFFIX}"))
    }
    target = Path(directory or values["distribution"])
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise NewPluginError(
                f'"{target}" is there already and is not an empty folder; name another one: '
                f"startplugin {name} DIRECTORY."
            )
        _write(files, target)
    except OSError as error:
        raise NewPluginError(f'"{target}" cannot be written: {error}.') from error
    return target


def _values(name: str) -> dict[str, str]:
    """What stands for the places of the template."""
    if not _NAME.fullmatch(name):
        raise NewPluginError(
            f'"{name}" cannot be the name of a plugin: it is lower-case letters and digits, in '
            f'words with "-" or "_" between them, such as "not-blank".'
        )
    words = re.split("[-_]", name)
    if words[0] == "pgtrigger":
        raise NewPluginError(
            f'Leave "{words[0]}" out of the name "{name}": the package gets that prefix by itself.'
        )
    values = {
        "name": "_".join(words),
        "package": "_".join(["pgtrigger", *words]),
        "distribution": "-".join(["pgtrigger", *words]),
        "type": "".join(word.capitalize() for word in words),
        "kernel": metadata.version("pgtrigger-kernel"),
    }
    if util.find_spec(values["package"]) is not None:
        taken = f"the package {values['package']} is installed"
    elif any(metadata.distributions(name=values["distribution"])):
        taken = f"the distribution {values['distribution']} is installed"
    elif values["type"] in plugins().trigger_types:
        taken = f"{plugins().type_origin(values['type'])} offers the type {values['type']}"
    elif values["type"] in public_names():
        taken = f"pgtrigger.{values['type']} is a name of pgtrigger itself"
    else:
        return values
    raise NewPluginError(f'The name "{name}" is taken: {taken}. Choose another one.')


def _path(path: Path, values: dict[str, str]) -> Path:
    names = [values["package"] if part == "package" else part for part in path.parts]
    names[-1] = names[-1].removesuffix(SUFFIX)
    # Not under its name in the template: it would keep the template itself out of the wheel.
    return Path(*names[:-1], ".gitignore" if names[-1] == "gitignore" else names[-1])


def _text(source: Path, values: dict[str, str]) -> str:
    return Template(source.read_text(encoding="utf-8")).substitute(values)


def _write(files: dict[Path, str], target: Path) -> None:
    """Write all files, or none."""
    was_there = target.exists()
    try:
        for path, text in files.items():
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except BaseException:  # raised again
        shutil.rmtree(target, ignore_errors=True)
        if was_there:
            target.mkdir()
        raise
