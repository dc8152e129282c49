"""What FSM adds to updates that it allows, beside triggers by hand and beside the peers."""

import json
from collections.abc import Iterator
from typing import Any

from allowed_rows import REFUSE, STAYS, Put, by_hand, by_us, row_level, statement_level
from django.db import connection, models
from measure import Clock, Line, Samples, Scale, rounds
from peers import peer_environment, run_peer
from tables import Table, reconnect

import pgtrigger

CHANGES = "status = CASE status WHEN 'open' THEN 'closed' ELSE 'open' END"
TRANSITIONS = [("open", ["closed", "void"]), ("closed", ["open", "paid"]), ("paid", "void")]
OPEN = (
    "(o.status = 'open' AND n.status IN ('closed', 'void')"
    " OR o.status = 'closed' AND n.status IN ('open', 'paid')"
    " OR o.status = 'paid' AND n.status = 'void')"
)
REFUSED = f"o.status IS DISTINCT FROM n.status AND {OPEN} IS NOT TRUE"


def run(scale: Scale) -> Iterator[Line]:
    for name, change in (("state changes", CHANGES), ("state stays", STAYS)):
        for line in row_level(scale, row_variants(), ["FSM"], change):
            yield line._replace(case=f"{line.case}, {name}")
    for line in statement_level(scale, statement_variants, ["FSM"], CHANGES):
        yield line._replace(case=f"{line.case}, state changes")
    yield from beside_django_pgtrigger(scale)
    yield from beside_django_fsm(scale)


def machine(**kwargs: Any) -> Put:
    return by_us("FSM", field="status", transitions=TRANSITIONS, **kwargs)


def row_variants() -> dict[str, Put]:
    when = REFUSED.replace("o.", "OLD.").replace("n.", "NEW.")
    head = f"BEFORE UPDATE ON TABLE FOR EACH ROW WHEN ({when})"
    return {
        "none": lambda table: table,
        "hand FSM": by_hand(head, f"{REFUSE} RETURN NEW;"),
        "FSM": machine(),
    }


def statement_variants() -> dict[str, Put]:
    head = "AFTER UPDATE ON TABLE REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT"
    # Counting, because EXISTS would be planned as a nested loop.
    compares = f"IF (SELECT count(*) FROM o JOIN n USING (id) WHERE {REFUSED}) > 0"
    return {
        "none": lambda table: table,
        "hand FSM": by_hand(head, f"{compares} THEN {REFUSE} END IF; RETURN NULL;"),
        "FSM": machine(level=pgtrigger.Statement),
    }


def beside_django_pgtrigger(scale: Scale) -> Iterator[Line]:
    """The same machine, installed by the released django-pgtrigger from its own environment."""
    python = peer_environment()
    if python is None:
        yield Line("django-pgtrigger's FSM", "", "", note="no package index")
        return

    def by_peer(table: Table) -> Table:
        run_peer(python, "pgtrigger", table.name, json.dumps(TRANSITIONS))
        return table

    variants = {"none": row_variants()["none"], "hand FSM": by_peer, "FSM": machine()}
    for line in row_level(scale, variants, ["FSM"], CHANGES):
        yield line._replace(case=f"{line.case}, beside django-pgtrigger", bar=None)


def beside_django_fsm(scale: Scale) -> Iterator[Line]:
    """Loading an object and changing its state, in Python: theirs is checked there alone."""
    python = peer_environment()
    if python is None:
        yield Line("django-fsm", "", "", note="no package index")
        return
    number = scale.pick(2_000, 50)
    table = Table("fsm_python", number).create()
    theirs = json.loads(run_peer(python, "fsm", table.name, str(scale.pick(7, 1))))
    reconnect()
    model = machine_model(table)
    table = Table("fsm_python", number).create().by_us(model._meta.triggers[0])
    from pgtrigger_fsm import available_transitions, make_transition  # noqa: PLC0415  # wants apps

    def work(name: str, samples: Samples) -> None:
        objects = [*model.objects.order_by("pk")]
        clock = Clock(connection, client=True)
        if name == "change":
            clock.time(lambda: [make_transition(o, to=other(o)) for o in objects], samples)
        else:
            clock.time(lambda: [available_transitions(o) for o in objects], samples)

    samples = rounds(["change", "ask"], scale.pick(7, 1), work)
    for name, case in (("change", "one transition of one object"), ("ask", "what is open")):
        ours = min(samples[name].wall) / number
        peer = theirs[name] / number
        yield Line(
            f"{case}, beside django-fsm",
            f"{peer * 1e6:,.0f} µs",
            f"{ours * 1e6:,.0f} µs",
            ratio=ours / peer,
            note="wall time, best round; theirs in its own process",
        )


def other(obj: Any) -> str:
    return "closed" if obj.status == "open" else "open"


def machine_model(table: Table) -> Any:
    trigger = pgtrigger.FSM(name="python", field="status", transitions=TRANSITIONS)
    model = table.model()
    trigger.register(model)
    assert issubclass(model, models.Model)
    return model
