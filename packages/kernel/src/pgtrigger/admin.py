"""The admin shows what a trigger refuses, on the page where it was asked for.

Django imports this module when the admin looks for the modules of this name. Django manual: "The
Django admin site".
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models, router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from pgtrigger.forms import add_violation
from pgtrigger.violations import ViolationError, check_deferred, violations_as_validation_errors

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[models.Model]
else:
    _Admin = admin.ModelAdmin

# The database that the current request writes to; and what was refused, while the page is made
# again.
_writing: ContextVar[str | None] = ContextVar("pgtrigger_admin_writing", default=None)
_refused: ContextVar[ViolationError | None] = ContextVar("pgtrigger_admin_refused", default=None)


class ViolationsAdminMixin(_Admin):
    """A ``ModelAdmin`` that shows what a trigger refuses, instead of failing.

    - Adding and changing: the form comes back with what was typed and with the trigger's message.
    - Editing in the list: the same.
    - Deleting, and actions: the page comes back with the message.

    Everything that the request has done in the database is rolled back: each POST is one
    transaction. Deferred triggers are checked before the admin says that something was done.
    Permissions are Django's own concern, and so are other errors.

    Example::

        @admin.register(Order)
        class OrderAdmin(ViolationsAdminMixin, admin.ModelAdmin): ...
    """

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = functools.partial(super().changeform_view, request, *args, **kwargs)
        return self._showing_violations(request, view, has_form=True)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = functools.partial(super().changelist_view, request, *args, **kwargs)
        return self._showing_violations(request, view, has_form="_save" in request.POST)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = functools.partial(super().delete_view, request, *args, **kwargs)
        return self._showing_violations(request, view, has_form=False)

    def _showing_violations(
        self, request: HttpRequest, view: Callable[[], HttpResponse], *, has_form: bool
    ) -> HttpResponse:
        if request.method in ("GET", "HEAD", "OPTIONS", "TRACE"):
            return view()
        try:
            return self._write(view)
        except ViolationError as error:
            refusal = error
        if has_form:
            shown = _refused.set(refusal)
            try:
                # Its form does not validate now, so nothing is saved and Django shows the page.
                return self._write(view)
            except ViolationError:
                pass  # a form of somebody's own making has been saved again
            finally:
                _refused.reset(shown)
        self.message_user(request, " ".join(refusal.messages), messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    def _write(self, view: Callable[[], HttpResponse]) -> HttpResponse:
        using = router.db_for_write(self.model)
        writing = _writing.set(using)
        try:
            with violations_as_validation_errors(using=using, immediate=True):
                return view()
        finally:
            _writing.reset(writing)

    def message_user(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        using = _writing.get()
        if using is not None:
            check_deferred(using)  # or the message might say that something was done that was not
        super().message_user(request, *args, **kwargs)

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        refusal = _refused.get()
        if refusal is None:
            return form

        def refuse(self: Any) -> None:
            form._post_clean(self)
            add_violation(self, refusal)

        return type(form)(form.__name__, (form,), {"_post_clean": refuse})

    def get_changelist_formset(self, request: Any, **kwargs: Any) -> Any:
        formset: Any = super().get_changelist_formset(request, **kwargs)
        refusal = _refused.get()
        if refusal is None:
            return formset

        def refuse(self: Any) -> None:
            formset.clean(self)
            # Which of its rows it was, a trigger does not say.
            raise ValidationError(refusal.messages, code="pgtrigger")

        return type(formset)(formset.__name__, (formset,), {"clean": refuse})
