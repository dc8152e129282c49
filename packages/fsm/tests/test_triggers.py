"""pgtrigger_fsm.triggers: which changes of state are refused, by every way to write."""

import datetime
import decimal
import uuid

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

import pgtrigger
from pgtrigger import sql
from pgtrigger.errors import DeclarationError, FieldLookupError
from pgtrigger_fsm import ANY, FSM, Transition
from shop.database import definitions, refused, rows, run, statements, value
from shop.named import named
from workflow.models import Document, DocumentProxy, Letter, Level, Parcel, Peculiar, Stage, Status

Row, Statement = pgtrigger.Row, pgtrigger.Statement
Condition, Q, F = pgtrigger.Condition, pgtrigger.Q, pgtrigger.F
LEVELS = pytest.mark.parametrize("level", [Row, Statement], ids=str)
FLOW = [("draft", ["sent", "void"]), ("sent", "paid")]


def machine(transitions=FLOW, field="status", **kwargs):
    return FSM(name="flow", field=field, transitions=transitions, **kwargs)


def change(document, **values):
    Document.objects.filter(pk=document.pk).update(**values)


# --- Transitions ------------------------------------------------------------------------------


@LEVELS
@pytest.mark.parametrize("old", Status.values)
@pytest.mark.parametrize("new", Status.values)
def test_what_is_declared_is_allowed_and_everything_else_is_not(live, level, old, new):
    live(Document, machine(level=level))
    document = Document.objects.create(status=old)
    if old == new or (old, new) in [("draft", "sent"), ("draft", "void"), ("sent", "paid")]:
        change(document, status=new)
    else:
        message = (
            f'Invalid transition of field "status" from "{old}" to "{new}" '
            f"on table workflow_document"
        )
        with refused(message, IntegrityError):
            change(document, status=new)


NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
STATES = {
    "choices": ("status", Status.DRAFT, Status.SENT, Status.PAID),
    "text": ("note", "a", "it's 100% {x} \\ $$", ""),
    "null": ("note", None, "a", "b"),
    "to null": ("note", "NULL", None, "a"),
    "integer choices": ("level", Level.LOW, Level.MIDDLE, Level.HIGH),
    "integers": ("amount", -1, 0, 1),
    "decimals": ("ratio", decimal.Decimal("1.50"), "2.5", None),
    "dates": ("due", datetime.date(2024, 1, 31), "2024-02-29", None),
    "timestamps": ("at", NOON, NOON + datetime.timedelta(microseconds=1), None),
    "uuids": ("key", uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3)),
    "booleans": ("locked", False, True, None),
    "foreign key": ("stage_id", 1, 2, 3),
    "foreign key by name": ("stage", 1, "2", None),
    "foreign key to another field": ("label", "new", "it's", None),
}


@LEVELS
@pytest.mark.parametrize(("field", "first", "second", "third"), STATES.values(), ids=STATES)
def test_a_state_can_be_a_value_of_any_type(live, db, level, field, first, second, third):
    Stage.objects.bulk_create(
        [Stage(pk=n, label=text) for n, text in enumerate(["new", "it's", "x"], 1)]
    )
    live(Document, machine([(first, second), (second, third)], field, level=level))
    attribute = f"{field}_id" if field in ("stage", "label") else field
    document = Document.objects.create(**{attribute: first})
    with refused("Invalid transition", IntegrityError):
        change(document, **{attribute: third})
    change(document, **{attribute: second})
    change(document, **{attribute: second})
    with refused("Invalid transition", IntegrityError):
        change(document, **{attribute: first})
    change(document, **{attribute: third})


@LEVELS
def test_an_object_is_a_state_of_a_foreign_key(live, db, level):
    stages = [Stage.objects.create(label=text) for text in "abc"]
    by_key = machine([(stages[0], stages[1])], "stage", level=level)
    by_label = FSM(name="other", field="label", transitions=[(stages[0], stages[1])], level=level)
    for trigger in (by_key, by_label):
        live(Document, trigger)
    document = Document.objects.create(stage=stages[0], label=stages[0])
    for field in ("stage", "label"):
        with refused("Invalid transition", IntegrityError):
            change(document, **{field: stages[2]})
        change(document, **{field: stages[1]})


