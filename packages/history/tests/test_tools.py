"""What the tools of the kernel say of histories: lint, explain, check."""

import io

import pytest
from django.core.management import call_command


def told(*arguments):
    out = io.StringIO()
    call_command("pgtrigger", *arguments, stdout=out)
    return out.getvalue()


def test_lint_finds_nothing_in_the_functions(db):
    assert "Functions checked" in told("lint", "ledger.*:*", "pgtrigger_history.*:*")


@pytest.mark.parametrize("uri", ["ledger.Invoice:history_update", "ledger.Payment:history_update"])
def test_explain_says_what_is_recorded(uri):
    said = told("explain", uri)
    assert "runs INSERT INTO" in said
    assert "needs table" in said
    assert "tests/ledger/models.py" in said


def test_what_keeps_events_is_explained(db):
    said = told("explain", "ledger.InvoiceEvent:append_only")
    assert "nobody can ignore it" in said
    assert "Declared" not in said


def test_the_database_is_as_declared(db):
    assert "INSTALLED" in told("ls", "ledger.*:*")
