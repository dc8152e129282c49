"""Settings that know neither which pgtrigger is installed nor which server there is."""

import json
import os

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "pgtrigger",
    "store",
    "people",
    "reports",
]
DATABASES = {"default": json.loads(os.environ["SITE_DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for tests only"
USE_TZ = True

# The models change twice while the old package is in use; this is how they look in the end.
RELEASE = int(os.environ.get("SITE_RELEASE", "3"))

# Every statement of a migration, where a test wants to see them.
if os.environ.get("SITE_LOG"):
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"file": {"class": "logging.FileHandler", "filename": os.environ["SITE_LOG"]}},
        "loggers": {"django.db.backends.schema": {"handlers": ["file"], "level": "DEBUG"}},
    }
