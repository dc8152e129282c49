"""What FSM adds to updates that it allows, beside triggers by hand and beside the peers."""

import json
from collections.abc import Iterator
from typing import Any

from allowed_rows import REFUSE, STAYS, Rule, row_level
from django.db import connection, models
from lines import HAND, OURS, Line, relative
from measure import Clock, Samples, Scale, rounds
from peers import peer_environment, run_peer
from session import reconnect
from statement_level import BOTH, by_size, counted
from subject import Finding, Subject
from tables import Table, declared

PGTRIGGER, DJANGO_FSM = "django-pgtrigger", "django-fsm"
CHANGES = "status = CASE status WHEN 'open' THEN 'closed' ELSE 'open' END"
# In pairs, because django-pgtrigger takes no lists of targets.
TRANSITIONS = [
    ("open", "closed"),
    ("open", "void"),
    ("closed", "open"),
    ("closed", "paid"),
    ("paid", "void"),
]
OPEN = (
    "(o.status = 'open' AND n.status IN ('closed', 'void')"
    " OR o.status = 'closed' AND n.status IN ('open', 'paid')"
    " OR o.status = 'paid' AND n.status = 'void')"
)
REFUSED = f"o.status IS DISTINCT FROM n.status AND {OPEN} IS NOT TRUE"
WHEN = REFUSED.replace("o.", "OLD.").replace("n.", "NEW.")


def declaration(more: str = "") -> str:
    return f'pgtrigger.FSM(name="machine", field="status", transitions={TRANSITIONS}{more})'


ROW_RULE = Rule(
    declaration(),
    f"BEFORE UPDATE ON TABLE FOR EACH ROW WHEN ({WHEN})",
    f"{REFUSE} RETURN NEW;",
)
STATEMENT_RULE = Rule(
    declaration(", level=pgtrigger.Statement"), BOTH, counted(REFUSED), peer=False
)


def run(scale: Scale) -> Iterator[Finding]:
    for name, change in (("state changes", CHANGES), ("state stays", STAYS)):
        yield from row_level(scale, {f"FSM, {name}": ROW_RULE}, change)
    sizes = scale.pick({1_000: 41, 10_000: 21, 100_000: 7}, {100: 1, 1_000: 1})
    yield from by_size("FSM, statement level, state changes", STATEMENT_RULE, sizes, CHANGES)
    yield from beside_django_fsm(scale)


def beside_django_fsm(scale: Scale) -> Iterator[Line]:
    """Loading an object and changing its state, in Python: theirs is checked there alone."""
    if peer_environment(DJANGO_FSM) is None:
        return
    number, times = scale.pick(2_000, 50), scale.pick(7, 1)
    table = Table("fsm_python", number).create()
    theirs = json.loads(run_peer(DJANGO_FSM, "fsm", table.name, str(times)))
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

    samples = rounds(["change", "ask"], times, work)
    for name, case in (("change", "one transition of one object"), ("ask", "what is open")):
        yield relative(
            case,
            Samples(wall=theirs[name]),
            Samples(wall=samples[name].wall),
            baseline=DJANGO_FSM,
            per=number,
            note="in a process of its own",
        )


def other(obj: Any) -> str:
    return "closed" if obj.status == "open" else "open"


def machine_model(table: Table) -> Any:
    model = table.model()
    declared(declaration()).register(model)
    assert issubclass(model, models.Model)
    return model


SUBJECT = Subject(
    title="State machines",
    about="""
An `UPDATE` of 50,000 rows that changes the state of each along an open transition, and one that
leaves the states as they are, with the rule at row level; then the same at statement level. Last,
one object after the other in Python, by `make_transition` of pgtrigger and by a decorated method
of django-fsm with `save()`. django-fsm checks in Python alone and puts nothing into the database;
pgtrigger's check is made by Postgres, and by Python on top.
""",
    unit=(
        "an update at row level; what a trigger adds to a row at statement level; in processor "
        "time of the server, and in Python in wall time"
    ),
    contenders=(HAND, OURS, PGTRIGGER, DJANGO_FSM),
    bar="1.10 of the update by hand, and 1.15 of what the one by hand adds at statement level",
    run=run,
)
