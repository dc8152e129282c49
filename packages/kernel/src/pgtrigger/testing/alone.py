"""A declared trigger by itself: a table and a model for as long as a test needs them."""

from __future__ import annotations

import copy
import itertools
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final

from django.apps import apps
from django.apps.registry import Apps
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

from pgtrigger.catalog import INSTALLED
from pgtrigger.errors import DatabaseNotSupportedError, InstallationError
from pgtrigger.testing.blocks import Block
from pgtrigger.testing.project import ensure_project
from pgtrigger.trigger import Trigger
from pgtrigger.violations import check_deferred

# Routers know it, or have no opinion.
APP_LABEL: Final = "pgtrigger"

_names: set[str] = set()


class trigger_on(Block):  # noqa: N801  # used like a function
    """Make a table with triggers for a block, to test a declaration by itself.

    A context manager, also an async one, for unittest and pytest, and for plain scripts. It gives
    a model of the table, ``pgtrigger.Sample``. The triggers are registered and installed, so
    `ignore`, `violation` and all that takes a URI know them.

    The block is a transaction, or a savepoint in one, that is rolled back: nothing of it is left,
    neither the table nor what was written to others.

    Without a Django project it makes a small one, on the server of `postgres`.

    Args:
        *triggers: the declarations, of any type.
        using: the alias of the database.
        **attributes: those of the model's class: fields, managers, methods. A field that refers to
            another model may name it, as in ``ForeignKey("auth.User", models.CASCADE)``.

    Raises (when the block begins):
        DeclarationError, FieldLookupError: a trigger that these fields cannot have.
        django.db.DatabaseError: Postgres refused a trigger.
        InstallationError: a database router refused the table.
        DatabaseNotSupportedError: the database is not PostgreSQL.
        NoServerError: there is no project, and no server.

    Example::

        stamp = pgtrigger.Trigger(
            name="double",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert,
            func="NEW.total = NEW.total * 2; RETURN NEW;",
        )
        with trigger_on(stamp, total=models.IntegerField()) as Order:
            order = Order.objects.create(total=2)
            order.refresh_from_db()
            assert order.total == 4
    """

    def __init__(
        self, *triggers: Trigger, using: str = DEFAULT_DB_ALIAS, **attributes: Any
    ) -> None:
        self._triggers = triggers
        self._using = using
        self._attributes = attributes
        self._undo: list[ExitStack] = []

    def __enter__(self) -> type[models.Model]:
        ensure_project()
        connection = connections[self._using]
        if connection.vendor != "postgresql":
            raise DatabaseNotSupportedError(f'Database "{self._using}" is not PostgreSQL.')
        with ExitStack() as undo:
            if connection.connection is None:
                undo.callback(connection.close)
            undo.enter_context(transaction.atomic(using=self._using))
            undo.callback(transaction.set_rollback, True, using=self._using)
            model = _make_model(self._attributes, undo)
            if any(field.is_relation for field in model._meta.local_fields):
                # Nothing can refer to a table that has events still to come.
                check_deferred(self._using)
            with connection.schema_editor() as editor:
                editor.create_model(model)
            for trigger in self._triggers:
                undo.enter_context(trigger.register(model))
                trigger.install(model, database=self._using)
                status, _ = trigger.get_installation_status(model, self._using)
                if status != INSTALLED:
                    raise InstallationError(
                        f'Trigger "{trigger.get_uri(model)}" cannot be installed: the database '
                        f'routers do not let its table be in "{self._using}" (app label '
                        f'"{APP_LABEL}"). Pass using= to name another database.'
                    )
            self._undo.append(undo.pop_all())
        return model

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.pop().__exit__(kind, error, trace)


def _make_model(attributes: dict[str, Any], undo: ExitStack) -> type[models.Model]:
    numbered = (f"Sample{number}" for number in itertools.count(2))
    name = next(name for name in itertools.chain(["Sample"], numbered) if name not in _names)
    _names.add(name)
    undo.callback(_names.remove, name)
    registry = Apps()
    # A field belongs to one class only.
    own = {
        key: copy.deepcopy(value) if isinstance(value, models.Field) else value
        for key, value in attributes.items()
    }
    for value in own.values():
        if getattr(value, "remote_field", None):
            _show_target(value, registry)
    meta = type("Meta", (), {"apps": registry, "app_label": APP_LABEL})
    attributes = {**own, "Meta": meta, "__module__": __name__}
    model: type[models.Model] = type(name, (models.Model,), attributes)
    for field in (*model._meta.local_fields, *model._meta.local_many_to_many):
        if field.remote_field and not field.remote_field.hidden:
            undo.callback(delattr, field.related_model, str(field.remote_field.get_accessor_name()))
    return model


def _show_target(field: Any, registry: Apps) -> None:
    """Let a field find the model that it refers to, which is one of the project's."""
    target = field.remote_field.model
    if target == "self":
        return
    if isinstance(target, str):
        target = field.remote_field.model = apps.get_model(target)
    registry.register_model(target._meta.app_label, target)
