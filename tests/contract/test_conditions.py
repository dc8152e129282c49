"""Contract, section 5: conditions, judged by which rows Postgres fires for."""

import datetime as dt
import decimal
import functools
import operator

import pytest
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import DatabaseError, transaction

from contract.helpers import (
    Delete,
    Insert,
    Update,
    logged,
    logs,
    noop,
    one,
    protects,
    refused,
    run,
)
from contract.models import (
    Awkward,
    CharTarget,
    Child,
    ColumnNames,
    Concrete,
    IntTarget,
    Pointer,
    Stamped,
    Thing,
    ThingProxy,
)
from pgtrigger import AllChange, AllDontChange, AnyChange, AnyDontChange, Condition, F, Q

pytestmark = pytest.mark.django_db


def fires(condition, row, **changes):
    """Whether a trigger with this condition fires for an update of `row`."""
    probe = noop("probe", condition=condition, func="RAISE EXCEPTION 'probe fired';")
    with probe.install(type(row)):
        try:
            with transaction.atomic():
                type(row).objects.filter(pk=row.pk).update(**(changes or {"id": row.pk}))
                transaction.set_rollback(True)
        except DatabaseError as error:
            if "probe fired" in str(error):
                return True
            raise
    return False


@pytest.fixture
def thing():
    return Thing.objects.create(int_field=1, char_field="a")


# --- Change conditions -----------------------------------------------------------------------

BOTH = ("int_field", "char_field")
NOTHING = {"int_field": 1, "char_field": "a"}
ONE = {"int_field": 2, "char_field": "a"}
ALL = {"int_field": 2, "char_field": None}


@pytest.mark.parametrize(
    ("condition", "nothing", "one_field", "all_fields"),
    [
        (AnyChange(*BOTH), False, True, True),
        (AllChange(*BOTH), False, False, True),
        (AnyDontChange(*BOTH), True, True, False),
        (AllDontChange(*BOTH), True, False, False),
        (~AnyChange(*BOTH), True, False, False),
        (~AllChange(*BOTH), True, True, False),
        (~AnyDontChange(*BOTH), False, False, True),
        (~AllDontChange(*BOTH), False, True, True),
        (~~AnyChange(*BOTH), False, True, True),
    ],
    ids=[f"{n}{c}" for n in ("", "not ") for c in ("any", "all", "any don't", "all don't")] + ["2"],
)
def test_change_conditions(thing, condition, nothing, one_field, all_fields):
    assert fires(condition, thing, **NOTHING) is nothing
    assert fires(condition, thing, **ONE) is one_field
    assert fires(condition, thing, **ALL) is all_fields


def test_null_is_a_value_of_its_own():
    row = Thing.objects.create(char_field=None)
    assert not fires(AnyChange("char_field"), row, char_field=None)
    assert fires(AllDontChange("char_field"), row, char_field=None)
    assert fires(AnyChange("char_field"), row, char_field="")


@pytest.mark.parametrize("condition", [AnyChange(), ~AllDontChange()], ids=["any", "not all don't"])
def test_without_fields_any_column_counts(thing, condition):
    assert not fires(condition, thing, **NOTHING)
    assert fires(condition, thing, flag=False)
    assert fires(condition, thing, moment=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))


def test_without_fields_all_change_counts_the_key_too(thing):
    changes = {
        "int_field": 2,
        "char_field": "b",
        "flag": False,
        "moment": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    }
    assert not fires(AllChange(), thing, **changes)
    assert fires(AllChange(), thing, **changes, id=thing.pk + 1)
    assert fires(AllChange(exclude=["id"]), thing, **changes)
    assert fires(AnyDontChange(), thing, **changes)
    assert not fires(AnyDontChange(exclude=["id"]), thing, **changes)


def test_included_fields_come_first_then_excluded_ones_go(thing):
    condition = AnyChange(*BOTH, exclude=["char_field"])
    assert fires(condition, thing, int_field=2)
    assert not fires(condition, thing, char_field="b")
    assert not fires(condition, thing, flag=False)


def test_exclude_without_fields(thing):
    condition = AnyChange(exclude=["int_field"])
    assert not fires(condition, thing, int_field=2)
    assert fires(condition, thing, char_field="b")