@LEVELS
@pytest.mark.parametrize(
    ("transitions", "allowed", "forbidden"),
    [
        ([(ANY, "void")], [("draft", "void"), ("paid", "void")], [("draft", "sent")]),
        ([("draft", ANY)], [("draft", "void"), ("draft", "sent")], [("sent", "paid")]),
        ([(ANY, ANY)], [("draft", "void"), ("void", "draft")], []),
        ([("draft", ANY), ("draft", "sent")], [("draft", "paid")], [("sent", "draft")]),
        ([("draft", "sent"), (ANY, "sent")], [("paid", "sent")], [("draft", "paid")]),
        ([("*", "sent")], [], [("draft", "sent")]),
        (
            [(("draft", "sent"), ["paid"])],
            [("draft", "paid"), ("sent", "paid")],
            [("void", "paid")],
        ),
        ([["draft", "sent"]], [("draft", "sent")], [("sent", "draft")]),
    ],
    ids=str,
)
def test_wildcards_and_lists(live, level, transitions, allowed, forbidden):
    live(Document, machine(transitions, level=level))
    for old, new in allowed:
        change(Document.objects.create(status=old), status=new)
    for old, new in forbidden:
        with refused("Invalid transition", IntegrityError):
            change(Document.objects.create(status=old), status=new)


@LEVELS
def test_any_stands_for_null_too(live, db, level):
    live(Document, machine([(ANY, "b"), ("b", ANY)], "note", level=level))
    change(document := Document.objects.create(note=None), note="b")
    change(document, note=None)
    with refused('from NULL to "c"', IntegrityError):
        change(document, note="c")


def test_a_star_is_a_state_like_any_other(live, db):
    live(Document, machine([("*", "a")], "note"))
    change(Document.objects.create(note="*"), note="a")


# --- Conditions -------------------------------------------------------------------------------


@LEVELS
@pytest.mark.parametrize(
    "condition",
    [
        Q(new__approved=True),
        F("new__approved"),
        Condition("NEW.approved"),
        Q(new__approved=True) & Condition("OLD.status = 'draft'"),
        Condition("NOT OLD.approved AND NEW.approved"),
        Q(new__amount__gt=F("old__amount"), new__approved=True),
    ],
    ids=repr,
)
def test_a_transition_is_open_only_where_its_condition_holds(live, db, level, condition):
    transitions = [
        Transition("draft", ["sent", "paid"], condition=condition),
        Transition(ANY, "void", condition=Q(old__amount=5)),
    ]
    live(Document, machine(transitions, level=level))
    document = Document.objects.create()
    for status in ("sent", "paid", "void"):
        with refused("Invalid transition", IntegrityError):
            change(document, status=status)
    change(document, status="paid", approved=True, amount=5)
    change(document, status="void")


@LEVELS
def test_a_condition_that_is_unknown_does_not_hold(live, db, level):
    live(
        Document, machine([Transition("draft", "sent", condition=Q(new__ratio__gt=1))], level=level)
    )
    document = Document.objects.create(ratio=None)
    with refused("Invalid transition", IntegrityError):
        change(document, status="sent")
    change(document, status="sent", ratio=2)


@LEVELS
def test_the_machine_holds_only_where_its_own_condition_does(live, db, level):
    live(Document, machine(level=level, condition=Q(old__approved=False)))
    change(Document.objects.create(status="paid", approved=True), status="draft")
    with refused("Invalid transition", IntegrityError):
        change(Document.objects.create(status="paid"), status="draft")


# --- Staying in a state -----------------------------------------------------------------------


