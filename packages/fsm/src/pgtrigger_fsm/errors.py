"""The errors of the Python side of a machine.

::

    pgtrigger.PgTriggerError
    ├── MachineNotFoundError (LookupError)            a model has no such machine, or several
    └── TransitionError (ValueError)                  a transition that was not made
        ├── TransitionNotOpenError                      the declaration does not allow it
        ├── TransitionForbiddenError (PermissionDenied) this user may not
        └── TransitionLostError                         another one was first

What the *trigger* refuses is a ``django.db.IntegrityError``.
"""

from __future__ import annotations

from django.core.exceptions import PermissionDenied

from pgtrigger.errors import PgTriggerError


class MachineNotFoundError(PgTriggerError, LookupError):
    """A model has no machine that answers the description, or more than one."""


class TransitionError(PgTriggerError, ValueError):
    """A transition was not made; the row is as it was."""


class TransitionNotOpenError(TransitionError):
    """No declared transition leads there from this state, or its condition does not hold."""


class TransitionForbiddenError(TransitionError, PermissionDenied):
    """The user lacks the transition's permission. Django answers such a request with 403."""


class TransitionLostError(TransitionError):
    """The row is no longer in the state that the object was loaded with, or is gone."""
