"""A context for each management command."""

import pytest
from django.core.management import BaseCommand, call_command

from ledger.models import Customer


class Command(BaseCommand):
    def handle(self, **options):
        Customer.objects.create()


@pytest.mark.parametrize("on", [True, False])
def test_a_command_is_a_context_if_the_setting_says_so(db, settings, on):
    settings.PGTRIGGER_HISTORY_COMMANDS = on
    call_command(Command())
    stored = Customer.history.get().pgh_context
    assert (stored and stored.data) == ({"command": "test_commands"} if on else None)