@LEVELS
def test_self_transitions_can_be_asked_for(live, db, level):
    transitions = [
        ("draft", ["draft", "sent"]),
        Transition("sent", "sent", condition=Q(new__amount__gt=F("old__amount"))),
        ("sent", "paid"),
    ]
    live(Document, machine(transitions, level=level, self_transitions=False))
    document = Document.objects.create()
    change(document, note="x")
    change(document, status="sent")
    with refused('from "sent" to "sent"', IntegrityError):
        change(document, note="y")
    change(document, amount=1)
    change(document, status="paid")
    with refused('from "paid" to "paid"', IntegrityError):
        change(document, amount=2)


@LEVELS
def test_with_self_transitions_asked_for_a_wildcard_is_one(live, db, level):
    live(Document, machine([(ANY, "sent")], level=level, self_transitions=False))
    document = Document.objects.create(status="sent")
    change(document, amount=1)
    with refused("Invalid transition", IntegrityError):
        change(Document.objects.create(), amount=1)


# --- Initial states ---------------------------------------------------------------------------


@LEVELS
@pytest.mark.parametrize("initial", ["draft", ["draft"], Status.DRAFT, ("draft", "void")], ids=repr)
def test_rows_begin_in_an_initial_state(live, db, level, initial):
    live(Document, machine(level=level, initial=initial))
    change(Document.objects.create(), status="sent")
    message = 'Invalid initial state "sent" of field "status" on table workflow_document'
    with refused(message, IntegrityError):
        Document.objects.create(status="sent")
    with refused(message, IntegrityError):
        Document.objects.bulk_create([Document(), Document(status="sent")])
    with refused('from "sent" to "draft"', IntegrityError):
        Document.objects.update(status="draft")


@LEVELS
def test_null_is_an_initial_state_when_it_is_named(live, db, level):
    live(Document, machine([(None, "a")], "note", level=level, initial=[None]))
    Document.objects.create()
    with refused('Invalid initial state "a"', IntegrityError):
        Document.objects.create(note="a")


@LEVELS
def test_null_is_no_initial_state_when_it_is_not_named(live, db, level):
    live(Document, machine([(None, "a")], "note", level=level, initial="a"))
    with refused("Invalid initial state NULL of", IntegrityError):
        Document.objects.create()


@LEVELS
def test_an_upsert_of_a_row_that_is_there_is_no_insert(live, db, level):
    document = Document.objects.create()
    live(Document, machine(level=level, initial="draft"))

    def upsert(status):
        Document.objects.bulk_create(
            [Document(pk=document.pk, status=status)],
            update_conflicts=True,
            update_fields=["status"],
            unique_fields=["id"],
        )

    upsert("sent")
    with refused("Invalid transition", IntegrityError):
        upsert("draft")
    document.pk = -1
    with refused("Invalid initial state", IntegrityError):
        upsert("sent")


@LEVELS
def test_the_condition_of_the_machine_holds_for_inserts_too(live, db, level):
    live(Document, machine(level=level, initial="draft", condition=Q(new__approved=False)))
    Document.objects.create(status="paid", approved=True)
    with refused("Invalid initial state", IntegrityError):
        Document.objects.create(status="paid")


@LEVELS
def test_a_condition_that_an_insert_cannot_have_is_refused(level):
    trigger = machine(level=level, initial="draft", condition=Q(old__approved=False))
    with pytest.raises(DeclarationError, match=r'reads OLD.*"initial"'):
        trigger.compile(Document)


# --- Ways to write, and where -----------------------------------------------------------------


@LEVELS
def test_several_machines_on_one_model(live, db, level):
    live(Document, machine(level=level))
    live(Document, FSM(name="levels", field="level", transitions=[(1, 2), (2, 3)], level=level))
    document = Document.objects.create()
    change(document, status="sent", level=2)
    with refused('field "level" from "2" to "1"', IntegrityError):
        change(document, status="paid", level=1)
    with refused('field "status" from "sent" to "draft"', IntegrityError):
        change(document, status="draft", level=3)


@LEVELS
def test_one_row_among_many_is_enough(live, db, level):
    Document.objects.bulk_create([Document(status="sent", amount=n) for n in range(2000)])
    Document.objects.filter(amount=1234).update(status="void")
    live(Document, machine(level=level))
    with refused('from "void" to "paid"', IntegrityError):
        Document.objects.update(status="paid")
    Document.objects.exclude(amount=1234).update(status="paid")


