"""A column changes only along declared transitions: FSM, and the Python side of it."""

from pgtrigger_fsm.changing import aavailable_transitions as aavailable_transitions
from pgtrigger_fsm.changing import amake_transition as amake_transition
from pgtrigger_fsm.changing import available_transitions as available_transitions
from pgtrigger_fsm.changing import make_transition as make_transition
from pgtrigger_fsm.errors import MachineNotFoundError as MachineNotFoundError
from pgtrigger_fsm.errors import TransitionError as TransitionError
from pgtrigger_fsm.errors import TransitionForbiddenError as TransitionForbiddenError
from pgtrigger_fsm.errors import TransitionLostError as TransitionLostError
from pgtrigger_fsm.errors import TransitionNotOpenError as TransitionNotOpenError
from pgtrigger_fsm.transitions import ANY as ANY
from pgtrigger_fsm.transitions import Transition as Transition
from pgtrigger_fsm.triggers import FSM as FSM
