"""The six problems, in the order of docs/tutorial/index.md."""

from problems import (
    history,
    official_interfaces,
    protection,
    soft_deletion,
    state_machines,
    versioning,
)
from problems.step import Problem as Problem
from problems.step import Step as Step

PROBLEMS = (
    protection.PROBLEM,
    soft_deletion.PROBLEM,
    state_machines.PROBLEM,
    versioning.PROBLEM,
    official_interfaces.PROBLEM,
    history.PROBLEM,
)
