"""What happens in the processes of `contract.evolution`. Imports nothing that needs settings."""

import importlib
import pathlib
import traceback

from project.forked import enter


def run(directory, environment, actions, answer):
    """Does the actions in a Django project and sends a report, or the traceback as a text."""
    try:
        enter(directory, environment)
        answer.send(report_on(actions))
    except BaseException:
        answer.send(traceback.format_exc())


def report_on(actions):
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    import pgtrigger

    report = {"new": [], "again": [], "snapshots": []}
    for name, *args in actions:
        if name == "makemigrations":
            report["new"] += makemigrations(*args)
            report["again"] += makemigrations(*args)
        elif name == "snapshot":
            with connection.cursor() as cursor:
                cursor.execute(args[0])
                report["snapshots"].append(cursor.fetchall())
        elif name == "python":
            exec(args[0], {})
        else:
            call_command(name, *args, interactive=False, verbosity=0)
    report["status"] = {
        trigger.get_uri(model): trigger.get_installation_status(model)
        for model, trigger in pgtrigger.registered()
    }
    report["prunable"] = pgtrigger.prunable()
    connection.close()
    return report


def makemigrations(*labels):
    from django.core.management import call_command

    before = set(pathlib.Path().glob("*/migrations/0*.py"))
    importlib.invalidate_caches()
    call_command("makemigrations", *labels, interactive=False, verbosity=0)
    new = sorted(set(pathlib.Path().glob("*/migrations/0*.py")) - before)
    for path in new:
        if path.parts[0] == "loose":
            head = "class Migration(migrations.Migration):\n"
            assert head in path.read_text()
            path.write_text(path.read_text().replace(head, f"{head}    atomic = False\n"))
    importlib.invalidate_caches()
    return list(map(str, new))
