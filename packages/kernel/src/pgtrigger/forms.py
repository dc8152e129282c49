"""Model forms that show what a trigger refuses. Django manual: "Creating forms from models"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.db import models, router
from django.forms import BaseModelForm

from pgtrigger.violations import ViolationError, violations_as_validation_errors

if TYPE_CHECKING:
    _Form = BaseModelForm[models.Model]
else:
    _Form = BaseModelForm


class ViolationsFormMixin(_Form):
    """A model form whose ``save()`` puts what a trigger refuses among the form's errors.

    The error goes on, so a view renders the form again instead of redirecting. The database is as
    it was before, and so are the key and the state of a new instance.

    Raises (by ``save()``):
        ViolationError: a trigger has refused.

    Example::

        class OrderForm(ViolationsFormMixin, forms.ModelForm):
            class Meta:
                model = Order
                fields = ["number"]


        class OrderView(UpdateView):
            form_class = OrderForm

            def form_valid(self, form):
                try:
                    return super().form_valid(form)
                except ViolationError:
                    return self.form_invalid(form)
    """

    def save(self, commit: bool = True) -> Any:
        state, key = self.instance._state, self.instance.pk
        adding, database = state.adding, state.db
        using = router.db_for_write(type(self.instance), instance=self.instance)
        try:
            # A form is saved as a whole, so that it is the place to check what was deferred.
            with violations_as_validation_errors(using=using, immediate=commit):
                return super().save(commit)
        except ViolationError as error:
            self.instance.pk, state.adding, state.db = key, adding, database
            add_violation(self, error)
            raise


def add_violation(form: BaseModelForm[Any], error: ViolationError) -> None:
    """Put what a trigger has refused among the errors of a form: where the form has the field."""
    table = error.violation.model._meta.concrete_model
    is_its_own = table is not None and issubclass(form._meta.model, table)
    for name, refusals in error.error_dict.items():
        field = name if is_its_own and name in form.fields else NON_FIELD_ERRORS
        form.add_error(field, refusals)
