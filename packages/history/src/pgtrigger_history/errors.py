"""Every error that pgtrigger_history raises on its own account.

::

    HistoryError (PgTriggerError)
    ├── ArchiveError (ValueError)        values of a removed field that cannot be kept
    ├── ContextError (ValueError)        what cannot be stored as a context, or is in none
    ├── NotTrackedError (ValueError)     a model, field or row that the events do not tell of
    ├── PartitionError (ValueError)      a table of events that is not partitioned, or not so
    ├── RedactionError (ValueError)      what cannot be taken out of the events of an object
    ├── RevertError (ValueError)         a row that cannot be put back as an event has it
    └── SourceError (ValueError)         a table that events cannot be imported from
"""

from __future__ import annotations

from pgtrigger.errors import PgTriggerError


class HistoryError(PgTriggerError):
    """Base of the errors of this package."""


class ArchiveError(HistoryError, ValueError):
    """A migration keeps values of a field that is not there, or has nowhere to keep them."""


class ContextError(HistoryError, ValueError):
    """A value that cannot be stored as JSON, or an addition to a context that there is not."""


class NotTrackedError(HistoryError, ValueError):
    """Nothing, or not enough, is recorded of a model, a field or a row."""


class PartitionError(HistoryError, ValueError):
    """A table of events is not partitioned, or its partitions are in the way."""


class RedactionError(HistoryError, ValueError):
    """A field, a key or a value by which events cannot be redacted."""


class RevertError(HistoryError, ValueError):
    """A row cannot be put back as an event has it."""


class SourceError(HistoryError, ValueError):
    """A table is none of the package that it is said to be of, or its events cannot be taken."""
