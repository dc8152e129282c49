"""Which triggers are declared on which models."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from django.apps import apps
from django.db import models

from pgtrigger import conf
from pgtrigger.declaration import Model
from pgtrigger.errors import DuplicateTriggerError, TriggerNotFoundError, TriggerUriError
from pgtrigger.trigger import Trigger

_GLOB: Final = re.compile(r"[*?[]")

M = TypeVar("M", bound=type[models.Model])

Registration = tuple[Model, Trigger]


def is_glob(uri: str) -> bool:
    """Whether a URI stands for all that match it, such as ``"shop.*:protect"``."""
    return _GLOB.search(uri) is not None


class Registry:
    """The declared triggers by URI, by name within a table, and by Postgres id.

    Registering and looking up take constant time, and nothing is compiled. While models load,
    triggers are not even asked for their Postgres ids.
    """

    def __init__(self) -> None:
        self._by_uri: dict[str, Registration] = {}
        self._by_name: dict[tuple[str, str], str] = {}
        self._by_pgid: dict[str, str] = {}
        self._keys: dict[str, tuple[tuple[str, str], str | None]] = {}
        self._loading: list[Registration] = []
        self._shared: set[str] = set()
        self.version = 0  # grows with every change, for those who cache what they make of it

    def add(self, model: Model, trigger: Trigger) -> None:
        """Register a trigger on a model; the same one again is fine.

        Raises:
            DuplicateTriggerError: another trigger of this table, perhaps through a proxy, has the
                name, or another trigger has the Postgres id.
        """
        uri, table = trigger.get_uri(model), model._meta.db_table
        name = (table, str(trigger.name))
        holder = self._by_name.get(name)
        if holder is not None and not self._is_same(holder, model, trigger):
            raise DuplicateTriggerError(
                f'Trigger name "{trigger.name}" of model "{model._meta.label}" is already used on '
                f'table "{table}" by "{holder}". Give one of them another name.'
            )
        pgid = None
        if apps.models_ready:
            pgid = self._claim(uri, model, trigger)
        else:
            self._loading.append((model, trigger))
        self._by_uri[uri] = (model, trigger)
        self._by_name[name] = uri
        self._keys[uri] = name, pgid
        self.version += 1

    def _claim(self, uri: str, model: Model, trigger: Trigger) -> str:
        pgid = trigger.get_pgid(model)
        holder = self._by_pgid.setdefault(pgid, uri)
        # Five digits may collide between tables, as long as it is an accident: two models of
        # thousands that give a trigger the same name.
        if holder != uri and (
            self._by_uri[holder][0]._meta.db_table == model._meta.db_table
            or self._by_uri[holder][1].name != trigger.name
        ):
            raise DuplicateTriggerError(
                f'The Postgres id "{pgid}" of trigger "{uri}" is already in use by "{holder}". '
                f"Give one of them another name."
            )
        if holder != uri:
            self._shared.add(pgid)
        return pgid

    def _is_same(self, uri: str, model: Model, trigger: Trigger) -> bool:
        registered = self._by_uri.get(uri)
        return (
            registered is not None
            and registered[1] is trigger
            and registered[0]._meta.label == model._meta.label
        )

    def remove(self, model: Model, trigger: Trigger) -> None:
        """Forget a trigger of a model, if it is the one that is registered."""
        uri = trigger.get_uri(model)
        if uri not in self._by_uri or self._by_uri[uri][1] is not trigger:
            return
        del self._by_uri[uri]
        name, pgid = self._keys.pop(uri)
        self._by_name.pop(name, None)
        if pgid is not None and self._by_pgid.get(pgid) == uri:
            del self._by_pgid[pgid]
        self._loading = [pair for pair in self._loading if pair[1] is not trigger]
        self.version += 1

    def ignore_name(self, model: Model, trigger: Trigger) -> str:
        """The name by which the setting ``pgtrigger.ignore`` knows a trigger.

        Its Postgres id; or the name of its function where triggers of two tables share the id.
        """
        pgid = trigger.get_pgid(model)
        return trigger.get_function_name(model) if pgid in self._shared else pgid

    def find(self, *uris: str) -> list[Registration]:
        """The ``(model, trigger)`` pairs of these URIs, or all of them without any.

        Raises:
            TriggerUriError: a URI without a colon.
            TriggerNotFoundError: a URI that is not registered, or a glob that matches none.
        """
        if not uris:
            return [*self._by_uri.values()]
        for uri in uris:
            if uri.count(":") != 1:
                raise TriggerUriError(
                    'Trigger URI must be in the format of "app_label.model_name:trigger_name"; '
                    f"got {uri!r}."
                )
        found: dict[str, Registration] = {}
        for uri in uris:
            if is_glob(uri):
                names = [name for name in self._by_uri if fnmatch.fnmatchcase(name, uri)]
            else:
                names = [uri] if uri in self._by_uri else []
            if not names:
                raise TriggerNotFoundError(f'URI "{uri}" not found in pgtrigger registry')
            found |= {name: self._by_uri[name] for name in names}
        return [*found.values()]

    def collect(self, all_models: Iterable[Model]) -> None:
        """Register what the models declare in their ``Meta.triggers``, now that all are loaded."""
        for model, trigger in self._loading:
            uri = trigger.get_uri(model)
            self._keys[uri] = self._keys[uri][0], self._claim(uri, model, trigger)
        self._loading.clear()
        for model in all_models:
            for trigger in declared(model):
                self.add(model, trigger)


registry = Registry()


def declared(model: Model) -> Sequence[Trigger]:
    """The triggers in a model's ``Meta``, own or inherited from an abstract base."""
    if not conf.model_meta():
        return ()
    return getattr(model._meta, "triggers", None) or ()


