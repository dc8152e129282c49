"""The Django project that the test suite runs in."""

import os

from pgtrigger.testing import database_settings, postgres

# For libpq, here and in subprocesses: a test that waits for its own lock fails, it does not hang.
os.environ.setdefault("PGOPTIONS", "-c lock_timeout=30s")

# One server for the whole process. Subprocesses that tests start find it by DATABASE_URL.
SERVER = postgres()

# Apps of test models, found below tests/.
TEST_APPS = ["archive", "contract", "ledger", "library", "shop", "workflow"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "pgtrigger",
    "pgtrigger_history",
    *TEST_APPS,
]

DATABASES = {
    "default": database_settings(SERVER.url, NAME="pgtrigger"),
    "other": database_settings(SERVER.url, NAME="pgtrigger_other"),
    "sqlite": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}
DATABASE_ROUTERS = ["project.routers.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "project.urls"
STATIC_URL = "static/"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, and nobody logs in
SECRET_KEY = "for tests only"
TIME_ZONE = "UTC"
USE_TZ = True
