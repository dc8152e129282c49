"""pgtrigger.testing.raises_violation: a test that nothing was refused, or something else, fails."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import TestCase, TransactionTestCase

import pgtrigger
from pgtrigger.errors import TriggerNotFoundError, TriggerUriError
from pgtrigger.testing import raises_violation, trigger_on
from shop.database import run
from shop.models import Log, Product

KEEP = "shop.Product:keep"


def refusing(name="keep", message="No.", operation=pgtrigger.Delete, **kwargs):
    return pgtrigger.Trigger(
        name=name,
        when=kwargs.pop("when", pgtrigger.Before),
        operation=operation,
        func=pgtrigger.Func(pgtrigger.raise_violation(message)),
        **kwargs,
    )


def deferred(name="keep"):
    return refusing(name, when=pgtrigger.After, timing=pgtrigger.Deferred)


@pytest.fixture
def product(db):
    return Product.objects.create(name="bolt")


def test_what_the_trigger_refuses_is_told_and_the_test_goes_on(live, product):
    trigger = live(Product, refusing(message="Products stay."))
    with raises_violation(KEEP) as refused:
        Product.objects.all().delete()
    assert refused.violation.trigger is trigger
    assert refused.violation.uri == KEEP
    assert refused.violation.message == "Products stay."
    assert refused.violation.operation == pgtrigger.Delete
    assert Product.objects.count() == 1


def test_there_is_no_violation_before_the_end_of_the_block(live, product):
    live(Product, refusing())
    with raises_violation(KEEP) as refused:
        with pytest.raises(AttributeError, match="before the end of the block"):
            refused.violation
        product.delete()


@pytest.mark.parametrize("uris", [(), ("*:keep",), ("shop.Product:keep", "shop.Product:other")])
def test_one_of_several_triggers_is_enough(live, product, uris):
    live(Product, refusing())
    live(Product, refusing("other", operation=pgtrigger.Insert))
    with raises_violation(*uris):
        product.delete()


@pytest.mark.parametrize(
    ("uri", "error"),
    [("shop.Product:kept", TriggerNotFoundError), ("shop.Product", TriggerUriError)],
)
def test_a_misspelt_uri_is_an_error_at_once(live, db, uri, error):
    live(Product, refusing())
    with pytest.raises(error):
        raises_violation(uri)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, f'Expected "{KEEP}" to refuse, but nothing was refused.'),
        (
            {"operation": pgtrigger.Delete, "match": "stay"},
            f"Expected \"{KEEP}\" to refuse DELETE with a message that matches 'stay', but nothing",
        ),
    ],
)
def test_nothing_refused_fails_and_says_what_was_expected(live, db, arguments, expected):
    live(Product, refusing())
    with pytest.raises(AssertionError) as caught, raises_violation(KEEP, **arguments):
        pass
    assert expected in str(caught.value)


def test_nothing_refused_by_no_trigger_in_particular_fails_too(db):
    with (
        pytest.raises(AssertionError, match="Expected a trigger to refuse, but nothing"),
        raises_violation(),
    ):
        pass


def test_why_it_did_not_refuse_is_said_when_that_can_be_told(declared, db):
    trigger = declared(Product, refusing())

    def said():
        with pytest.raises(AssertionError) as caught, raises_violation(KEEP):
            pass
        return str(caught.value).partition("was refused.")[2]

    assert said() == f' "{KEEP}" is UNINSTALLED on database "default".'
    trigger.install(Product)
    assert said() == ""
    with pgtrigger.ignore(KEEP):
        assert said() == f' "{KEEP}" is ignored.'
    trigger.disable(Product)
    assert said() == f' "{KEEP}" is disabled on database "default".'


def test_the_reason_is_not_asked_for_in_a_failed_transaction(live, product):
    live(Product, refusing())
    with (
        pytest.raises(AssertionError, match=r"nothing was refused\.$"),
        transaction.atomic(),
    ):
        with raises_violation(KEEP, atomic=False):
            transaction.set_rollback(True)


def test_another_triggers_violation_fails_and_is_named(live, product):
    live(Product, refusing())
    live(Product, refusing("insert", "None of these.", pgtrigger.Insert))
    with pytest.raises(AssertionError, match='but "shop.Product:insert" refused: None') as caught:
        with raises_violation(KEEP):
            Product.objects.create()
    assert isinstance(caught.value.__cause__, IntegrityError)
    assert Product.objects.count() == 1


def test_another_operation_fails_and_is_told(live, product):
    live(Product, refusing(operation=pgtrigger.Update | pgtrigger.Delete))
    with pytest.raises(AssertionError, match="to refuse UPDATE, but it refused DELETE: No"):
        with raises_violation(KEEP, operation=pgtrigger.Update):
            product.delete()
    with raises_violation(KEEP, operation=pgtrigger.Delete):
        product.delete()


def test_another_message_fails_and_is_told(live, product):
    live(Product, refusing(message="Products stay (all)."))
    with pytest.raises(AssertionError, match=r"said something else: Products stay \(all\)\."):
        with raises_violation(KEEP, match="^stay"):
            product.delete()
    with raises_violation(KEEP, match=r"stay \(a"):
        product.delete()


def test_a_database_error_of_no_trigger_fails_and_is_told(live, product):
    live(Product, refusing())
    with pytest.raises(AssertionError, match="none of a registered trigger: ") as caught:
        with raises_violation(KEEP):
            run("SELECT nothing")
    assert "ProgrammingError" in str(caught.value)
    assert caught.value.__cause__ is not None
    assert Product.objects.count() == 1


def test_a_constraint_that_fails_with_the_deferred_ones_is_told(live, product):
    live(Product, deferred())
    with pytest.raises(AssertionError, match=r"none of a registered trigger: .*foreign key"):
        with raises_violation(KEEP):
            Product.objects.create(maker_id="nobody")


def test_errors_of_the_test_itself_pass(live, product):
    live(Product, refusing())
    with pytest.raises(ZeroDivisionError), raises_violation(KEEP):
        Product.objects.all().update(name="nut")
        raise ZeroDivisionError
    assert Product.objects.get().name == "bolt"


def test_a_deferred_trigger_that_is_named_is_checked_at_the_end_of_the_block(live, product):
    live(Product, deferred())
    with raises_violation(KEEP):
        product.delete()
    assert Product.objects.exists()


def test_a_deferred_trigger_can_be_left_until_the_commit(live, product):
    live(Product, deferred())
    with pytest.raises(AssertionError, match="nothing was refused"):
        with raises_violation(KEEP, immediate=False):
            product.delete()
    with pytest.raises(IntegrityError), transaction.atomic():  # it has not been forgotten
        connection.check_constraints()
    with pgtrigger.ignore(KEEP):
        connection.check_constraints()


def test_deferred_triggers_that_nobody_named_are_checked_on_request(live, product):
    live(Product, deferred())
    with raises_violation(immediate=True):
        product.delete()


def test_code_that_turned_the_refusal_into_a_validation_error_has_been_refused_too(live, product):
    live(Product, refusing())
    with raises_violation(KEEP) as refused, pgtrigger.violations_as_validation_errors():
        product.delete()
    assert refused.violation.uri == KEEP


def test_code_with_a_durable_transaction_can_be_asserted_about(autocommit_live):
    autocommit_live(Product, refusing())
    product = Product.objects.create()
    with raises_violation(KEEP, atomic=False), transaction.atomic(durable=True):
        product.delete()
    assert Product.objects.exists()


def test_without_a_transaction_the_block_is_one_and_its_commit_counts(autocommit_live):
    autocommit_live(Product, deferred())
    product = Product.objects.create()
    with raises_violation(KEEP, immediate=False):
        product.delete()
    assert Product.objects.exists()


def test_blocks_can_be_nested_and_entered_again(live, product):
    live(Product, refusing())
    block = raises_violation(KEEP)
    for _ in range(2):
        with block:
            product.delete()
    with pytest.raises(AssertionError, match="nothing was refused"), raises_violation(KEEP):
        with raises_violation(KEEP):
            product.delete()


class InTestCase(TestCase):
    def test_the_transaction_of_the_test_goes_on(self):
        with trigger_on(refusing()) as model:
            sample = model.objects.create()
            with raises_violation("pgtrigger.Sample:keep"):
                sample.delete()
            with pytest.raises(AssertionError, match="nothing was refused"):
                with raises_violation("pgtrigger.Sample:keep"):
                    model.objects.create()

    async def test_asynchronous_code_is_in_a_savepoint_too(self):
        async with trigger_on(refusing()) as model:
            sample = await model.objects.acreate()
            async with raises_violation("pgtrigger.Sample:keep") as refused:
                await Log.objects.acreate(text="undone")
                await sample.adelete()
            assert refused.violation.uri == "pgtrigger.Sample:keep"
            assert await model.objects.acount() == 1
            assert await Log.objects.acount() == 0


class InTransactionTestCase(TransactionTestCase):
    available_apps = ["shop"]

    def test_the_block_is_a_transaction(self):
        trigger = refusing()
        with trigger.register(Product), trigger.install(Product):
            product = Product.objects.create()
            with raises_violation(KEEP):
                product.delete()
            assert Product.objects.exists()