WRITES = [
    "UPDATE workflow_document SET status = 'paid'",
    "MERGE INTO workflow_document USING (VALUES (1)) AS one ON TRUE WHEN MATCHED THEN UPDATE SET status = 'paid'",
    "WITH x AS (UPDATE workflow_document SET status = 'paid' RETURNING 1) SELECT * FROM x",
    "DO $$ BEGIN UPDATE workflow_document SET status = 'paid'; END $$",
]


@LEVELS
@pytest.mark.parametrize("statement", WRITES)
def test_no_way_to_write_goes_past_it(live, db, level, statement):
    live(Document, machine(level=level))
    Document.objects.create()
    with refused("Invalid transition", IntegrityError):
        run(statement)
    with pgtrigger.ignore("workflow.Document:flow"):
        run(statement)
    assert value("SELECT status FROM workflow_document") == "paid"


def test_save_and_bulk_update_are_checked(live, db):
    live(Document, machine())
    document = Document.objects.create()
    document.status = "paid"
    with refused("Invalid transition", IntegrityError):
        document.save()
    with refused("Invalid transition", IntegrityError):
        Document.objects.bulk_update([document], ["status"])


def test_ignored_inserts_begin_anywhere(live, db):
    live(Document, machine(initial="draft"))
    with pgtrigger.ignore("workflow.Document:flow"):
        Document.objects.create(status="paid")


@pytest.mark.parametrize("timing", [pgtrigger.Deferred, pgtrigger.Immediate], ids=str)
def test_a_check_can_be_postponed(live, db, timing):
    live(Document, machine(timing=timing, initial="draft"))
    document = Document.objects.create()
    with refused('from "draft" to "paid"', IntegrityError):
        change(document, status="paid")
        run("SET CONSTRAINTS ALL IMMEDIATE")
    with refused("Invalid initial state", IntegrityError):
        Document.objects.create(status="paid")
        run("SET CONSTRAINTS ALL IMMEDIATE")


def test_a_postponed_check_does_not_refuse_at_once(live, db):
    live(Document, machine(timing=pgtrigger.Deferred))
    with refused("Invalid transition", IntegrityError):
        change(Document.objects.create(), status="paid")
        assert Document.objects.get().status == "paid"
        run("SET CONSTRAINTS ALL IMMEDIATE")


def test_after_sees_what_other_triggers_made_of_the_row(live, db):
    live(
        Document,
        pgtrigger.Trigger(
            name="zealous",
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            func="NEW.status = 'paid'; RETURN NEW;",
        ),
    )
    live(Document, machine(when=pgtrigger.After))
    with refused('from "draft" to "paid"', IntegrityError):
        change(Document.objects.create(), status="sent")


def test_an_update_of_some_columns(live, db):
    live(Document, machine(operation=pgtrigger.UpdateOf("status"), initial="draft"))
    document = Document.objects.create()
    with refused("Invalid transition", IntegrityError):
        change(document, status="paid")
    (definition,) = [d for d in definitions("workflow_document").values() if "UPDATE OF" in d]
    assert "UPDATE OF status" in definition


@LEVELS
def test_a_proxy_declares_for_its_table(live, db, level):
    live(DocumentProxy, machine(level=level))
    with refused("on table workflow_document", IntegrityError):
        change(Document.objects.create(), status="paid")


@LEVELS
def test_a_child_has_a_machine_of_its_own_table(live, db, level):
    live(Letter, machine([("open", "sealed")], "sealing", level=level))
    letter = Letter.objects.create(status="paid")
    letter.sealing = "sealed"
    letter.save()
    letter.sealing = "open"
    with refused("on table workflow_letter", IntegrityError):
        letter.save()
    with pytest.raises(DeclarationError, match="Declare the trigger on the parent model"):
        machine(level=level).compile(Letter)


COLUMN = sql.quote("it's %s {0} \\ $pgtrigger$")


