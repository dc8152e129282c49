"""The attributes that every trigger is declared with, and what they cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypedDict

from django.db import models

from pgtrigger import clauses
from pgtrigger.conditions import Condition
from pgtrigger.errors import DeclarationError
from pgtrigger.functions import Func

MAX_NAME_LENGTH: Final = 47
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LABEL = re.compile(r"\w+\.\w+")

Model = type[models.Model]
ModelOrRow = type[models.Model] | models.Model

# The statements of a trigger's function, and of one that differs with the level.
Body = str | Func
Bodies = Body | Mapping[clauses.Level, Body]


class _SharedArguments(TypedDict, total=False):
    name: str | None
    level: clauses.Level | None
    when: clauses.When | None
    operation: clauses.Operation | None
    condition: Condition | None
    declare: Iterable[tuple[str, str]] | None
    timing: clauses.Timing | None
    firing: clauses.Firing | None
    ignorable: bool | None
    depends_on: Sequence[str] | None
    search_path: Sequence[str] | None


class TriggerArguments(_SharedArguments, total=False):
    """The keyword arguments of `Trigger`, for the annotation of a type that passes them on.

    So type checkers know the arguments of the subclass, its own and those that it inherits, and
    refuse any other. Python manual: `typing.Unpack`.

    Example::

        class Stamp(pgtrigger.Trigger):
            def __init__(self, *, field: str, **kwargs: Unpack[pgtrigger.TriggerArguments]) -> None:
                self.field = field
                super().__init__(**kwargs)
    """

    referencing: clauses.Referencing | None
    func: Body | None


class ComposerArguments(_SharedArguments, total=False):
    """The keyword arguments of `Composer`, to be used as `TriggerArguments` is.

    There is no ``referencing``, and ``func`` may be a dictionary from level to function.
    """

    func: Bodies | None


class Declaration:
    """The clauses of a trigger, validated when they are given.

    Every argument is keyword-only; a class attribute of the same name is its default.
    """

    name: str | None = None
    level: clauses.Level | None = clauses.Row
    when: clauses.When | None = None
    operation: clauses.Operation | None = None
    condition: Condition | None = None
    referencing: clauses.Referencing | None = None
    func: Any = None
    declare: Iterable[tuple[str, str]] | None = None
    timing: clauses.Timing | None = None
    firing: clauses.Firing | None = None
    ignorable: bool = True
    depends_on: Sequence[str] = ()
    search_path: Sequence[str] = ()

    def __init__(
        self,
        *,
        name: str | None = None,
        level: clauses.Level | None = None,
        when: clauses.When | None = None,
        operation: clauses.Operation | None = None,
        condition: Condition | None = None,
        referencing: clauses.Referencing | None = None,
        func: Bodies | None = None,
        declare: Iterable[tuple[str, str]] | None = None,
        timing: clauses.Timing | None = None,
        firing: clauses.Firing | None = None,
        ignorable: bool | None = None,
        depends_on: Sequence[str] | None = None,
        search_path: Sequence[str] | None = None,
    ) -> None:
        arguments = {
            key: value for key, value in locals().items() if key not in ("self", "__class__")
        }
        for key, value in arguments.items():
            if value is not None:
                setattr(self, key, value)
        self.validate()

    def validate(self) -> None:
        """Refuse what no database could accept. Raises `DeclarationError`."""
        if self.level is not None:
            self._validate_clause("level", clauses.Level)
        self._validate_clause("when", clauses.When)
        self._validate_clause("operation", clauses.Operation)
        if self.timing is not None:
            self._validate_clause("timing", clauses.Timing)
        if self.firing is not None:
            self._validate_clause("firing", clauses.Firing)
        if self.get_level() == clauses.Row and self.referencing:
            raise self.refused(
                'Row-level triggers cannot have "referencing": it sees its rows as OLD and NEW'
            )
        if self.timing and self.level != clauses.Row:
            raise self.refused('a trigger with "timing" must have "level" attribute pgtrigger.Row')
        if self.timing and self.when != clauses.After:
            raise self.refused('a trigger with "timing" must have "when" attribute pgtrigger.After')
        self.validate_name()
        self._validate_combination()
        if isinstance(self.depends_on, str):
            raise self.refused(
                f'"depends_on" is a list of models, not the text {self.depends_on!r}'
            )
        if isinstance(self.search_path, str) or not all(self.search_path):
            raise self.refused(
                f'"search_path" is a list of schemas, such as ["app", "pg_temp"]; got '
                f"{self.search_path!r}"
            )
        for label in self.depends_on:
            if not _LABEL.fullmatch(label):
                raise self.refused(f'"depends_on" names models as "app_label.Model"; got {label!r}')

    def get_search_path(self, model: Model) -> Sequence[str]:
        """The schemas in which its function looks; none for those of the role that writes."""
        return self.search_path

    def get_level(self) -> clauses.Level:
        """The level at which it fires: `Row` where a type leaves it open."""
        return self.level or clauses.Row

    def _validate_clause(self, key: str, kind: type[clauses.Clause]) -> None:
        value = getattr(self, key)
        if not isinstance(value, kind):
            choices = ", ".join(f"pgtrigger.{c.title().replace(' ', '')}" for c in kind.allowed)
            raise self.refused(f'Invalid "{key}" attribute {value!r}; it can be one of {choices}')

    def validate_name(self) -> None:
        """Refuse a name that is missing, too long, or not made of letters, digits, - and _."""
        if not self.name:
            raise self.refused('a trigger must have "name" attribute')
        if len(self.name) > MAX_NAME_LENGTH:
            raise self.refused(
                f'the name "{self.name}" has {len(self.name)} characters, > {MAX_NAME_LENGTH}'
            )
        if not _NAME.fullmatch(self.name):
            raise self.refused(
                f'the name "{self.name}" is not alphanumeric: only letters, digits, "-" and "_"'
            )

    def _validate_combination(self) -> None:
        assert self.operation is not None
        names = self.operation.names
        if self.when == clauses.InsteadOf and (
            self.level != clauses.Row
            or self.condition
            or "TRUNCATE" in names
            or any(isinstance(member, clauses.UpdateOf) for member in self.operation.members)
        ):
            raise self.refused(
                "pgtrigger.InsteadOf is for the rows of a view: it takes no statement level, "
                "condition, Truncate or UpdateOf"
            )
        if self.when == clauses.InsteadOf and self.firing:
            raise self.refused('the trigger of a view cannot have "firing"')
        if self.timing and "TRUNCATE" in names:
            raise self.refused('a trigger with "timing" cannot have operation pgtrigger.Truncate')
        self._validate_referencing()

    def _validate_referencing(self) -> None:
        if self.referencing and self.when != clauses.After:
            raise self.refused('"referencing" needs "when" attribute pgtrigger.After')

    def refused(self, why: str, model: Model | None = None) -> DeclarationError:
        """The error that says which trigger, of which model, is wrong and why."""
        where = f' of model "{model._meta.label}"' if model else ""
        return DeclarationError(f'{type(self).__name__} "{self.name}"{where}: {why}.')

    def __str__(self) -> str:
        return str(self.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}>"
