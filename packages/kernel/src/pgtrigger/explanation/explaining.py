"""Puts together what a declared trigger does: when, on which rows, and what then.

PostgreSQL manual: "Overview of Trigger Behavior", "CREATE TRIGGER", "Explicit Locking".
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from pgtrigger import clauses, sql
from pgtrigger.compiler import CompiledTrigger, Part
from pgtrigger.declaration import Model
from pgtrigger.explanation.conditions import condition_words, listed
from pgtrigger.explanation.effects import Effects, effects
from pgtrigger.places import place_of
from pgtrigger.plpgsql import Refusal
from pgtrigger.trigger import Trigger

_REPLICATING: Final = {
    "": "",
    "ORIGIN": "it fires where changes are made, not where replication applies them",
    "ALWAYS": "it fires where changes are made, and where replication applies them",
    "REPLICA": "it fires only where replication applies changes",
}
_MOMENTS: Final = {"BEFORE": "before", "AFTER": "after", "INSTEAD OF": "in place of"}


@dataclass(frozen=True, kw_only=True)
class Firing:
    """When one of its Postgres triggers fires.

    Args:
        pgid: the name of the Postgres trigger.
        when: moment, operations and level, such as ``before an UPDATE, for each row``.
        rows: on which rows, or for a statement under which condition.
    """

    pgid: str
    when: str
    rows: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a trigger does.

    Args:
        uri: its name in commands and for `ignore`.
        kind: the class of the declaration, and what its docstring says in the first line.
        table: the table it is on.
        place: file and line of the declaration.
        firings: when it fires; one for each of its Postgres triggers.
        refusals: the errors that its function raises: SQLSTATE, message and hint.
        effects: sentences on what its function does.
        ignoring: whether and how it is ignored.
        deferring: when it is checked, and how that is changed.
        replicating: whether it fires for what replication applies, if that is declared.
        function: the name of its function in Postgres.
        locking: what installing it makes others wait for.
    """

    uri: str
    kind: str
    table: str
    place: str
    firings: tuple[Firing, ...]
    refusals: tuple[Refusal, ...]
    effects: tuple[str, ...]
    ignoring: str
    deferring: str
    replicating: str
    function: str
    locking: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Labels and sentences. A label is said once, before the first of its sentences."""
        yield "Type", self.kind
        for index, firing in enumerate(self.firings):
            yield "" if index else "Fires", firing.when
            yield "", firing.rows
        for index, sentence in enumerate(self.effects):
            yield "" if index else "Does", sentence
        yield "Ignoring", self.ignoring
        yield "Deferring", self.deferring
        if self.replicating:
            yield "Replicating", self.replicating
        names = ", ".join(firing.pgid for firing in self.firings)
        several = "s" if len(self.firings) > 1 else ""
        yield "In Postgres", f"trigger{several} {names} on {self.table}"
        yield "", f"function {self.function}()"
        for index, sentence in enumerate(self.locking):
            yield "" if index else "Installing", sentence
        if self.place:
            yield "Declared", self.place


def explain(model: Model, trigger: Trigger) -> Explanation:
    """Say what a trigger does.

    Args:
        model: the model it is declared on.
        trigger: the declaration.

    Returns:
        What its declaration and the text of its function say. Conditions and functions in plain
        SQL are shown as they are.

    Raises:
        DeclarationError: what this model cannot have; `FieldLookupError` for unknown fields.

    Example::

        for label, sentence in pgtrigger.explanation.explain(Order, trigger).lines():
            print(label, sentence)
    """
    compiled = trigger.compile(model)
    table = sql.relation(model._meta.db_table)[1]
    found = effects(compiled, _known(trigger, model, compiled))
    uri = trigger.get_uri(model)
    place = place_of(model, trigger)
    return Explanation(
        uri=uri,
        kind=_kind(trigger),
        table=table,
        place=str(place or ""),
        firings=tuple(_firing(trigger, model, part) for part in compiled.parts),
        refusals=found.refusals,
        effects=tuple(_effects(found, compiled)),
        ignoring=f'pgtrigger.ignore("{uri}") passes it by'
        if trigger.ignorable
        else "nobody can ignore it: ignorable=False",
        deferring=_deferring(trigger, uri),
        replicating=_REPLICATING[compiled.firing],
        function=compiled.function,
        locking=tuple(_locking(compiled, table)),
    )


def _kind(trigger: Trigger) -> str:
    name = type(trigger).__name__
    first = (inspect.getdoc(type(trigger)) or "").partition("\n\n")[0]
    return f"{name}: {' '.join(first.split())}" if first and type(trigger) is not Trigger else name


def _known(trigger: Trigger, model: Model, compiled: CompiledTrigger) -> dict[str, str]:
    """What expressions of the function come to whenever it is called."""
    schema, table = sql.relation(model._meta.db_table)
    known = {"tg_table_name": table, "tg_relname": table}
    if schema:
        known["tg_table_schema"] = schema
    if len(compiled.parts) == 1:
        known["tg_name"] = compiled.pgid
    assert trigger.operation is not None
    names = sorted(trigger.operation.names, key=clauses.Operation.allowed.index)
    known["tg_op"] = listed(names, "or")
    known["lower(tg_op)"] = "/".join(name.lower() for name in names)
    return known


def _firing(trigger: Trigger, model: Model, part: Part) -> Firing:
    operations = _operations(trigger, part)
    named = [_operation(member, model) for member in operations]
    article = "an" if named[0][0] in "IU" else "a"
    moment = f"{_MOMENTS[part.when]} {article} {listed(named, 'or')}"
    level = "for each row" if part.level == "ROW" else "once for the statement"
    return Firing(
        pgid=part.pgid,
        when=f"{moment}, {level}",
        rows=_rows(trigger, model, part, operations[0].name),
    )


def _operations(trigger: Trigger, part: Part) -> list[clauses.Operation]:
    words = {token.text for token in sql.tokens(part.operation) if token.kind == "word"}
    assert trigger.operation is not None
    return [member for member in trigger.operation.members if member.name in words]


def _operation(operation: clauses.Operation, model: Model) -> str:
    if not isinstance(operation, clauses.UpdateOf):
        return operation.name
    return f"{operation.name} that sets {listed([*operation.columns], 'or')}"


def _rows(trigger: Trigger, model: Model, part: Part, operation: str) -> str:
    condition = trigger.get_condition_for(model, operation)
    if part.level == "ROW":
        if not part.condition:
            return "on all rows"
        if condition and sql.normalise(condition.resolve(model)) == sql.normalise(part.condition):
            return f"on rows where {condition_words(condition, model)}"
        return f"on rows where {' '.join(part.condition.split())}"
    if part.condition:
        return f"when {' '.join(part.condition.split())}"
    if condition is None:
        return "however many rows there are"
    return f"its function looks whether there are rows where {condition_words(condition, model)}"


def _effects(found: Effects, compiled: CompiledTrigger) -> Iterator[str]:
    said = [*_said(found, compiled)]
    yield from said or ["refuses nothing, and sets no column, as far as its text says"]


def _said(found: Effects, compiled: CompiledTrigger) -> Iterator[str]:
    if not found.readable:
        yield "its function cannot be read; `manage.py pgtrigger lint` says why"
    for refusal in found.refusals:
        verb = "refuses" if found.always_refuses else "can refuse"
        yield f'{verb} with {_error(refusal)}: "{refusal.message}"'
        if refusal.hint:
            yield f'advises: "{refusal.hint}"'
    if found.assigned:
        yield f"sets {listed(found.assigned, 'and')} of the row"
    if found.writes:
        yield f"runs {listed(found.writes, 'and')}"
    if found.calls:
        yield "runs queries or calls other functions"
    # Where statements fire it too, NULL may be meant for those.
    if found.returns_null and all(
        part.level == "ROW" and part.when != "AFTER" for part in compiled.parts
    ):
        yield "can skip the row: it has RETURN NULL"


def _error(refusal: Refusal) -> str:
    code = refusal.sqlstate
    integrity = code.startswith("23") or code.endswith("_violation")
    kind = "django.db.IntegrityError" if integrity else "django.db.DatabaseError"
    return f"{kind} (SQLSTATE {code})"


def _deferring(trigger: Trigger, uri: str) -> str:
    if trigger.timing is None:
        return "it is not deferrable: it fires with the statement"
    other = "Immediate" if trigger.timing == clauses.Deferred else "Deferred"
    now = "when the transaction commits" if other == "Immediate" else "at the end of each statement"
    return f'it fires {now}; pgtrigger.constraints(pgtrigger.{other}, "{uri}") changes that'


def _locking(compiled: CompiledTrigger, table: str) -> Iterator[str]:
    yield f"takes SHARE ROW EXCLUSIVE on {table}: reading goes on, writing waits"
    if any(part.timing for part in compiled.parts):
        yield "later changes drop the constraint trigger first, by ACCESS EXCLUSIVE: reading waits"
    yield "a change of only the function locks nothing"
