"""pgtrigger_fsm.changing: what is open for an object, and one winner among those who change it."""

import asyncio
import threading
from types import SimpleNamespace

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, OperationalError, connections, transaction
from django.db.models import F as DjangoF

import pgtrigger
from pgtrigger_fsm import (
    ANY,
    FSM,
    MachineNotFoundError,
    Transition,
    TransitionError,
    TransitionForbiddenError,
    TransitionLostError,
    TransitionNotOpenError,
    aavailable_transitions,
    amake_transition,
    available_transitions,
    make_transition,
)
from shop.database import run, statements
from workflow.models import Document, DocumentProxy, Letter, Peculiar, Stage, Status

Condition, Q, F = pgtrigger.Condition, pgtrigger.Q, pgtrigger.F


def sole_editor(document, user):
    return user.name == "Ada"


FLOW = [
    Transition("draft", "sent", name="send", condition=Q(new__amount__gt=0)),
    Transition("sent", "paid", name="pay", permission="workflow.pay"),
    Transition(["draft", "sent"], "void", name="cancel", permission=sole_editor),
    Transition("paid", "paid", name="remind"),
]


def machine(transitions=FLOW, field="status", name="flow", **kwargs):
    return FSM(name=name, field=field, transitions=transitions, **kwargs)


def opened(obj, **kwargs):
    return [(t.name, t.target) for t in available_transitions(obj, **kwargs)]


class User(SimpleNamespace):
    """Somebody with a name and permissions."""

    name = "Bob"
    permissions = ()

    def has_perm(self, permission):
        return permission in self.permissions

    def __str__(self):
        return self.name


# --- What is open -----------------------------------------------------------------------------


def test_what_is_open_follows_from_the_state(live, db):
    live(Document, machine())
    document = Document.objects.create(amount=1)
    assert opened(document) == [("send", "sent"), ("cancel", "void")]
    document.status = Status.SENT
    with statements() as found:
        assert opened(document) == [("pay", "paid"), ("cancel", "void")]
    assert found == []
    document.status = "paid"
    assert opened(document) == [("remind", "paid")]
    document.status = "void"
    assert opened(document) == []


def test_an_open_transition_tells_its_one_source_and_target(live, db):
    live(Document, machine([Transition({"draft", "sent"}, ["void", "paid"], name="end")]))
    first, second = available_transitions(Document.objects.create())
    assert (first.source, first.target, first.name) == ("draft", "void", "end")
    assert (second.source, second.target, second.name) == ("draft", "paid", "end")


def test_a_wildcard_leads_to_all_states_that_are_known(live, db):
    live(Document, machine([Transition(ANY, ANY, name="jump"), Transition(ANY, "draft")]))
    assert opened(Document(status="sent")) == [
        ("jump", "draft"),
        ("jump", "paid"),
        ("jump", "void"),
        (None, "draft"),
    ]


def test_what_is_declared_twice_is_open_once(live, db):
    live(Document, machine([("draft", "sent"), ("draft", ["sent", "void"])]))
    assert opened(Document()) == [(None, "sent"), (None, "void")]


CONDITIONS = [
    Q(new__amount__gt=F("old__amount")),
    Condition("OLD.amount = 1 AND NEW.amount = 2"),
    Condition("NEW IS DISTINCT FROM OLD AND NEW.status = 'sent' AND NEW.amount > 1"),
    F("new__approved"),
    Q(new__note="it's 100% %s {x}"),
    Q(new__ratio__gte="2.50", new__stage=7),
    Q(new__locked__isnull=False) & ~Q(new__at=None),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=repr)
def test_conditions_are_those_of_the_trigger_on_unsaved_values(live, db, condition):
    stage = Stage.objects.create(pk=7)
    live(Document, machine([Transition("draft", "sent", name="send", condition=condition)]))
    document = Document.objects.create(amount=1)
    assert opened(document) == []
    changes = {
        "amount": 2,
        "approved": True,
        "note": "it's 100% %s {x}",
        "ratio": "2.50",
        "stage": stage,
        "locked": False,
        "at": "2024-05-01T12:00Z",
    }
    for name, value in changes.items():
        setattr(document, name, value)
    with statements() as found:
        assert opened(document) == [("send", "sent")]
    assert len(found) == 1
    with pytest.raises(TransitionNotOpenError, match="condition of the transition does not hold"):
        make_transition(document, "send")
    make_transition(document, "send", update_fields=changes)
    document.refresh_from_db()
    assert (document.status, document.amount, document.stage_id) == ("sent", 2, 7)


