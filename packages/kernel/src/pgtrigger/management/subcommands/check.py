"""``manage.py pgtrigger check``."""

from __future__ import annotations

import shlex
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError

from pgtrigger.comparison import state_word
from pgtrigger.management.output import style_of, write_json
from pgtrigger.management.showing import ROLES, Found, Showing, place


class Check(Showing):
    """Compare the databases with the code, and fail where they differ: for CI and deploys."""

    name: ClassVar[str] = "check"
    help: ClassVar[str] = "Fail where a database is not as declared, and say what to do."

    def handle(self, command: BaseCommand, **options: Any) -> None:
        found = self.found(**options)
        wrong = [one for one in found if not one.row.as_declared]
        if options.get("json"):
            write_json(command, [{**one.as_json(), "advice": advice(one)} for one in wrong])
        for one in [] if options.get("json") else wrong:
            status = style_of(command, ROLES.get(one.row.status))(f"{one.row.status:<11}")
            where = place(one, several=len({o.database for o in found}) > 1)
            name = f"{one.row.name} ({where})" if where else one.row.name
            command.stdout.write(f"{status} {state_word(one.row.enabled):<8} {name}")
            command.stdout.write(f"    {advice(one)}")
        if wrong:
            of = f"{len(wrong)} of {len(found)} triggers" if len(found) > 1 else "The trigger"
            verb = "is" if len(wrong) == 1 else "are"
            raise CommandError(f"{of} {verb} not as declared.")
        if not options.get("json"):
            command.stdout.write(f"Triggers as declared: {len(found)}.")


def advice(one: Found) -> str:
    """What to do about a row that is not as declared."""
    status, _, name, schema = one.row
    options = [] if one.database == "default" else ["--database", one.database]
    if schema:
        options += ["--schema", schema]

    def run(subcommand: str, *arguments: str) -> str:
        return f"`{shlex.join(['manage.py', 'pgtrigger', subcommand, *arguments, *options])}`"

    match status:
        case "UNINSTALLED":
            return f"It is not there. Run `manage.py migrate`, or {run('install', name)}."
        case "OUTDATED":
            return (
                "It was installed from another declaration. Run `manage.py makemigrations` and "
                f"`manage.py migrate`, or {run('install', name)}."
            )
        case "DRIFTED":
            return (
                f"Somebody has changed it in the database: {run('diff', name)} shows how, and "
                f"{run('install', name)} repairs it."
            )
        case "PRUNE":
            return f"Nobody declares it any more. {run('prune')} removes it."
        case _:
            return f"It does not fire. {run('enable', name)} lets it."
