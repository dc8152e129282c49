"""Mark rows as deleted instead of deleting them."""

from pgtrigger_softdelete.constraints import unique_among_live as unique_among_live
from pgtrigger_softdelete.fields import DeletedWithField as DeletedWithField
from pgtrigger_softdelete.managers import SoftDeleteManager as SoftDeleteManager
from pgtrigger_softdelete.managers import SoftDeleteMixin as SoftDeleteMixin
from pgtrigger_softdelete.managers import SoftDeleteQuerySet as SoftDeleteQuerySet
from pgtrigger_softdelete.triggers import SoftDelete as SoftDelete
