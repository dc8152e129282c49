"""With the stubs of `manage.py pgtrigger stubs`, the types of plugins are exact."""

from typing import assert_type

import pgtrigger
import pgtrigger.testing
from pgtrigger.clauses import Clause
from pgtrigger_fsm import FSM
from pgtrigger_protect import Protect

keep = pgtrigger.Protect(name="keep", operation=pgtrigger.Delete, message="{table}: keep it")
assert_type(keep, Protect)
assert_type(pgtrigger.FSM(name="s", field="s", transitions=[("a", "b")]), FSM)
assert_type(pgtrigger.Insert | pgtrigger.Update, pgtrigger.Operations)
assert_type(pgtrigger.testing.postgres().url, str)  # what is not stubbed is there as well
assert_type(Clause("a").name, str)


class Guard(pgtrigger.ReadOnly):
    pass


pgtrigger.Protect(nmae="keep")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
pgtrigger.SoftDelete(field=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Guard(fields=[1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
pgtrigger.Nonsense  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
