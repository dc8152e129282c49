"""What is tracked: each tracked model, the model of its events, and what those tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db import models

from pgtrigger.columns import column_name, columns_of, is_generated
from pgtrigger.declaration import Model
from pgtrigger_history.declarations import Tracker
from pgtrigger_history.errors import NotTrackedError
from pgtrigger_history.fields import OBJECT


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracking:
    """A tracked model and its events.

    Args:
        model: the tracked model; of a many-to-many field, that of its table.
        event_model: the model of the events.
        events: what is recorded.
        accessor: the attribute of the model that holds its events; nothing for a many-to-many
            field.
        owner: of a many-to-many field, its model and its name.
        parents: the foreign keys to models in whose timelines the events are.
    """

    model: Model
    event_model: Model
    events: tuple[Tracker, ...]
    accessor: str
    owner: tuple[Model, str] | None = None
    parents: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """The attributes of an event that say which object it is about."""
        if self.owner is not None:
            return tuple(f"{name}_id" for name in link_names(*self.owner))
        if any(field.name == OBJECT and field.concrete for field in self.event_model._meta.fields):
            return (f"{OBJECT}_id",)
        return tuple(field.attname for field in self.model._meta.pk_fields)

    @property
    def object_key(self) -> tuple[str, ...]:
        """The attributes of the tracked model that are called `key` in its events."""
        if self.owner is not None:
            return self.key
        return tuple(field.attname for field in self.model._meta.pk_fields)

    @property
    def key_pairs(self) -> tuple[tuple[str, str], ...]:
        """The attributes of `object_key`, each with that of `key`."""
        return tuple(zip(self.object_key, self.key, strict=True))

    @property
    def key_columns(self) -> dict[str, str]:
        """The columns of `object_key`, each with that of `key`."""
        own = {f.attname: column_name(f) for f in self.model._meta.concrete_fields if f.column}
        return {own[ours]: self.column(theirs) for ours, theirs in self.key_pairs}

    def all_events(self, database: str) -> Any:
        """All events, as an `EventQuerySet`.

        Args:
            database: the alias.
        """
        return self.event_model._default_manager.using(database)

    def fields(self) -> list[models.Field[Any, Any]]:
        """The tracked fields, in the order of the table."""
        recorded = {field.name for field in columns_of(self.event_model)}
        return [field for field in columns_of(self.model) if field.name in recorded]

    def untracked(self) -> list[models.Field[Any, Any]]:
        """The fields of the table that events do not tell, but for what Postgres computes."""
        recorded = {field.name for field in columns_of(self.event_model)}
        return [
            field
            for field in columns_of(self.model)
            if field.name not in recorded and not is_generated(field)
        ]

    def missing_for_state(self) -> list[str]:
        """Why events do not tell what the table held at a time; nothing if they do."""
        complete = {
            name
            for event in self.events
            if event.operation is not None
            and event.condition is None
            and (event.row != "old" or "UPDATE" not in event.operation.names)
            for name in event.operation.names
        }
        wanted = ("INSERT", "DELETE") if self.owner else ("INSERT", "UPDATE", "DELETE")
        return [f"every {name}" for name in wanted if name not in complete]

    def column(self, attname: str) -> str:
        """The column of an event's attribute."""
        options = self.event_model._meta
        return column_name(next(f for f in options.concrete_fields if f.attname == attname))


def link_names(owner: Model, name: str) -> tuple[str, str]:
    """The foreign keys of an automatic many-to-many table: to the owner, and to the others."""
    field: Any = owner._meta.get_field(name)
    ours, theirs = (each for each in columns_of(field.remote_field.through) if each.is_relation)
    return ours.name, theirs.name


_trackings: Final[dict[str, Tracking]] = {}
_complete: Final[dict[str, Tracking]] = {}


def add(tracking: Tracking) -> None:
    """Note what is tracked."""
    _trackings[tracking.event_model._meta.label_lower] = tracking
    _complete.clear()


def trackings() -> list[Tracking]:
    """All that is tracked."""
    return [*_trackings.values()]


def tracking_of_events(event_model: Model) -> Tracking:
    """What an event model is for. Raises `NotTrackedError` for another model."""
    found = _trackings.get(event_model._meta.label_lower)
    if found is None:
        raise NotTrackedError(f'"{event_model._meta.label}" is not a model of events.')
    return found


def trackings_of(model: Model) -> list[Tracking]:
    """What is tracked of a model's own table, also through a proxy."""
    table = model._meta.db_table
    return [each for each in trackings() if each.model._meta.db_table == table]


def complete_trackings() -> dict[str, Tracking]:
    """Those that tell what a table held at a time, by the name of the table."""
    if not _complete:
        for tracking in trackings():
            if not tracking.missing_for_state():
                _complete[tracking.model._meta.db_table] = tracking
    return _complete


def state_tracking_of(model: Model) -> Tracking | None:
    """The tracking of a model that tells what its table held at a time, if there is one."""
    return complete_trackings().get(model._meta.db_table)


def links_of(model: Model) -> list[Tracking]:
    """The tracked many-to-many fields of a model."""
    concrete = model._meta.concrete_model
    return [
        tracking
        for tracking in trackings()
        if tracking.owner and tracking.owner[0]._meta.concrete_model is concrete
    ]
