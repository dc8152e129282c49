"""A column changes only along declared transitions: FSM."""

from pgtrigger_fsm.transitions import ANY as ANY
from pgtrigger_fsm.transitions import Transition as Transition
from pgtrigger_fsm.triggers import FSM as FSM
