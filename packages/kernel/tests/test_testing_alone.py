"""pgtrigger.testing.trigger_on: a table for a trigger by itself, of which nothing is left."""

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import FieldDoesNotExist
from django.db import IntegrityError, ProgrammingError, connection, connections, models, transaction

import pgtrigger
from pgtrigger.errors import (
    DatabaseNotSupportedError,
    DuplicateTriggerError,
    FieldLookupError,
    InstallationError,
)
from pgtrigger.testing import raises_violation
from pgtrigger.testing import trigger_on as on
from project.routers import Router
from shop.database import functions, logged, logs, noop, run, value
from shop.models import Log, Maker, Product, Tag


def keep(**kwargs):
    given = {"name": "keep", "when": pgtrigger.Before, "operation": pgtrigger.Delete}
    return pgtrigger.Trigger(**{**given, "func": pgtrigger.raise_violation("No."), **kwargs})


def samples():
    """The URIs of triggers on such tables."""
    pairs = [pair for pair in pgtrigger.registered() if pair[0]._meta.app_label == "pgtrigger"]
    return [trigger.get_uri(model) for model, trigger in pairs]


def tables():
    return value("SELECT count(*) FROM pg_class WHERE relname LIKE 'pgtrigger_sample%'")


def test_the_trigger_fires_and_is_known_by_its_uri(db):
    with on(keep(), total=models.IntegerField()) as model:
        assert samples() == ["pgtrigger.Sample:keep"]
        order = model.objects.create(total=1)
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            order.delete()
        assert pgtrigger.violation(caught.value).uri == "pgtrigger.Sample:keep"
        assert model.objects.get().total == 1


def test_it_can_be_ignored(db):
    with on(keep()) as model:
        model.objects.create()
        with pgtrigger.ignore("pgtrigger.Sample:keep"):
            model.objects.all().delete()
        assert not model.objects.exists()


def test_transition_tables_and_conditions_on_fields_work(db):
    trigger = logs(
        "(SELECT sum(total) FROM new_rows)::text",
        level=pgtrigger.Statement,
        referencing=pgtrigger.Referencing(new="new_rows"),
    )
    stamp = noop(
        "stamp", func="NEW.total = 100; RETURN NEW;", condition=pgtrigger.Q(new__total__gt=9)
    )
    with on(trigger, stamp, total=models.IntegerField()) as model:
        for total in (1, 2):
            model.objects.create(total=total)
        model.objects.update(total=models.F("total") * 5)
        assert logged() == ["105"]


def test_a_deferred_trigger_can_be_made_immediate(db):
    with on(keep(when=pgtrigger.After, timing=pgtrigger.Deferred)) as model:
        model.objects.create()
        model.objects.all().delete()
        with pytest.raises(IntegrityError), transaction.atomic():
            pgtrigger.constraints(pgtrigger.Immediate, "pgtrigger.Sample:keep")


@pytest.mark.parametrize("error", [None, ZeroDivisionError, IntegrityError])
def test_nothing_is_left(db, error):
    before = functions()
    with pytest.raises(error or KeyError), on(keep()) as model:
        assert (tables(), len(functions() - before)) == (3, 1)
        Log.objects.create(text="written elsewhere")
        model.objects.create()
        if error is IntegrityError:
            run("DELETE FROM pgtrigger_sample")
        raise error or KeyError
    assert samples() == []
    assert (tables(), functions(), logged()) == (0, before, [])
    assert not hasattr(pgtrigger.testing.alone, "Sample")


def test_nothing_is_left_without_a_transaction_around_it(committed):
    with on(keep()) as model:
        model.objects.create()
    assert not connection.in_atomic_block
    assert (tables(), samples()) == (0, [])


def test_a_connection_that_was_not_open_is_closed_again(committed):
    connection.close()
    with on(keep()):
        assert connection.connection is not None
    assert connection.connection is None


def test_the_test_may_close_the_connection(committed):
    with pytest.raises(ZeroDivisionError), on(keep()):
        connection.close()
        raise ZeroDivisionError
    assert (tables(), samples()) == (0, [])


