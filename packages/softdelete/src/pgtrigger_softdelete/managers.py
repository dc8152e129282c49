"""Managers and querysets that know which rows are deleted."""

from __future__ import annotations

import copy
from typing import Any, Self, TypeVar

from django.db import models, router, transaction

import pgtrigger
from pgtrigger.registry import registered
from pgtrigger_softdelete.deletion import (
    SoftDeleteCollector,
    really_deleting,
    required_soft_delete,
)

M = TypeVar("M", bound=models.Model)


class SoftDeleteQuerySet(models.QuerySet[M]):
    """A queryset that can tell deleted rows from live ones, restore them, and really delete them.

    It shows all rows; `SoftDeleteManager` shows those that are live. It asks the model's
    `SoftDelete` what a deleted row is.

    Raises (by every method of its own):
        DeclarationError: the model has no SoftDelete, or more than one.

    Example::

        class Order(models.Model):
            objects = SoftDeleteManager()
            all_objects = SoftDeleteQuerySet.as_manager()

        Order.all_objects.deleted().restore()
    """

    def active(self) -> Self:
        """Those that are not deleted."""
        return self.filter(required_soft_delete(self.model).mark.live_q())

    def deleted(self) -> Self:
        """Those that are deleted."""
        return self.filter(required_soft_delete(self.model).mark.deleted_q())

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows, and return how many are gone, also by model.

        Those that the trigger only marks count too. Children that ``SoftDelete(cascade=…)`` is
        about are left to the database, so any number of rows takes the same two statements,
        unless signals, other foreign keys or parent models have Django fetch them.
        """
        soft = required_soft_delete(self.model)
        label = self.model._meta.label
        rows = self._to_delete()
        if _is_ignored(self.model, soft, rows.db):
            return super().delete()
        with transaction.atomic(using=rows.db):
            # A filter across a relation may find a row several times.
            live = rows.active().values("pk").distinct().count()
            collector = SoftDeleteCollector(using=rows.db, origin=self)
            collector.collect(rows)
            _, by_model = collector.delete()
        by_model[label] = max(live, by_model.get(label, 0))
        self._result_cache = None
        by_model = {name: count for name, count in by_model.items() if count}
        return sum(by_model.values()), by_model

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates
    delete.queryset_only = True  # type: ignore[attr-defined]  # Django's mark for managers

    def restore(self) -> int:
        """Make the deleted rows among these live again, in one statement; return how many.

        The trigger restores the children that went with them.

        Raises:
            DeclarationError: nothing says what the field holds on a live row.
        """
        soft = required_soft_delete(self.model)
        values = {soft.mark.field: soft.mark.live_value(self.model)}
        if soft.cascade_field:
            values[soft.cascade_field] = None
        return self.deleted().update(**values)

    restore.alters_data = True  # type: ignore[attr-defined]  # Django's mark on a method
    restore.queryset_only = True  # type: ignore[attr-defined]  # Django's mark on a method

    def hard_delete(self) -> tuple[int, dict[str, int]]:
        """Really delete the rows, as a model without SoftDelete does.

        The SoftDelete of each model whose foreign key cascades is ignored too, so deleted and
        live children go with them.
        """
        with really_deleting(self.model, self._to_delete().db):
            return super().delete()

    hard_delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark on a method
    hard_delete.queryset_only = True  # type: ignore[attr-defined]  # Django's mark on a method

    def _to_delete(self: Any) -> Any:
        query = self.query
        if query.is_sliced or query.distinct_fields or query.combinator or self._fields is not None:
            raise TypeError(
                "delete() works on whole rows of one table: not after slicing, distinct() on "
                "fields, union() and the like, or values()."
            )
        rows = self._chain()
        rows._for_write = True
        rows.query.select_for_update = False
        rows.query.select_related = False
        rows.query.clear_ordering(force=True)
        return rows


def _is_ignored(model: type[models.Model], soft: Any, using: str) -> bool:
    return any(
        pgtrigger.is_ignored(trigger.get_uri(other), using)
        for other, trigger in registered()
        if trigger is soft and other._meta.db_table == model._meta.db_table
    )


class SoftDeleteManager(models.Manager.from_queryset(SoftDeleteQuerySet)[M]):  # type: ignore[misc]  # made by a call
    """A manager that shows live rows only, also through relations and ``prefetch_related``.

    Declare it first, and beside it ``all_objects = SoftDeleteQuerySet.as_manager()``. Django itself
    goes on seeing all rows where it follows a foreign key or saves.

    Example::

        class Order(models.Model):
            objects = SoftDeleteManager()
            all_objects = SoftDeleteQuerySet.as_manager()

        customer.orders.deleted()
    """

    _shows_all = False

    def get_queryset(self) -> SoftDeleteQuerySet[M]:  # pyright: ignore[reportInvalidTypeVarUse]  # the class's, made by a call
        rows: Any = super().get_queryset()
        shown: SoftDeleteQuerySet[M] = rows if self._shows_all else rows.active()
        return shown

    def deleted(self) -> SoftDeleteQuerySet[M]:  # pyright: ignore[reportInvalidTypeVarUse]  # the class's, made by a call
        """Those that are deleted, of this relation if it is one."""
        everything: Any = copy.copy(self)
        everything._shows_all = True
        instance = getattr(self, "instance", None)
        if instance is not None:
            # What is prefetched are live rows.
            everything.instance = copy.copy(instance)
            everything.instance._prefetched_objects_cache = {}
        found: SoftDeleteQuerySet[M] = everything.get_queryset().deleted()
        return found


class SoftDeleteMixin:
    """A base, before ``models.Model``, for models whose rows know that they are only marked.

    It is not needed for the trigger to work. With it, `delete` leaves to the database the children
    that ``SoftDelete(cascade=…)`` is about, as the querysets do, and the instance keeps its key.

    Example::

        class Order(SoftDeleteMixin, models.Model): ...

        order.delete()
        order.restore()
    """

    def delete(self: Any, using: Any = None, keep_parents: bool = False) -> Any:
        """Delete the row; return how many rows are gone, also by model.

        Raises:
            ValueError: the instance was never saved.
        """
        if self.pk is None:
            raise ValueError(f"{self!r} cannot be deleted: it has no primary key.")
        using = using or router.db_for_write(type(self), instance=self)
        pk, soft = self.pk, required_soft_delete(type(self))
        rows: Any = SoftDeleteQuerySet(type(self), using=using).filter(pk=pk)
        if _is_ignored(type(self), soft, using):
            return models.Model.delete(self, using=using, keep_parents=keep_parents)
        with transaction.atomic(using=using):
            live = rows.active().count()
            collector = SoftDeleteCollector(using=using, origin=self)
            rows_of_one: Any = [self]
            collector.collect(rows_of_one, keep_parents=keep_parents)
            _, by_model = collector.delete()
        label = self._meta.label
        if not by_model.get(label):
            self.pk = pk
            # Loaded again when somebody asks for it.
            self.__dict__.pop(self._meta.get_field(soft.mark.field).attname, None)
            by_model = {**by_model, label: live} if live else by_model
        return sum(by_model.values()), by_model

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

    def restore(self: Any, using: Any = None) -> int:
        """Make the row live again, and the children that went with it; return 1, or 0 if it was."""
        using = using or router.db_for_write(type(self), instance=self)
        soft = required_soft_delete(type(self))
        count = SoftDeleteQuerySet(type(self), using=using).filter(pk=self.pk).restore()
        for name in filter(None, [soft.mark.field, soft.cascade_field]):
            self.__dict__.pop(self._meta.get_field(name).attname, None)
        return count

    restore.alters_data = True  # type: ignore[attr-defined]  # Django's mark on a method

    def hard_delete(self: Any, using: Any = None, keep_parents: bool = False) -> Any:
        """Really delete the row; see `SoftDeleteQuerySet.hard_delete`."""
        using = using or router.db_for_write(type(self), instance=self)
        with really_deleting(type(self), using):
            return models.Model.delete(self, using=using, keep_parents=keep_parents)

    hard_delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark on a method
