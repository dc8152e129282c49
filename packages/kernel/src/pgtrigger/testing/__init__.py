"""Helpers for the tests of projects and plugins.

A real PostgreSQL server without a set-up:

::

    # settings.py of a test project
    from pgtrigger.testing import database_settings, postgres

    DATABASES = {"default": database_settings(postgres().url)}

And contexts that assert what triggers do: `raises_violation`, `count_calls`, `assert_calls`, and
`trigger_on`, which makes a table for a trigger by itself.
"""

from pgtrigger.testing.alone import trigger_on as trigger_on
from pgtrigger.testing.calls import assert_calls as assert_calls
from pgtrigger.testing.calls import count_calls as count_calls
from pgtrigger.testing.databases import database_settings as database_settings
from pgtrigger.testing.refusals import raises_violation as raises_violation
from pgtrigger.testing.server import Server as Server
from pgtrigger.testing.server import postgres as postgres
