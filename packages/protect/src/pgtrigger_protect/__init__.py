"""Refuse operations: Protect and ReadOnly."""

from pgtrigger_protect.triggers import Protect as Protect
from pgtrigger_protect.triggers import ReadOnly as ReadOnly
