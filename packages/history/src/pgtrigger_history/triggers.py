"""History writes events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, Unpack

from django.db import models

import pgtrigger
from pgtrigger import sql
from pgtrigger.clauses import Level, Operation, When
from pgtrigger.columns import column_name, columns_of, equal
from pgtrigger.composer import TABLES, branches, full_join, missing
from pgtrigger.conditions import Condition
from pgtrigger.declaration import Model
from pgtrigger_history import body
from pgtrigger_history.filling import Filling, event_columns

Rows = Literal["new", "old", "both"]
_ROWS: Final = ("new", "old", "both")
# Set while a statement meets a row that had another primary key before it.
_MOVED: Final = "'pgtrigger.history_moved'"


class History(pgtrigger.Composer):
    """Record what happens to the rows of a table, as rows of another one: the events.

    At `Statement` level, which is the default, all rows of a statement are recorded by one
    ``INSERT``. An update that changes the primary key of a row is recorded as a ``DELETE`` of the
    row that it was and an ``INSERT`` of the row that it is.

    Args (those of `pgtrigger.Composer` but ``when`` and ``func``, and):
        into: the model of the events, or its label. Its fields that are called like those of the
            tracked model are filled, and those of an event that it has: ``pgh_label``,
            ``pgh_operation``, ``pgh_created_at``, ``pgh_transaction``, ``pgh_obj`` (the object),
            ``pgh_context`` (a foreign key to `Context`, or a JSON field), and ``pgh_old_<field>``.
        label: what the event is called; the name of the trigger by default.
        row: what is recorded of an update: the ``"new"`` row, the ``"old"`` one, or ``"both"``:
            then the old one is in the fields ``pgh_old_<field>``.
        condition: which rows are recorded. An update is by default recorded if it changes one of
            the recorded fields, other than one that is ``auto_now``.

    Raises:
        DeclarationError: no ``into``, or one with a field that cannot be filled.

    Example::

        pgtrigger.History(
            name="history",
            into="shop.OrderEvent",
            operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
        )
    """

    level: Level | None = pgtrigger.Statement
    when: When | None = pgtrigger.After
    into: Model | str | None = None
    label: str | None = None
    row: Rows = "new"

    def __init__(
        self,
        *,
        into: Model | str | None = None,
        label: str | None = None,
        row: Rows | None = None,
        **kwargs: Unpack[pgtrigger.ComposerArguments],
    ) -> None:
        self.into = into or self.into
        self.label = label or self.label
        self.row = row or self.row
        super().__init__(**kwargs)
        if isinstance(self.into, str):
            named = self.into if "." in self.into else None
        else:
            named = self.into._meta.label if self.into else None
        if named and named not in self.depends_on:
            self.depends_on = [*self.depends_on, named]

    def validate(self) -> None:
        super().validate()
        if not self.into:
            raise self.refused('it must have "into", the model of the events')
        if self.when != pgtrigger.After:
            raise self.refused("it records what has happened, so its moment is pgtrigger.After")
        if self.func:
            raise self.refused('it has a function of its own, so "func" is not for it')
        if self.row not in _ROWS:
            raise self.refused(f'"row" can be one of {", ".join(_ROWS)}; got {self.row!r}')

    def event_model(self, model: Model) -> Model:
        """The model of the events. Raises `DeclarationError` if there is none of that name."""
        assert self.into is not None  # validate() refuses this
        if not isinstance(self.into, str):
            return self.into
        label = self.into if "." in self.into else f"{model._meta.app_label}.{self.into}"
        try:
            return model._meta.apps.get_model(label)
        except (LookupError, ValueError) as error:
            raise self.refused(f'there is no model "{label}" for its events: {error}') from error

    def recorded_fields(self, model: Model) -> list[models.Field[Any, Any]]:
        """The fields of the tracked model that its events have, in the order of the table."""
        names = {field.name for field in event_columns(self.event_model(model))}
        return [field for field in columns_of(model) if field.name in names]

    def get_when(self, model: Model, operation: str | None = None) -> When:
        # What a truncation removes is there only before.
        return pgtrigger.Before if operation == "TRUNCATE" else super().get_when(model, operation)

    def get_condition_for(self, model: Model, operation: str) -> Condition | None:
        condition = self.get_condition(model)
        if condition is not None or operation != "UPDATE":
            return condition
        # At statement level the rows are matched by their keys, which need no comparison then.
        recorded = [
            field
            for field in self.recorded_fields(model)
            if self.get_level() == pgtrigger.Row or field not in model._meta.pk_fields
        ]
        telling = [
            field
            for field in recorded
            if not (getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))
        ]
        names = [field.name for field in telling or recorded]
        return pgtrigger.AnyChange(*names) if names else Condition("FALSE")

    def get_declare(self, model: Model) -> Iterable[tuple[str, str]]:
        assert self.operation is not None
        moves_rows = self.get_level() == pgtrigger.Row and "UPDATE" in self.operation.names
        context = self._filling(model).context
        return [*super().get_declare(model), *body.variables(context, moves_rows=moves_rows)]

    def render_func(self, model: Model) -> str:
        assert self.operation is not None
        table = self.event_model(model)._meta.db_table
        texts = {
            operation.name: "\n".join(self._record(model, operation))
            for operation in self.operation.members
        }
        text = next(iter(texts.values())) if len(texts) == 1 else branches(texts)
        before = [body.find_event_table(table)]
        match self._filling(model).context:
            case body.CONTEXT_ID:
                before.append(body.store_context())
            case body.CONTEXT:
                before.append(body.read_context())
        return "\n".join([*before, text, "RETURN NULL;"])

    def _filling(self, model: Model) -> Filling:
        label = self.label or str(self.name)
        return Filling(model, self.event_model(model), label, both=self.row == "both")

    def _record(self, model: Model, operation: Operation) -> Iterable[str]:
        """The statements that write the events of one operation."""
        table = self.event_model(model)._meta.db_table
        filling = self._filling(model)
        context = filling.context
        by_row = self.get_level() == pgtrigger.Row

        def write(about: str, said: str, source: str, rows: Sequence[str]) -> str:
            recording = filling.recording(about, said, source, rows if by_row else ())
            return body.record(table, recording, context)

        match operation.name:
            case "TRUNCATE":
                where = self._where(model, self.get_condition(model))
                recording = filling.recording("OLD", sql.string("TRUNCATE"), "")
                yield body.record_truncation(
                    table, recording, context, alias=TABLES.old, where=where
                )
            case "INSERT" | "DELETE":
                about = "NEW" if operation.name == "INSERT" else "OLD"
                source = TABLES.new if about == "NEW" else TABLES.old
                source += self._where(model, self.get_condition_for(model, operation.name))
                yield write(about, sql.string(operation.name), source, [about])
            case _ if by_row:
                yield from self._record_updated_row(model, write)
            case _:
                yield from self._record_updated_rows(model, write)

    def _record_updated_row(self, model: Model, write: Callable[..., str]) -> Iterable[str]:
        same = " AND ".join(
            equal(field, *(f"{row}.{sql.quote(column_name(field))}" for row in ("OLD", "NEW")))
            for field in model._meta.pk_fields
        )
        about = "OLD" if self.row == "old" else "NEW"
        changed = write(about, "'UPDATE'", "", ["OLD", "NEW"])
        gone, come = write("OLD", "'DELETE'", "", ["OLD"]), write("NEW", "'INSERT'", "", ["NEW"])
        moved = f"{body.unless_key_is_kept(model._meta.pk_fields, gone)}\n{come}"
        yield (f"IF {same} THEN\n{sql.indent(changed)}\nELSE\n{sql.indent(moved)}\nEND IF;")

    def _record_updated_rows(self, model: Model, write: Callable[..., str]) -> Iterable[str]:
        condition = self.get_condition_for(model, "UPDATE")
        assert condition is not None
        met = condition.resolve_rows(model, TABLES)
        no_old, no_new = missing(model, "OLD"), missing(model, "NEW")
        about, absent, unmatched, appeared = "NEW", no_new, no_old, "'INSERT'"
        if self.row == "old":
            about, absent, unmatched, appeared = "OLD", no_old, no_new, "'DELETE'"
        rows = full_join(model)
        # Rows without their other side are looked for only if there are any: a statement has as
        # many without an old row as without a new one.
        yield write(
            about,
            f"CASE WHEN {unmatched} THEN {appeared} ELSE 'UPDATE' END",
            f"{rows} WHERE CASE WHEN {absent} THEN FALSE WHEN {unmatched} THEN "
            f"pg_catalog.set_config({_MOVED}, 'yes', true) IS NOT NULL ELSE ({met}) END",
            (),
        )
        other = "OLD" if about == "NEW" else "NEW"
        operation = "'DELETE'" if other == "OLD" else "'INSERT'"
        absent, unmatched = unmatched, absent
        moved = write(
            other, operation, f"{rows} WHERE CASE WHEN {absent} THEN FALSE ELSE {unmatched} END", ()
        )
        yield (
            f"IF pg_catalog.current_setting({_MOVED}, true) OPERATOR(pg_catalog.=) 'yes' THEN\n"
            f"    PERFORM pg_catalog.set_config({_MOVED}, '', true);\n"
            f"{sql.indent(moved)}\nEND IF;"
        )

    def _where(self, model: Model, condition: Condition | None) -> str:
        if condition is None:
            return ""
        self.refuse_missing_rows(model, sql.rows_used(condition.resolve(model)))
        return f" WHERE {condition.resolve_rows(model, TABLES)}"

    def refuse_missing_rows(self, model: Model, used: frozenset[str]) -> None:
        super().refuse_missing_rows(model, used)
        assert self.operation is not None
        if "NEW" in used and "TRUNCATE" in self.operation.names:
            raise self.refused(
                "its condition reads NEW, which an operation TRUNCATE does not have", model
            )