def _set_declared(model: Model, triggers: Sequence[Trigger]) -> None:
    # A new list: an abstract base shares its own with all its children.
    options: Any = model._meta
    options.triggers = [*triggers]
    options.original_attrs["triggers"] = [*triggers]


def declare(model: Model, trigger: Trigger) -> bool:
    """Add a trigger to a model as ``Meta.triggers`` would; tell whether it was new."""
    before = getattr(model._meta, "triggers", None) or []
    was_new = not any(known is trigger for known in before)
    registry.add(model, trigger)
    if was_new:
        _set_declared(model, [*before, trigger])
    return was_new


def retract(model: Model, trigger: Trigger) -> bool:
    """Take a declaration back; tell whether there was one."""
    before = getattr(model._meta, "triggers", None) or []
    registry.remove(model, trigger)
    _set_declared(model, [known for known in before if known is not trigger])
    return any(known is trigger for known in before)


def register(*triggers: Trigger) -> Callable[[M], M]:
    """Decorate a model class with triggers, as if they stood in its ``Meta.triggers``.

    Raises:
        DuplicateTriggerError: a name or Postgres id that is taken on this table.

    Example::

        @pgtrigger.register(pgtrigger.Trigger(name="stamp", ...))
        class Order(models.Model): ...
    """

    def decorate(model: M) -> M:
        for trigger in triggers:
            declare(model, trigger)
        return model

    return decorate


def registered(*uris: str) -> list[Registration]:
    """The registered ``(model, trigger)`` pairs: all, or those of these URIs.

    Args:
        *uris: such as ``"shop.Order:protect"``; or globs, such as ``"shop.*:protect"``.

    Raises:
        TriggerUriError: a URI that is not ``app_label.Model:name``.
        TriggerNotFoundError: a URI that nobody registered, or a glob that matches none.
    """
    return registry.find(*uris)


def collect_all() -> None:
    """Register the ``Meta.triggers`` of all installed models; done once, when apps are ready."""
    registry.collect(apps.get_models(include_auto_created=True))