def test_the_condition_sees_the_state_that_a_transition_leads_to(live, db):
    condition = Condition("NEW.status = 'sent'")
    live(Document, machine([Transition("draft", ["sent", "void"], condition=condition)]))
    assert opened(Document.objects.create()) == [(None, "sent")]


def test_what_an_object_has_not_loaded_or_the_database_computes_is_the_rows(live, db):
    live(Document, machine())
    pk = Document.objects.create(amount=1).pk
    assert ("send", "sent") in opened(Document.objects.only("status").get(pk=pk))
    document = Document.objects.get(pk=pk)
    document.amount = DjangoF("amount") - 1
    assert ("send", "sent") in opened(document)


def test_an_object_that_is_not_stored_yet_is_its_own_past(live, db):
    live(
        Document, machine([Transition("draft", "sent", condition=Q(old__amount=F("new__amount")))])
    )
    assert opened(Document(amount=1)) == [(None, "sent")]
    live(Document, FSM(name="a", field="note", transitions=[(None, "a")]))
    assert opened(Document(), field="note") == [(None, "a")]


def test_conditions_do_not_hold_for_a_row_that_is_gone(live, db):
    live(Document, machine())
    document = Document.objects.create(amount=1)
    Document.objects.all().delete()
    assert opened(document) == [("cancel", "void")]


def test_a_user_sees_what_she_may_do(live, db):
    live(Document, machine())
    document = Document(status="sent")
    assert opened(document, user=User()) == []
    assert opened(document, user=User(permissions=["workflow.pay"])) == [("pay", "paid")]
    assert opened(document, user=User(name="Ada")) == [("cancel", "void")]


def test_states_are_compared_as_values_of_the_field(live, db):
    stage, other = Stage.objects.create(label="new"), Stage.objects.create(label="old")
    live(Document, machine([(stage, other)], "stage"))
    live(Document, machine([("1.5", 2)], "ratio", "ratio"))
    assert opened(Document(stage=stage), field="stage") == [(None, other.pk)]
    assert opened(Document(ratio="1.50"), field="ratio") == [(None, 2)]


# --- Making a transition ----------------------------------------------------------------------


def test_a_transition_is_one_update_of_one_column(live, db):
    live(Document, machine())
    document = Document.objects.create(amount=1, note="stored")
    document.note = "unsaved"
    with statements() as found:
        make_transition(document, "send")
    (statement,) = found
    assert statement.startswith("""UPDATE "workflow_document" SET "status" = 'sent' WHERE""")
    assert document.status == "sent"
    document.refresh_from_db()
    assert (document.status, document.note) == ("sent", "stored")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({"name": "cancel"}, "void"),
        ({"to": "void"}, "void"),
        ({"to": Status.SENT}, "sent"),
        ({"name": "cancel", "to": "void"}, "void"),
    ],
    ids=str,
)
def test_a_transition_is_named_or_known_by_its_target(live, db, arguments, status):
    live(Document, machine())
    document = Document.objects.create(amount=1)
    make_transition(document, **arguments)
    assert Document.objects.get().status == status


def test_null_is_a_source_and_a_target(live, db):
    live(Document, machine([(None, "a"), ("a", None)], "note"))
    document = Document.objects.create()
    make_transition(document, to="a")
    make_transition(document, to=None)
    document.refresh_from_db()
    assert document.note is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "pay"}, 'no transition "pay" from "draft". From there lead: send to "sent", '),
        ({"to": "paid"}, 'no transition to "paid" from "draft"'),
        ({"name": "send", "to": "void"}, 'no transition "send" to "void"'),
        ({}, "several transitions"),
    ],
    ids=str,
)
def test_what_is_not_open_is_refused_without_a_statement(live, db, arguments, message):
    live(Document, machine())
    document = Document.objects.create(amount=1)
    with statements() as found, pytest.raises(TransitionNotOpenError, match=message) as caught:
        make_transition(document, **arguments)
    assert found == []
    assert isinstance(caught.value, ValueError)
    assert document.status == "draft"


