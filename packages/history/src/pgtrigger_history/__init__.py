"""History: what happened to the rows of a model, who made it and why, recorded by Postgres."""

from importlib.metadata import version

from pgtrigger_history.context import context as context
from pgtrigger_history.context import current_context as current_context
from pgtrigger_history.context import update_context as update_context
from pgtrigger_history.declarations import DeleteEvent as DeleteEvent
from pgtrigger_history.declarations import InsertEvent as InsertEvent
from pgtrigger_history.declarations import ManualEvent as ManualEvent
from pgtrigger_history.declarations import UpdateEvent as UpdateEvent
from pgtrigger_history.errors import ArchiveError as ArchiveError
from pgtrigger_history.errors import ContextError as ContextError
from pgtrigger_history.errors import HistoryError as HistoryError
from pgtrigger_history.errors import NotTrackedError as NotTrackedError
from pgtrigger_history.errors import PartitionError as PartitionError
from pgtrigger_history.errors import RedactionError as RedactionError
from pgtrigger_history.errors import RevertError as RevertError
from pgtrigger_history.errors import SourceError as SourceError
from pgtrigger_history.events import Change as Change
from pgtrigger_history.events import Event as Event
from pgtrigger_history.events import EventManager as EventManager
from pgtrigger_history.events import EventQuerySet as EventQuerySet
from pgtrigger_history.manual import create_event as create_event
from pgtrigger_history.middleware import HistoryMiddleware as HistoryMiddleware
from pgtrigger_history.protection import EventProtection as EventProtection
from pgtrigger_history.redaction import redact as redact
from pgtrigger_history.timelines import Entry as Entry
from pgtrigger_history.timelines import Page as Page
from pgtrigger_history.timelines import timeline as timeline
from pgtrigger_history.tracking import track as track
from pgtrigger_history.triggers import History as History
from pgtrigger_history.user_redaction import redact_user as redact_user

__version__ = version("pgtrigger-history")