@LEVELS
def test_names_of_every_kind_and_a_composite_key(live, db, level):
    live(Peculiar, machine([("a", "b")], "state", level=level, initial=["a", "b"]))
    live(Peculiar, FSM(name="two", field="select", transitions=[("a", "b")], level=level))
    run("INSERT INTO \"user % {x}\" VALUES (1, 1, 'a', 'a'), (1, 2, 'b', 'b')")
    run(f"UPDATE \"user % {{x}}\" SET {COLUMN} = 'b', \"select\" = 'b'")
    for column in (COLUMN, '"select"'):
        with refused('from "b" to "a" on table user % {x}', IntegrityError):
            run(f"UPDATE \"user % {{x}}\" SET {column} = 'a'")
    with refused("Invalid initial state NULL", IntegrityError):
        run("INSERT INTO \"user % {x}\" VALUES (1, 3, NULL, 'a')")


@pytest.mark.parametrize("key", ['"new"', '"old_values"'])
def test_at_statement_level_a_row_whose_key_changes_is_refused(live, db, key):
    live(Peculiar, machine([("a", "b")], "state", level=Statement))
    run("INSERT INTO \"user % {x}\" VALUES (1, 1, 'a', 'a')")
    with refused(r"unknown state \(its primary key changed\)", IntegrityError):
        run(f'UPDATE "user % {{x}}" SET {key} = 5')


def parcels():
    run("CREATE TABLE workflow_parcel (id int PRIMARY KEY, status text) PARTITION BY RANGE (id)")
    for name, low in (("a", 0), ("b", 10)):
        run(
            f"CREATE TABLE workflow_parcel_{name} PARTITION OF workflow_parcel"
            f" FOR VALUES FROM ({low}) TO ({low + 10})"
        )
    run("INSERT INTO workflow_parcel VALUES (1, 'draft')")


@LEVELS
def test_a_row_that_is_moved_between_partitions_is_checked(live, db, level):
    parcels()
    live(Parcel, machine(level=level))
    with refused("Invalid transition", IntegrityError):
        run("UPDATE workflow_parcel SET id = 11, status = 'paid'")
    run("UPDATE workflow_parcel SET status = 'sent'")


def test_a_row_may_move_between_partitions_along_a_transition(live, db):
    parcels()
    live(Parcel, machine())
    run("UPDATE workflow_parcel SET id = 11, status = 'sent'")
    run("UPDATE workflow_parcel SET id = 1")


def test_with_initial_states_a_moved_row_must_be_in_one(live, db):
    parcels()
    live(Parcel, machine(initial="draft"))
    run("UPDATE workflow_parcel SET id = 11")
    with refused('Invalid initial state "sent"', IntegrityError):
        run("UPDATE workflow_parcel SET id = 1, status = 'sent'")


def test_after_an_update_postgres_does_not_call_for_a_moved_row(live, db):
    """What docs/fsm.md says about `After` on partitioned tables; a later Postgres may do better."""
    parcels()
    live(Parcel, machine(when=pgtrigger.After))
    run("UPDATE workflow_parcel SET id = 11, status = 'paid'")


def test_at_statement_level_a_moved_row_is_not_taken_for_a_new_one(live, db):
    parcels()
    live(Parcel, machine(level=Statement, initial="draft", transitions=[("draft", "sent")]))
    run("UPDATE workflow_parcel SET status = 'sent'")
    with refused("its primary key changed", IntegrityError):
        run("UPDATE workflow_parcel SET id = 11")


@LEVELS
def test_with_an_empty_search_path_and_in_another_schema(live, db, level):
    run("CREATE SCHEMA tenant_a", None)
    run("CREATE TABLE tenant_a.workflow_document (LIKE workflow_document INCLUDING ALL)")
    with pgtrigger.schema("tenant_a"):
        live(Document, machine(level=level, initial="draft"))
        Document.objects.create()
    Document.objects.create(status="paid")
    run("SET LOCAL search_path = ''")
    with refused("Invalid transition", IntegrityError) as caught:
        run("UPDATE tenant_a.workflow_document SET status = 'paid'")
    assert caught.value.__cause__.diag.schema_name == "tenant_a"
    run("UPDATE tenant_a.workflow_document SET status = 'sent'")
    run("UPDATE public.workflow_document SET status = 'draft'")


