"""The types of plugins, from their packages, and without stubs as attributes of pgtrigger."""

from typing import Any, assert_type

import pgtrigger
from pgtrigger_fsm import FSM, Transition
from pgtrigger_protect import AppendOnly, Protect, ReadOnly
from pgtrigger_search import UpdateSearchVector
from pgtrigger_softdelete import SoftDelete

protect = Protect(
    name="keep",
    operation=pgtrigger.Update | pgtrigger.Delete,
    condition=pgtrigger.Q(old__status="sent"),
    level=pgtrigger.Statement,
    message="{table}: keep it",
    hint="Archive it.",
)
assert_type(protect, Protect)
assert_type(ReadOnly(name="fixed", fields=["author"], message="no"), ReadOnly)
assert_type(AppendOnly(name="log", ignorable=False), AppendOnly)
assert_type(SoftDelete(name="soft", field="is_active", value=False, cascade="soft"), SoftDelete)
fsm = FSM(
    name="status",
    field="status",
    initial=["draft"],
    transitions=[("draft", "sent"), Transition("sent", "read", name="read")],
    timing=pgtrigger.Deferred,
)
assert_type(fsm, FSM)
search = UpdateSearchVector(
    name="search", vector_field="vector", document_fields={"title": "A", "body": "B"}
)
assert_type(search, UpdateSearchVector)

# Whatever is installed; `manage.py pgtrigger stubs` tells type checkers what that is.
assert_type(pgtrigger.Protect, Any)
