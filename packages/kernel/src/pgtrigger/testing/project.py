"""A Django project for tests that have none."""

from __future__ import annotations

import os

import django
from django.apps import apps
from django.conf import ENVIRONMENT_VARIABLE, settings

from pgtrigger.testing.databases import database_settings
from pgtrigger.testing.server import postgres


def ensure_project() -> bool:
    """Make Django ready: for the project that is there, or else for one of a single app.

    That one has the server of `postgres` for its database, and lasts until the process ends.

    Returns:
        Whether the project was there, so its own test runner looks after the database.

    Raises:
        NoServerError: there is no project, and no server.
    """
    if not settings.configured and not os.environ.get(ENVIRONMENT_VARIABLE):
        settings.configure(
            INSTALLED_APPS=["django.contrib.postgres", "pgtrigger"],
            DATABASES={"default": database_settings(postgres().url)},
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            USE_TZ=True,
            PGTRIGGER_TESTING_PROJECT=True,
        )
    if not apps.ready:
        django.setup()
    return not getattr(settings, "PGTRIGGER_TESTING_PROJECT", False)