# --- Cost -------------------------------------------------------------------------------------


def calls():
    return value("SELECT coalesce(sum(calls), 0) FROM pg_stat_xact_user_functions")


@pytest.mark.parametrize("when", [pgtrigger.Before, pgtrigger.After], ids=str)
def test_rows_that_are_allowed_call_no_function(live, db, when):
    run("SET LOCAL track_functions = 'all'")
    transitions = [*FLOW, Transition("paid", "void", condition=Q(new__approved=True))]
    live(Document, machine(transitions, when=when, initial="draft"))
    before = calls()
    document = Document.objects.create(approved=True)
    for status in ("sent", "paid", "void", "void"):
        change(document, status=status)
    assert calls() == before
    with pgtrigger.ignore("workflow.Document:flow"):
        change(document, status="draft")
        Document.objects.create(status="paid")
    assert calls() == before


# --- Declarations -----------------------------------------------------------------------------


def test_a_field_and_transitions_are_asked_for_before_the_name():
    with pytest.raises(ValueError, match='provide "field"'):
        FSM()
    for transitions in (None, [], ()):
        with pytest.raises(ValueError, match='provide "transitions"'):
            FSM(field="status", transitions=transitions)
    with pytest.raises(ValueError, match='must have "name"'):
        FSM(field="status", transitions=FLOW)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"transitions": "ab"}, "list of"),
        ({"transitions": 5}, "list of"),
        ({"transitions": ["ab"]}, "pairs of"),
        ({"transitions": [("a",)]}, "pairs of"),
        ({"transitions": [("a", [])]}, '"target" is a state'),
        ({"transitions": [([ANY, "b"], "a")]}, '"source" is a state'),
        ({"initial": []}, '"initial" is a state'),
        ({"initial": ANY}, "any state"),
        ({"operation": pgtrigger.Delete}, "watches pgtrigger.Update"),
        ({"operation": pgtrigger.Insert, "initial": "draft"}, "watches pgtrigger.Update"),
        ({"operation": pgtrigger.Update | pgtrigger.Insert}, "give both or neither"),
        ({"operation": "UPDATE", "initial": "draft"}, 'Invalid "operation"'),
        ({"when": pgtrigger.InsteadOf}, "for views"),
        ({"when": pgtrigger.Before, "timing": pgtrigger.Deferred}, '"when" attribute'),
        ({"transitions": [Transition("a", ["a"], condition=Q(new__level=1))]}, "self_transitions"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_at_once(arguments, message):
    with pytest.raises(DeclarationError, match=message):
        FSM(name="flow", field="status", **{"transitions": FLOW, **arguments})


@pytest.mark.parametrize(
    ("field", "state", "message"),
    [
        ("amount", "one", r'no state that "workflow.Document.amount" can hold: .*one'),
        ("due", "yesterday", "no state"),
        ("locked", "maybe", "no state"),
        ("status", Stage(pk=1), "foreign key"),
        ("stage", Document(pk=1), "foreign key"),
        ("stage", Stage(), "has no key yet"),
    ],
    ids=str,
)
@LEVELS
def test_a_state_that_the_field_cannot_hold_is_refused(level, field, state, message):
    trigger = machine([(None, state)], field, level=level)
    with pytest.raises(DeclarationError, match=message):
        trigger.compile(Document)


@LEVELS
def test_an_unknown_field_is_refused_when_it_is_compiled(level):
    with pytest.raises(FieldLookupError, match='no field "nothing"'):
        machine(field="nothing", level=level).compile(Document)


def test_a_type_without_equality_is_refused():
    from shop.models import Peculiar as WithoutEquality

    with pytest.raises(DeclarationError, match="no equality for its type json"):
        machine(field="document").compile(WithoutEquality)


def test_at_statement_level_there_is_no_update_of_columns():
    with pytest.raises(DeclarationError, match="UpdateOf"):
        machine(level=Statement, operation=pgtrigger.UpdateOf("status")).compile(Document)


def test_class_attributes_are_defaults(live, db):
    class Flow(FSM):
        field = "status"
        transitions = (pair for pair in FLOW)
        initial = "draft"
        self_transitions = False
        timing = pgtrigger.Deferred

    trigger = Flow(name="flow")
    assert trigger.get_transitions() == (
        Transition("draft", ("sent", "void")),
        Transition("sent", "paid"),
    )
    assert (trigger.when, trigger.operation) == (
        pgtrigger.After,
        pgtrigger.Insert | pgtrigger.Update,
    )
    assert FSM(name="a", field="a", transitions=FLOW, separator="/").separator == "/"


def test_transitions_that_change_take_effect(live, db):
    trigger = machine()
    trigger.transitions = [("draft", "paid")]
    live(Document, trigger)
    change(Document.objects.create(), status="paid")


def test_what_is_compiled_does_not_depend_on_the_order_of_sets():
    first = machine([({"a", "b", "c"}, {"x", "y"})], "note")
    second = machine([(["a", "b", "c"], ("x", "y"))], "note")
    assert first.compile(Document) == second.compile(Document)
    assert machine([("a", "x"), ("b", "x"), ("a", "x")], "note").compile(Document) == machine(
        [(["a", "b"], "x")], "note"
    ).compile(Document)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"level": Statement},
        {"initial": "draft"},
        {"initial": "draft", "level": Statement},
        {"initial": ["draft", "%s"], "timing": pgtrigger.Deferred},
    ],
    ids=str,
)
def test_what_is_installed_is_what_is_declared(live, db, arguments):
    trigger = live(Document, machine([("draft", "100% {x}"), ("it's", "\\")], **arguments))
    assert trigger.get_installation_status(Document) == ("INSTALLED", True)
    with statements() as found:
        trigger.install(Document)
    assert not any("TRIGGER" in statement for statement in found)
    trigger.transitions = [("draft", "sent")]
    assert trigger.get_installation_status(Document) == ("OUTDATED", True)
    trigger.disable(Document)
    change(Document.objects.create(), status="paid")
    trigger.uninstall(Document)
    assert definitions("workflow_document") == {}