def test_exclude_auto_leaves_out_auto_now_and_auto_now_add():
    row = Stamped.objects.create()
    later = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)
    assert not fires(AnyChange(exclude_auto=True), row, created_at=later, updated_at=later)
    assert fires(AnyChange(exclude_auto=True), row, int_field=5)
    assert fires(AnyChange(), row, updated_at=later)
    assert fires(AllChange(exclude=["id"], exclude_auto=True), row, int_field=5)
    assert not fires(AnyChange("updated_at", "int_field", exclude_auto=True), row, updated_at=later)


@pytest.mark.parametrize("kind", [AnyChange, AllChange, AnyDontChange, AllDontChange])
def test_an_unknown_name_does_not_exist(kind):
    for condition in (kind("nope"), kind("int_field", "nope"), kind(exclude=["nope"])):
        with pytest.raises(FieldDoesNotExist, match="has no field"):
            condition.resolve(Thing)


@pytest.mark.parametrize("kind", [AnyChange, AllChange, AnyDontChange, AllDontChange])
def test_a_many_to_many_field_is_refused(kind):
    with pytest.raises(ValueError, match="many-to-many field"):
        kind("others").resolve(Pointer)


def test_foreign_keys_by_name_and_by_id_name():
    first, second = IntTarget.objects.create(), IntTarget.objects.create()
    row = Pointer.objects.create(int_target=first)
    for name in ("int_target", "int_target_id"):
        assert fires(AnyChange(name), row, int_target=second)
        assert not fires(AnyChange(name), row, int_target=first)
        assert not fires(AnyChange(exclude=[name]), row, int_target=second)


def test_inherited_abstract_fields_work():
    row = Concrete.objects.create()
    assert fires(AnyChange("inherited"), row, inherited=1)
    assert not fires(AnyChange("inherited"), row, own=1)
    assert fires(AnyChange(), row, inherited=1)


def test_proxies_and_children_compare_the_columns_of_their_table():
    proxy = ThingProxy.objects.create()
    assert fires(AnyChange("int_field"), proxy, int_field=2)
    assert fires(AnyChange(), proxy, int_field=2)
    child = Child.objects.create()
    assert fires(AnyChange(), child, on_child=2)
    assert fires(AnyChange("on_child"), child, on_child=2)


def test_fields_with_other_column_names():
    row = ColumnNames.objects.create()
    assert fires(AnyChange("value"), row, value=2)
    assert fires(AnyChange("spaced"), row, spaced="50%")
    assert not fires(AnyChange(exclude=["spaced"]), row, spaced="50%")
    assert fires(Q(old__value__df=F("new__value")), row, value=2)
    assert fires(Q(new__spaced="50%"), row, spaced="50%")


def test_whole_rows_without_generated_columns_and_with_types_that_cannot_be_compared():
    """DESIGN, section 5: json, xml and point are compared as text."""
    row = Awkward.objects.create(name="a")
    assert not fires(AnyChange(), row, name="a")
    assert fires(AnyChange(), row, name="b")
    assert fires(~AllDontChange(), row, name="b")
    logs(condition=AnyChange()).install(Awkward)
    run("UPDATE contract_awkward SET place = '(1,2)'")
    run("UPDATE contract_awkward SET place = '(1,2)'")
    assert logged() == ["fired"]


# --- Condition -------------------------------------------------------------------------------


def test_condition_needs_sql():
    with pytest.raises(ValueError, match="Must provide SQL"):
        Condition()


def test_resolve_gives_sql():
    assert "OLD.a = NEW.b" in Condition("OLD.a = NEW.b").resolve(Thing)
    assert 'OLD."int_field"' in AnyChange("int_field").resolve(Thing)
    assert 'NEW."Renamed"' in AnyChange("value").resolve(ColumnNames)


def test_raw_sql_decides(thing):
    condition = Condition("OLD.* IS DISTINCT FROM NEW.*")
    assert fires(condition, thing, **ONE)
    assert not fires(condition, thing, **NOTHING)
    assert not fires(~condition, thing, **ONE)


def test_raw_sql_may_contain_percent_signs_and_braces(thing):
    condition = Condition("NEW.char_field LIKE '1%0{x}'")
    assert fires(condition, thing, char_field="1230{x}")
    assert not fires(condition, thing, char_field="x")


# --- Q and F ---------------------------------------------------------------------------------


def test_f_must_reference_a_row():
    for name in ("x", "id__old", "older__x"):
        with pytest.raises(ValueError, match="must reference"):
            _ = F(name).resolved_name


