"""What projects and migration files written for django-pgtrigger 4.x import, under those names.

``pgtrigger.core`` offers the same. Nothing of ours imports either.
"""

from pgtrigger.catalog import INSTALLED as INSTALLED
from pgtrigger.catalog import OUTDATED as OUTDATED
from pgtrigger.catalog import PRUNE as PRUNE
from pgtrigger.catalog import UNALLOWED as UNALLOWED
from pgtrigger.catalog import UNINSTALLED as UNINSTALLED
from pgtrigger.clauses import After as After
from pgtrigger.clauses import Before as Before
from pgtrigger.clauses import Deferred as Deferred
from pgtrigger.clauses import Delete as Delete
from pgtrigger.clauses import Immediate as Immediate
from pgtrigger.clauses import Insert as Insert
from pgtrigger.clauses import InsteadOf as InsteadOf
from pgtrigger.clauses import Level as Level
from pgtrigger.clauses import Operation as Operation
from pgtrigger.clauses import Operations as Operations
from pgtrigger.clauses import Referencing as Referencing
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
from pgtrigger.conditions import Change as Change
from pgtrigger.conditions import Condition as Condition
from pgtrigger.declaration import MAX_NAME_LENGTH as MAX_NAME_LENGTH
from pgtrigger.functions import Func as Func
from pgtrigger.lookups import F as F
from pgtrigger.lookups import IsDistinctFrom as IsDistinctFrom
from pgtrigger.lookups import IsNotDistinctFrom as IsNotDistinctFrom
from pgtrigger.lookups import Q as Q
from pgtrigger.trigger import Trigger as Trigger

_Change = Change

__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]  # whatever is imported above
    name for name in dir() if name == "_Change" or not name.startswith("_")
]
