"""How triggers travel in migrations: the operations that migration files use.

Django takes this package for the migrations of an app, so its modules have names that Django skips.
"""

from pgtrigger.migrations._bulk import AddTriggers as AddTriggers
from pgtrigger.migrations._extending import extend as extend
from pgtrigger.migrations._operations import AddTrigger as AddTrigger
from pgtrigger.migrations._operations import AlterTrigger as AlterTrigger
from pgtrigger.migrations._operations import RemoveTrigger as RemoveTrigger

for _operation in (AddTrigger, AddTriggers, AlterTrigger, RemoveTrigger):
    _operation.__module__ = __name__  # what Django's migration writer spells
