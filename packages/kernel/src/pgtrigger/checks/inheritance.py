"""Triggers of an abstract parent that a child's own ``Meta`` leaves behind.

Django manual: "Models", Meta inheritance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage

from pgtrigger import conf
from pgtrigger.checks.messages import warning
from pgtrigger.declaration import Model
from pgtrigger.trigger import Trigger


def check_inheritance(
    app_configs: Sequence[Any] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that no model loses triggers that its abstract parents declare."""
    if not conf.model_meta():
        return []
    configs = apps.get_app_configs() if app_configs is None else app_configs
    return [
        message
        for config in configs
        for model in config.get_models()
        for message in _check_model(model)
    ]


def _check_model(model: Model) -> Iterator[CheckMessage]:
    seen: set[str | None] = set()
    losses: dict[Any, list[tuple[Any, list[Trigger]]]] = {}
    for parent in _abstract_parents(model):
        lost: dict[Any, list[Trigger]] = {}
        for trigger in _own_triggers(parent):
            # A parent that has its own of a name stands before its parents.
            culprit = None if trigger.name in seen else _where_lost(model, parent, trigger)
            seen.add(trigger.name)
            if culprit is not None:
                lost.setdefault(culprit, []).append(trigger)
        for culprit, triggers in lost.items():
            losses.setdefault(culprit, []).append((parent, triggers))
    for culprit, lost_from in losses.items():
        text = (
            f'Triggers that abstract parents declare are not on "{model._meta.label}": '
            f'{_listed(lost_from)}. "{_label(culprit)}" takes its Meta from elsewhere.'
        )
        parents = [parent for parent, _ in lost_from]
        yield warning("pgtrigger.W003", text, _repair(culprit, parents), model)


def _abstract_parents(model: Model) -> Iterator[Any]:
    """The abstract models whose fields are in the model's table."""
    ancestors: list[Any] = [c for c in model.__mro__[1:] if hasattr(c, "_meta")]
    with_table = [c for c in ancestors if not c._meta.abstract]
    for ancestor in ancestors:
        # What a parent with a table inherits is in that table, and its own matter.
        if ancestor._meta.abstract and not any(issubclass(c, ancestor) for c in with_table):
            yield ancestor


def _own_triggers(parent: Any) -> list[Trigger]:
    """What an abstract model's Meta states itself; its parents are looked at by themselves."""
    meta = vars(parent).get("Meta")
    return [*(vars(meta).get("triggers") or ())] if isinstance(meta, type) else []


def _where_lost(model: Model, parent: Any, trigger: Trigger) -> Any:
    """The class on the way from a parent whose Meta leaves a trigger behind, if one does."""
    if _carries(model, trigger):
        return None
    way = [c for c in model.__mro__ if issubclass(c, parent) and c is not parent]
    culprit: Any = None
    for cls in reversed(way):
        stated = getattr(cls.__dict__.get("Meta"), "triggers", None)
        if cls is model:
            stated = cls._meta.original_attrs.get("triggers")
        if stated is not None and not [*stated]:
            return None  # An empty list says that it is meant.
        if culprit is None and not _carries(cls, trigger):
            culprit = cls
    return culprit


def _carries(cls: Any, trigger: Trigger) -> bool:
    """Whether a model has a trigger, or one of that name in its place."""
    return any(
        known is trigger or known.name == trigger.name
        for known in getattr(cls._meta, "triggers", None) or ()
    )


def _label(cls: Any) -> str:
    return f"{cls._meta.app_label}.{cls.__name__}"


def _listed(lost_from: list[tuple[Any, list[Trigger]]]) -> str:
    return " and ".join(
        f'{", ".join(str(trigger.name) for trigger in triggers)} of "{_label(parent)}"'
        for parent, triggers in lost_from
    )


def _repair(culprit: Any, parents: list[Any]) -> str:
    own = [*(getattr(culprit._meta, "triggers", None) or ())]
    kept = [
        parent
        for parent in _abstract_parents(culprit)
        if parent in parents or any(_is_among(trigger, own) for trigger in _own_triggers(parent))
    ]
    inherited = [trigger for parent in kept for trigger in _own_triggers(parent)]
    names = [parent.__name__ for parent in kept]
    lists = [f"*{name}.Meta.triggers" for name in names]
    if not all(_is_among(trigger, inherited) for trigger in own):
        lists.append("…")
    meta = ", ".join(f"{name}.Meta" for name in names)
    abstract = "; abstract = True" if culprit._meta.abstract else ""
    return (
        f"Write in {culprit.__name__}: class Meta({meta}): triggers = [{', '.join(lists)}]"
        f"{abstract}. A class that says triggers = [] has none on purpose."
    )


def _is_among(trigger: Trigger, triggers: list[Trigger]) -> bool:
    return any(known is trigger for known in triggers)
