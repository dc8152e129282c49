"""What happens in a forked process: Django is imported, and no project yet.

Imports nothing that needs settings.
"""

import os
import runpy
import sys
import warnings

# What a command imports before it knows its settings, or could import then.
PRELOAD = [
    "project.forked",
    "django.contrib.auth.apps",
    "django.contrib.auth.hashers",
    "django.contrib.auth.management",
    "django.contrib.auth.password_validation",
    "django.contrib.auth.tokens",
    "django.contrib.contenttypes.apps",
    "django.contrib.contenttypes.checks",
    "django.contrib.contenttypes.management",
    "django.contrib.postgres.search",
    "django.core.cache.backends.locmem",
    "django.core.mail.message",
    "django.core.management.commands.check",
    "django.core.management.commands.makemigrations",
    "django.core.management.commands.migrate",
    "django.core.serializers.json",
    "django.db.backends.postgresql.base",
    "django.forms",
    "django.middleware.cache",
    "django.middleware.csrf",
    "django.shortcuts",
    "django.template.defaulttags",
    "django.template.loader_tags",
    "django.template.response",
    "django.templatetags.i18n",
    "django.urls",
    "django.utils.log",
    "django.utils.translation.reloader",
    "django.views.debug",
    "django.views.generic",
    "pgtrigger.checks",
    "pgtrigger.management.commands.pgtrigger",
    "pgtrigger.migrations",
    "pgtrigger.testing",
    "pgtrigger_fsm",
    "pgtrigger_history",
    "pgtrigger_protect",
    "pgtrigger_search",
    "pgtrigger_softdelete",
    "rich.progress",
    "rich.table",
]


def run(directory, environment, arguments, paths):
    """Do what ``python -W error`` does with the arguments in a project, with files for a console.

    Args:
        paths: those of the standard input, output and error.
    """
    for descriptor, path in enumerate(paths):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if descriptor else os.O_RDONLY
        os.dup2(os.open(path, flags), descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as the process
    enter(directory, environment)
    match arguments:
        case ["-c", code, *rest]:
            sys.argv = ["-c", *rest]
            exec(code, vars(sys.modules["__main__"]))
        case ["-m", module, *rest]:
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [file, *_]:
            sys.argv = [*arguments]
            runpy.run_path(file, run_name="__main__")


def enter(directory, environment):
    """Be in the project, as if Python had been started there."""
    warnings.simplefilter("error")
    # Two versions of a file that are written in one second look alike to Python's cache.
    sys.dont_write_bytecode = True
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.path.insert(0, str(directory))
