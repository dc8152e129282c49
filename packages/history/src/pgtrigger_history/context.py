"""Who changes something, and why: what the triggers of history store beside the events.

It travels as a setting, with the statements that write. PostgreSQL manual: "Customized Options".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextvars import Token
from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.functional import LazyObject

from pgtrigger.session import Context
from pgtrigger.wanted import Layer, Wanted, current
from pgtrigger_history.errors import ContextError

SETTING: Final = "pgtrigger.context"
# What jsonb refuses: the character NUL, and halves of a pair of surrogates.
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
# What fits into the index by which the changes of a user are found, however it compresses.
_USER_BYTES: Final = 1000


class context(Context):  # noqa: N801  # used like a function
    """Say who makes the changes of the current thread or task, and why.

    A context manager, an async one, and a decorator. Within another context, the values of both
    hold, and of a name that both have, the inner one. Entering and leaving run no SQL, and
    nothing is sent for a plain read.

    Args:
        databases: the aliases; all PostgreSQL databases by default.
        **values: what can be stored as JSON; a model instance stands for its primary key. What is
            callable is called, without arguments, when the first statement writes. ``user`` is
            what `EventQuerySet.by` looks for.

    Raises:
        ContextError: a value that is no JSON, or a ``user`` of more than 1000 bytes.

    Example::

        with pgtrigger_history.context(user=request.user, reason="refund"):
            order.save()
    """

    def __init__(self, *, databases: Iterable[str] | None = None, **values: Any) -> None:
        aliases = None if databases is None else [*databases]
        known = _checked(values)
        super().__init__(lambda: [_ContextLayer({**known}, aliases)])


def update_context(**values: Any) -> None:
    """Add values to the innermost context of the current task: more is known now.

    They hold from the next statement on, until that context ends.

    Raises:
        ContextError: there is no context; or a value that is no JSON.

    Example::

        with pgtrigger_history.context(user=clerk.pk):
            order = find_order()
            pgtrigger_history.update_context(order=order.pk)
    """
    for layer in reversed(current.get().layers):
        if isinstance(layer, _ContextLayer) and not layer.ended:
            layer.values |= _checked(values)
            layer.touch()
            return
    raise ContextError(
        "update_context() adds to a context, and there is none. Begin one by "
        "pgtrigger_history.context(…)."
    )


def current_context(database: str = "default") -> dict[str, Any]:
    """What would be stored with a change that is made now, as plain values.

    Args:
        database: the alias.
    """
    values = current.get().value(SETTING, database)
    return {} if values is None else dict(json.loads(_text(values)))


class _ContextLayer(Layer):
    def __init__(self, values: dict[str, Any], databases: Iterable[str] | None) -> None:
        self.values = values
        super().__init__(SETTING, self._join, _text, databases=databases, for_calls=False)

    def _join(self, outer: Mapping[str, Any] | None) -> dict[str, Any]:
        return {**(outer or {}), **self.values}


def _text(values: Mapping[str, Any]) -> str:
    """The values as JSON, in a form that Postgres takes whatever they are."""
    with _without_context():
        found = {key: _evaluated(value) for key, value in values.items()}
    plain = _plain(found)
    _check_user(plain)
    return json.dumps(_storable(plain), ensure_ascii=False, separators=(",", ":"))


class _without_context:  # noqa: N801  # used like a function
    """What asks the database for a value of a context must not need that value."""

    def __enter__(self) -> None:
        wanted = current.get()
        layers = tuple(layer for layer in wanted.layers if layer.setting != SETTING)
        self._token: Token[Wanted] = current.set(Wanted(layers, wanted.entries))

    def __exit__(self, *exc_info: object) -> None:
        current.reset(self._token)


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are to be kept. Raises `ContextError` for what cannot be stored."""
    found = {
        key: value if _is_lazy(value) else _plain({key: value})[key]
        for key, value in values.items()
    }
    _check_user(found)
    return found


def _check_user(values: Mapping[str, Any]) -> None:
    user = values.get("user")
    if isinstance(user, str) and (size := len(user.encode(errors="replace"))) > _USER_BYTES:
        raise ContextError(
            f'The "user" of a context is the key of a user, of at most {_USER_BYTES} bytes, and '
            f"this one has {size:,}. Give what is longer another name."
        )


def _is_lazy(value: Any) -> bool:
    return callable(value) or issubclass(type(value), LazyObject)


def _evaluated(value: Any) -> Any:
    if issubclass(type(value), LazyObject):
        value.__class__  # noqa: B018  # what it stands for is made when it is asked for anything
        return value._wrapped
    return value() if callable(value) else value


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        # A visitor who has not logged in is no model instance, and has a key of None.
        is_object = isinstance(o, models.Model) or hasattr(type(o), "is_anonymous")
        return o.pk if is_object else super().default(o)


def _plain(values: Mapping[str, Any]) -> Any:
    try:
        return json.loads(json.dumps(values, cls=_Encoder, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ContextError(f"{values!r} cannot be stored as a context: {error}.") from error


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(each) for key, each in value.items()}
    return value