def test_f_knows_its_sql():
    assert F("old__value").resolved_name == 'OLD."value"'
    assert F("new__value").resolved_name == 'NEW."value"'


@pytest.mark.parametrize(
    "condition", [lambda: Q(int_field=1), lambda: Q(("int_field", F("new__int_field")))]
)
def test_q_without_a_row_is_refused(condition):
    with pytest.raises((ValueError, FieldError, FieldDoesNotExist), match="int_field"):
        condition().resolve(Thing)


@pytest.mark.parametrize(
    ("condition", "changes", "expected"),
    [
        (Q(old__int_field=1), {}, True),
        (Q(old__int_field=2), {}, False),
        (Q(old__int_field__gt=0), {}, True),
        (Q(old__int_field__gt=F("new__int_field")), {"int_field": 0}, True),
        (Q(old__int_field__gt=F("new__int_field")), {"int_field": 1}, False),
        (Q(old__int_field__lte=F("new__int_field")), {"int_field": 1}, True),
        (Q(new__int_field__in=[4, 5]), {"int_field": 5}, True),
        (Q(new__int_field__in=[4, 5]), {"int_field": 6}, False),
        (Q(new__int_field__range=(4, 6)), {"int_field": 5}, True),
        (Q(old__char_field__df=F("new__char_field")), {"char_field": None}, True),
        (Q(old__char_field__df=F("new__char_field")), {"char_field": "a"}, False),
        (Q(old__char_field__ndf=F("new__char_field")), {"char_field": "a"}, True),
        (Q(old__char_field__ndf=F("new__char_field")), {"char_field": None}, False),
        (Q(old__flag=True, new__flag=False), {"flag": False}, True),
        (Q(old__flag=True, new__flag=False), {"flag": True}, False),
        (Q(old__id=F("new__id")), {}, True),
    ],
)
def test_q_and_f(thing, condition, changes, expected):
    assert fires(condition, thing, **changes) is expected


@pytest.mark.parametrize(
    ("condition", "null", "text"),
    [
        (Q(new__char_field=None), True, False),
        (Q(new__char_field__isnull=True), True, False),
        (Q(new__char_field__isnull=False), False, True),
        (Q(new__char_field__df=None), False, True),
        (Q(new__char_field__ndf=None), True, False),
        (Q(new__char_field__df="x"), True, False),
        (Q(new__char_field__ndf="x"), False, True),
        (~Q(new__char_field=None), False, True),
    ],
)
def test_q_with_null(thing, condition, null, text):
    assert fires(condition, thing, char_field=None) is null
    assert fires(condition, thing, char_field="x") is text


def test_negation_is_true_for_null(thing):
    """As in Django, whose idiom this is: exclude(char_field="inactive") keeps NULL."""
    assert fires(~Q(new__char_field="inactive"), thing, char_field="b")
    assert not fires(~Q(new__char_field="inactive"), thing, char_field="inactive")
    assert fires(~Q(new__char_field="inactive"), thing, char_field=None)


def test_q_combines_with_and_or_not(thing):
    one_, two = Q(new__int_field=1), Q(new__char_field="b")
    for i, c, both, either in [(1, "b", 1, 1), (1, "x", 0, 1), (3, "b", 0, 1), (3, "x", 0, 0)]:
        changes = {"int_field": i, "char_field": c}
        assert fires(one_ & two, thing, **changes) is bool(both)
        assert fires(one_ | two, thing, **changes) is bool(either)
        assert fires(~(one_ & two), thing, **changes) is not bool(both)
        assert fires(~one_ & ~two, thing, **changes) is not bool(either)
        assert fires((one_ & ~two) | (~one_ & two), thing, **changes) is (bool(either) and not both)


def test_combined_conditions_are_still_q():
    assert isinstance(Q(old__a=1) & Q(new__b=2), Q)
    assert isinstance(Q(old__a=1) | Q(new__b=2), Q)
    assert isinstance(~Q(old__a=1), Q)


def test_positional_q_with_a_connector(thing):
    condition = Q(
        ("old__int_field__df", F("new__int_field")),
        ("old__char_field__df", F("new__char_field")),
        _connector="OR",
    )
    assert not fires(condition, thing, **NOTHING)
    assert fires(condition, thing, **ONE)
    assert fires(condition, thing, **ALL)
    negated = Q(("old__int_field__df", F("new__int_field")), _negated=True)
    assert fires(negated, thing, **NOTHING)