def test_from_an_end_leads_nothing(live, db):
    live(Document, machine())
    with pytest.raises(TransitionNotOpenError, match="From there lead: none"):
        make_transition(Document(status="void"), "pay")


def test_a_user_without_permission_is_refused(live, db):
    live(Document, machine())
    document = Document.objects.create(status="sent")
    with pytest.raises(
        TransitionForbiddenError, match='Bob may not .* "pay" from "sent"'
    ) as caught:
        make_transition(document, "pay", user=User())
    assert isinstance(caught.value, PermissionDenied)
    make_transition(document, "pay", user=User(permissions=["workflow.pay"]))
    assert Document.objects.get().status == "paid"


def test_of_transitions_that_share_name_and_target_one_condition_is_enough(live, db):
    flow = [
        Transition("draft", "sent", name="send", condition=Q(new__amount=1)),
        Transition("draft", "sent", name="send", condition=Q(new__amount=2), permission="x"),
        Transition("draft", "sent", name="force", permission="workflow.force"),
    ]
    live(Document, machine(flow))
    for amount in (1, 2):
        make_transition(Document.objects.create(amount=amount), "send")
    document = Document.objects.create(amount=2)
    with pytest.raises(TransitionNotOpenError, match="condition"):
        make_transition(document, "send", user=User())
    with pytest.raises(TransitionNotOpenError, match="condition"):
        make_transition(document, to="sent", user=User())
    document = Document.objects.create(amount=9)
    with pytest.raises(TransitionNotOpenError, match="condition"):
        make_transition(document, "send")
    make_transition(document, to="sent")


def test_a_row_that_is_in_another_state_by_now_is_not_changed(live, db):
    live(Document, machine())
    document = Document.objects.create(amount=1)
    Document.objects.update(status="void")
    with pytest.raises(
        TransitionLostError, match='from "draft" to "sent": it is in the state "void"'
    ):
        make_transition(document, "send")
    assert document.status == "draft"
    Document.objects.all().delete()
    with pytest.raises(TransitionLostError, match="the row is not there") as caught:
        make_transition(document, "cancel")
    assert isinstance(caught.value, TransitionError)


def test_rows_that_a_manager_hides_are_found(live, db):
    live(DocumentProxy, machine())
    document = DocumentProxy.objects.create(amount=1)
    make_transition(document, "send")
    make_transition(Document.objects.get(), "pay")
    assert Document.objects.get().status == "paid"


def test_parents_and_children_have_their_machines(live, db):
    live(Document, machine())
    live(Letter, machine([("open", "sealed")], "sealing", "sealing"))
    letter = Letter.objects.create(amount=1)
    with statements() as found:
        make_transition(letter, "send", field="status")
        make_transition(letter, to="sealed", trigger="sealing")
    assert [statement.split()[:2] for statement in found] == [
        ["UPDATE", '"workflow_document"'],
        ["UPDATE", '"workflow_letter"'],
    ]
    assert opened(letter, field="status") == [("pay", "paid"), ("cancel", "void")]


def test_composite_keys_and_awkward_names(live, db):
    condition = Q(new__select="a", old__select="a")
    live(Peculiar, machine([Transition("a", "b", condition=condition)], "select"))
    run("INSERT INTO \"user % {x}\" VALUES (1, 1, 'a', 'a'), (1, 2, 'a', 'a')")
    peculiar = Peculiar(tenant=1, number=2, state="a")
    assert opened(peculiar) == []
    peculiar._state.adding = False
    live(Peculiar, machine([Transition("a", "b", condition=Q(old__state="a"))], "state", "two"))
    assert opened(peculiar, field="state") == [(None, "b")]


