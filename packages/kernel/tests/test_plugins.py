"""pgtrigger.plugins: entry points become trigger types, and a bad one is named."""

import importlib
import subprocess
import sys
import textwrap
from importlib import metadata
from pathlib import Path

import pytest

import pgtrigger
from pgtrigger import plugins as plugins_module
from pgtrigger.checks import check_triggers
from pgtrigger.errors import PluginError
from pgtrigger.management.commands import pgtrigger as command
from pgtrigger.management.subcommands.stubs import stub_text, write_stubs
from pgtrigger.plugins import Plugins
from shop.database import noop
from shop.models import Product

HEAD = """
    import pgtrigger
    from pgtrigger.hookspecs import hookimpl

    class {name}(pgtrigger.Trigger):
        when = pgtrigger.Before
        operation = pgtrigger.Update

    class Command:
        name = "{command}"
        help = "Does it."

        def add_arguments(self, parser):
            pass

        def handle(self, command, **options):
            command.stdout.write("done")

    @hookimpl
    def pgtrigger_register_trigger_types():
        return [{name}]
"""
SUBCOMMANDS = """
    @hookimpl
    def pgtrigger_register_subcommands():
        return [Command]
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """`plugin(module, source)`: the entry point of a distribution of that name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def make(module, source, name=None):
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        folder = tmp_path / f"dist_{module}-1.2.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text(f"Name: dist-{module}\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text(f"[pgtrigger]\n{name or module} = {module}\n")
        importlib.invalidate_caches()
        made.append(module)
        (point,) = metadata.distribution(f"dist-{module}").entry_points
        return point

    yield make
    for module in made:
        sys.modules.pop(module, None)


def plain(name="Stamp", command="stamp", more=""):
    return textwrap.dedent(HEAD).format(name=name, command=command) + textwrap.dedent(more)


@pytest.fixture
def current(monkeypatch):
    """`current(Plugins)`: makes them the plugins of this process."""

    def install(loaded):
        for module in (plugins_module, pgtrigger, command, "pgtrigger.checks"):
            target = importlib.import_module(module) if isinstance(module, str) else module
            attribute = "_plugins" if target is pgtrigger else "plugins"
            monkeypatch.setattr(target, attribute, lambda: loaded)
        stubs = importlib.import_module("pgtrigger.management.subcommands.stubs")
        monkeypatch.setattr(stubs, "plugins", lambda: loaded)
        return loaded

    return install


def named(caught, *modules):
    """The message names the distribution and the entry point of each."""
    text = str(caught.value)
    return all(f'"{m} = {m}" of dist-{m} 1.2' in text for m in modules)


def test_a_trigger_type_of_a_plugin_appears_in_pgtrigger(plugin, current):
    loaded = current(Plugins([plugin("one", plain())]))
    assert [*loaded.trigger_types] == ["Stamp"]
    assert pgtrigger.Stamp is loaded.trigger_types["Stamp"]
    assert "Stamp" in dir(pgtrigger)
    assert "ignore" in dir(pgtrigger)
    assert loaded.type_origin("Stamp") == 'pgtrigger plugin "one = one" of dist-one 1.2'


def test_a_type_that_nobody_offers_is_an_attribute_error_that_says_what_there_is(plugin, current):
    current(Plugins([plugin("one", plain())]))
    with pytest.raises(AttributeError) as caught:
        pgtrigger.Nothing
    assert "module 'pgtrigger' has no attribute 'Nothing'" in str(caught.value)
    assert 'Stamp (pgtrigger plugin "one = one" of dist-one 1.2)' in str(caught.value)
    assert "pip install" in str(caught.value)
    assert caught.value.name == "Nothing"


def test_without_plugins_the_error_says_so(current):
    current(Plugins([]))
    with pytest.raises(AttributeError, match="nothing, as none is installed"):
        pgtrigger.Nothing


def test_a_private_name_loads_no_plugins(monkeypatch):
    def fail():
        raise AssertionError("loaded")

    monkeypatch.setattr(pgtrigger, "_plugins", fail)
    with pytest.raises(AttributeError, match="'_nothing'"):
        pgtrigger._nothing
    assert not hasattr(pgtrigger, "__wrapped__")