def test_q_is_reduced_from_many(thing):
    conditions = [Q(new__int_field=number) for number in range(20, 30)]
    assert fires(functools.reduce(operator.or_, conditions), thing, int_field=27)
    assert not fires(functools.reduce(operator.and_, conditions), thing, int_field=27)


def test_foreign_keys_with_integer_targets():
    first, second = IntTarget.objects.create(), IntTarget.objects.create()
    row = Pointer.objects.create(int_target=first)
    assert fires(Q(old__int_target=first.pk), row)
    assert fires(Q(old__int_target_id=first.pk), row)
    assert fires(Q(new__int_target=second.pk), row, int_target=second)
    assert fires(Q(old__int_target__df=F("new__int_target")), row, int_target=second)
    assert fires(Q(old__int_target_id__df=F("new__int_target_id")), row, int_target=None)
    assert not fires(Q(old__int_target_id__df=F("new__int_target_id")), row, int_target=first)
    assert fires(Q(new__int_target=None), row, int_target=None)
    assert fires(Q(new__int_target__isnull=True), row, int_target=None)
    assert fires(Q(old__int_target__in=[first.pk, second.pk]), row)


def test_foreign_keys_with_character_targets():
    first, second = (CharTarget.objects.create(code=code) for code in ("it's 1", "50%"))
    row = Pointer.objects.create(char_target=first)
    assert fires(Q(old__char_target="it's 1"), row)
    assert fires(Q(old__char_target_id="it's 1"), row)
    assert fires(Q(new__char_target="50%"), row, char_target=second)
    assert not fires(Q(new__char_target="50%"), row, char_target=first)
    assert fires(Q(old__char_target__df=F("new__char_target")), row, char_target=second)
    assert fires(Q(old__char_target_id__ndf=F("new__char_target_id")), row, char_target=first)
    assert fires(Q(new__char_target__isnull=True), row, char_target=None)


def test_datetimes(thing):
    noon = dt.datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=dt.UTC)
    east = noon.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30)))
    assert fires(Q(new__moment=noon), thing, moment=noon)
    assert fires(Q(new__moment=east), thing, moment=noon)
    assert not fires(Q(new__moment__gt=noon), thing, moment=noon)
    assert fires(Q(new__moment__gte=noon), thing, moment=noon)
    assert fires(Q(new__moment__df=F("old__moment")), thing, moment=noon)


TEXTS = [
    "50%",
    "%s",
    "%(name)s",
    "100%%",
    "it's",
    'a"b',
    "back\\slash",
    "{x}",
    "$$",
    "é✓",
    "-- x",
    ";",
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_a_value(thing, text):
    assert fires(Q(new__char_field=text), thing, char_field=text)
    assert not fires(Q(new__char_field=text), thing, char_field=text + text)


@pytest.mark.parametrize("text", ["50%", "a_b", "it's", "back\\slash"])
def test_any_text_is_a_pattern(thing, text):
    for lookup in ("contains", "startswith", "endswith", "icontains"):
        condition = Q(**{f"new__char_field__{lookup}": text})
        assert fires(condition, thing, char_field=text)
        assert not fires(condition, thing, char_field="50 aXb its backslash")


def test_decimals_and_booleans(thing):
    assert fires(Q(new__int_field__gt=decimal.Decimal("1.5")), thing, int_field=2)
    assert fires(Q(new__flag__df=True), thing, flag=False)


def test_conditions_of_inserts_see_the_new_row(live):
    live(Thing, protects(Insert, condition=Q(new__int_field__lt=0)))
    Thing.objects.create(int_field=1)
    with refused("Cannot insert rows from"):
        Thing.objects.create(int_field=-1)


def test_conditions_of_deletes_see_the_old_row(live, thing):
    live(Thing, protects(Delete, condition=Q(old__int_field=1)))
    with refused("Cannot delete rows from"):
        thing.delete()
    Thing.objects.update(int_field=2)
    assert Thing.objects.all().delete()[0] == 1


@pytest.mark.parametrize(
    "condition", [None, Q(new__int_field=F("old__int_field")) | Q(new__flag=True)]
)
def test_a_condition_stands_in_the_when_clause(condition):
    """DESIGN, section 7: rows that are allowed cost no function call."""
    protects(Update, condition=condition).install(Thing)
    when = one(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'pgtrigger_protects_%%'"
    )
    assert (condition is None) or ("WHEN (" in when and "int_field" in when)
