"""An ordinary Django project. What pgtrigger needs is one line in INSTALLED_APPS; history, another.

The other unusual thing is the database: an embedded PostgreSQL server, which runs for as long as
this process does and keeps its data beside this project. ``DATABASE_URL`` names another one.
"""

from pathlib import Path

from pgtrigger.testing import database_settings, postgres

BASE_DIR = Path(__file__).resolve().parent.parent

INSTALLED_APPS = [
    "flights",
    "pgtrigger",
    "pgtrigger_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]

SERVER = postgres(BASE_DIR / ".postgres")
DATABASES = {"default": database_settings(SERVER.url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    # Behind the one that knows the user. What a request changes is recorded with who, and where.
    "pgtrigger_history.HistoryMiddleware",
]
ROOT_URLCONF = "website.urls"
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

# A demo on this machine, for this machine.
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
DEBUG = True
SECRET_KEY = "nothing here is secret"

TIME_ZONE = "America/New_York"
USE_TZ = True
