"""The clauses of ``CREATE TRIGGER`` as values: level, moment, operations, timing, tables, firing.

PostgreSQL manual: "CREATE TRIGGER" and "Overview of Trigger Behavior".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from pgtrigger import sql
from pgtrigger.errors import DeclarationError


@dataclass(frozen=True)
class Clause:
    """A keyword out of a closed set. ``str()`` gives the keyword; clauses are hashable values."""

    name: str

    allowed: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.name not in self.allowed:
            raise DeclarationError(
                f"{type(self).__name__} {self.name!r} is not one of {', '.join(self.allowed)}."
            )

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"pgtrigger.{self.name.title().replace(' ', '')}"


class Level(Clause):
    """Whether the trigger fires for each row or once for the statement: `Row`, `Statement`."""

    allowed = ("ROW", "STATEMENT")


class When(Clause):
    """The moment at which the trigger fires: `Before`, `After`, `InsteadOf`."""

    allowed = ("BEFORE", "AFTER", "INSTEAD OF")


class Timing(Clause):
    """When a constraint trigger is checked by default: `Immediate`, `Deferred`."""

    allowed = ("IMMEDIATE", "DEFERRED")


class Firing(Clause):
    """In which sessions it fires, by their ``session_replication_role``.

    `Origin`: where changes are made; `Replica`: where they are applied, such as by the worker of a
    logical subscription; `Always`: in both. PostgreSQL manual: "ALTER TABLE", ``ENABLE TRIGGER``.
    """

    allowed = ("ORIGIN", "ALWAYS", "REPLICA")


class Operation(Clause):
    """A statement that fires the trigger: `Insert`, `Update`, `Delete`, `Truncate`.

    Operations combine with ``|``:

    >>> str(Insert | Update)
    'INSERT OR UPDATE'
    """

    allowed = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")

    def __or__(self, other: Operation) -> Operations:
        if not isinstance(other, Operation):
            return NotImplemented
        return Operations(self, other)

    @property
    def members(self) -> tuple[Operation, ...]:
        """The single operations, each once, in the order of `allowed`."""
        return (self,)

    @property
    def names(self) -> frozenset[str]:
        """The keywords of the single operations, such as ``{"INSERT", "UPDATE"}``."""
        return frozenset(member.name for member in self.members)


@dataclass(frozen=True, init=False, repr=False)
class UpdateOf(Operation):
    """An update that names one of these columns in its ``SET`` list.

    Args:
        *columns: field or column names. When the trigger is compiled, the name of a model field
            stands for its column.

    Raises:
        DeclarationError: without a column.

    >>> str(UpdateOf("c1", "c2"))
    'UPDATE OF "c1", "c2"'
    """

    columns: tuple[str, ...]

    def __init__(self, *columns: str) -> None:
        if not columns:
            raise DeclarationError("Must provide at least one column to UpdateOf.")
        object.__setattr__(self, "name", "UPDATE")
        object.__setattr__(self, "columns", tuple(dict.fromkeys(columns)))

    def __str__(self) -> str:
        return "UPDATE OF " + ", ".join(sql.quote(column) for column in self.columns)

    def __repr__(self) -> str:
        return f"pgtrigger.UpdateOf({', '.join(map(repr, self.columns))})"


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Operations(Operation):
    """Several operations of one trigger, as made by ``|``. Their order has no meaning."""

    operations: tuple[Operation, ...]

    def __init__(self, *operations: Operation) -> None:
        merged = _merge(member for operation in operations for member in operation.members)
        object.__setattr__(self, "name", " OR ".join(map(str, merged)))
        object.__setattr__(self, "operations", merged)

    @property
    def members(self) -> tuple[Operation, ...]:
        return tuple(sorted(self.operations, key=lambda o: Operation.allowed.index(o.name)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operation) and self.members == other.members

    def __hash__(self) -> int:
        return hash(self.members)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.operations))


def _merge(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    # Postgres refuses an event that is named twice.
    merged: dict[str, Operation] = {}
    for operation in operations:
        earlier = merged.get(operation.name, operation)
        if isinstance(earlier, UpdateOf) and isinstance(operation, UpdateOf):
            merged[operation.name] = UpdateOf(*earlier.columns, *operation.columns)
        elif isinstance(earlier, UpdateOf):
            merged[operation.name] = operation
        else:
            merged[operation.name] = earlier
    return tuple(merged.values())


@dataclass(frozen=True)
class Referencing:
    """Names for the transition tables of a statement-level trigger.

    Args:
        old: name of the table of rows as they were (updates and deletes).
        new: name of the table of rows as they are (inserts and updates).

    Raises:
        DeclarationError: when neither is given.

    >>> str(Referencing(old="old_values", new="new_values"))
    'REFERENCING OLD TABLE AS old_values NEW TABLE AS new_values'
    """

    old: str | None = None
    new: str | None = None

    def __post_init__(self) -> None:
        if not self.old and not self.new:
            raise DeclarationError(
                'Must provide either "old" and/or "new" to Referencing: the names by which the '
                "trigger function reads the transition tables."
            )

    def __str__(self) -> str:
        tables = [
            f"{keyword} TABLE AS {sql.identifier(name)}"
            for keyword, name in (("OLD", self.old), ("NEW", self.new))
            if name
        ]
        return "REFERENCING " + " ".join(tables)


Row: Final = Level("ROW")
Statement: Final = Level("STATEMENT")

Before: Final = When("BEFORE")
After: Final = When("AFTER")
InsteadOf: Final = When("INSTEAD OF")

Insert: Final = Operation("INSERT")
Update: Final = Operation("UPDATE")
Delete: Final = Operation("DELETE")
Truncate: Final = Operation("TRUNCATE")

Immediate: Final = Timing("IMMEDIATE")
Deferred: Final = Timing("DEFERRED")

Origin: Final = Firing("ORIGIN")
Always: Final = Firing("ALWAYS")
Replica: Final = Firing("REPLICA")
