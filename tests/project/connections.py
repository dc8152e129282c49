"""Connections that Django knows nothing of."""

from django.db.backends.postgresql.base import Database

from pgtrigger.testing import database_settings


def connect(url: str):
    """Open a connection of its own, in autocommit, with whichever psycopg Django uses."""
    entry = database_settings(url)
    connection = Database.connect(
        dbname=entry["NAME"],
        user=entry["USER"],
        password=entry["PASSWORD"],
        host=entry["HOST"],
        port=entry["PORT"],
        **entry["OPTIONS"],
    )
    connection.autocommit = True
    return connection
