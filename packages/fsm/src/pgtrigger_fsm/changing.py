"""Which transitions are open for an object, and making one: the Python side of an `FSM`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from asgiref.sync import sync_to_async
from django.db import models, router
from django.db.models.expressions import RawSQL

from pgtrigger import sql
from pgtrigger.columns import columns_of, concrete_field
from pgtrigger.declaration import Model
from pgtrigger_fsm.errors import (
    TransitionForbiddenError,
    TransitionLostError,
    TransitionNotOpenError,
)
from pgtrigger_fsm.guards import Field, Guards
from pgtrigger_fsm.machine import Machine, machine_of
from pgtrigger_fsm.transitions import ANY, Transition


def available_transitions(
    obj: models.Model,
    *,
    field: str | None = None,
    trigger: str | None = None,
    user: Any = None,
    using: str | None = None,
) -> list[Transition]:
    """The transitions that are open for an object, in the order of their declaration.

    Postgres itself evaluates the conditions, in one query: ``OLD`` is the stored row, ``NEW`` is
    the object with all its unsaved values and the new state. Without conditions there is no query.
    Of an object that is not stored yet, ``OLD`` is the object too.

    Args:
        obj: a model instance; its state is the one that it has in Python.
        field: the field with the state, where the model has several machines.
        trigger: the trigger's name, where a field has several.
        user: leave out what this user has no permission for; without a user nobody is asked.
        using: the alias of the database; by default the one that the object would be saved to.

    Returns:
        One `Transition` for each state that the object can go to, with that one target.

    Raises:
        MachineNotFoundError: the model has no such machine, or several.

    Example::

        for transition in available_transitions(invoice, user=request.user):
            print(transition.name, transition.target)
    """
    machine = machine_of(type(obj), field, trigger)
    found = [t for t in _declared(machine, obj) if _may(user, t, obj)]
    guarded = [transition for transition in found if transition.condition is not None]
    if not guarded:
        return found
    loaded = [f for f in columns_of(machine.model) if f.attname in obj.__dict__]
    guards = Guards(machine, obj, loaded, _database(machine.model, obj, using))
    held = guards.holding(guarded)
    return [t for t in found if t.condition is None or t in held]


def make_transition(
    obj: models.Model,
    name: str | None = None,
    *,
    to: Any = ANY,
    field: str | None = None,
    trigger: str | None = None,
    user: Any = None,
    update_fields: Iterable[str] = (),
    using: str | None = None,
) -> None:
    """Make a transition: one ``UPDATE`` of the row, if it is still in the object's state.

    Of two that are made at once from one state exactly one wins, whatever their targets are. As
    with ``QuerySet.update()`` no signals are sent.

    Args:
        obj: a stored model instance, which gets the new state too.
        name: the transition's name.
        to: the state to go to, where the name does not tell.
        field: the field with the state, where the model has several machines.
        trigger: the trigger's name, where a field has several.
        user: refuse this user without permission; without a user nobody is asked.
        update_fields: names of fields whose values on the object are written along, and which
            the transition's condition sees.
        using: the alias of the database; by default the one that the object would be saved to.

    Raises:
        TransitionNotOpenError: there is no such transition from the object's state, or its
            condition does not hold.
        TransitionForbiddenError: the user has no permission.
        TransitionLostError: the row is no longer in the object's state, or is gone.
        MachineNotFoundError: the model has no such machine, or several.
        IntegrityError: another trigger or constraint refuses.

    Example::

        make_transition(invoice, "send", user=request.user)
    """
    machine = machine_of(type(obj), field, trigger)
    state, model = machine.state, machine.model
    chosen = _chosen(machine, obj, name, to, user)
    target = chosen[0].target
    fields = [concrete_field(model, other) for other in update_fields]
    changes = {other.attname: other.pre_save(obj, add=False) for other in fields}
    changes[state.field.attname] = target
    database = _database(model, obj, using)
    stored = _row(model, obj, database)
    waiting = stored.filter(**_in_state(state.field, chosen[0].source))
    conditional = [t for t in chosen if t.condition is not None]
    guarded = conditional == chosen
    if guarded:
        guards = Guards(machine, obj, [state.field, *fields], database)
        waiting = waiting.filter(_any_of(guards, conditional))
    if not waiting.update(**changes):
        raise _failure(machine, stored, chosen[0], guarded=guarded)
    setattr(obj, state.field.attname, target)


aavailable_transitions = sync_to_async(available_transitions)
amake_transition = sync_to_async(make_transition)


def _database(model: Model, obj: models.Model, using: str | None) -> str:
    return using or router.db_for_write(model, instance=obj)


def _declared(machine: Machine, obj: models.Model) -> list[Transition]:
    source = machine.state.value(getattr(obj, machine.state.field.attname))
    found: list[Transition] = []
    for transition in machine.transitions_from(source):
        if transition not in found:
            found.append(transition)
    return found


def _may(user: Any, transition: Transition, obj: models.Model) -> bool:
    permission = transition.permission
    if user is None or permission is None:
        return True
    if isinstance(permission, str):
        return bool(user.has_perm(permission))
    return bool(permission(obj, user))


def _chosen(
    machine: Machine, obj: models.Model, name: str | None, to: Any, user: Any
) -> list[Transition]:
    declared = _declared(machine, obj)
    found = [t for t in declared if name is None or t.name == name]
    if to is not ANY:
        target = machine.state.value(to)
        found = [t for t in found if t.target == target]
    text = machine.state.text
    asked = (f' "{name}"' if name else "") + (f' to "{text(to)}"' if to is not ANY else "")
    named = ", ".join(f'{t.name or "unnamed"} to "{text(t.target)}"' for t in declared)
    at = f'"{text(getattr(obj, machine.state.field.attname))}"'
    if not found:
        raise TransitionNotOpenError(
            f"{machine.model._meta.label} has no transition{asked} from {at}. "
            f"From there lead: {named or 'none'}."
        )
    if any(t.target != found[0].target for t in found):
        raise TransitionNotOpenError(
            f"{machine.model._meta.label} has several transitions{asked} from {at}: {named}. "
            f"Choose one by its name or by to=…."
        )
    allowed = [t for t in found if _may(user, t, obj)]
    if not allowed:
        raise TransitionForbiddenError(f"{user} may not make the transition{asked} from {at}.")
    return allowed


def _row(model: Model, obj: models.Model, database: str) -> models.QuerySet[Any]:
    # Not through a manager, which may hide rows.
    keys = {key.attname: getattr(obj, key.attname) for key in model._meta.pk_fields}
    return models.QuerySet(model, using=database).filter(**keys)


def _any_of(guards: Guards, transitions: Iterable[Transition]) -> RawSQL:
    table = sql.quote_relation(guards.machine.model._meta.db_table)
    texts, params = zip(*(guards.condition(t, table) for t in transitions), strict=True)
    return RawSQL(  # noqa: S611  # of quoted names and literals; values are parameters
        f"({' OR '.join(texts)})",
        [value for given in params for value in given],
        output_field=models.BooleanField(),
    )


def _in_state(field: Field, value: Any) -> dict[str, Any]:
    return {f"{field.attname}__isnull": True} if value is None else {field.attname: value}


def _failure(
    machine: Machine, stored: models.QuerySet[Any], lost: Transition, *, guarded: bool
) -> Exception:
    text, label = machine.state.text, machine.model._meta.label
    what = f'{label} did not go from "{text(lost.source)}" to "{text(lost.target)}"'
    states = stored.values_list(machine.state.field.attname, flat=True)
    if not states:
        return TransitionLostError(f"{what}: the row is not there, or not any more.")
    (now,) = states
    if guarded and now == lost.source:
        return TransitionNotOpenError(f"{what}: the condition of the transition does not hold.")
    return TransitionLostError(
        f'{what}: it is in the state "{text(now)}". Somebody else was first; load the object again.'
    )
