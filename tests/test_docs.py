"""What the pages say is true: their code runs, their commands exist, and they leave nothing out.

A page is run from top to bottom, in a transaction that is rolled back. All its Python blocks share
the module ``store.models`` of an installed app, whose tables are made as soon as a block uses them.
A page that says ``<!-- commits -->`` is run without that transaction, and tidied up afterwards.

- ``statement  # raises Error: text`` must raise this error with this text; the page goes on.
- A block whose first line is a comment with a path in a package other than ``store``, such as
  ``# pgtrigger_stamp/plugin.py``, becomes that module.
- A model that is declared once more keeps its table and its rows: new columns are added, and its
  triggers are installed, as ``migrate`` would.
- Functions named ``test_…`` are called.
- Of console blocks, ``manage.py pgtrigger …`` runs. So do other commands of ``manage.py`` and the
  programs of Postgres: in a project of the page's own, which has the models that the page has
  declared so far, in processes of their own on a database of their own (`documented.site`). The
  lines of a ``text`` block right after the console block must be among what its commands write.
  What cannot be run stands in `NOT_RUN`, with the reason.
- ``<!-- setup:`` … ``-->`` holds Python that runs and is not shown.
- ``<!-- not run: reason -->`` before a block says why it is not run.
"""

import ast
import functools
import io
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import pytest
from django.apps import apps
from django.core.management import call_command, get_commands
from django.db import connection, transaction

import pgtrigger
from databases.place import new_database
from documented.site import PROGRAMS, Site, models_of, reason_not_to_run
from pgtrigger import conf, errors, hookspecs
from pgtrigger.management.commands.pgtrigger import Command, subcommands
from pgtrigger.plugins import plugins

