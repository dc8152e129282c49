"""Checks the functions of declared triggers, and of those that were made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from pgtrigger import handwritten, sql
from pgtrigger.catalog import Catalog, InstalledTrigger, function_is_current
from pgtrigger.columns import column_name, columns_of
from pgtrigger.comparison import Wanted, allowed, read_catalog
from pgtrigger.compilations import compile_once
from pgtrigger.compiler import CompiledTrigger
from pgtrigger.declaration import Model
from pgtrigger.handwritten import FoundTrigger
from pgtrigger.linting.analysis import analyse
from pgtrigger.linting.extension import Inspector
from pgtrigger.linting.finding import Finding, Subject, worst
from pgtrigger.places import Place, place_of
from pgtrigger.registry import Registration
from pgtrigger.trigger import Trigger

BY_TEXT: Final = "text"
BY_SERVER: Final = "server"
BY_EXTENSION: Final = "plpgsql_check"

_RELATIONS: Final = """
    SELECT wanted.name, c.oid,
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
      FROM pg_catalog.unnest(%s::text[]) AS wanted(name)
      JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(wanted.name)
"""
_FUNCTIONS: Final = """
    SELECT wanted.name, p.oid FROM pg_catalog.unnest(%s::text[]) AS wanted(name)
      JOIN pg_catalog.pg_proc p ON p.oid = pg_catalog.to_regprocedure(wanted.name)
"""


@dataclass(frozen=True, kw_only=True)
class Linted:
    """A trigger whose function was checked.

    Args:
        name: the URI of a declared trigger, ``schema.table:trigger`` of another.
        table: the table it is on.
        installed: whether the function that was checked is the one in the database.
        checked_by: ``plpgsql_check``; ``server`` where the text was checked after the server had
            read it; ``text`` where only the text was checked.
        place: where it is declared.
        findings: what is wrong.
    """

    name: str
    table: str
    installed: bool
    checked_by: str
    place: Place | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The triggers of a database that were checked.

    Args:
        database: its alias.
        extension: whether plpgsql_check is ``created``, ``available`` or ``absent`` there.
        triggers: what was checked, clean ones included.
    """

    database: str
    extension: str
    triggers: tuple[Linted, ...]

    @property
    def worst(self) -> str:
        """``error``, ``warning``, or nothing."""
        return worst(finding for trigger in self.triggers for finding in trigger.findings)


def lint(
    connection: BaseDatabaseWrapper,
    pairs: Iterable[Registration],
    *,
    by_hand: bool = False,
    create_extension: bool = False,
) -> Report:
    """Check the functions of triggers. Nothing of it stays in the database.

    Args:
        connection: a PostgreSQL connection.
        pairs: models and their triggers.
        by_hand: check the triggers that are not ours, too, on all tables of the search path.
        create_extension: make plpgsql_check for the time of the check.
    """
    alias = connection.alias
    with transaction.atomic(using=alias):
        inspector = Inspector(connection)
        extension = inspector.state
        if create_extension:
            inspector.create_extension()
        found = [*_declared(inspector, [pair for pair in pairs if allowed(pair[0], alias)])]
        if by_hand:
            found += [_by_hand(inspector, trigger) for trigger in handwritten.read(connection)]
        transaction.set_rollback(True, using=alias)
    return Report(database=alias, extension=extension, triggers=tuple(found))


