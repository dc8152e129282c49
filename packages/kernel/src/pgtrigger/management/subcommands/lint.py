"""``manage.py pgtrigger lint``."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError

from pgtrigger.linting import AVAILABLE, ERROR, EXTENSION, WARNING, Finding, Linted, Report, lint
from pgtrigger.management.gathering import Gathering
from pgtrigger.management.output import style_of, write_json
from pgtrigger.management.selection import chosen

_ROLES = {ERROR: "ERROR", WARNING: "WARNING"}


class Lint(Gathering):
    """Check the functions of triggers, and fail where one has an error."""

    name: ClassVar[str] = "lint"
    help: ClassVar[str] = "Check the functions of triggers: columns, returns, variables."
    writes_json = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--strict", action="store_true", help="Fail on warnings, too.")
        parser.add_argument(
            "--by-hand",
            action="store_true",
            help="Check the triggers that were made by hand, too, on all tables of the search "
            "path.",
        )
        parser.add_argument(
            "--create-extension",
            action="store_true",
            help=f"Create the extension {EXTENSION} for the time of the check; needs a superuser.",
        )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        pairs = chosen(*(options.get("uris") or ()), labels=options.get("apps") or ())
        reports = [
            report
            for _, report in self.gather(
                lambda connection: lint(
                    connection,
                    pairs,
                    by_hand=bool(options.get("by_hand")),
                    create_extension=bool(options.get("create_extension")),
                ),
                **options,
            )
        ]
        if options.get("json"):
            write_json(command, [_as_json(report) for report in reports])
        else:
            _write(command, reports)
        if not options.get("json") and not options.get("create_extension"):
            for report in reports:
                if report.extension == AVAILABLE:
                    command.stderr.write(
                        f'Database "{report.database}" could be checked by {EXTENSION}, which '
                        f"finds more: CREATE EXTENSION {EXTENSION}, or --create-extension."
                    )
        bad = [ERROR, WARNING] if options.get("strict") else [ERROR]
        levels = Counter(
            finding.level
            for report in reports
            for one in report.triggers
            for finding in one.findings
        )
        if wrong := {level: levels[level] for level in bad if levels[level]}:
            counted = " and ".join(
                f"{number} {level}{'s' if number > 1 else ''}" for level, number in wrong.items()
            )
            raise CommandError(f"{counted} in the functions of triggers.")


def _write(command: BaseCommand, reports: list[Report]) -> None:
    several = len(reports) > 1
    ways: Counter[str] = Counter()
    for report in reports:
        for one in report.triggers:
            ways[one.checked_by] += 1
            for finding in one.findings:
                where = f" ({report.database})" if several else ""
                command.stdout.write(_line(command, one, finding, where))
                if finding.hint:
                    command.stdout.write(f"    {finding.hint}")
    counted = ", ".join(f"{number} by {way}" for way, number in sorted(ways.items()))
    command.stdout.write(f"Functions checked: {sum(ways.values())} ({counted or 'none'}).")


def _line(command: BaseCommand, one: Linted, finding: Finding, where: str) -> str:
    level = style_of(command, _ROLES[finding.level])(finding.level)
    place = f"{one.place}: " if one.place else ""
    line = f" line {finding.line}:" if finding.line else ""
    code = f" [{finding.sqlstate}]" if finding.sqlstate else ""
    return f"{place}{level}: {one.name}{where}:{line} {finding.message}{code}"


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "database": report.database,
        "plpgsql_check": report.extension,
        "triggers": [
            {
                "name": one.name,
                "table": one.table,
                "installed": one.installed,
                "checked_by": one.checked_by,
                "file": one.place.file if one.place else None,
                "line": one.place.line if one.place else None,
                "findings": [vars(finding) for finding in one.findings],
            }
            for one in report.triggers
        ],
    }