def test_two_plugins_with_one_type_name_are_both_named(plugin):
    points = [plugin("one", plain()), plugin("two", plain())]
    with pytest.raises(PluginError, match='both offer a trigger type "Stamp"') as caught:
        Plugins(points)
    assert named(caught, "one", "two")


def test_two_plugins_may_offer_the_same_class(plugin):
    one = plugin("one", plain())
    two = plugin(
        "two",
        """
        from one import Stamp
        from pgtrigger.hookspecs import hookimpl

        @hookimpl
        def pgtrigger_register_trigger_types():
            return [Stamp]
        """,
    )
    assert [*Plugins([one, two]).trigger_types] == ["Stamp"]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import nothing_like_this", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named(plugin, source, error):
    with pytest.raises(PluginError, match=error) as caught:
        Plugins([plugin("broken", source)])
    assert named(caught, "broken")
    assert "uninstall that distribution" in str(caught.value)
    assert caught.value.__cause__ is not None


HOOKIMPL = "from pgtrigger.hookspecs import hookimpl\n@hookimpl\n"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("def pgtrigger_register_trigger_types(model): return []", "model"),
        ("def pgtrigger_check(model, trigger, colour): return []", "colour"),
        ("def pgtrigger_register_trigger_type(): return []", "pgtrigger_register_trigger_type"),
    ],
)
def test_a_hook_of_another_name_or_signature_is_named(plugin, source, what):
    with pytest.raises(PluginError, match="does not fit the hooks of pgtrigger") as caught:
        Plugins([plugin("wrong", HOOKIMPL + source)])
    assert named(caught, "wrong")
    assert what in str(caught.value)
    assert "pgtrigger.hookspecs" in str(caught.value)


def test_an_optional_hook_of_another_version_is_fine(plugin):
    source = HOOKIMPL.replace("@hookimpl", "@hookimpl(optionalhook=True)")
    assert Plugins([plugin("newer", source + "def pgtrigger_later(): pass")]).trigger_types == {}


@pytest.mark.parametrize("offered", ["object", "Stamp(name='a', func='x')", "'Stamp'", "None"])
def test_what_is_no_trigger_type_is_refused(plugin, offered):
    source = plain().replace("return [Stamp]", f"return [{offered}]")
    with pytest.raises(PluginError, match=r"must be a subclass of pgtrigger\.Trigger") as caught:
        Plugins([plugin("odd", source)])
    assert named(caught, "odd")


def test_a_hook_that_fails_is_named(plugin):
    source = plain().replace("return [Stamp]", "raise OSError('no disk')")
    with pytest.raises(PluginError, match="fails in pgtrigger_register_trigger_types") as caught:
        Plugins([plugin("fails", source)])
    assert named(caught, "fails")
    assert "OSError: no disk" in str(caught.value)


def test_a_hook_may_return_nothing(plugin):
    source = plain().replace("return [Stamp]", "return None")
    assert Plugins([plugin("empty", source)]).trigger_types == {}


def test_a_distribution_that_is_found_twice_counts_once(plugin):
    point = plugin("one", plain())
    assert [*Plugins([point, point]).trigger_types] == ["Stamp"]


def test_one_module_under_two_names_is_refused(plugin):
    one, two = plugin("one", plain()), metadata.EntryPoint("another", "one", "pgtrigger")
    with pytest.raises(PluginError, match="another = one|one = one"):
        Plugins([one, two])


def test_an_entry_point_without_a_distribution_is_named_as_such():
    with pytest.raises(PluginError, match='"x = not_there" of no distribution'):
        Plugins([metadata.EntryPoint("x", "not_there", "pgtrigger")])


# --- Subcommands ------------------------------------------------------------------------------


def test_a_subcommand_of_a_plugin_runs(plugin, current, capsys):
    from django.core.management import call_command

    current(Plugins([plugin("one", plain(more=SUBCOMMANDS))]))
    call_command("pgtrigger", "stamp")
    assert capsys.readouterr().out == "done\n"


