"""The subcommands of ``manage.py pgtrigger`` that the kernel brings, one in a module."""

from pgtrigger.hookspecs import Subcommand
from pgtrigger.management.subcommands.check import Check
from pgtrigger.management.subcommands.diff import Diff
from pgtrigger.management.subcommands.disable import Disable
from pgtrigger.management.subcommands.enable import Enable
from pgtrigger.management.subcommands.explain import Explain
from pgtrigger.management.subcommands.inspect import Inspect
from pgtrigger.management.subcommands.install import Install
from pgtrigger.management.subcommands.lint import Lint
from pgtrigger.management.subcommands.ls import Ls
from pgtrigger.management.subcommands.prune import Prune
from pgtrigger.management.subcommands.sql import Sql
from pgtrigger.management.subcommands.startplugin import StartPlugin
from pgtrigger.management.subcommands.stats import Stats
from pgtrigger.management.subcommands.stubs import Stubs
from pgtrigger.management.subcommands.uninstall import Uninstall

_KINDS: list[type[Subcommand]] = [
    Ls,
    Check,
    Install,
    Uninstall,
    Enable,
    Disable,
    Prune,
    Sql,
    Diff,
    Explain,
    Stats,
    Lint,
    Inspect,
    Stubs,
    StartPlugin,
]

SUBCOMMANDS = {kind.name: kind for kind in _KINDS}
