"""Every error that pgtrigger raises on its own account.

::

    PgTriggerError
    ├── DeclarationError (ValueError)         a trigger, clause or condition that cannot work
    │   └── FieldLookupError (FieldDoesNotExist)  a field name that the model does not have
    ├── TriggerUriError (ValueError)          a URI that is not "app_label.Model:name"
    ├── TriggerNotFoundError (KeyError)       a URI that nobody registered
    ├── DuplicateTriggerError (KeyError)      a name or Postgres id that is taken on this table
    ├── NotDeferrableError (ValueError)       constraints() on a trigger without timing
    ├── NotInTransactionError (RuntimeError)  constraints() outside a transaction
    ├── DatabaseNotSupportedError (ValueError)  a database alias that is not PostgreSQL
    ├── InstallationError (DatabaseError)     Postgres refused a trigger; nothing was changed
    ├── NewPluginError (ValueError)           no package of this name, or there, can be written
    ├── FunctionSyntaxError (ValueError)      the text of a function that is no plpgsql
    ├── TableNotFoundError (LookupError)      a table that the database does not have
    ├── PluginError (ImportError)             a plugin that cannot be used; names the distribution
    ├── CallCountError (RuntimeError)         calls of triggers that pgtrigger.testing cannot count
    └── NoServerError (RuntimeError)          pgtrigger.testing finds no PostgreSQL to run

Each class also is the built-in (or Django) exception that a caller would expect, so code that was
written against django-pgtrigger's plain ``ValueError`` and ``KeyError`` goes on working. What a
*trigger* raises inside the database is not here: that reaches Python as
``django.db.IntegrityError``; :func:`pgtrigger.violation` reads it.
"""

from __future__ import annotations

from django.core.exceptions import FieldDoesNotExist
from django.db.utils import DatabaseError


def sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE of an error of Django's, by whichever driver raised what is behind it."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


class PgTriggerError(Exception):
    """Base of all errors of this package."""

    def __str__(self) -> str:
        # KeyError would show the repr of its argument.
        return str(self.args[0]) if len(self.args) == 1 else super().__str__()


class DeclarationError(PgTriggerError, ValueError):
    """A trigger, clause or condition that no database could accept as it is declared."""


class FieldLookupError(DeclarationError, FieldDoesNotExist):
    """A declaration names a field that its model does not have."""


class TriggerUriError(PgTriggerError, ValueError):
    """A URI is not in the format ``app_label.Model:trigger_name``."""


class TriggerNotFoundError(PgTriggerError, KeyError):
    """No registered trigger has this URI."""


class DuplicateTriggerError(PgTriggerError, KeyError):
    """Another trigger of the same table has the same name or the same Postgres identifier."""


class NotDeferrableError(PgTriggerError, ValueError):
    """The trigger has no ``timing``, so ``SET CONSTRAINTS`` cannot apply to it."""


class NotInTransactionError(PgTriggerError, RuntimeError):
    """The call has an effect only within a transaction, and none is open."""


class DatabaseNotSupportedError(PgTriggerError, ValueError):
    """The named database alias is not a PostgreSQL database."""


class InstallationError(PgTriggerError, DatabaseError):
    """Postgres refused the statements that install a trigger; they were rolled back."""


class FunctionSyntaxError(PgTriggerError, ValueError):
    """The text of a trigger function cannot be read as plpgsql."""


class TableNotFoundError(PgTriggerError, LookupError):
    """No table of the database, as its search path is, has this name."""


class PluginError(PgTriggerError, ImportError):
    """A plugin cannot be imported, breaks a hook's signature, or clashes with another one."""


class CallCountError(PgTriggerError, RuntimeError):
    """``pgtrigger.testing.count_calls`` cannot count: no privilege, no connection, no trigger."""


class NewPluginError(PgTriggerError, ValueError):
    """A new plugin cannot have this name, or be written to this folder; nothing was written."""


class NoServerError(PgTriggerError, RuntimeError):
    """There is no PostgreSQL to run against: no ``DATABASE_URL`` and no embedded server."""
