"""Settings of its processes: each says in its environment how it connects."""

import json
import os

from pgtrigger.testing import database_settings

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "pgtrigger",
    "pgtrigger_history",
    "reliability.depot.apps.DepotConfig",
]
DATABASES = {"default": database_settings(os.environ["DATABASE_URL"])}
DATABASES["default"]["OPTIONS"] |= json.loads(os.environ.get("DEPOT_OPTIONS", "{}"))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for tests only"
USE_TZ = True
