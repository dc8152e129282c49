"""Refuse operations: Protect, AppendOnly and ReadOnly."""

from pgtrigger_protect.triggers import AppendOnly as AppendOnly
from pgtrigger_protect.triggers import Protect as Protect
from pgtrigger_protect.triggers import ReadOnly as ReadOnly
