"""Postgres triggers as a first-class part of Django.

Besides the names below, every trigger type that an installed plugin offers is an attribute of this
module, such as ``pgtrigger.<TypeName>``; see ``pgtrigger.plugins``.
"""

from typing import Any

from django.core.checks import Tags as _Tags
from django.core.checks import register as _register_check

from pgtrigger.checks.absence import check_installed as _check_installed
from pgtrigger.clauses import After as After
from pgtrigger.clauses import Always as Always
from pgtrigger.clauses import Before as Before
from pgtrigger.clauses import Deferred as Deferred
from pgtrigger.clauses import Delete as Delete
from pgtrigger.clauses import Firing as Firing
from pgtrigger.clauses import Immediate as Immediate
from pgtrigger.clauses import Insert as Insert
from pgtrigger.clauses import InsteadOf as InsteadOf
from pgtrigger.clauses import Level as Level
from pgtrigger.clauses import Operation as Operation
from pgtrigger.clauses import Operations as Operations
from pgtrigger.clauses import Origin as Origin
from pgtrigger.clauses import Referencing as Referencing
from pgtrigger.clauses import Replica as Replica
from pgtrigger.clauses import Row as Row
from pgtrigger.clauses import Statement as Statement
from pgtrigger.clauses import Timing as Timing
from pgtrigger.clauses import Truncate as Truncate
from pgtrigger.clauses import Update as Update
from pgtrigger.clauses import UpdateOf as UpdateOf
from pgtrigger.clauses import When as When
from pgtrigger.composer import Composer as Composer
from pgtrigger.conditions import AllChange as AllChange
from pgtrigger.conditions import AllDontChange as AllDontChange
from pgtrigger.conditions import AnyChange as AnyChange
from pgtrigger.conditions import AnyDontChange as AnyDontChange
from pgtrigger.conditions import Condition as Condition
from pgtrigger.declaration import ComposerArguments as ComposerArguments
from pgtrigger.declaration import TriggerArguments as TriggerArguments
from pgtrigger.errors import DeclarationError as DeclarationError
from pgtrigger.errors import FieldLookupError as FieldLookupError
from pgtrigger.errors import InstallationError as InstallationError
from pgtrigger.errors import PgTriggerError as PgTriggerError
from pgtrigger.errors import PluginError as PluginError
from pgtrigger.functions import Func as Func
from pgtrigger.functions import raise_violation as raise_violation
from pgtrigger.hookspecs import Subcommand as Subcommand
from pgtrigger.hookspecs import hookimpl as hookimpl
from pgtrigger.installation import disable as disable
from pgtrigger.installation import enable as enable
from pgtrigger.installation import install as install
from pgtrigger.installation import prunable as prunable
from pgtrigger.installation import prune as prune
from pgtrigger.installation import uninstall as uninstall
from pgtrigger.lifecycle import SingleTrigger as _SingleTrigger
from pgtrigger.lookups import F as F
from pgtrigger.lookups import IsDistinctFrom as IsDistinctFrom
from pgtrigger.lookups import IsNotDistinctFrom as IsNotDistinctFrom
from pgtrigger.lookups import Q as Q
from pgtrigger.meta import allow_declaration as _allow_declaration
from pgtrigger.plugins import plugins as _plugins
from pgtrigger.registry import register as register
from pgtrigger.registry import registered as registered
from pgtrigger.runtime import aconstraints as aconstraints
from pgtrigger.runtime import constraints as constraints
from pgtrigger.runtime import ignore as ignore
from pgtrigger.runtime import is_ignored as is_ignored
from pgtrigger.runtime import schema as schema
from pgtrigger.trigger import Trigger as Trigger
from pgtrigger.violations import Violation as Violation
from pgtrigger.violations import ViolationError as ViolationError
from pgtrigger.violations import violation as violation
from pgtrigger.violations import (
    violations_as_validation_errors as violations_as_validation_errors,
)

Trigger.lifecycle = _SingleTrigger()

# A project that uses pgtrigger without its app is told so by a check, not by "invalid attribute".
_allow_declaration()
_register_check(_check_installed, _Tags.models)


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'pgtrigger' has no attribute {name!r}")
    loaded = _plugins()
    try:
        return loaded.trigger_types[name]
    except KeyError:
        raise AttributeError(loaded.missing_type(name), name=name) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *_plugins().trigger_types})
