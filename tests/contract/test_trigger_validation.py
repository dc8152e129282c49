"""Contract, section 3: what a trigger's declaration accepts and refuses."""

import pytest
from django.apps import apps
from django.core import checks
from django.core.exceptions import FieldDoesNotExist

import pgtrigger
from contract.helpers import (
    After,
    Before,
    Delete,
    Insert,
    Update,
    definitions,
    logged,
    logs,
    noop,
    protects,
    refused,
    trigger_functions,
)
from contract.models import Concrete, Pointer, Thing

VALID = {"name": "valid", "when": After, "operation": Update, "func": "RETURN NULL;"}


def test_every_argument_is_keyword_only():
    with pytest.raises(TypeError):
        pgtrigger.Trigger("name")


def test_every_argument_is_kept():
    given = {
        "name": "everything",
        "level": pgtrigger.Statement,
        "when": After,
        "operation": Update,
        "condition": None,
        "referencing": pgtrigger.Referencing(old="o"),
        "func": "RETURN NULL;",
        "declare": [("a", "INT")],
        "timing": None,
    }
    trigger = pgtrigger.Trigger(**given)
    assert {name: getattr(trigger, name) for name in given} == given


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError):
        pgtrigger.Trigger(**VALID, colour="red")


def test_class_attributes_are_defaults():
    class Stamp(pgtrigger.Trigger):
        name = "stamp"
        level = pgtrigger.Statement
        when = After
        operation = Insert
        declare = [("a", "INT")]
        func = "RETURN NULL;"

    stamp = Stamp()
    assert (stamp.name, stamp.level, stamp.when, stamp.operation) == (
        "stamp",
        pgtrigger.Statement,
        After,
        Insert,
    )
    assert (stamp.declare, stamp.func) == ([("a", "INT")], "RETURN NULL;")
    assert Stamp(name="other", operation=Delete).operation is Delete
    assert Stamp.operation is Insert


def test_a_subclass_may_set_name_and_level_before_super_init():
    class Named(pgtrigger.Trigger):
        when = After
        operation = Update
        func = "RETURN NULL;"

        def __init__(self):
            self.name = "from_subclass"
            self.level = pgtrigger.Statement
            super().__init__()

    assert Named().name == "from_subclass"
    assert Named().level is pgtrigger.Statement


def test_a_class_attribute_level_none_is_legal():
    class Levelless(pgtrigger.Trigger):
        level = None
        when = After
        operation = Update
        func = "RETURN NULL;"

    Levelless(name="levelless")
    assert Levelless(name="levelled", level=pgtrigger.Statement).level is pgtrigger.Statement


# --- Mutable instances -----------------------------------------------------------------------


@pytest.mark.django_db
def test_a_new_operation_on_a_registered_trigger_takes_effect_at_the_next_install(live):
    trigger = live(Thing, logs(operation=Insert))
    trigger.operation = Update
    assert trigger.get_installation_status(Thing)[0] == "OUTDATED"
    thing = Thing.objects.create()
    assert logged() == ["fired"]
    pgtrigger.install("contract.Thing:logs")
    assert trigger.get_installation_status(Thing) == ("INSTALLED", True)
    thing.save()
    Thing.objects.create()
    assert logged() == ["fired"] * 2


@pytest.mark.django_db
def test_a_new_condition_on_a_registered_trigger_takes_effect_at_the_next_install(live):
    trigger = live(Thing, logs(condition=pgtrigger.Q(new__int_field=1)))
    trigger.condition = pgtrigger.Q(new__int_field=2)
    assert trigger.get_installation_status(Thing)[0] == "OUTDATED"
    pgtrigger.install("contract.Thing:logs")
    thing = Thing.objects.create()
    for value in (1, 2):
        thing.int_field = value
        thing.save()
    assert logged() == ["fired"]


# --- Errors and their order ------------------------------------------------------------------

