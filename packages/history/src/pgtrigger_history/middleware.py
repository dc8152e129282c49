"""A context for each request: who, from where, what. Works under WSGI and ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from pgtrigger_history.context import context
from pgtrigger_history.errors import ContextError

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

KEYS = ("user", "url", "method", "ip")
MAX_URL = 2000


class HistoryMiddleware:
    """Makes each request a context with ``user``, ``url`` and ``method``.

    Put it behind ``AuthenticationMiddleware``. The user is looked for only when something is
    written. The setting ``PGTRIGGER_HISTORY_MIDDLEWARE_KEYS`` chooses among `KEYS`; ``ip`` is
    stored on request only. What a project knows besides, a subclass adds::

        class Middleware(pgtrigger_history.HistoryMiddleware):
            def get_context(self, request):
                return {**super().get_context(request), "tenant": request.tenant.slug}

    Raises:
        ContextError: the setting has another key.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.keys = getattr(
            settings, "PGTRIGGER_HISTORY_MIDDLEWARE_KEYS", ("user", "url", "method")
        )
        for key in self.keys:
            if key not in KEYS:
                raise ContextError(
                    f"PGTRIGGER_HISTORY_MIDDLEWARE_KEYS can have {', '.join(KEYS)}; got {key!r}. "
                    f"A subclass of HistoryMiddleware adds others in get_context()."
                )
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self._answer(request)
        with self._context(request):
            return self.get_response(request)

    async def _answer(self, request: HttpRequest) -> Any:
        async with self._context(request):
            return await self.get_response(request)  # type: ignore[misc]  # it is a coroutine here

    def _context(self, request: HttpRequest) -> context:
        return context(**self.get_context(request))

    def get_context(self, request: HttpRequest) -> dict[str, Any]:
        """What is stored with the changes that a request makes.

        Args:
            request: of which little is known yet: views and the middleware behind have not run.
        """
        values: dict[str, Any] = {
            "user": lambda: user_key(request),
            "url": request.get_full_path()[:MAX_URL],
            "method": request.method,
            "ip": request.META.get("REMOTE_ADDR"),
        }
        return {key: values[key] for key in self.keys}


def user_key(request: HttpRequest) -> Any:
    """The primary key of a request's user; None for a visitor who has not logged in."""
    return getattr(getattr(request, "user", None), "pk", None)
