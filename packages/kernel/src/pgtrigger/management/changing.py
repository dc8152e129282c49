"""Subcommands that change what is installed: in many places, shown first, and asked for first."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar, NamedTuple

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from pgtrigger import catalog, conf
from pgtrigger.comparison import wanted_triggers
from pgtrigger.compilations import remembered
from pgtrigger.ddl import Lock, lock_of
from pgtrigger.errors import InstallationError
from pgtrigger.installation import carry_out
from pgtrigger.layout import lay_out
from pgtrigger.locks import migrating
from pgtrigger.management.jobs import Outcome, work_in
from pgtrigger.management.output import write_json
from pgtrigger.management.progress import reporting, say
from pgtrigger.management.selection import chosen, databases
from pgtrigger.management.subcommand import DatabaseSubcommand, number
from pgtrigger.planning import Action, Step, Work
from pgtrigger.runtime import schema

# How many failures are told one by one.
_TOLD = 10


class Place(NamedTuple):
    """What is to be done in one database, or in one of its schemas.

    Args:
        work: what is to be done.
        path: the search path of the caller's choice.
        steps: what tells the statements, where it is known that there are some.
    """

    work: Work
    path: tuple[str, ...]
    steps: Callable[[], list[Step]] | None

    def __str__(self) -> str:
        schema = self.work.schema
        return f"{self.work.database}.{schema}" if schema else self.work.database

    def plan(self) -> list[Step]:
        """The statements."""
        if self.steps is not None:
            return self.steps()
        with schema(*self.path, databases=[self.work.database]):
            return self.work.steps()

    def carry_out(self, lock_timeout: str | None) -> list[Step]:
        """Do it, and tell what was done."""
        with schema(*self.path, databases=[self.work.database]):
            return carry_out(self.work, lock_timeout, look_first=self.steps is None)


class Changing(DatabaseSubcommand):
    """Changes what is installed in each database, or in each schema."""

    action: ClassVar[Action]
    asks: ClassVar[bool] = False
    takes_statuses = True
    takes_all_schemas = True
    waits_for_locks = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what all of them take."""
        super().add_arguments(parser)
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Write the SQL to stdout, with the lock that each statement takes; change "
            "nothing.",
        )
        parser.add_argument("--json", action="store_true", help="With --dry-run: write JSON.")
        parser.add_argument(
            "--jobs",
            type=number,
            default=1,
            metavar="N",
            help="Work in N databases or schemas at a time.",
        )
        if self.asks:
            parser.add_argument(
                "--no-input",
                "--noinput",
                action="store_false",
                dest="interactive",
                help="Do not ask before changing a database in production.",
            )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        """Do it in each place, or show what would be done."""
        if options.get("json") and not options.get("dry_run"):
            raise CommandError("--json goes with --dry-run: without it there is nothing to write.")
        with remembered():
            places = [*self._places(**options)]
            if options.get("dry_run"):
                _show(command, places, as_json=bool(options.get("json")))
                return
            if self.asks and options.get("interactive", True) and _is_attended(command):
                self._ask(command, places)
            self._carry_out(command, places, **options)

    def _places(self, **options: Any) -> Iterator[Place]:
        uris, apps = options.get("uris") or (), options.get("apps") or ()
        statuses = frozenset(options.get("statuses") or ())
        pairs = chosen(*uris, labels=apps)
        whole = not uris and not apps and not statuses
        prune = self.action is Action.PRUNE or (
            self.action in (Action.INSTALL, Action.UNINSTALL) and whole and conf.prune_on_install()
        )
        path = tuple(options.get("schemas") or ())
        for alias in databases(options.get("database")):
            if catalog.postgres(alias) is None:
                continue
            work = Work(
                database=alias,
                action=self.action,
                wanted=wanted_triggers(pairs, alias),
                statuses=statuses,
                prune=prune,
            )
            if options.get("all_schemas"):
                plans = work.by_schema()
                yield from (Place(work.within(name), (), steps) for name, steps in plans.items())
            else:
                yield Place(work, path, None)

    def _ask(self, command: BaseCommand, places: Sequence[Place]) -> None:
        steps = [(place, step) for place in places for step in place.plan()]
        if not steps:
            return
        named = ", ".join(f"{step.name} ({place})" for place, step in steps[:_TOLD])
        more = f" and {len(steps) - _TOLD} more" if len(steps) > _TOLD else ""
        command.stderr.write(
            f"This is production (DEBUG is off). {self.action.value} {len(steps)} trigger(s): "
            f"{named}{more}."
        )
        if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.")

    def _carry_out(self, command: BaseCommand, places: list[Place], **options: Any) -> None:
        jobs, timeout = options.get("jobs") or 1, options.get("lock_timeout")
        if len(places) == 1:
            places[0].carry_out(timeout)
            return
        outcomes: list[Outcome[Place, list[Step]]] = []
        failed = 0
        with ExitStack() as stack:
            if jobs > 1:
                # Otherwise the jobs in one database would wait for each other.
                for alias in {place.work.database: None for place in places}:
                    stack.enter_context(migrating(connections[alias]))
            report = stack.enter_context(
                reporting(command, options, self.action.value, len(places), "places")
            )
            for outcome in work_in(places, lambda p: p.carry_out(timeout), jobs=jobs):
                outcomes.append(outcome)
                failed += outcome.error is not None
                report(len(outcomes), f"{failed} failed")
        changed = sum(1 for outcome in outcomes if outcome.result)
        summary = f"{len(places)} places, {changed} changed, {failed} failed."
        say(command, options, f"pgtrigger: {self.name}: {summary}")
        if failed:
            raise InstallationError(_failures(outcomes, failed))


def _failures(outcomes: Sequence[Outcome[Place, Any]], failed: int) -> str:
    told = [
        f"{outcome.place}: {' '.join(str(outcome.error).split())}"
        for outcome in outcomes
        if outcome.error
    ]
    more = f" … and {failed - _TOLD} more." if failed > _TOLD else ""
    return (
        f"{failed} of {len(outcomes)} places failed, each as a whole. What is done stays: run the "
        f"same command again, and it goes on with the rest. {' | '.join(told[:_TOLD])}{more}"
    )


def _is_attended(command: BaseCommand) -> bool:
    """Whether somebody at a terminal is about to change a database in production."""
    return (
        not settings.DEBUG
        and getattr(command, "_called_from_command_line", False)
        and sys.stdin.isatty()
    )


def _show(command: BaseCommand, places: Sequence[Place], *, as_json: bool) -> None:
    planned = [(place, step) for place in places for step in place.plan()]
    if as_json:
        rows = [
            {
                "database": place.work.database,
                "schema": place.work.schema,
                "action": step.action.name.lower(),
                "trigger": step.name,
                "table": step.table,
                "statement": statement,
                "lock": lock_of(statement).value or None,
            }
            for place, step in planned
            for statement in step.statements
        ]
        write_json(command, rows)
        return
    for place, step in planned:
        command.stdout.write(f"-- {step} on {place} database.")
        for statement in step.statements:
            lock = lock_of(statement)
            mode = f"{lock.value} on the table: {lock.meaning}" if lock is not Lock.NONE else ""
            command.stdout.write(f"-- Lock: {mode or lock.meaning}.")
            command.stdout.write(f"{lay_out(statement)};\n")
    if not planned:
        command.stdout.write("-- Nothing to do.")