FAULTS = [
    ('Invalid "level"', {"level": "bad"}),
    ('Invalid "when"', {"when": "bad"}),
    ('Invalid "operation"', {"operation": "bad"}),
    ('Invalid "timing"', {"timing": "bad"}),
    (
        "Row-level triggers cannot have",
        {"level": pgtrigger.Row, "referencing": pgtrigger.Referencing(old="o")},
    ),
    (
        'must have "level" attribute',
        {"level": pgtrigger.Statement, "when": After, "timing": pgtrigger.Deferred},
    ),
    (
        'must have "when" attribute',
        {"level": pgtrigger.Row, "when": Before, "timing": pgtrigger.Deferred},
    ),
    ('must have "name"', {"name": None}),
    ("> 47", {"name": "n" * 48}),
    ("alphanumeric", {"name": "not a name"}),
]


@pytest.mark.parametrize(("message", "fault"), FAULTS, ids=[message for message, _ in FAULTS])
def test_a_fault_is_a_value_error(message, fault):
    with pytest.raises(ValueError, match=message):
        pgtrigger.Trigger(**{**VALID, **fault})


@pytest.mark.parametrize(
    ("first", "second"),
    [(i, j) for i in range(len(FAULTS)) for j in range(i + 1, len(FAULTS))],
    ids=lambda i: FAULTS[i][0],
)
def test_of_two_faults_the_first_of_the_contract_is_reported(first, second):
    message, fault = FAULTS[first]
    with pytest.raises(ValueError, match=message):
        pgtrigger.Trigger(**{**VALID, **FAULTS[second][1], **fault})


def test_a_long_bad_name_is_first_of_all_long():
    with pytest.raises(ValueError, match="> 47"):
        pgtrigger.Trigger(**{**VALID, "name": "not a name" * 10})


@pytest.mark.parametrize("missing", ["when", "operation", "name"])
def test_when_operation_and_name_are_required(missing):
    with pytest.raises(ValueError, match=f'"{missing}"'):
        pgtrigger.Trigger(**{key: value for key, value in VALID.items() if key != missing})


@pytest.mark.parametrize("name", ["n" * 47, "Upper-Case_and-09", "-", "1"])
def test_names_of_letters_digits_dash_and_underscore_are_accepted(name):
    assert pgtrigger.Trigger(**{**VALID, "name": name}).name == name


@pytest.mark.parametrize("name", ["a b", "a.b", "a:b", 'a"b', "a$b", "a\n", "\na", "a/b"])
def test_other_characters_in_names_are_refused(name):
    with pytest.raises(ValueError, match="alphanumeric"):
        pgtrigger.Trigger(**{**VALID, "name": name})


def test_an_error_names_the_offending_value():
    with pytest.raises(ValueError, match="sideways"):
        pgtrigger.Trigger(**{**VALID, "level": "sideways"})
    with pytest.raises(ValueError, match="no good"):
        pgtrigger.Trigger(**{**VALID, "name": "no good"})


@pytest.mark.parametrize("model", [None, Thing])
def test_get_func_without_a_func(model):
    with pytest.raises(ValueError, match="Must define func"):
        pgtrigger.Trigger(name="n", when=After, operation=Update).get_func(model)


def test_read_only_takes_fields_or_exclude():
    with pytest.raises(ValueError, match="only one of"):
        pgtrigger.ReadOnly(name="n", fields=["a"], exclude=["b"])
    assert pgtrigger.ReadOnly(name="n", fields=["a"]).fields == ["a"]
    assert pgtrigger.ReadOnly(name="n", exclude=["b"]).exclude == ["b"]


def test_a_search_vector_says_what_it_lacks_before_its_name_is_asked_for():
    with pytest.raises(ValueError, match='provide "vector_field"'):
        pgtrigger.UpdateSearchVector(document_fields=["char_field"])
    with pytest.raises(ValueError, match='provide "document_fields"'):
        pgtrigger.UpdateSearchVector(vector_field="char_field")
    with pytest.raises(ValueError, match='must have "name"'):
        pgtrigger.UpdateSearchVector(vector_field="moment", document_fields=["char_field"])