@pytest.mark.django_db(databases=["default", "other"])
def test_an_object_is_changed_in_the_database_that_it_is_from(declared):
    trigger = declared(Document, machine())
    trigger.install(Document, database="other")
    document = Document.objects.using("other").create(amount=1)
    with statements() as found:
        assert opened(document) == [("send", "sent"), ("cancel", "void")]
        make_transition(document, "send")
    assert found == []
    assert Document.objects.using("other").get().status == "sent"
    with pytest.raises(TransitionLostError, match="not there"):
        make_transition(document, "pay", using="default")


def test_which_machine_is_meant_must_be_clear(live, db):
    with pytest.raises(MachineNotFoundError, match=r"has no machines; .* There are: none"):
        available_transitions(Document())
    live(Document, machine())
    live(Document, machine(field="note", name="notes"))
    with pytest.raises(LookupError, match=r"2 machines; .* flow \(field status\), notes"):
        available_transitions(Document())
    with pytest.raises(LookupError, match="no machines with field='level'"):
        available_transitions(Document(), field="level")
    assert opened(Document(status="paid"), trigger="flow") == [("remind", "paid")]


def test_other_triggers_and_other_tables_machines_are_not_the_models(live, db):
    live(Letter, machine([("open", "sealed")], "sealing", "sealing"))
    live(Peculiar, machine([("a", "b")], "state", "other"))
    live(Document, pgtrigger.Protect(name="keep", operation=pgtrigger.Delete))
    live(Document, machine())
    assert opened(Document(status="paid")) == [("remind", "paid")]


def test_from_asynchronous_code(live, db):
    live(Document, machine([("draft", "sent")]))
    assert [t.target for t in asyncio.run(aavailable_transitions(Document()))] == ["sent"]
    with pytest.raises(TransitionNotOpenError):
        asyncio.run(amake_transition(Document(), "pay"))


# --- Two at once ------------------------------------------------------------------------------


@pytest.fixture
def committed_document(live_committed):
    live_committed(machine([("draft", ["sent", "void"]), ("sent", "paid")]))
    return Document.objects.create().pk


@pytest.fixture
def live_committed(committed, declared):
    """`live_committed(trigger)`: on Document, for all connections to see."""
    undo = []

    def add(trigger):
        declared(Document, trigger)
        undo.append(trigger.install(Document))

    yield add
    for done in undo:
        done.__exit__()
    run("TRUNCATE workflow_document CASCADE")
    connections["default"].close()


def race(*works):
    """All begin at once, each in a thread and a transaction of its own; what they raised."""
    barrier, errors = threading.Barrier(len(works)), []

    def follow(work):
        try:
            with transaction.atomic():
                load = Document.objects.get()
                barrier.wait(20)
                work(load)
        except Exception as error:  # compared by the test
            errors.append(error)
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=follow, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return errors


def saving(status):
    def save(document):
        document.status = status
        document.save()

    return save


def making(status):
    return lambda document: make_transition(document, to=status)


@pytest.mark.parametrize("times", range(3))
def test_of_two_saves_from_one_state_one_wins(committed_document, times):
    (error,) = race(saving("sent"), saving("void"))
    assert isinstance(error, IntegrityError)
    found = pgtrigger.violation(error)
    assert found.uri == "workflow.Document:flow"
    assert Document.objects.get().status in ("sent", "void")


@pytest.mark.parametrize("targets", [("sent", "void"), ("sent", "sent"), ("void",) * 4], ids=str)
def test_of_several_transitions_from_one_state_one_wins(committed_document, targets):
    errors = race(*map(making, targets))
    assert [type(error) for error in errors] == [TransitionLostError] * (len(targets) - 1)
    assert Document.objects.get().status in targets


def test_at_a_stricter_isolation_level_postgres_refuses_the_second(committed_document):
    def overtake():
        make_transition(Document.objects.get(), to="void")
        connections["default"].close()

    with pytest.raises(OperationalError, match="could not serialize"), transaction.atomic():
        run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        document = Document.objects.get()
        thread = threading.Thread(target=overtake)
        thread.start()
        thread.join(30)
        make_transition(document, to="sent")
    assert Document.objects.get().status == "void"
