"""The decorator `track`: a model of events beside a model, and the triggers that write them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Final, Literal, TypeVar

from django.core.exceptions import FieldDoesNotExist
from django.db import models

import pgtrigger
from pgtrigger.clauses import Firing, Level
from pgtrigger.columns import columns_of, concrete_field
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError, FieldLookupError
from pgtrigger.registry import register
from pgtrigger_history.declarations import DeleteEvent, InsertEvent, Tracker, UpdateEvent
from pgtrigger_history.event_models import Storage, make_event_model
from pgtrigger_history.trackings import Tracking, link_names
from pgtrigger_history.triggers import History, Rows

M = TypeVar("M", bound=type[models.Model])

_EVERYTHING: Final = (InsertEvent(), UpdateEvent(), DeleteEvent())


def track(
    *events: Tracker,
    fields: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    model_name: str | None = None,
    accessor: str = "history",
    level: Level = pgtrigger.Statement,
    firing: Firing | None = None,
    row: Rows = "new",
    context: Storage | None = "table",
    m2m: Sequence[str] = (),
    parents: Sequence[str] = (),
    append_only: bool = True,
    partition: Literal["day", "month", "year"] | None = None,
    archive: bool = False,
    meta: Mapping[str, Any] | None = None,
) -> Callable[[M], M]:
    """Record the history of a model: decorate its class, or a proxy of somebody else's.

    A model of events is made beside it, which ``makemigrations`` finds, and triggers that write
    the events. `Order.history` is a manager of all events, ``order.history`` of those of an object.

    Args:
        *events: what to record: `InsertEvent`, `UpdateEvent`, `DeleteEvent`, `ManualEvent`. By
            default all inserts, updates and deletes.
        fields: the names of the fields to record; all columns of the table by default. The primary
            key is always recorded.
        exclude: the names of those not to record.
        model_name: what the model of events is called; by default ``<Model>Event``.
        accessor: the attribute that gives the events.
        level: `Statement`, or `Row`.
        firing: as of `pgtrigger.Trigger`: whether changes are recorded that replication applies.
        row: what is recorded of an update, where an event does not say it itself.
        context: where `context` is stored: once in a transaction in the ``"table"`` of `Context`,
            ``"inline"`` in each event, or, with None, not at all.
        m2m: the names of many-to-many fields whose links are recorded too.
        parents: the names of foreign keys to objects in whose `timeline` the events belong. The
            events are indexed by them.
        append_only: whether events can be neither changed nor deleted.
        partition: make the table of the events partitioned, one partition for each of these; see
            ``manage.py pgtrigger history partitions``.
        archive: give the events a JSON field ``pgh_archive``, in which `ArchiveFields` keeps the
            values of fields that are removed.
        meta: more options of the ``Meta`` of the model of events.

    Raises:
        DeclarationError: an unknown field; a name that is taken; a field whose name is that of a
            column of events.

    Example::

        @pgtrigger_history.track(exclude=["search_vector"])
        class Order(models.Model):
            status = models.TextField()
    """

    def decorate(model: M) -> M:
        if model._meta.abstract:
            raise DeclarationError(
                f'"{model.__name__}" is abstract and has no table: decorate its children with '
                f"track()."
            )
        tables = {name: _automatic_table(model, name) for name in m2m}
        wanted = [copy(event) for event in events or _EVERYTHING]
        for each in wanted:
            each.row = each.row or row
        tracking = make_event_model(
            model,
            wanted,
            names=_tracked_names(model, fields, exclude),
            name=model_name or f"{model.__name__}Event",
            accessor=accessor,
            storage=context,
            parents=parents,
            append_only=append_only,
            partition=partition,
            archive=archive,
            meta=meta or {},
        )
        _add_triggers(model, tracking, wanted, level, firing)
        for field, table in tables.items():
            _track_links(
                model,
                field,
                table,
                level,
                firing,
                context,
                append_only=append_only,
                partition=partition,
            )
        return model

    return decorate


def _tracked_names(model: Model, fields: Sequence[str] | None, exclude: Sequence[str]) -> list[str]:
    if fields is not None and exclude:
        raise DeclarationError(
            f'track() of "{model._meta.label}" takes "fields" or "exclude", not both.'
        )
    excluded = {concrete_field(model, name) for name in exclude}
    for field in excluded & {*model._meta.pk_fields}:
        raise DeclarationError(
            f'track() of "{model._meta.label}" cannot leave out "{field.name}", the primary key.'
        )
    chosen = {concrete_field(model, name) for name in fields or ()} | {*model._meta.pk_fields}
    return [
        field.name
        for field in columns_of(model)
        if field not in excluded and (fields is None or field in chosen)
    ]


def _add_triggers(
    model: Model,
    tracking: Tracking,
    wanted: Sequence[Tracker],
    level: Level,
    firing: Firing | None,
) -> None:
    for event in wanted:
        if event.operation is None:
            continue
        name = event.name or _trigger_name(tracking, event)
        trigger = History(
            name=name,
            into=tracking.event_model,
            label=event.label,
            operation=event.operation,
            row=event.row,
            condition=event.condition,
            level=level,
            firing=firing,
        )
        register(trigger)(model)


def _trigger_name(tracking: Tracking, event: Tracker) -> str:
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in event.label)
    return f"{tracking.accessor or 'history'}_{name}"


def _automatic_table(model: Model, name: str) -> Any:
    """The model of the table of a many-to-many field."""
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise FieldLookupError(f'track() of "{model._meta.label}": {error}.') from error
    if not field.many_to_many or field.auto_created:
        raise DeclarationError(f'"{model._meta.label}.{name}" is no many-to-many field.')
    through = field.remote_field.through
    if isinstance(through, str) or not through._meta.auto_created:
        raise DeclarationError(
            f'"{model._meta.label}.{name}" has a table of its own model: decorate '
            f"{through if isinstance(through, str) else through._meta.label} with track()."
        )
    return through


def _track_links(
    model: Model,
    name: str,
    through: Any,
    level: Level,
    firing: Firing | None,
    storage: Storage | None,
    *,
    append_only: bool,
    partition: str | None,
) -> None:
    """Record the links of a many-to-many field, through a proxy of its automatic table."""
    base = f"{model.__name__}{name.title().replace('_', '')}"
    options = {"app_label": model._meta.app_label, "proxy": True, "triggers": []}
    attributes = {"__module__": model.__module__, "Meta": type("Meta", (), options)}
    links: Any = type(f"{base}Link", (through,), attributes)
    setattr(sys.modules[model.__module__], links.__name__, links)
    wanted: list[Tracker] = [InsertEvent("add"), DeleteEvent("remove")]
    tracking = make_event_model(
        links,
        wanted,
        names=[each.name for each in columns_of(links)],
        name=f"{base}Event",
        accessor="",
        storage=storage,
        parents=[link_names(model, name)[0]],
        append_only=append_only,
        partition=partition,
        meta={},
        owner=(model, name),
    )
    _add_triggers(links, tracking, wanted, level, firing)