def _declared(inspector: Inspector, pairs: Sequence[Registration]) -> Iterator[Linted]:
    wanted = [
        Wanted(trigger.get_uri(model), model._meta.db_table, compile_once(trigger, model))
        for model, trigger in pairs
    ]
    connection = inspector.connection
    found = read_catalog(connection, wanted, whole=False)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.catalog_query(_RELATIONS), [[*{sql.quote_relation(w.db_table) for w in wanted}]]
        )
        relations = {name: (oid, columns) for name, oid, columns in cursor.fetchall()}
    current = {w.uri: _installed(w.compiled, w.db_table, found) for w in wanted}
    oids = _functions(connection, filter(None, current.values()))
    for (model, trigger), (uri, db_table, compiled) in zip(pairs, wanted, strict=True):
        oid, columns = relations.get(sql.quote_relation(db_table), (None, None))
        installed = current[uri]
        subject = Subject(
            source=compiled.source,
            table=db_table,
            columns=frozenset(columns or map(column_name, columns_of(model))),
            operations=trigger.operation.names if trigger.operation else frozenset(),
            for_each_row=any(part.level == "ROW" for part in compiled.parts),
        )
        function = oids.get(installed) if installed else inspector.make(compiled.source)
        checked_by, findings = _check(
            inspector, subject, function, oid, _transition_tables(model, trigger, compiled)
        )
        yield Linted(
            name=uri,
            table=db_table,
            installed=installed is not None,
            checked_by=checked_by,
            place=place_of(model, trigger),
            findings=tuple(findings),
        )


def _installed(compiled: CompiledTrigger, db_table: str, found: Catalog) -> InstalledTrigger | None:
    """The installed trigger, if its function is what is declared."""
    trigger = found.of_table(db_table).get(compiled.pgid)
    return trigger if trigger and function_is_current(trigger, compiled) else None


def _functions(
    connection: BaseDatabaseWrapper, installed: Iterable[InstalledTrigger]
) -> dict[InstalledTrigger, int]:
    """The object identifiers of the functions that triggers call."""
    names = {
        trigger: f"{sql.quote_relation(trigger.function, trigger.function_schema)}()"
        for trigger in installed
    }
    with connection.cursor() as cursor:
        cursor.execute(sql.catalog_query(_FUNCTIONS), [[*names.values()]])
        found = dict(cursor.fetchall())
    return {trigger: found[name] for trigger, name in names.items() if name in found}


def _transition_tables(
    model: Model, trigger: Trigger, compiled: CompiledTrigger
) -> tuple[str | None, str | None]:
    """Those that any of its Postgres triggers has; a function of several tells them apart."""
    assert trigger.operation is not None
    if all(part.level == "ROW" for part in compiled.parts):
        return None, None
    tables = [trigger.get_referencing(model, member) for member in trigger.operation.members]
    return (
        next((found.old for found in tables if found and found.old), None),
        next((found.new for found in tables if found and found.new), None),
    )


def _check(
    inspector: Inspector,
    subject: Subject,
    function: int | Finding | None,
    relation: int | None,
    tables: tuple[str | None, str | None],
) -> tuple[str, list[Finding]]:
    if isinstance(function, Finding):
        return BY_SERVER, [function]
    if function is None or relation is None or not inspector.checks:
        return BY_TEXT if function is None else BY_SERVER, analyse(subject)
    return BY_EXTENSION, _merged(inspector.check(function, relation, *tables), analyse(subject))


def _merged(theirs: Sequence[Finding], ours: Sequence[Finding]) -> list[Finding]:
    """What the extension says, and what only the text shows.

    It takes the check that passes by ignored triggers for a RETURN of the body.
    """
    added = [finding for finding in ours if finding.sqlstate == "2F005"]
    kept = [finding for finding in theirs if finding.sqlstate != "2F005" or not added]
    return [*kept, *added]


def _by_hand(inspector: Inspector, trigger: FoundTrigger) -> Linted:
    subject = Subject(
        source=trigger.source,
        table=trigger.table,
        columns=frozenset(trigger.columns),
        operations=frozenset(trigger.operations),
        for_each_row=trigger.for_each_row,
    )
    checked_by, findings = BY_SERVER, list[Finding]()
    if trigger.language == "plpgsql":
        checked_by, findings = _check(
            inspector,
            subject,
            trigger.function_oid,
            trigger.relation,
            (trigger.old_table, trigger.new_table),
        )
    return Linted(
        name=f"{trigger.schema}.{trigger.table}:{trigger.name}",
        table=trigger.table,
        installed=True,
        checked_by=checked_by,
        place=None,
        findings=tuple(findings),
    )
