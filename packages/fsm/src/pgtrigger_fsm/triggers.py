"""FSM: a column changes only along declared transitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import pgtrigger
from pgtrigger import sql
from pgtrigger.clauses import Operation, UpdateOf, When
from pgtrigger.composer import TABLES, full_join, missing
from pgtrigger.conditions import Condition
from pgtrigger.confinement import path_for
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError
from pgtrigger.functions import way_out
from pgtrigger_fsm.refusals import NotInitial, NotOpen
from pgtrigger_fsm.states import StateField, state_field
from pgtrigger_fsm.transitions import ANY, Transition, states_of, transitions_of

CHECK_VIOLATION = "23514"
_MOVED = "'an unknown state (its primary key changed)'"


class FSM(pgtrigger.Composer):
    """Let a column change only along declared transitions.

    Rows that change along one of them, or leave the column as it is, cost no function call: at
    row level the ``WHEN`` clause decides.

    Args (besides those of `pgtrigger.Trigger`):
        field: the name of the field that holds the state. NULL is a state like any other.
        transitions: what is allowed: pairs of source and target, or `Transition` values.
        initial: the states in which rows can be inserted; any, by default.
        self_transitions: whether an update may leave the state as it is without a transition
            from that state to itself. If not, what is in a state without such a transition cannot
            be updated at all, except to leave it.
        separator: accepted for declarations written for django-pgtrigger, and ignored.
        condition: on which rows the machine holds; on all by default.
        level: at `Statement` level, a bulk update is checked once. A row whose primary key
            changes in the statement cannot be matched with its old self and is refused.
        timing: postpones each check, as of a trigger with `After`, which is then the default.

    Raises:
        DeclarationError: no field or no transitions, transitions that are none, or an operation
            other than updates, and inserts where there is ``initial``.

    Raises in the database:
        IntegrityError: ``Invalid transition of field "<field>" from "<old>" to "<new>" on table
            <table>``, or ``Invalid initial state "<new>" of field …``; NULL is shown without
            quotes. `pgtrigger.violation` reads it.

    Example::

        pgtrigger.FSM(
            name="status",
            field="status",
            initial=["draft"],
            transitions=[
                ("draft", "published"),
                Transition("published", "archived", name="archive"),
            ],
        )

    PostgreSQL manual: "CREATE TRIGGER", the ``WHEN`` condition.
    """

    when: When | None = pgtrigger.Before
    operation: Operation | None = pgtrigger.Update
    field: str | None = None
    transitions: Iterable[Any] | None = None
    initial: Any = None
    self_transitions: bool = True
    separator: str | None = None

    def __init__(
        self,
        *,
        field: str | None = None,
        transitions: Iterable[Any] | None = None,
        initial: Any = None,
        self_transitions: bool | None = None,
        separator: str | None = None,
        **kwargs: Unpack[pgtrigger.ComposerArguments],
    ) -> None:
        self.field = field or self.field
        self.separator = separator or self.separator
        if self_transitions is not None:
            self.self_transitions = self_transitions
        if not self.field:
            raise DeclarationError(
                f'{type(self).__name__} must provide "field": the name of the field with the state.'
            )
        given = self.transitions if transitions is None else transitions
        self.transitions = transitions_of(given or ())
        if not self.transitions:
            raise DeclarationError(
                f'{type(self).__name__} must provide "transitions": a list of (source, target) '
                f"pairs or Transition(…); got {given!r}."
            )
        if initial is not None:
            self.initial = initial
        if (kwargs.get("timing") or self.timing) and kwargs.get("when") is None:
            kwargs["when"] = pgtrigger.After
        operation = kwargs.get("operation") or self.operation
        if self.initial is not None and isinstance(operation, Operation):
            kwargs["operation"] = operation | pgtrigger.Insert
        super().__init__(**kwargs)

    def validate(self) -> None:
        super().validate()
        assert self.operation is not None
        names = self.operation.names
        if names - {"UPDATE", "INSERT"} or "UPDATE" not in names:
            raise self.refused(
                f"it watches pgtrigger.Update, and pgtrigger.Insert by itself where there is "
                f"initial=…; got {self.operation!r}"
            )
        if ("INSERT" in names) != (self.initial is not None):
            raise self.refused(
                'an insert is checked on the states of "initial": give both or neither'
            )
        if self.when == pgtrigger.InsteadOf:
            raise self.refused("it watches tables; pgtrigger.InsteadOf is for views")
        for transition in self.get_transitions():
            if self.self_transitions and transition.stays and transition.condition is not None:
                raise self.refused(
                    f"the condition of the transition from {transition.source!r} to itself would "
                    f"never be looked at, because every update may leave the state as it is; say "
                    f"self_transitions=False"
                )
        self.get_initial()

    def get_transitions(self) -> tuple[Transition, ...]:
        """The declared transitions."""
        return transitions_of(self.transitions or ())

    def get_initial(self) -> tuple[Any, ...] | None:
        """The states in which rows can be inserted; None where any is allowed."""
        if self.initial is None:
            return None
        try:
            states = states_of(self.initial)
        except DeclarationError as error:
            raise self.refused(f'its "initial" {error}') from error
        if states is ANY:
            raise self.refused('without "initial", rows can be inserted in any state')
        return states if isinstance(states, tuple) else (states,)

    def get_search_path(self, model: Model) -> Sequence[str]:
        assert self.operation is not None
        if self.search_path or self.func or self.get_level() == pgtrigger.Row:
            return self.search_path
        return path_for([self.get_condition_for(model, n) for n in self.operation.names], model)

    def get_when(self, model: Model, operation: str | None = None) -> When:
        # Before an insert nobody knows yet whether ON CONFLICT makes an update of it, and the
        # transition tables exist only after the statement.
        if self.get_level() == pgtrigger.Statement or operation == "INSERT":
            return pgtrigger.After
        return super().get_when(model, operation)

    def get_condition(self, model: Model) -> Condition:
        """That a row does what it may not: of inserts if there are no others, else of updates."""
        assert self.operation is not None
        only_inserts = self.operation.names == {"INSERT"}
        return self.get_condition_for(model, "INSERT" if only_inserts else "UPDATE")

    def get_condition_for(self, model: Model, operation: str) -> Condition:
        """What is refused: an initial state, or a transition, that nobody declared."""
        assert self.field is not None
        refused: Condition
        if operation == "INSERT":
            refused = NotInitial(self.field, self.get_initial() or ())
            if self.condition and "OLD" in sql.rows_used(self.condition.resolve(model)):
                raise self.refused(
                    'its condition reads OLD, which an insert, checked on "initial", does not have',
                    model,
                )
        else:
            refused = NotOpen(self.field, self.get_transitions(), stays=self.self_transitions)
        return refused if self.condition is None else refused & self.condition

    def render_condition(self, model: Model) -> str:
        condition = self.get_parts(model)[-1].condition  # of updates; inserts come first
        return f"WHEN ({condition})" if condition else ""

    def render_func(self, model: Model) -> str:
        if self.func or self.get_level() != pgtrigger.Row:
            return super().render_func(model)
        state = self.state_field(model)
        transition = self.refusal(model, state.shown("NEW"), state.shown("OLD"))
        if self.initial is None:
            return transition
        refusal = self.refusal(model, state.shown("NEW"))
        return f"IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN\n{refusal}\nEND IF;\n{transition}"

    def _render_for(self, model: Model, operation: Operation) -> str:
        if self.func:
            return super()._render_for(model, operation)
        if isinstance(operation, UpdateOf):
            raise self.refused(
                "Postgres shows a statement-level trigger no rows for pgtrigger.UpdateOf; "
                "pgtrigger.Update costs little where the state does not change",
                model,
            )
        state = self.state_field(model)
        met = self.get_condition_for(model, operation.name).resolve_rows(model, TABLES)
        new, source = state.shown(TABLES.new), TABLES.new
        old = None
        if operation.name == "UPDATE":
            no_old, no_new = missing(model, "OLD"), missing(model, "NEW")
            met = f"CASE WHEN {no_old} OR {no_new} THEN TRUE ELSE ({met}) END"
            old = f"CASE WHEN {no_old} THEN {_MOVED} ELSE {state.shown(TABLES.old)} END"
            new = f"CASE WHEN {no_new} THEN {_MOVED} ELSE {new} END"
            source = full_join(model)
        shown = f"{old or 'NULL'} AS source, {new} AS target"
        variable = "pgtrigger_refused"
        refusal = self.refusal(model, f"{variable}.target", old and f"{variable}.source")
        return (
            f"DECLARE\n    {variable} RECORD;\nBEGIN\n"
            f"    SELECT {shown} INTO {variable} FROM {source} WHERE {met} LIMIT 1;\n"
            f"    IF FOUND THEN\n{refusal}\n    END IF;\n    RETURN NULL;\nEND;"
        )

    def state_field(self, model: Model) -> StateField:
        """The field of a model that holds the state. Raises `FieldLookupError` without one."""
        assert self.field is not None
        return state_field(model, self.field)

    def refusal(self, model: Model, new: str, old: str | None = None) -> str:
        """The statement that refuses; without ``old``, an initial state. Both states are SQL."""
        assert self.field is not None
        field, table = sql.string(self.field), "TG_TABLE_NAME"
        if old is None:
            message = 'pgtrigger: Invalid initial state %s of field "%s" on table %s'
            arguments = [new, field, table]
        else:
            message = 'pgtrigger: Invalid transition of field "%s" from %s to %s on table %s'
            arguments = [field, old, new, table]
        return pgtrigger.raise_violation(
            message,
            *arguments,
            hint=self.way_out(model),
            column=sql.string(str(self.state_field(model).field.column)),
            errcode=CHECK_VIOLATION,
        )

    def way_out(self, model: Model) -> str:
        """The hint that the refusal gives."""
        return way_out(self.get_uri(model), ignorable=self.ignorable)
