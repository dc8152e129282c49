from django.apps import AppConfig
from django.contrib.postgres.operations import HStoreExtension
from django.db import connections
from django.db.models.signals import pre_migrate


class LedgerConfig(AppConfig):
    name = "ledger"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        pre_migrate.connect(create_extension, sender=self)


def create_extension(using, **kwargs):
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.schema_editor() as editor:
            HStoreExtension().database_forwards("ledger", editor, None, None)
