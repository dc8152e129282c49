"""The foreign keys to a model, and what a soft delete does about each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from django.db import models

from pgtrigger.columns import column_name, columns_of
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError

Cascade = Literal["soft", "set_null", "refuse", "keep"]
CASCADES: Final[tuple[Cascade, ...]] = get_args(Cascade)

# By name, because those that the database carries out came with Django 6.1.
_CASCADES: Final = ("CASCADE", "DB_CASCADE")
_SETS_NULL: Final = ("SET_NULL", "DB_SET_NULL")


@dataclass(frozen=True)
class Child:
    """A foreign key to a soft-deleted model, and what becomes of the rows that hold it.

    Args:
        key: the foreign key.
        action: one of `CASCADES`.
    """

    key: models.ForeignKey[Any, Any]
    action: Cascade

    @property
    def model(self) -> Model:
        """The model in whose table the foreign key is."""
        return self.key.model

    @property
    def columns(self) -> tuple[str, str]:
        """The column of the foreign key, and the one that it refers to."""
        return column_name(self.key), column_name(self.key.target_field)


def on_delete(key: models.ForeignKey[Any, Any]) -> str:
    """The name of what Django or the database does when the row that is referred to goes."""
    return str(getattr(key.remote_field.on_delete, "__name__", ""))


def cascades_in_database(key: models.ForeignKey[Any, Any]) -> bool:
    """Whether the database deletes the row together with the one that it refers to."""
    return on_delete(key) == "DB_CASCADE"


def label(key: models.ForeignKey[Any, Any]) -> str:
    """The name by which a declaration knows a foreign key: ``app_label.Model.field``."""
    return f"{key.model._meta.label}.{key.name}"


def is_skipped(key: models.ForeignKey[Any, Any]) -> bool:
    """Whether Django does nothing about the row that holds the key, but leaves it to others."""
    return on_delete(key) in ("DO_NOTHING", "DB_CASCADE", "DB_SET_NULL", "DB_SET_DEFAULT")


def follows_row(key: models.ForeignKey[Any, Any]) -> bool:
    """Whether the row is deleted together with the one that it refers to, by whomever."""
    return on_delete(key) in _CASCADES


def keys_to(model: Model, *, links: bool = False) -> Iterator[models.ForeignKey[Any, Any]]:
    """The foreign keys that refer to the rows of a model, hidden ones too.

    ``links`` adds those by which the tables of child models continue a row.
    """
    concrete = model._meta.concrete_model or model
    for relation in concrete._meta.get_fields(include_hidden=True):
        key = getattr(relation, "field", None)
        if (
            (relation.one_to_many or relation.one_to_one)
            and not relation.concrete
            and isinstance(key, models.ForeignKey)
            and key.target_field in columns_of(concrete)
            and (links or not getattr(key.remote_field, "parent_link", False))
        ):
            yield key


def keys_of(model: Model) -> list[models.ForeignKey[Any, Any]]:
    """The foreign keys in the table of a model."""
    return [field for field in columns_of(model) if isinstance(field, models.ForeignKey)]


def chosen(
    model: Model, cascade: Cascade | Mapping[str, Cascade] | None, is_soft: Callable[[Model], bool]
) -> list[Child]:
    """The children of a model, as ``SoftDelete(cascade=…)`` chooses them.

    Args:
        model: the model that is soft-deleted.
        cascade: one action, or one for each foreign key.
        is_soft: tells whether a model has a soft delete of its own.

    Raises:
        DeclarationError: a foreign key that does not exist, or that cannot do what it is to.
    """
    if not cascade:
        return []
    known = {label(key): key for key in keys_to(model)}
    if isinstance(cascade, Mapping):
        for name in cascade:
            if name not in known:
                raise DeclarationError(
                    f'"cascade" names {name!r}, which is no foreign key to '
                    f'"{model._meta.label}". Those are: {", ".join(known) or "none"}.'
                )
        children = [Child(known[name], action) for name, action in cascade.items()]
    else:
        children = [
            Child(key, cascade) for key in known.values() if _follows(key, cascade, is_soft)
        ]
    for child in children:
        _refuse_impossible(child, is_soft)
    return sorted(children, key=lambda child: (child.action != "refuse", label(child.key)))


def _follows(
    key: models.ForeignKey[Any, Any], cascade: Cascade, is_soft: Callable[[Model], bool]
) -> bool:
    match cascade:
        case "soft":
            return on_delete(key) in _CASCADES and is_soft(key.model)
        case "set_null":
            return on_delete(key) in (*_CASCADES, *_SETS_NULL)
    return True


def _refuse_impossible(child: Child, is_soft: Callable[[Model], bool]) -> None:
    name = label(child.key)
    if child.action == "set_null" and not child.key.null:
        raise DeclarationError(
            f'"{name}" cannot be set to NULL: give it null=True, or choose "soft" or "refuse" for '
            f'it with cascade={{"{name}": …}}.'
        )
    if child.action == "soft" and not is_soft(child.model):
        raise DeclarationError(
            f'"{name}" cannot follow its parent with "soft": "{child.model._meta.label}" has no '
            f"SoftDelete of its own. Declare one, or choose another action."
        )
