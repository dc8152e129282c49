"""Commands of a powerful role run nothing that others have put into a schema of its search path."""

import io

import pytest
from django.core.management import call_command

import pgtrigger
from ledger.models import Invoice
from shop.models import Product

pytestmark = pytest.mark.django_db

COMMANDS = {
    "ls": ["ls"],
    "ls in all schemas": ["ls", "--all-schemas"],
    "check": ["check"],
    "install": ["install", "shop.Product:*"],
    "install in all schemas": ["install", "--all-schemas", "--dry-run"],
    "uninstall": ["uninstall", "shop.Product:*", "--no-input"],
    "disable": ["disable", "shop.Product:*", "--no-input"],
    "enable": ["enable", "shop.Product:*"],
    "prune": ["prune"],
    "diff": ["diff", "shop.Product:*"],
    "sql": ["sql", "shop.Product:*"],
    "explain": ["explain", "shop.Product:*"],
    "stats": ["stats"],
    "lint": ["lint", "shop.Product:*"],
    "inspect": ["inspect", "shop_product"],
    "history backfill": ["history", "backfill", "ledger.Invoice"],
    "history prune": ["history", "prune", "--older-than", "1d", "ledger.Invoice"],
    "history prune, the last is kept": ["history", "prune", "--older-than", "1d", "--keep-last"],
    "history partitions": ["history", "partitions", "ledger.Reading"],
    "history stats": ["history", "stats", "--exact"],
    "history redact": [
        *("history", "redact", "--model", "ledger.Invoice", "--key", "1", "--fields", "note")
    ],
    "history redact a user": ["history", "redact", "--user", "1"],
    "search reindex": ["reindex"],
}


@pytest.fixture
def hostile(hostile_database, sql):
    """What is offered is a better match than what Postgres has, and raises when it is called."""
    trigger = pgtrigger.Protect(
        name="commands", operation=pgtrigger.Delete, condition=pgtrigger.Q(old__name="x")
    )
    with trigger.register(Product):
        pgtrigger.install("shop.Product:commands")
        Invoice.objects.create(note="a")
        sql("SET search_path = public, loud")
        try:
            yield
        finally:
            sql("SET search_path = public")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_command_runs_nothing_of_others(hostile, words):
    out = io.StringIO()
    try:
        call_command("pgtrigger", *words, stdout=out, stderr=out)
    except SystemExit as error:
        assert error.code in (0, 1), out.getvalue()
    assert "HIJACKED" not in out.getvalue()
