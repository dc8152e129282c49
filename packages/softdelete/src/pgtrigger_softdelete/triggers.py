"""SoftDelete marks rows as deleted instead of deleting them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, Unpack, get_args

import pgtrigger
from pgtrigger import sql
from pgtrigger.clauses import Operation, When
from pgtrigger.columns import concrete_field
from pgtrigger.compiler import Part, postgres_id
from pgtrigger.conditions import VARIABLES
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError
from pgtrigger.registry import registered
from pgtrigger_softdelete import body
from pgtrigger_softdelete.mark import UNSET, Mark
from pgtrigger_softdelete.relations import (
    CASCADES,
    Cascade,
    Child,
    cascades_in_database,
    chosen,
    keys_of,
    label,
)
from pgtrigger_softdelete.statements import LOCATE_VARIABLES

Orphaned = Literal["refuse", "delete", "set_null"]
ORPHANED: Final[tuple[Orphaned, ...]] = get_args(Orphaned)


class SoftDelete(pgtrigger.Trigger):
    """Mark rows as deleted instead of deleting them, whoever deletes them.

    A ``DELETE`` becomes an update of one column; it reports that no row was deleted. A row that is
    deleted again stays as it was.

    Args (besides ``name``, ``condition``, ``ignorable`` and ``depends_on`` of `pgtrigger.Trigger`):
        field: the name of the field that says that a row is deleted.
        value: what it is set to: a plain value, None, or a Django expression such as ``Now()``,
            in which ``pgtrigger.F("old__…")`` is a column of the row. False by default.
        live: what the field holds on a live row, for restoring. It follows from a boolean
            ``value``, and is NULL for expressions and nullable fields.
        condition: on the old row; rows that do not meet it are really deleted.
        cascade: what happens to the rows that refer to the row, whether it was deleted or its
            field was updated. ``"soft"``: where the foreign key cascades and its model has a
            SoftDelete, they go with it, and come back with it. ``"set_null"``: they lose the
            reference. ``"refuse"``: the deletion fails while there are live ones. ``"keep"``: they
            stay as they are, and Django is to leave them alone. A mapping from
            ``"app_label.Model.field"`` chooses for each foreign key. By default nothing happens
            in the database, and Django does what ``on_delete`` says.
        cascade_field: the name of a nullable text field, such as `DeletedWithField`, in which a
            row remembers with which parent it went. Without it, it does not come back.
        orphaned: what happens to a row that the database deletes because its parent is really
            deleted (``ON DELETE CASCADE``, Django's ``DB_CASCADE``): ``"refuse"``, ``"delete"`` or
            ``"set_null"``. Marking it would leave a reference to nothing.

    Raises:
        DeclarationError: without a field, or with a value that is none of those above.

    Raises in the database:
        IntegrityError: what ``cascade`` or ``orphaned`` refuse; `pgtrigger.violation` reads it.

    Example::

        pgtrigger.SoftDelete(name="soft_delete", field="is_active")

    PostgreSQL manual: "Overview of Trigger Behavior", row-level ``BEFORE`` triggers that return
    NULL.
    """

    when: When | None = pgtrigger.Before
    operation: Operation | None = pgtrigger.Delete
    field: str | None = None
    value: Any = False
    live: Any = UNSET
    cascade: Cascade | Mapping[str, Cascade] | None = None
    cascade_field: str | None = None
    orphaned: Orphaned = "refuse"

    def __init__(
        self,
        *,
        field: str | None = None,
        value: Any = UNSET,
        live: Any = UNSET,
        cascade: Cascade | Mapping[str, Cascade] | None = None,
        cascade_field: str | None = None,
        orphaned: Orphaned | None = None,
        **kwargs: Unpack[pgtrigger.TriggerArguments],
    ) -> None:
        self.field = field or self.field
        if not self.field:
            raise DeclarationError(
                f'Must provide "field" to {type(self).__name__}: the name of the field that says '
                f"that a row is deleted."
            )
        self.value = self.value if value is UNSET else value
        self.live = self.live if live is UNSET else live
        self.cascade = cascade or self.cascade
        self.cascade_field = cascade_field or self.cascade_field
        self.orphaned = orphaned or self.orphaned
        super().__init__(**kwargs)

    @property
    def mark(self) -> Mark:
        """How a deleted row is told from a live one."""
        assert self.field  # __init__ refuses this
        return Mark(self.field, self.value, self.live)

    def validate(self) -> None:
        super().validate()
        for key, value, only in (
            ("level", self.get_level(), pgtrigger.Row),
            ("when", self.when, pgtrigger.Before),
            ("operation", self.operation, pgtrigger.Delete),
        ):
            if value != only:
                raise self.refused(f'"{key}" is always {only!r}; got {value!r}')
        if self.func:
            raise self.refused('it takes no "func"; use pgtrigger.Trigger for one of your own')
        actions = (
            self.cascade.values() if isinstance(self.cascade, Mapping) else [self.cascade or "soft"]
        )
        for action in actions:
            if action not in CASCADES:
                raise self.refused(f'"cascade" is one of {_quoted(CASCADES)}; got {action!r}')
        if self.orphaned not in ORPHANED:
            raise self.refused(f'"orphaned" is one of {_quoted(ORPHANED)}; got {self.orphaned!r}')
        self.mark  # noqa: B018  # refuses "live" where it is the same as "value"

    # The Postgres triggers.

    def get_parts(self, model: Model) -> list[Part]:
        """On deletion; and, where there are parents and children, on updates of the mark."""
        parts = super().get_parts(model)
        if self._followers(model):
            changes = body.state_changes(model, self.mark)
            if self._meets_itself(model):
                parts += [
                    self._part_for(model, "follow", condition=changes, timing="DEFERRED"),
                    self._part_for(model, "end", operation="UPDATE OR DELETE", level="STATEMENT"),
                ]
            else:
                parts.append(self._part_for(model, "follow", condition=changes))
        if self.cascade_field:
            returns = body.returns_alone(model, self.mark, self.cascade_field)
            parts.append(self._part_for(model, "return", when="BEFORE", condition=returns))
        return parts

    def _part_for(self, model: Model, purpose: str, **clauses: str) -> Part:
        return Part(
            **{"when": "AFTER", "operation": "UPDATE", **clauses},
            pgid=postgres_id(str(self.name), f"{self.get_uri(model)}#{purpose}"),
        )

    def get_declare(self, model: Model) -> Iterable[tuple[str, str]]:
        variables = [*super().get_declare(model)]
        if body.may_be_orphaned(model):
            variables += body.ORPHAN_VARIABLES
        if self._followers(model):
            variables += [*LOCATE_VARIABLES, ("is_referred", "BOOLEAN")]
        if self._meets_itself(model):
            variables += body.OWN_VARIABLES
        return variables

    def render_func(self, model: Model) -> str:
        self._refuse_impossible(model)
        field, children = self.cascade_field, self._followers(model)
        own = body.own_row(model, self.mark, field)
        if self._meets_itself(model):
            own = body.unfollowed(own)
        texts = [own, "RETURN NULL;"]
        if body.may_be_orphaned(model):
            hint = f'Delete them really, within pgtrigger.ignore("{self.get_uri(model)}").'
            texts.insert(0, body.orphan(model, self.mark, self.orphaned, field, hint))
        if not (children or field):
            return "\n".join(texts)
        deletion = sql.indent("\n".join(texts))
        texts = [f"IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN\n{deletion}\nEND IF;"]
        if self._meets_itself(model):
            pgid = self._part_for(model, "follow").pgid
            texts.insert(0, body.follow_now(pgid))
        if field:
            forget = sql.indent(body.forget_parent(model, field))
            texts.append(f"IF TG_WHEN OPERATOR(pg_catalog.=) 'BEFORE' THEN\n{forget}\nEND IF;")
        if children:
            hint = "Delete those rows first."
            texts.append(body.follow(model, self.mark, self._with_marks(children), hint))
        return "\n".join([*texts, "RETURN NULL;"])

    # What the declaration means for a model.

    def children(self, model: Model) -> list[Child]:
        """The foreign keys to a model that ``cascade`` is about.

        Raises:
            DeclarationError: what a foreign key cannot do.
        """
        return chosen(model, self.cascade, lambda other: soft_delete_of(other) is not None)

    def _followers(self, model: Model) -> list[Child]:
        return [child for child in self.children(model) if child.action != "keep"]

    def _meets_itself(self, model: Model) -> bool:
        """Whether rows of one table can be children, however remote, of each other."""
        table = model._meta.db_table
        seen: set[str] = set()
        found = self._followers(model)
        while found:
            child = found.pop()
            reached = child.model._meta.db_table
            if reached == table:
                return True
            soft = soft_delete_of(child.model)
            if reached not in seen and child.action == "soft" and soft:
                found += soft.children(child.model)
            seen.add(reached)
        return False

    @staticmethod
    def _with_marks(children: list[Child]) -> list[body.Follower]:
        found: list[body.Follower] = []
        for child in children:
            soft = soft_delete_of(child.model)
            found.append((child, soft.mark, soft.cascade_field) if soft else (child, None, None))
        return found

    def _refuse_impossible(self, model: Model) -> None:
        self.mark.refuse_null(model)
        value = self.mark.value_sql(model, VARIABLES)
        if "NEW" in sql.rows_used(value):
            raise self.refused('its "value" reads NEW, and a deletion has only an OLD row', model)
        if self.cascade_field:
            found = concrete_field(model, self.cascade_field)
            if not found.null or found.get_internal_type() not in ("TextField", "CharField"):
                raise self.refused(
                    f'"cascade_field" is a text field with null=True, such as '
                    f"DeletedWithField(); got {found!r}",
                    model,
                )
        if self.orphaned == "set_null":
            for key in keys_of(model):
                if cascades_in_database(key) and not key.null:
                    raise self.refused(
                        f'"{label(key)}" cannot be set to NULL where its row is orphaned: give it '
                        f'null=True, or choose another "orphaned"',
                        model,
                    )


def soft_delete_of(model: Model) -> SoftDelete | None:
    """The SoftDelete that is declared on a model, or on another model of its table.

    Raises:
        DeclarationError: there are several, and nobody can say what a deleted row is.
    """
    found = {id(trigger): trigger for trigger in _declared(model)}
    if len(found) > 1:
        names = ", ".join(str(trigger.name) for trigger in found.values())
        raise DeclarationError(
            f'Model "{model._meta.label}" has several SoftDelete triggers ({names}). It can have '
            f"one: otherwise nothing says what a deleted row is."
        )
    return next(iter(found.values()), None)


def _declared(model: Model) -> list[SoftDelete]:
    own = [t for t in getattr(model._meta, "triggers", None) or () if isinstance(t, SoftDelete)]
    if own:
        return own
    table = model._meta.db_table
    return [
        trigger
        for other, trigger in registered()
        if isinstance(trigger, SoftDelete) and other._meta.db_table == table
    ]


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)