def test_two_plugins_with_one_subcommand_are_both_named(plugin):
    points = [
        plugin("one", plain("A", more=SUBCOMMANDS)),
        plugin("two", plain("B", more=SUBCOMMANDS)),
    ]
    with pytest.raises(PluginError, match='both add the subcommand "stamp"') as caught:
        Plugins(points).subcommands()
    assert named(caught, "one", "two")


def test_a_subcommand_of_the_kernels_is_named_with_its_plugin(plugin, current):
    current(Plugins([plugin("one", plain(command="ls", more=SUBCOMMANDS))]))
    with pytest.raises(PluginError, match='adds the subcommand "ls", which is one of') as caught:
        command.subcommands()
    assert named(caught, "one")


@pytest.mark.parametrize("offered", ["Stamp", "object", "None", "type('X', (), {'name': 'x'})"])
def test_what_is_no_subcommand_is_refused(plugin, offered):
    source = plain(more=SUBCOMMANDS).replace("return [Command]", f"return [{offered}]")
    with pytest.raises(PluginError, match="class with name, help, add_arguments and handle") as e:
        Plugins([plugin("odd", source)]).subcommands()
    assert named(e, "odd")


# --- Checks -----------------------------------------------------------------------------------


CHECK = """
    from django.core.checks import Warning

    @hookimpl
    def pgtrigger_check(trigger):
        if trigger.name == "noop":
            yield Warning("odd name", id="dist.W001")
"""


def test_a_check_of_a_plugin_is_asked_about_each_trigger(plugin, current, declared):
    current(Plugins([plugin("one", plain(more=CHECK))]))
    declared(Product, noop())
    assert [m.id for m in check_triggers(None) if m.id.startswith("dist.")] == ["dist.W001"]


# --- Stubs ------------------------------------------------------------------------------------


def test_a_stub_has_the_kernels_names_and_the_types_of_plugins(plugin, current):
    current(Plugins([plugin("one", plain())]))
    lines = stub_text().splitlines()
    assert "from one import Stamp as Stamp" in lines
    assert "from pgtrigger.trigger import Trigger as Trigger" in lines
    names = {line.rpartition(" as ")[2] for line in lines if line.startswith("from")}
    assert {n for n in vars(pgtrigger) if n[0].isupper()} - {"Any"} <= names


def test_mypy_knows_the_types_of_plugins_by_their_stub(plugin, current, tmp_path):
    pytest.importorskip("mypy", reason="a tool of development")
    current(Plugins([plugin("one", plain())]))
    written = write_stubs(tmp_path / "typings")
    assert written == tmp_path / "typings" / "pgtrigger" / "__init__.pyi"
    (tmp_path / "py.typed").touch()
    (tmp_path / "used.py").write_text(
        "import pgtrigger\n"
        "reveal_type(pgtrigger.Stamp(name='a'))\n"
        "reveal_type(pgtrigger.Update)\n"
        "pgtrigger.Nothing\n"
    )
    # Without Django's types, which take long to read and say nothing here.
    kernel = Path(pgtrigger.__file__).parent
    mypy = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--cache-dir=cache"]
    result = subprocess.run(
        [*mypy, "--no-site-packages", "--ignore-missing-imports", "used.py"],
        cwd=tmp_path,
        env={"MYPYPATH": f"typings:{kernel.parent}", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Revealed type is "one.Stamp"' in result.stdout, result.stdout + result.stderr
    assert 'Revealed type is "pgtrigger.clauses.Operation"' in result.stdout
    assert 'Module has no attribute "Nothing"' in result.stdout
    assert result.stdout.count("error:") == 1


def test_the_version_of_a_kernel_that_is_not_installed_is_said_to_be_so(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    assert plugins_module.metadata_version()[0].isdigit()
    monkeypatch.setattr(plugins_module.metadata, "version", absent)
    assert plugins_module.metadata_version() == "(not installed)"


def test_the_plugins_of_a_process_are_loaded_once():
    assert plugins_module.plugins() is plugins_module.plugins()