# --- Unknown fields --------------------------------------------------------------------------

UNKNOWN = {
    "AnyChange": lambda: noop(condition=pgtrigger.AnyChange("nope")),
    "exclude": lambda: noop(condition=pgtrigger.AllChange(exclude=["nope"])),
    "Q": lambda: noop(condition=pgtrigger.Q(old__nope=1)),
    "F": lambda: noop(condition=pgtrigger.Q(old__int_field=pgtrigger.F("new__nope"))),
    "ReadOnly fields": lambda: pgtrigger.ReadOnly(name="r", fields=["nope"]),
    "ReadOnly exclude": lambda: pgtrigger.ReadOnly(name="r", exclude=["nope"]),
    "Protect": lambda: protects(condition=pgtrigger.Q(old__nope=1)),
    "UpdateSearchVector vector": lambda: pgtrigger.UpdateSearchVector(
        name="s", vector_field="nope", document_fields=["char_field"]
    ),
    "UpdateSearchVector documents": lambda: pgtrigger.UpdateSearchVector(
        name="s", vector_field="char_field", document_fields=["nope"]
    ),
}


@pytest.mark.parametrize("make", UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_fields_are_refused_by_compile_not_by_construction(make):
    trigger = make()
    with pytest.raises(FieldDoesNotExist, match="nope"):
        trigger.compile(Thing)


@pytest.mark.parametrize("make", UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.django_db
def test_unknown_fields_are_refused_by_install_and_nothing_is_left_behind(make):
    before = trigger_functions()
    with pytest.raises(FieldDoesNotExist, match="nope"):
        make().install(Thing)
    assert definitions(Thing._meta.db_table) == {}
    assert trigger_functions() == before


@pytest.mark.parametrize("make", UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.django_db(databases="__all__")  # Django 6.1 checks generated fields there
def test_unknown_fields_are_reported_by_check(make):
    with make().register(Thing):
        messages = checks.run_checks(app_configs=[apps.get_app_config("contract")])
    (error,) = [m for m in messages if m.level >= checks.ERROR]
    assert error.id.startswith("pgtrigger.E")
    assert "nope" in error.msg
    assert error.hint


@pytest.mark.django_db(databases="__all__")
def test_a_many_to_many_field_is_reported_by_check():
    with noop(condition=pgtrigger.AnyChange("others")).register(Pointer):
        messages = checks.run_checks(app_configs=[apps.get_app_config("contract")])
    (error,) = [m for m in messages if m.level >= checks.ERROR]
    assert "many-to-many field" in error.msg


# --- ReadOnly's arguments at work ------------------------------------------------------------


@pytest.mark.django_db
def test_read_only_fields(live):
    live(Thing, pgtrigger.ReadOnly(name="r", fields=["int_field", "char_field"]))
    thing = Thing.objects.create(int_field=1)
    Thing.objects.update(int_field=1, flag=False)
    with refused("Cannot update rows from contract_thing table"):
        Thing.objects.update(int_field=2)
    with refused("Cannot update rows from"):
        Thing.objects.update(char_field="x")
    thing.delete()


@pytest.mark.django_db
def test_read_only_exclude(live):
    live(Thing, pgtrigger.ReadOnly(name="r", exclude=["flag"]))
    Thing.objects.create()
    Thing.objects.update(flag=False)
    with refused("Cannot update rows from"):
        Thing.objects.update(int_field=2)


@pytest.mark.django_db
def test_read_only_without_arguments_covers_every_field(live):
    live(Concrete, pgtrigger.ReadOnly(name="r"))
    Concrete.objects.create().save()
    for field in ("inherited", "own", "id"):
        with refused("Cannot update rows from"):
            Concrete.objects.update(**{field: 77})
