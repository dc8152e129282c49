"""pgtrigger_search.plugin: what it offers, and what its checks warn of."""

from importlib import metadata

import pytest

import pgtrigger
import pgtrigger_search
from library.models import Article, ArticleProxy, Unindexed
from pgtrigger.checks import check_triggers
from pgtrigger.management.commands.pgtrigger import subcommands
from pgtrigger.registry import registry
from pgtrigger_search.plugin import (
    pgtrigger_check,
    pgtrigger_register_subcommands,
    pgtrigger_register_trigger_types,
)
from pgtrigger_search.subcommands import Reindex


def search(**kwargs):
    given = {"name": "search", "vector_field": "vector", "document_fields": ["title"]}
    return pgtrigger_search.UpdateSearchVector(**{**given, **kwargs})


def test_the_type_and_the_subcommand_are_offered():
    assert [*pgtrigger_register_trigger_types()] == [pgtrigger.UpdateSearchVector]
    assert pgtrigger.UpdateSearchVector is pgtrigger_search.UpdateSearchVector
    assert [*pgtrigger_register_subcommands()] == [Reindex]
    assert subcommands()["reindex"] is Reindex


def test_the_distribution_has_one_entry_point():
    (found,) = metadata.distribution("pgtrigger-search").entry_points.select(group="pgtrigger")
    assert found.value == "pgtrigger_search.plugin"


@pytest.mark.parametrize(
    ("model", "field", "expected"),
    [
        (Article, "vector", []),
        (ArticleProxy, "vector", []),
        (Unindexed, "expressed", []),
        (Unindexed, "vector", ["pgtrigger_search.W002"]),
        (Unindexed, "listed", ["pgtrigger_search.W002"]),
        (Unindexed, "noted", ["pgtrigger_search.W001"]),
    ],
)
def test_the_vector_is_checked(model, field, expected):
    found = [*pgtrigger_check(model, search(vector_field=field))]
    assert [message.id for message in found] == expected
    assert all(message.hint and message.obj is model for message in found)


def test_other_types_are_not_this_plugins_concern():
    trigger = pgtrigger.Trigger(
        name="noop", when=pgtrigger.Before, operation=pgtrigger.Update, func="RETURN NEW;"
    )
    assert [*pgtrigger_check(Unindexed, trigger)] == []


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"vector_field": "noted"}, "pgtrigger_search.W001"),
        ({}, "pgtrigger_search.W002"),
        ({"document_fields": ["nothing"]}, "pgtrigger.E001"),
        ({"document_fields": ["vector"]}, "pgtrigger.E002"),
    ],
)
def test_manage_py_check_shows_it(monkeypatch, kwargs, expected):
    trigger = search(**kwargs)
    monkeypatch.setattr(registry, "_by_uri", {"library.Unindexed:s": (Unindexed, trigger)})
    (message,) = check_triggers(None)
    assert message.id == expected