def test_render_condition_is_that_of_updates():
    assert "OLD" in machine(initial="draft").render_condition(Document)
    assert machine(level=Statement).render_condition(Document) == ""
    assert machine(initial="draft").get_condition(Document).resolve(Document).startswith("OLD")


# --- What is said -----------------------------------------------------------------------------


def diagnostics(statement="UPDATE workflow_document SET status = 'paid'"):
    with refused(error=IntegrityError) as caught:
        run(statement)
    return caught.value


@LEVELS
def test_the_violation_tells_who_and_what(live, db, level):
    trigger = live(Document, machine(level=level, initial="draft"))
    Document.objects.create()
    error = diagnostics()
    found = pgtrigger.violation(error)
    assert (found.trigger, found.model, found.operation) == (trigger, Document, pgtrigger.Update)
    assert (found.table, found.column) == ("workflow_document", "status")
    assert found.message == (
        'pgtrigger: Invalid transition of field "status" from "draft" to "paid" '
        "on table workflow_document"
    )
    assert error.__cause__.diag.sqlstate == "23514"
    with refused(error=IntegrityError) as caught:
        Document.objects.create(status="paid")
    found = pgtrigger.violation(caught.value)
    assert (found.trigger, found.operation) == (trigger, pgtrigger.Insert)


@LEVELS
@pytest.mark.parametrize("ignorable", [True, False])
def test_the_hint_tells_the_way_out_if_there_is_one(live, db, level, ignorable):
    live(Document, machine(level=level, ignorable=ignorable))
    Document.objects.create()
    hint = diagnostics().__cause__.diag.message_hint
    assert "workflow.Document:flow" in hint
    assert ("pgtrigger.ignore" in hint) is ignorable


