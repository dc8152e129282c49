"""The trigger declaration: what a model's ``Meta.triggers`` holds. It never asks a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

from pgtrigger import clauses, sql
from pgtrigger.columns import generated_columns, on_columns
from pgtrigger.compiler import CompiledTrigger, Part, function_name, postgres_id
from pgtrigger.conditions import Condition
from pgtrigger.declaration import Body, Declaration, Model, ModelOrRow
from pgtrigger.functions import Func, template_values

Status = tuple[str, bool | None]


class Undo(Protocol):
    """What has been done already, and is undone when the ``with`` block ends."""

    def __enter__(self) -> object: ...
    def __exit__(self, *exc_info: object) -> None: ...


class Lifecycle(Protocol):
    """What a declared trigger can have done to it; the package wires it when it is imported."""

    def register(self, trigger: Trigger, models: Sequence[Model]) -> Undo: ...
    def unregister(self, trigger: Trigger, models: Sequence[Model]) -> Undo: ...
    def install(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undo: ...
    def uninstall(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undo: ...
    def enable(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undo: ...
    def disable(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Undo: ...
    def allow_migrate(self, model: ModelOrRow, database: str | None) -> bool: ...
    def status(self, trigger: Trigger, model: ModelOrRow, database: str | None) -> Status: ...


class Trigger(Declaration):
    """A Postgres trigger, declared in a model's ``Meta.triggers``.

    Every argument is keyword-only, and a class attribute of the same name is its default, so
    trigger types are subclasses that set attributes and override the ``get_…`` methods.

    Args:
        name: unique among the triggers of the table; at most 47 letters, digits, ``-`` and ``_``.
        level: `Row` (the default) or `Statement`.
        when: `Before`, `After` or `InsteadOf`.
        operation: `Insert`, `Update`, `Delete`, `Truncate`, `UpdateOf`, combined with ``|``.
            ``Truncate`` beside row level fires once for the statement.
        condition: a `Condition`, `Q`, `AnyChange`, …: the trigger fires only where it holds.
        referencing: names for the transition tables of a statement-level trigger.
        func: the statements of the plpgsql function, or a `Func` template of them.
        declare: ``(name, type)`` pairs of the function's variables.
        timing: `Immediate` or `Deferred` make it a constraint trigger, whose check `constraints`
            can move to the end of the transaction.
        firing: `Origin`, `Always` or `Replica`: for changes made here, for those that replication
            applies, or both. Without it `Origin`, unless the database has been told otherwise.
        ignorable: whether `pgtrigger.ignore` applies to it.
        search_path: the schemas in which its function looks, whoever writes; ``pg_catalog`` first.
        depends_on: models of other apps that its function uses, as ``app_label.Model``: their
            tables are migrated before the trigger is.

    Raises:
        DeclarationError: a combination that no database accepts, or a bad name.

    Example::

        class Order(models.Model):
            class Meta:
                triggers = [
                    pgtrigger.Trigger(
                        name="version",
                        when=pgtrigger.Before,
                        operation=pgtrigger.Update,
                        condition=pgtrigger.AnyChange(),
                        func="NEW.version = NEW.version + 1; RETURN NEW;",
                    )
                ]

    PostgreSQL manual: "CREATE TRIGGER".
    """

    lifecycle: ClassVar[Lifecycle]

    # What subclasses override.

    def get_pgid(self, model: Model) -> str:
        """The name of the trigger in Postgres. Raises `DeclarationError` above 63 characters."""
        return postgres_id(str(self.name), self.get_uri(model))

    def get_function_name(self, model: Model) -> str:
        """The name of its function, which no two triggers share, in Postgres."""
        return function_name(str(self.name), self.get_uri(model))

    def get_uri(self, model: Model) -> str:
        """The name by which commands and `ignore` know it: ``app_label.Model:name``."""
        return f"{model._meta.app_label}.{model._meta.object_name}:{self.name}"

    def get_when(self, model: Model, operation: str | None = None) -> clauses.When:
        """The moment at which it fires: for one operation, or in general."""
        assert self.when is not None  # validate() refuses this
        return self.when

    def get_condition(self, model: Model) -> Condition | None:
        """The condition under which it fires."""
        return self.condition

    def get_condition_for(self, model: Model, operation: str) -> Condition | None:
        """The condition of one operation, such as ``"INSERT"``, in a type where they differ.

        Operations with different conditions become Postgres triggers of their own.
        """
        return self.get_condition(model)

    def get_declare(self, model: Model) -> Iterable[tuple[str, str]]:
        """The variables of its function, as ``(name, type)`` pairs."""
        return self.declare or []

    def get_func(self, model: Model) -> Body:
        """The statements of its function: text or a `Func`. Raises without any."""
        if not self.func:
            raise self.refused("Must define func attribute or implement get_func")
        func: Body = self.func
        return func

    def get_func_template_kwargs(self, model: Model) -> dict[str, Any]:
        """The values that a `Func` of this trigger can use."""
        return template_values(model)

    # The SQL of the clauses.

    def render_func(self, model: Model) -> str:
        """The statements of its function as SQL."""
        func = self.get_func(model)
        if isinstance(func, Func):
            return func.render(**self.get_func_template_kwargs(model))
        return sql.dedent(str(func))

    def render_declare(self, model: Model) -> str:
        """The ``DECLARE`` section, such as ``DECLARE a INT; b TEXT;``, or nothing."""
        variables = " ".join(f"{name} {kind};" for name, kind in self.get_declare(model) or ())
        return f"DECLARE {variables}" if variables else ""

    def render_condition(self, model: Model) -> str:
        """The ``WHEN (…)`` clause, or nothing."""
        assert self.operation is not None
        expression = self._when_expression(model, self.operation, self.get_condition(model))
        return f"WHEN ({expression})" if expression else ""

    def render_execute(self, model: Model) -> str:
        """The call of its function."""
        return f"{self.get_function_name(model)}()"

    def format_sql(self, text: str) -> str:
        """SQL text with its common indentation and surrounding white space removed."""
        return sql.dedent(text)

    def _when_expression(
        self, model: Model, operation: clauses.Operation, condition: Condition | None
    ) -> str:
        if condition is None:
            return ""
        expression = condition.resolve(model)
        rows = sql.rows_used(expression)
        for row, name in (("OLD", "INSERT"), ("NEW", "DELETE")):
            if row in rows and name in operation.names:
                raise self.refused(
                    f"its condition reads {row}, which an operation {name} does not have: "
                    f"{expression}",
                    model,
                )
        if rows and self.get_level() == clauses.Statement:
            raise self.refused(
                "a statement-level trigger has no OLD and NEW to put a condition on; "
                "pgtrigger.Composer compiles the condition against the transition tables",
                model,
            )
        generated = generated_columns(model) if self.get_when(model) == clauses.Before else set()
        if generated and not (generated | {"*"}).isdisjoint(sql.row_columns(expression, "NEW")):
            raise self.refused(
                f"its condition reads the generated column {', '.join(sorted(generated))} of NEW, "
                f"which is computed only after a trigger with pgtrigger.Before has run",
                model,
            )
        return expression

    def get_parts(self, model: Model) -> list[Part]:
        """The Postgres triggers that stand for this declaration; the first has its Postgres id."""
        assert self.operation is not None
        operations = [on_columns(member, model) for member in self.operation.members]
        if self.get_level() == clauses.Row:
            groups = self._alike(model, operations)
        elif any(self.get_referencing(model, operation) for operation in operations):
            # Postgres refuses transition tables on more than one event.
            groups = [[operation] for operation in operations]
        else:
            groups = [operations]
        return [self._part(model, group, first=group is groups[0]) for group in groups]

    def _alike(
        self, model: Model, operations: list[clauses.Operation]
    ) -> list[list[clauses.Operation]]:
        """The operations, in groups that one Postgres trigger can stand for; truncation last."""
        if len(operations) == 1:
            return [operations]
        groups: dict[tuple[bool, str, str], list[clauses.Operation]] = {}
        for operation in operations:
            truncates = operation.name == "TRUNCATE"
            condition = None if truncates else self.get_condition_for(model, operation.name)
            expression = self._when_expression(model, operation, condition)
            key = truncates, str(self.get_when(model, operation.name)), expression
            groups.setdefault(key, []).append(operation)
        return list(groups.values())

    def get_referencing(
        self, model: Model, operation: clauses.Operation
    ) -> clauses.Referencing | None:
        """The transition tables for one operation: those of the named ones that it has."""
        if not self.referencing or operation.name == "TRUNCATE":
            return None
        old = self.referencing.old if operation.name != "INSERT" else None
        new = self.referencing.new if operation.name != "DELETE" else None
        if isinstance(operation, clauses.UpdateOf):
            raise self.refused("Postgres has no transition tables for pgtrigger.UpdateOf", model)
        return clauses.Referencing(old=old, new=new) if old or new else None

    def _part(self, model: Model, operations: list[clauses.Operation], *, first: bool) -> Part:
        pgid, name = self.get_pgid(model), operations[0].name
        if not first:
            label = "-".join(operation.name.lower() for operation in operations)
            pgid = postgres_id(str(self.name), f"{self.get_uri(model)}#{label}")
        level, condition, referencing = clauses.Statement, None, None
        if operations != [clauses.Truncate] or self.get_level() == clauses.Statement:
            level, condition = self.get_level(), self.get_condition_for(model, name)
        if level == clauses.Statement and len(operations) == 1:
            referencing = self.get_referencing(model, operations[0])
        return Part(
            pgid=pgid,
            when=str(self.get_when(model, name)),
            operation=" OR ".join(map(str, operations)),
            level=str(level),
            condition=self._when_expression(model, operations[0], condition),
            referencing=str(referencing or ""),
            timing=str(self.timing or ""),
        )

    def compile(self, model: Model) -> CompiledTrigger:
        """Turn the declaration into plain SQL text for a model.

        Raises:
            DeclarationError: what this model cannot have; `FieldLookupError` for unknown fields.
        """
        self.validate()
        return CompiledTrigger(
            name=str(self.name),
            function=self.get_function_name(model),
            func=self.render_func(model),
            declare=self.render_declare(model),
            ignorable=self.ignorable,
            firing=str(self.firing or ""),
            search_path=tuple(self.get_search_path(model)),
            parts=tuple(self.get_parts(model)),
        )

    # What can be done with it; each acts at once and returns a context manager that undoes it.

    def register(self, *models: Model) -> Undo:
        """Declare the trigger on these models, as ``Meta.triggers`` would."""
        return self.lifecycle.register(self, models)

    def unregister(self, *models: Model) -> Undo:
        """Take the declaration back."""
        return self.lifecycle.unregister(self, models)

    def install(self, model: ModelOrRow, database: str | None = None) -> Undo:
        """Install the trigger on the table of a model (or of a model instance)."""
        return self.lifecycle.install(self, model, database)

    def uninstall(self, model: ModelOrRow, database: str | None = None) -> Undo:
        """Remove the trigger and its function from the database."""
        return self.lifecycle.uninstall(self, model, database)

    def enable(self, model: ModelOrRow, database: str | None = None) -> Undo:
        """Let the installed trigger fire again, for everybody."""
        return self.lifecycle.enable(self, model, database)

    def disable(self, model: ModelOrRow, database: str | None = None) -> Undo:
        """Keep the installed trigger from firing, for everybody."""
        return self.lifecycle.disable(self, model, database)

    def allow_migrate(self, model: ModelOrRow, database: str | None = None) -> bool:
        """Whether the database routers let the model's table live in this database."""
        return self.lifecycle.allow_migrate(model, database)

    def get_installation_status(self, model: ModelOrRow, database: str | None = None) -> Status:
        """The status and whether it fires: None where it is UNINSTALLED or UNALLOWED."""
        return self.lifecycle.status(self, model, database)
