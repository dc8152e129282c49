"""A Django project for the tests of a copy, on a PostgreSQL server that needs no set-up."""

from pgtrigger.testing import database_settings, postgres

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "pgtrigger"]
DATABASES = {"default": database_settings(postgres().url, NAME="acme_stamp")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for tests only"
USE_TZ = True