@LEVELS
def test_another_code_can_be_chosen(live, db, level, settings):
    settings.PGTRIGGER_ERRCODE = "P0001"
    live(Document, machine(level=level))
    Document.objects.create()
    with refused("Invalid transition") as caught:
        run(WRITES[0])
    assert not isinstance(caught.value, IntegrityError)


@LEVELS
def test_a_function_of_ones_own_may_refuse_in_other_words(live, db, level):
    func = {
        Row: "RAISE EXCEPTION 'no way'; RETURN NULL;",
        Statement: pgtrigger.Func(
            "IF EXISTS (SELECT FROM {cond_joined_values}) THEN RAISE EXCEPTION 'no way'; END IF;"
            " RETURN NULL;"
        ),
    }
    live(Document, machine(level=level, func=func))
    document = Document.objects.create()
    change(document, status="sent")
    with refused("no way", DatabaseError):
        change(document, status="void")


# --- Any text ---------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.lists(
        st.sampled_from(
            ["'", '"', "\\", "%", "%s", "{", "}", "{0}", "$$", "$pgtrigger$", "\n", "--", "/*", ";"]
            + ["*", "NULL", "select", "OLD.", "NEW", "=>", ",", "é", "😀", "n" * 63]
        ),
        min_size=1,
        max_size=4,
    ).map("".join),
)


@LEVELS
@given(states=st.lists(TEXTS, min_size=3, max_size=3, unique=True))
def test_any_text_is_a_state(db, level, states):
    """At each level, with random states and those that quoting gets wrong."""
    first, second, third = states
    transitions = [
        Transition(first, second, condition=Q(old__note=first)),
        (second, [first, third]),
    ]
    trigger = machine(transitions, "note", level=level, initial=first)
    with transaction.atomic():
        with trigger.register(Document), trigger.install(Document):
            document = Document.objects.create(note=first)
            with refused(error=IntegrityError) as caught:
                change(document, note=third)
            assert f'from "{first}" to "{third}" on' in caught.value.__cause__.diag.message_primary
            change(document, note=second)
            change(document, note=third)
            with refused("Invalid initial state", IntegrityError):
                Document.objects.create(note=third)
            assert rows("SELECT note FROM workflow_document WHERE id = %s", [document.pk]) == [
                (third,)
            ]
        transaction.set_rollback(True)


NAMES = st.one_of(
    st.text(st.characters(exclude_characters='\0"', exclude_categories=["Cs"]), min_size=1),
    st.lists(
        st.sampled_from(
            ["'", "\\", "%", "%s", "{", "}", "{0}", "$$", "$pgtrigger$", "\n", "--", "/*", ";", "."]
            + ["select", "OLD", "new", "old_values", "new_values", "target", "é", "😀", "n" * 63]
        ),
        min_size=1,
        max_size=3,
    ).map("".join),
).filter(lambda name: len(name.encode()) <= 63)


@LEVELS
@given(
    table=NAMES,
    columns=st.lists(
        (NAMES | NAMES.map('{}"'.format)).filter(lambda name: len(name.encode()) <= 63),
        min_size=2,
        max_size=2,
        unique=True,
    ),
)
def test_any_name_is_that_of_a_table_or_column(db, level, table, columns):
    """At each level, with random names and those that quoting gets wrong."""
    with named("workflow", table, columns) as (model, cursor, relation, _key, column):
        machine([("a", "b")], "state", level=level, initial=["a", "b"]).install(model)
        cursor.execute(f"INSERT INTO {relation} VALUES (1, 'a')")
        cursor.execute(f"UPDATE {relation} SET {column} = 'b'")
        for statement in (
            f"UPDATE {relation} SET {column} = 'a'",
            f"INSERT INTO {relation} VALUES (2, 'c')",
        ):
            with refused(error=IntegrityError) as caught:
                cursor.execute(statement)
            diagnostics = caught.value.__cause__.diag
            assert (diagnostics.table_name, diagnostics.column_name) == (table, columns[1])