def test_one_declaration_serves_several_blocks(db):
    block = on(keep(), total=models.IntegerField(), managed=models.Manager())
    for _ in range(2):
        with block as model:
            model.managed.create(total=1)
            assert model.managed.filter(total=1).count() == 1
    with block as first, block as second:
        for model in (first, second):
            model.managed.create(total=1)
            assert model.managed.filter(total=1).update(total=2) == 1
            assert model._meta.get_field("total").model is model


def test_several_tables_are_there_at_a_time(db):
    trigger = keep()
    with on(trigger) as first, on(trigger) as second, on(trigger) as third:
        assert [m._meta.label for m in (first, second, third)] == [
            "pgtrigger.Sample",
            "pgtrigger.Sample2",
            "pgtrigger.Sample3",
        ]
        with raises_violation("pgtrigger.Sample2:keep"):
            second.objects.create().delete()


def test_methods_belong_to_the_model(db):
    with on(keep(), total=models.IntegerField(), double=lambda self: self.total * 2) as model:
        assert model.objects.create(total=2).double() == 4


def test_fields_refer_to_models_of_the_project_and_leave_no_trace_on_them(db):
    names = {**vars(Maker)}, {**vars(Tag)}, {**vars(User)}
    with on(
        noop(condition=pgtrigger.AnyChange("maker")),
        maker=models.ForeignKey(Maker, models.CASCADE),
        user=models.ForeignKey("auth.User", models.CASCADE, null=True, related_name="+"),
        parent=models.ForeignKey("self", models.CASCADE, null=True),
        tags=models.ManyToManyField("shop.Tag", related_name="samples"),
    ) as model:
        maker, tag = Maker.objects.create(code="x"), Tag.objects.create()
        sample = model.objects.create(maker=maker)
        child = model.objects.create(maker=maker, parent=sample)
        child.tags.add(tag)
        assert [*maker.sample_set.order_by("pk")] == [sample, child]
        assert [*tag.samples.all()] == [child]
        assert [*sample.sample_set.all()] == [child]
        assert model.objects.get(parent__maker__code="x") == child
    assert ({**vars(Maker)}, {**vars(Tag)}, {**vars(User)}) == names


def test_fields_may_refer_to_a_table_that_has_been_written_to(db):
    product = Product.objects.create(maker=Maker.objects.create(code="x"))  # a check is to come
    with on(noop(), product=models.ForeignKey(Product, models.CASCADE)) as model:
        assert model.objects.create(product=product).product.maker_id == "x"


def test_a_trigger_that_the_fields_do_not_fit_is_refused_and_nothing_is_left(db):
    with pytest.raises(FieldDoesNotExist, match="totl") as caught:
        on(noop(condition=pgtrigger.AnyChange("totl")), total=models.IntegerField()).__enter__()
    assert isinstance(caught.value, FieldLookupError)
    assert (tables(), samples()) == (0, [])


def test_a_trigger_that_postgres_refuses_leaves_nothing(db):
    with pytest.raises(ProgrammingError, match="syntax error"):
        on(noop(func="NEW.id = NEW.id + ; RETURN NEW;")).__enter__()
    assert (tables(), samples()) == (0, [])


def test_two_triggers_of_one_name_are_refused_and_nothing_is_left(db):
    with pytest.raises(DuplicateTriggerError):
        on(keep(), keep()).__enter__()
    assert (tables(), samples()) == (0, [])


def test_a_router_that_refuses_the_table_is_an_error(db, monkeypatch):
    monkeypatch.setitem(Router.routes, "allow_migrate", lambda db, app_label, **hints: False)
    with pytest.raises(InstallationError, match='app label "pgtrigger"'):
        on(keep()).__enter__()
    assert (tables(), samples()) == (0, [])


@pytest.mark.django_db(databases=["default", "other"])
def test_another_database_can_be_meant(db):
    with on(keep(), using="other") as model:
        sample = model.objects.using("other").create()
        with raises_violation("*:keep", using="other"):
            sample.delete()
        assert tables() == 0


def test_another_database_system_is_refused(db):
    with pytest.raises(DatabaseNotSupportedError, match='"sqlite" is not PostgreSQL'):
        on(keep(), using="sqlite").__enter__()
    assert connections["sqlite"].vendor == "sqlite"
