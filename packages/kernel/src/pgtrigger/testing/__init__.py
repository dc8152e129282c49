"""Helpers for the tests of projects and plugins: a real PostgreSQL server without a set-up.

::

    # settings.py of a test project
    from pgtrigger.testing import database_settings, postgres

    DATABASES = {"default": database_settings(postgres().url)}
"""

from pgtrigger.testing.databases import database_settings as database_settings
from pgtrigger.testing.server import Server as Server
from pgtrigger.testing.server import postgres as postgres
