"""pgtrigger_fsm.plugin: what it offers to pgtrigger."""

from importlib import metadata

import pgtrigger
import pgtrigger_fsm
from pgtrigger.management.commands.pgtrigger import subcommands
from pgtrigger_fsm.plugin import (
    pgtrigger_check,
    pgtrigger_register_subcommands,
    pgtrigger_register_trigger_types,
)
from workflow.models import Document


def test_the_type_is_offered_and_appears_in_pgtrigger():
    assert [*pgtrigger_register_trigger_types()] == [pgtrigger_fsm.FSM]
    assert pgtrigger.FSM is pgtrigger_fsm.FSM


def test_the_subcommand_is_one_of_pgtriggers():
    (graph,) = pgtrigger_register_subcommands()
    assert subcommands()["graph"] is graph


def test_the_distribution_has_one_entry_point():
    (found,) = metadata.distribution("pgtrigger-fsm").entry_points.select(group="pgtrigger")
    assert found.value == "pgtrigger_fsm.plugin"


def test_other_types_are_not_this_plugins_concern():
    other = pgtrigger.Protect(name="a", operation=pgtrigger.Update)
    assert [*pgtrigger_check(Document, other)] == []


def test_the_public_names():
    names = {name for name in vars(pgtrigger_fsm) if not name.startswith("_")}
    modules = {"changing", "checks", "drawing", "errors", "graph", "guards", "layout", "machine"}
    modules |= {"plugin", "refusals", "states", "subcommands", "transitions", "triggers"}
    assert names - modules == {
        "ANY",
        "FSM",
        "MachineNotFoundError",
        "Transition",
        "TransitionError",
        "TransitionForbiddenError",
        "TransitionLostError",
        "TransitionNotOpenError",
        "aavailable_transitions",
        "amake_transition",
        "available_transitions",
        "make_transition",
    }
