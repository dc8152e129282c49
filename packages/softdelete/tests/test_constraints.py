"""pgtrigger_softdelete.constraints: live rows differ, deleted ones are not in the way."""

import pytest
from django.db import IntegrityError, connection, models
from django.db.models.functions import Now

from archive.models import Kinds
from pgtrigger.errors import DeclarationError
from pgtrigger_softdelete import SoftDelete, unique_among_live
from shop.database import refused

MARKS = [
    ({"field": "flag"}, {"flag": True}, {"flag": False}),
    ({"field": "gone", "value": True}, {"gone": False}, {"gone": True}),
    ({"field": "text", "value": "it's"}, {"text": "x"}, {"text": "it's"}),
    ({"field": "text_or_null", "value": "x"}, {"text_or_null": None}, {"text_or_null": "x"}),
    ({"field": "number_or_null", "value": None}, {"number_or_null": 1}, {"number_or_null": None}),
    ({"field": "moment", "value": Now()}, {"moment": None}, {"moment": "2013-01-01 00:00Z"}),
]


@pytest.mark.parametrize("by_trigger", [True, False])
@pytest.mark.parametrize(("kwargs", "live", "deleted"), MARKS, ids=str)
def test_live_rows_differ_and_deleted_ones_are_not_in_the_way(
    db, kwargs, live, deleted, by_trigger
):
    given = {"soft_delete": SoftDelete(name="x", **kwargs)} if by_trigger else kwargs
    constraint = unique_among_live("user", name="one_user", **given)
    with connection.schema_editor() as editor:
        editor.add_constraint(Kinds, constraint)
    Kinds.objects.create(user="a", **deleted)
    Kinds.objects.create(user="a", **live)
    Kinds.objects.create(user="a", **deleted)
    with refused("one_user", IntegrityError):
        Kinds.objects.create(user="a", **live)


def test_more_arguments_are_those_of_django():
    constraint = unique_among_live(
        "user",
        name="x",
        field="flag",
        condition=models.Q(number=1),
        violation_error_message="taken",
    )
    assert constraint.violation_error_message == "taken"
    assert constraint.condition == ~models.Q(flag=False) & models.Q(number=1)


@pytest.mark.parametrize(
    "kwargs", [{}, {"field": "a", "soft_delete": SoftDelete(name="x", field="a")}]
)
def test_either_the_trigger_or_its_field_is_needed(kwargs):
    with pytest.raises(DeclarationError, match="takes either"):
        unique_among_live("user", name="x", **kwargs)