ROOT = Path(__file__).parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("packages/*/README.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]

STEP = re.compile(
    r"^(?P<marker><!-- not run: (?P<reason>.*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```$"
    r"|^<!-- setup:\n(?P<setup>.*?)^-->$",
    re.DOTALL | re.MULTILINE,
)
RAISES = re.compile(r"#\s*raises (?P<error>\w+)(?:: (?P<text>.*))?$")
MODULE = re.compile(r"# (?P<path>(?!store/)\w+(?:/\w+)+\.py)\n")
DECLARES = (ast.ClassDef, ast.FunctionDef, ast.Import, ast.ImportFrom)
LANGUAGES = {"python", "console", "text", "toml", "sql", "ini", "jinja"}


@dataclass(frozen=True)
class Step:
    """A block of a page."""

    language: str
    code: str
    line: int
    reason: str | None = None


def steps_of(page: Path) -> Iterator[Step]:
    text = page.read_text()
    for found in STEP.finditer(text):
        group = "code" if found["setup"] is None else "setup"
        indent = found["indent"] or ""
        code = "".join(line.removeprefix(indent) for line in found[group].splitlines(keepends=True))
        yield Step(
            language=found["language"] if group == "code" else "python",
            code=code,
            line=text.count("\n", 0, found.start(group)),
            reason=found["reason"] if found["marker"] else None,
        )


def by_path(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --- Running a page --------------------------------------------------------------------------


@contextmanager
def refused(name: str, text: str) -> Iterator[None]:
    keeps_the_rest = transaction.atomic() if connection.in_atomic_block else nullcontext()
    with pytest.raises(Exception) as info, keeps_the_rest:  # noqa: PT011  # compared below
        yield
    assert text in str(info.value)
    assert name in [kind.__name__ for kind in type(info.value).__mro__]


class Refusals(ast.NodeTransformer):
    """Puts each statement with a comment ``# raises …`` into a block that expects the error."""

    def __init__(self, code: str) -> None:
        self.lines = code.splitlines()

    def visit_Expr(self, node: ast.stmt) -> ast.stmt:
        assert node.end_lineno is not None
        expected = RAISES.search(self.lines[node.end_lineno - 1])
        if expected is None:
            return node
        texts = [ast.Constant(expected["error"]), ast.Constant(expected["text"] or "")]
        call = ast.Call(ast.Name("__refused__", ast.Load()), texts, [])
        return ast.copy_location(ast.With([ast.withitem(call)], [node]), node)

    visit_Assign = visit_Expr  # noqa: N815  # ast's name


class Reader:
    """Does what a page says, one block after the other."""

    def __init__(
        self, page: Path, module: ModuleType, folder: Path, site: Callable[[], Site]
    ) -> None:
        self.page, self.module, self.folder, self.site = page, module, folder, site
        self.said: list[ast.stmt] = []
        vars(module)["__refused__"] = refused
        self.created: list[type] = []
        self.retired: dict[str, type] = {}
        self.written = ""

    def follow(self, step: Step) -> None:
        written, self.written = self.written, ""
        if step.reason is not None:
            assert step.reason.strip(), f"{self.page}:{step.line}: not run, for no reason"
        elif step.language == "python" and (found := MODULE.match(step.code)):
            path = self.folder / found["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(step.code)
        elif step.language == "python":
            self.run(step)
        elif step.language == "console":
            self.written = "".join(map(self.command, commands_of(step.code)))
        elif step.language == "text" and written:
            missing = set(step.code.splitlines()) - {line.rstrip() for line in written.splitlines()}
            assert not missing, f"{self.page}:{step.line}: was not written, but:\n{written}"
        elif step.language == "toml":
            tomllib.loads(step.code)

    def run(self, step: Step) -> None:
        self.said += ast.parse(step.code).body
        for node in Refusals(step.code).visit(ast.parse(step.code)).body:
            if isinstance(node, ast.ClassDef):
                self.retire(node.name)
            if not isinstance(node, DECLARES):
                self.create_tables()
            code = ast.increment_lineno(ast.Module([node], []), step.line)
            exec(compile(ast.fix_missing_locations(code), self.page, "exec"), vars(self.module))
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                self.create_tables()
                with transaction.atomic():
                    vars(self.module)[node.name]()
        self.create_tables()

    def retire(self, name: str) -> None:
        """Make room for a model that the page declares once more."""
        for model in self.created:
            if model.__name__ == name and model is apps.all_models["store"].get(name.lower()):
                for trigger in list(getattr(model._meta, "triggers", None) or ()):
                    trigger.uninstall(model)
                    trigger.unregister(model)
                self.retired[name] = apps.all_models["store"].pop(name.lower())
                apps.clear_cache()

    def create_tables(self) -> None:
        new = [m for m in apps.get_app_config("store").get_models() if m not in self.created]
        if not new:
            return
        connection.check_constraints()  # a table with events still to come cannot be referred to
        # Triggers that models declare are registered when Django starts; these came later.
        for model in new:
            self.created.append(model)
            for trigger in getattr(model._meta, "triggers", None) or ():
                trigger.register(model)
        with connection.schema_editor() as editor:
            for model in new:
                if old := self.retired.get(model.__name__):
                    known = {field.column for field in old._meta.local_concrete_fields}
                    for field in model._meta.local_concrete_fields:
                        if field.column not in known:
                            editor.add_field(model, field)
                elif model._meta.managed and not model._meta.proxy:
                    editor.create_model(model)
        for model in new:
            old = self.retired.pop(model.__name__, None)
            for trigger in getattr(model._meta, "triggers", None) or ():
                if model._meta.proxy or old:
                    trigger.install(model)

    def forget(self) -> None:
        if not connection.in_atomic_block:
            self.drop_tables()
        for model in self.created:
            for trigger in list(getattr(model._meta, "triggers", None) or ()):
                trigger.unregister(model)

    def drop_tables(self) -> None:
        with connection.schema_editor() as editor:
            for model in self.created[::-1]:
                if model._meta.proxy:
                    for trigger in getattr(model._meta, "triggers", None) or ():
                        trigger.uninstall(model)
                elif model._meta.managed:
                    editor.delete_model(model)

    def command(self, words: list[str]) -> str:
        """Run a command, or look at one that cannot be run."""
        if words[0] == "python":
            words = words[1:]
        match words:
            case ["manage.py", "pgtrigger", *arguments]:
                Command().create_parser("manage.py", "pgtrigger").parse_args(arguments)
                out = io.StringIO()
                call_command("pgtrigger", *arguments, stdout=out, stderr=io.StringIO())
                return out.getvalue()
            case ["manage.py", name, *_]:
                assert name in get_commands()
                if reason_not_to_run(words) is None:
                    return self.site().manage(models_of(self.said, self.module), words[1:])
            case [program, *arguments] if program in PROGRAMS:
                return self.site().program(program, arguments)
            case _:
                assert reason_not_to_run(words), f"{self.page}: {shlex.join(words)} is not run"
        if words[:2] == ["hatch", "run"]:
            assert is_script(words[2]), f"hatch.toml has no script {words[2]}"
        for name in re.findall(r"\bpgtrigger-(\w+)", shlex.join(words)):
            assert (ROOT / "packages" / name).is_dir(), name
        return ""


def commands_of(code: str) -> Iterator[list[str]]:
    for line in code.splitlines():
        for command in line.split("&&"):
            if words := shlex.split(command, comments=True):
                yield words


HATCH = tomllib.loads((ROOT / "hatch.toml").read_text())["envs"]


def is_script(name: str) -> bool:
    """Whether `hatch run NAME` has something to run: a script, or a program of an environment."""
    environment, _, script = name.rpartition(":")
    known = HATCH[environment or "default"]
    programs = [re.split(r"[\[>=]", text)[0] for text in known["dependencies"]]
    return script in {"python", *known["scripts"], *programs}


@pytest.fixture
def site(request, tmp_path) -> Iterator[Callable[[], Site]]:
    """Makes the page's project, for the few pages that have use for it."""
    with ExitStack() as stack:

        @functools.cache
        def site() -> Site:
            server = request.getfixturevalue("server")
            database = stack.enter_context(new_database(server))
            return Site(tmp_path / "site", database.url, embedded=bool(server.directory))

        yield site


@pytest.fixture
def reader(request, site, settings, tmp_path, monkeypatch) -> Iterator[Reader]:
    """Reads a page in an app "store" that is installed while it does."""
    if request.param.match("packages/*/README.md"):
        try:
            version(f"pgtrigger-{request.param.parent.name}")
        except PackageNotFoundError as error:
            pytest.skip(f"{error.name} is not installed in this environment")
    (tmp_path / "store").mkdir()
    (tmp_path / "store/__init__.py").touch()
    (tmp_path / "store/models.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(request.param.parent / "src")  # a package's README
    loaded = {*sys.modules}
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "store"]
    reader = Reader(request.param, import_module("store.models"), tmp_path, site)
    try:
        yield reader
    finally:
        reader.forget()
        apps.all_models["store"].clear()
        apps.clear_cache()
        for name in {*sys.modules} - loaded:
            if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def marked(page: Path):
    commits = "<!-- commits -->\n" in page.read_text()
    mark = pytest.mark.django_db(transaction=commits, databases="__all__")
    return pytest.param(page, id=by_path(page), marks=mark)


@pytest.mark.parametrize("reader", [marked(page) for page in PAGES], indirect=True)
def test_what_a_page_shows_works(reader):
    for step in steps_of(reader.page):
        reader.follow(step)


# --- What a page consists of -----------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=by_path)
class TestPage:
    def test_every_block_has_a_language_that_is_checked(self, page):
        fences = re.findall(r"^ *```", page.read_text(), re.MULTILINE)
        blocks = re.findall(
            r"^ *```(\w*)[^\n]*\n.*?^ *```$", page.read_text(), re.MULTILINE | re.DOTALL
        )
        assert len(fences) == 2 * len(blocks)
        assert set(blocks) <= LANGUAGES | ({""} if "packages" in page.parts else set())

    def test_its_links_lead_to_files_and_headings(self, page):
        prose = re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text())
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if target.startswith(("https://", "http://")):
                continue
            path, _, anchor = target.partition("#")
            there = page.parent / path if path else page
            assert there.exists(), target
            assert not anchor or anchor in anchors_of(there), target


def anchors_of(page: Path) -> set[str]:
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {
        re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())
        for heading in headings
    }
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


# --- What the pages must not leave out -------------------------------------------------------


def text_of(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_the_readme_begins_with_the_two_commands():
    first = next(steps_of(ROOT / "README.md"))
    assert first.code == (
        "python3 -m pip install hatch && hatch run demo      # main job on real data\n"
        "python3 -m pip install hatch && hatch run test      # the whole test suite\n"
    )


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    missing = [
        name
        for name in (str(p.relative_to(ROOT / "docs")) for p in ROOT.glob("docs/**/*.md"))
        if f" {name}\n" not in navigation
    ]
    assert not missing


def test_the_architecture_page_draws_the_modules_in_the_order_of_their_imports():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    drawn = re.findall(r"^(\w+)(?:\.py|/) ", text_of("architecture.md"), re.MULTILINE)
    assert drawn == layers[::-1]


def test_every_hook_has_its_section():
    for name in vars(hookspecs):
        assert not name.startswith("pgtrigger_") or f"`{name}`" in text_of("plugins.md")


def test_every_trigger_type_is_in_the_tables():
    for name in plugins().trigger_types:
        assert f"`{name}`" in text_of("plugins.md")
        assert f"`{name}`" in (ROOT / "README.md").read_text()


def test_every_setting_has_its_section():
    for name in re.findall(r"PGTRIGGER_\w+", Path(conf.__file__).read_text()):
        assert f"`{name}`" in text_of("settings.md")


def test_every_error_is_in_the_tree():
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and kind.__module__ == errors.__name__:
            assert name in text_of("errors.md")


def test_every_check_has_its_section():
    sources = ROOT.glob("packages/*/src/**/*.py")
    ids = {
        number
        for source in sources
        for number in re.findall(r'"(pgtrigger\w*\.[EW]\d{3})"', source.read_text())
    }
    ids |= {f"pgtrigger.{n}" for n in ("E001", "E002", "E003", "W001")}
    for number in ids:
        assert f"## {number}\n" in text_of("checks.md")


def test_every_subcommand_has_its_section():
    for name in subcommands():
        assert f"## {name}\n" in text_of("commands.md")


def test_every_public_name_has_its_place_in_the_reference():
    names = re.findall(r"import \w+ as ([A-Za-z]\w*)", Path(pgtrigger.__file__).read_text())
    shown = set(re.findall(r"::: pgtrigger\.(?:\w+\.)*(\w+)", text_of("api.md")))
    assert {*names} - shown - {"Subcommand", "hookimpl"} == set()


def test_every_script_of_hatch_is_in_the_contributing_page():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name in HATCH["default"]["scripts"]:
        assert f"hatch run {name}" in text
